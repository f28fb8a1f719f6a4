"""docs/faults.md is true: its scripts are scripts, and each fault of its table does what it says."""

from __future__ import annotations

import re
from typing import Any, get_args

import msgspec
import pytest
from support.documents import read
from support.tiers import thinned

from ddg_protocol import DUCKDUCKGO_2025_04, DuckChatError, Event, Policy, errors, events
from ddg_protocol.service import Service
from ddg_protocol.service import faults as effects
from ddg_protocol.service.script import fault_from_text, script_from_toml
from ddg_transports.blocking import Client
from ddg_transports.emulator import Emulator

PAGE = read("docs/faults.md")
ROWS = re.findall(r"^\| [^|]+ \| `(\w+:[^`]*)` \| `(\w+)`(?: \(`(\w+)`\))?", PAGE, re.MULTILINE)
QUICK = Policy(max_retries=0, read_timeout=0.25, total_timeout=0.5, max_page_bytes=1024 * 1024, max_event_bytes=65536)


def test_the_toml_of_the_page_says_what_the_lines_beside_it_say() -> None:
    (toml,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    lines = re.search(r"The first of the two above is `([^`]+)`, the second `([^`]+)`", " ".join(PAGE.split()))
    assert lines is not None
    first, second = map(fault_from_text, lines.groups())
    first = msgspec.structs.replace(first, effects=[msgspec.structs.replace(first.effects[0], retry_after=2)])
    assert script_from_toml(toml) == (first, second)


def test_every_fault_of_a_command_is_one() -> None:
    lines = re.findall(r"--fault ([a-z]\S+)", PAGE)
    assert len(lines) >= 2
    for line in lines:
        fault_from_text(line)


def test_the_table_of_effects_is_whole() -> None:
    described = dict(re.findall(r"^\| `([A-Z]\w+)` \| (.*?) \|", PAGE, re.MULTILINE))
    assert list(described) == [effect.__name__ for effect in get_args(effects.Effect)]
    for name, attributes in described.items():
        fields = msgspec.structs.fields(getattr(effects, name))
        assert re.findall(r"`(\w+)", attributes) == [field.name for field in fields]
        for said, field in zip(re.findall(r"`\w+(?:=(.*?))?`", attributes), fields, strict=True):
            default = "" if field.required or field.name == "of" else repr(field.default).replace("'", '"')
            assert said == default.replace(r"\x00", r"\0")


def test_the_table_of_faults_was_found() -> None:
    assert len(ROWS) == PAGE.count("\n| ") - PAGE.count("\n| `") - 2  # less the two heads


def named(name: str) -> type[Any]:
    """Find an event or an exception by the name that the page has."""
    found: type[Any] = getattr(errors, name, None) or getattr(events, name)
    return found


@pytest.mark.parametrize(
    ("line", "outcome", "cause"),
    thinned(ROWS, one_in=2, reason="each effect has other tests"),
    ids=[row[0][:60] for row in ROWS],
)
def test_a_fault_does_what_the_page_says(line: str, outcome: str, cause: str) -> None:
    seen: list[Event] = []
    error: DuckChatError | None = None
    with (
        Emulator(Service(script=[fault_from_text(line)])) as emulator,
        Client(DUCKDUCKGO_2025_04.at(emulator.url), policy=QUICK) as client,
        client.chat().stream("Why is the sky blue?") as reply,
    ):
        try:
            seen.extend(reply.events())
        except DuckChatError as raised:
            error = raised
    assert any(exchange.faults for exchange in emulator.service.log)
    expected = named(outcome)
    if issubclass(expected, DuckChatError):
        assert type(error) is expected
        return
    assert error is None
    found = [event for event in seen if type(event) is expected]
    assert found
    if cause:
        assert type(getattr(found[0], "cause", None)) is named(cause)
