"""What docs/architecture.md says of the way through the core, held against traced calls."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Callable
from types import FrameType

from support.hand import Hand
from support.paths import ROOT

from ddg_protocol import NEED_DATA, Retrying, Session, TextDelta
from ddg_protocol.intents import Wait
from ddg_protocol.wire import Close, Connect, Send, WireSession

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
CORE = str(ROOT / "ddg_protocol")
EVENT = b'{"role":"assistant","message":" word","created":1751751911,"id":"x","action":"success","model":"m"}'


def said(section: str) -> list[str]:
    """Return the functions that a section of the page numbers, in order."""
    text = PAGE.split(f"({section})=")[1].split("\n## ")[1]
    return re.findall(r"^\d+\. `([\w.]+)`", text, re.MULTILINE)


def name_of(frame: FrameType) -> str:
    module = str(frame.f_globals["__name__"]).removeprefix("ddg_protocol.")
    return f"{module}.{frame.f_code.co_qualname}"


def traced(act: Callable[[], object]) -> list[tuple[str, str]]:
    """Return the calls of functions of the core, in order: name and caller, empty where that is outside the core."""
    calls: list[tuple[str, str]] = []

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(CORE):
            caller = frame.f_back
            is_core = caller is not None and caller.f_code.co_filename.startswith(CORE)
            calls.append((name_of(frame), name_of(caller) if caller is not None and is_core else ""))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(before)
    return calls


def streaming_wire() -> tuple[WireSession, Connect]:
    """A wire session that has read two events of a reply."""
    wire, connect = WireSession(Session()), None
    wire.ask("Why?", now=0.0)
    while True:
        action = wire.next_action(now=0.0)
        match action:
            case Connect():
                connect = action
                wire.connected(action)
            case Close():
                wire.closed(action)
            case Wait():
                wire.wait_elapsed(action)
            case Send():
                assert connect is not None
                wire.sent(action)
                if action.data.startswith(b"POST"):
                    break
                wire.receive_bytes(connect, b"HTTP/1.1 200 OK\r\nx-vqd-4: 4-1\r\ncontent-length: 0\r\n\r\n")
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    for data in (head, http_chunk(), http_chunk()):
        wire.receive_bytes(connect, data)
        while wire.next_action(now=0.0) is not NEED_DATA:
            pass
    return wire, connect


def http_chunk() -> bytes:
    block = b"data: " + EVENT + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(block), block)


def test_a_byte_passes_the_functions_that_the_page_says_and_no_other_on_its_way_to_a_text_delta() -> None:
    wire, connect = streaming_wire()
    given: list[object] = []

    def act() -> None:
        wire.receive_bytes(connect, http_chunk())
        given.append(wire.next_action(now=0.0))

    calls = [name for name, _ in traced(act)]
    assert given == [TextDelta(json.loads(EVENT)["message"])]
    named = said("how-a-byte-becomes-text")
    assert calls == named
    assert len(named) <= 12


def test_a_refusal_passes_the_functions_that_the_page_says_on_its_way_to_a_retry() -> None:
    hand = Hand()
    request = hand.to_chat()
    given: list[object] = []

    def act() -> None:
        hand.session.receive_head(request, 503, [], now=hand.now)
        hand.session.receive_eof(request)
        given.append(hand.session.next_action(now=hand.now))

    calls = traced(act)
    assert [type(each) for each in given] == [Retrying]
    named = said("how-a-refusal-becomes-a-retry")
    assert len(named) <= 10
    assert [name for name in dict(calls) if name in named] == named  # in the order of their first calls
    for name, caller in calls:
        assert name not in named or caller in ("", *named), f"{caller} is between, and not named"


def test_the_page_names_modules_that_there_are() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert len(names) > 10
    assert all((ROOT / "ddg_protocol" / f"{name}.py").exists() for name in names)


def test_the_page_names_classes_and_functions_that_there_are() -> None:
    modules = {path.stem for path in (ROOT / "ddg_protocol").glob("*.py")}
    named = re.findall(r"`(\w+)\.([\w.]+)`", PAGE)
    owned = [(module, path) for module, path in named if module in modules]
    assert len(owned) > 20
    for module, path in owned:
        found: object = importlib.import_module(f"ddg_protocol.{module}")
        for name in path.split("."):
            assert hasattr(found, name), f"there is no {module}.{path}"
            found = getattr(found, name)
