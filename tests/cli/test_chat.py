"""``ddg-chat chat`` and ``ask`` on a real pseudo-terminal, as a person meets them."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.person import Person
from support.tiers import thinned

from ddg_chat._prompt import _History
from ddg_chat._store import Store
from ddg_protocol.service import Question, Service
from ddg_protocol.service.script import fault_from_text
from ddg_transports.emulator import Emulator

pytestmark = pytest.mark.usefixtures("quick_start")

TIMEOUT = 60.0  # for what never ends, on the slowest of machines


Responder = Callable[[Question], Iterator[str]]


def emulated(respond: Callable[[Question], Any] | None = None, *faults: str) -> Emulator[Service]:
    script = [fault_from_text(fault) for fault in faults]
    return Emulator(Service(responder=respond or (lambda question: [f"You asked: {question.text}"]), script=script))


def asked(emulator: Emulator[Service]) -> list[list[str]]:
    """What came with each question that reached the service: the contents of its messages."""
    bodies = [json.loads(exchange.request.body) for exchange in emulator.service.log if exchange.endpoint == "chat"]
    return [[message["content"] for message in body["messages"]] for body in bodies]


class Halves:
    """Replies whose second half comes when the test says so."""

    def __init__(self, first: str = "The first half.\n\n", second: str = "The second half.") -> None:
        self._first, self._second = first, second
        self.more = threading.Event()

    def __call__(self, question: Question) -> Iterator[str]:
        yield self._first
        assert self.more.wait(TIMEOUT), "the test forgot the second half"
        yield self._second


def test_two_turns_a_retry_a_name_another_process_and_a_file(tmp_path: Path) -> None:
    counted = iter(range(1, 10))
    with (
        emulated(lambda question: [f"**Reply** {next(counted)} to {question.text}"]) as emulator,
        Person(tmp_path, "chat", "--base-url", emulator.url) as person,
    ):
        assert f"gpt-4o-mini at {emulator.url}; /help lists the commands" in person.prompted()
        assert person.enter("Why is the sky blue?") == "Reply 1 to Why is the sky blue?"
        assert person.enter("And at dusk?") == "Reply 2 to And at dusk?"
        assert person.enter("/retry") == "Reply 3 to And at dusk?"
        assert person.enter("/save sky").split()[:4] == ["saved", "as", "sky,", "in"]  # a path that breaks somewhere
        person.write("/quit\r")
        assert person.wait() == 0
        with Person(tmp_path, "chat", "--resume", "sky", "--base-url", emulator.url, columns=500) as person:
            assert "sky: Why is the sky blue? (2 turns so far, with gpt-4o-mini)" in person.prompted()
            assert person.enter("Is it ever green?") == "Reply 4 to Is it ever green?"
            file = tmp_path / "sky.md"
            assert person.enter(f"/export {file}") == f"written to {file}"
            assert (
                person.enter(f"/export {file}")
                == f"ddg-chat: {file} already exists; name another file, or remove it first"
            )
            person.write("\x04")  # Ctrl-D
            assert person.wait() == 0
        first = ["Why is the sky blue?"]
        second = [*first, "**Reply** 1 to Why is the sky blue?", "And at dusk?"]
        third = [*second, "**Reply** 3 to And at dusk?", "Is it ever green?"]
        assert asked(emulator) == [first, second, second, third], "a retry replaces the reply and doubles nothing"
    assert file.read_text() == (
        "# Why is the sky blue?\n\n*gpt-4o-mini*\n\n"
        "> Why is the sky blue?\n\n**Reply** 1 to Why is the sky blue?\n\n"
        "> And at dusk?\n\n**Reply** 3 to And at dusk?\n\n"
        "> Is it ever green?\n\n**Reply** 4 to Is it ever green?\n"
    )


def test_a_conversation_that_another_process_went_on_with_goes_on_from_there(tmp_path: Path) -> None:
    store = Store(tmp_path / "ddg-chat" / "conversations")
    with emulated() as emulator, Person(tmp_path, "chat", "--base-url", emulator.url, columns=200) as person:
        person.enter("/save sky")
        assert person.enter("One?") == "You asked: One?"
        seen = store.load("sky")
        theirs = msgspec.structs.replace(seen, message_history=(*seen.message_history, *seen.message_history))
        assert store.save("sky", theirs, seen=seen) == "sky"
        said = "another process has changed sky: it has 2 turns now, the last is 'One?'"
        assert person.enter("Two?") == f"{said}\nYou asked: Two?"
        assert person.enter("Three?") == "You asked: Three?"
        assert asked(emulator)[1] == ["One?", "You asked: One?", "One?", "You asked: One?", "Two?"]
        with store.turn("sky"):
            assert f"ddg-chat: process {os.getpid()} has been asking in sky since" in person.enter("Four?")
        assert person.enter("/retry") == "You asked: Four?"
    questions = [message.content for message in store.load("sky").message_history][::2]
    assert questions == ["One?", "One?", "Two?", "Three?", "Four?"]


def test_a_conversation_that_can_t_be_kept_goes_on_and_is_kept_when_it_can(tmp_path: Path) -> None:
    folder = tmp_path / "ddg-chat" / "conversations"
    folder.parent.mkdir()
    folder.write_text("in its place")
    with emulated() as emulator, Person(tmp_path, "chat", "--base-url", emulator.url, columns=200) as person:
        assert person.enter("One?") == f"You asked: One?\n\nddg-chat: {folder}: File exists"
        folder.unlink()
        assert person.enter("Two?") == "You asked: Two?"
        person.enter("/save sky")
    assert [message.content for message in Store(folder).load("sky").message_history][::2] == ["One?", "Two?"]


def test_a_history_that_can_t_be_written_ends_no_chat(tmp_path: Path) -> None:
    _History(tmp_path).store_string("Why?")


def test_the_emulator_of_its_own(tmp_path: Path) -> None:
    with Person(tmp_path, "chat", "--emulator") as person:
        assert "Turn 1 of this conversation" in person.enter("Why is the sky blue?")
        assert "Turn 2 of this conversation" in person.enter("And at dusk?")
        assert "Turn 2 of this conversation" in person.enter("/retry")
        person.write("/quit\r")
        assert person.wait() == 0
    with Person(tmp_path, "chat", "--emulator", "--resume") as person:
        assert "Turn 3 of this conversation" in person.enter("Is it ever green?")


def test_ctrl_c_in_the_middle_of_a_reply_stops_it_and_keeps_the_conversation(tmp_path: Path) -> None:
    halves = Halves()
    with emulated(halves) as emulator, Person(tmp_path, "chat", "--base-url", emulator.url) as person:
        halves.more.set()
        assert person.enter("One?") == "The first half.\n\nThe second half."
        halves.more.clear()
        person.prompted()
        person.write("Two?\r")
        person.wait_for(lambda text: text.endswith("> Two?\nThe first half."))
        person.write("\x03")
        text = person.prompted()
        assert text.endswith(
            "> Two?\nThe first half.\n\nstopped; the conversation is as it was before, and /retry asks again\n>"
        )
        halves.more.set()
        assert person.enter("/retry") == "The first half.\n\nThe second half."
        person.write("\x04")
        assert person.wait() == 0
    reply = "The first half.\n\nThe second half."
    assert asked(emulator) == [["One?"], ["One?", reply, "Two?"], ["One?", reply, "Two?"]]


def test_ctrl_c_before_the_reply_begins(tmp_path: Path) -> None:
    with (
        emulated(None, "chat:cut=0,then=hang,of=wire,times=1") as emulator,
        Person(tmp_path, "chat", "--base-url", emulator.url) as person,
    ):
        person.prompted()
        person.write("Why?\r")
        person.wait_for("waiting for the reply: ")
        person.write("\x03")
        assert "waiting" not in person.prompted(), "what was waited for is not shown any more"
        assert person.enter("/retry") == "You asked: Why?"


def test_a_question_that_was_refused_is_asked_again_by_retry(tmp_path: Path) -> None:
    with (
        emulated(None, "chat:429,type=ERR_USER_LIMIT,first=2,times=2") as emulator,
        Person(tmp_path, "chat", "--base-url", emulator.url, columns=500) as person,  # a path on one line,
    ):
        assert person.enter("One?") == "You asked: One?"
        before = person.text
        refusal = "ddg-chat: this user's allowance is used up; wait until it is renewed (429"
        assert person.enter("Two?").startswith(refusal)
        assert person.enter("/retry").startswith(refusal)
        assert person.text.startswith(f"{before} Two?\nddg-chat: "), "no empty line where nothing came"
        assert person.enter("/retry") == "You asked: Two?"
        assert asked(emulator)[-1] == ["One?", "You asked: One?", "Two?"]
        person.enter("/export " + str(tmp_path / "all.md"))
    assert (tmp_path / "all.md").read_text().count("Two?") == 2, "once asked, once in the reply"


def test_the_commands(tmp_path: Path) -> None:
    with emulated() as emulator, Person(tmp_path, "chat", "--base-url", emulator.url) as person:
        assert person.enter("/retry") == "ddg-chat: there is no question to ask again yet"
        assert person.enter("/export") == "ddg-chat: there is nothing to export yet"
        assert person.enter("/load") == "there is no saved conversation yet"
        assert person.enter("/save") == "nothing to save yet"
        assert person.enter("/save first") == "nothing to save yet; the name will be first"
        assert person.enter("/model") == "the model is gpt-4o-mini"
        assert "no model is called 'gpt-17'; the models are: gpt-4o-mini" in person.enter("/model gpt-17")
        assert person.enter("/model claude-3-haiku") == "the model is claude-3-haiku-20240307"
        assert person.enter("One?") == "You asked: One?"
        assert person.enter("/new") == "a new conversation, with claude-3-haiku-20240307"
        assert person.enter("/model o3-mini") == "the model is o3-mini"
        assert person.enter("Two?") == "You asked: Two?"
        second, first = person.enter("/load").splitlines()
        assert re.fullmatch(r"first +\d{4}-\d\d-\d\d \d\d:\d\d +1 turn  One\?", first)
        assert re.fullmatch(r"\d{4}-\d\d-\d\d-two  \d{4}-\d\d-\d\d \d\d:\d\d +1 turn  Two\?", second)
        assert person.enter("/model llama-3.3-70b") == "the model is meta-llama/Llama-3.3-70B-Instruct-Turbo"
        assert person.enter("/load third").endswith("there is no saved conversation called 'third'; /load lists them")
        assert person.enter("/model").startswith("the model is meta-llama/"), "what failed has changed nothing"
        assert person.enter("/load first") == "first: One? (1 turn so far, with claude-3-haiku-20240307)"
        assert person.enter("Three?") == "You asked: Three?"
        assert person.enter("/save ../../etc").startswith("ddg-chat: '../../etc' isn't a valid name for a conversation")
        assert all(word in person.enter("/help") for word in ("/model", "/retry", "/new", "/save", "/load", "/export"))
        assert "there is no command /sing; /help lists the commands" in person.enter("/sing").replace("\n", " ")
        assert person.enter(" /etc/hosts?") == "You asked: /etc/hosts?"
        assert asked(emulator)[-2] == ["One?", "You asked: One?", "Three?"]
    models = [
        json.loads(exchange.request.body)["model"] for exchange in emulator.service.log if exchange.endpoint == "chat"
    ]
    assert models == ["claude-3-haiku-20240307", "o3-mini", *["claude-3-haiku-20240307"] * 2]


@pytest.mark.parametrize(
    "keys",
    thinned(
        ["\x1b[200~one\ntwo\nthree\x1b[201~\r", "one\\\rtwo\\\rthree\r", "one\x1b\rtwo\x1b\rthree\r"],
        one_in=3,
        reason="a process each",
    ),
    ids=["pasted", "backslash", "Alt+Enter"],
)
def test_a_question_of_several_lines(keys: str, tmp_path: Path) -> None:
    with emulated() as emulator, Person(tmp_path, "chat", "--base-url", emulator.url) as person:
        person.prompted()
        person.write(keys)
        person.wait_for(lambda text: text.endswith("\n\n>"))
        assert "> one\n. two\n. three\nYou asked: one" in person.text
    assert asked(emulator) == [["one\ntwo\nthree"]]


def test_ctrl_c_at_the_prompt_gives_the_line_up(tmp_path: Path) -> None:
    with emulated() as emulator, Person(tmp_path, "chat", "--base-url", emulator.url) as person:
        person.prompted()
        person.write("Why")
        person.wait_for("> Why")
        person.write("\x03")
        person.prompted()
        assert person.enter("What?") == "You asked: What?"


def test_tab_completes_commands_models_and_names(tmp_path: Path) -> None:
    with emulated() as emulator, Person(tmp_path, "chat", "--base-url", emulator.url) as person:
        person.prompted()
        person.write("/mod\t")
        person.wait_for("> /model")
        person.write(" o3\t")
        person.wait_for("> /model o3-mini")
        person.write("\r")
        person.wait_for("the model is o3-mini")


def test_what_is_typed_during_a_reply_is_not_drawn_into_it(tmp_path: Path) -> None:
    halves = Halves()
    with emulated(halves) as emulator, Person(tmp_path, "chat", "--base-url", emulator.url) as person:
        person.prompted()
        person.write("One?\r")
        person.wait_for("The first half.")
        person.write("/model\r")
        halves.more.set()
        text = person.wait_for("the model is gpt-4o-mini")
        assert "> One?\nThe first half.\n\nThe second half.\n\n> /model\nthe model is gpt-4o-mini" in text


def test_the_line_below_the_prompt_has_model_turns_and_name(tmp_path: Path) -> None:
    (tmp_path / "sky.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with emulated() as emulator, Person(tmp_path, "chat", "--base-url", emulator.url, columns=200) as person:
        person.wait_for(lambda _: person.below == "gpt-4o-mini · 0 turns")
        person.enter("/model o3-mini")
        person.enter("/save sky")
        assert person.enter("Why?") == "You asked: Why?"
        person.wait_for(lambda _: person.below == "o3-mini · 1 turn · sky")
        person.enter("/attach ~/sky.png")  # the whole path may be longer than a line
        person.wait_for(lambda _: person.below == "o3-mini · 1 turn · sky · 1 attached")
    with emulated() as emulator, Person(tmp_path, "chat", "--quiet", "--base-url", emulator.url) as person:
        person.wait_for(lambda text: text == ">")
        person.write("Why?\r")
        assert person.prompted() == "> Why?\nYou asked: Why?\n\n>"
        person.enter("/model")
        assert person.below == ""


def test_a_wait_says_which_turn_it_is_and_of_which_model(tmp_path: Path) -> None:
    halves = Halves("", "At last.")
    with emulated(halves) as emulator, Person(tmp_path, "chat", "--base-url", emulator.url) as person:
        for turn in (1, 2):
            person.prompted()
            person.write("Why?\r")
            said = rf"\nwaiting for the reply: \d\.\d s · gpt-4o-mini · turn {turn}$"
            person.wait_for(re.compile(said).search)
            halves.more.set()
            person.wait_for(re.compile(rf"(?s)(At last\..*){{{turn}}}").search)
            halves.more.clear()


def test_a_reply_that_is_shown_when_it_is_complete_is_waited_for(tmp_path: Path) -> None:
    halves = Halves()
    with emulated(halves) as emulator, Person(tmp_path, "chat", "--no-stream", "--base-url", emulator.url) as person:
        person.prompted()
        person.write("Why?\r")
        text = person.wait_for(re.compile(r"\nthe reply arrives: \d\.\d s · gpt-4o-mini · turn 1$").search)
        assert "half" not in text
        halves.more.set()
        assert person.prompted().endswith("> Why?\nThe first half.\n\nThe second half.\n\n>")


def test_a_reply_is_copied_by_the_terminal_if_the_user_has_asked_for_it(tmp_path: Path) -> None:
    with (
        emulated(lambda question: ["**Yes**\x1b[2J"]) as emulator,
        Person(tmp_path, "chat", "--clipboard", "--base-url", emulator.url) as person,
    ):
        person.enter("Why?")
        assert person.enter("/copy") == "the terminal was asked to copy the last reply (11 characters)"
    (copied,) = re.findall(rb"\x1b]52;c;([A-Za-z0-9+/=]*)\a", person.raw)
    assert base64.b64decode(copied).decode() == "**Yes**\N{REPLACEMENT CHARACTER}[2J"


def test_a_reply_that_no_terminal_would_copy_is_said(tmp_path: Path) -> None:
    with (
        emulated(lambda question: ["word " * 12_000]) as emulator,
        Person(tmp_path, "chat", "--clipboard", "--base-url", emulator.url, columns=200) as person,
    ):
        person.enter("Why?")
        said = "ddg-chat: the reply has 60,000 bytes, and terminals copy at most 56,244; /export writes it to a file"
        assert person.enter("/copy") == said
    assert b"\x1b]52" not in person.raw


def test_a_byte_that_is_no_text_is_refused_and_no_more(tmp_path: Path) -> None:
    with emulated() as emulator, Person(tmp_path, "chat", "--base-url", emulator.url) as person:
        person.prompted()
        person.press(b"\xff?\r")
        person.wait_for(lambda text: "ddg-chat: " in text and text.endswith("\n>"))
        assert person.enter("Why?") == "You asked: Why?"


def test_what_is_waited_for_is_shown_as_long_as_it_is(tmp_path: Path) -> None:
    halves = Halves("", "At last.")
    with emulated(halves) as emulator, Person(tmp_path, "ask", "Why?", "--base-url", emulator.url) as person:
        person.wait_for(re.compile(r"^waiting for the reply: \d\.\d s$").search)
        halves.more.set()
        assert person.wait() == 0
    assert person.text == "At last."


@pytest.mark.parametrize(
    ("end", "said"),
    thinned(
        [
            (
                "[DONE][LIMIT_OUTPUT]",
                [
                    "the service reports that the output limit is reached",
                    "the reply was cut short by a limit of the service",
                ],
            ),
            ("[DONE][LIMIT_CONVERSATION]", ["the service reports that the conversation limit is reached"]),
        ],
        one_in=2,
        reason="a process each",
    ),
)
def test_what_the_service_says_in_a_reply_is_told_below_it(end: str, said: list[str], tmp_path: Path) -> None:
    with (
        emulated(None, f"chat:done={end}") as emulator,
        Person(tmp_path, "ask", "Why?", "--base-url", emulator.url) as person,
    ):
        assert person.wait() == 0
    assert person.text.split("\n") == ["You asked: Why?", *(f"ddg-chat: {line}" for line in said)]


def test_why_and_for_how_long_it_is_waited_before_another_try(tmp_path: Path) -> None:
    with (
        emulated(None, "chat:503") as emulator,
        Person(tmp_path, "ask", "Why?", "--base-url", emulator.url, columns=100) as person,
    ):
        person.wait_for(re.compile(r"\nwaiting to retry: \d\.\d s$").search)
        person.write("\x03")
        assert person.wait() == 130
    said = re.fullmatch(r"ddg-chat: will retry in (\d) s: the service is not available now \(503\)", person.text)
    assert said is not None
    assert 4 <= int(said[1]) <= 8


def test_a_retry_does_not_promise_a_shorter_wait_than_it_takes(tmp_path: Path) -> None:
    with (
        emulated(None, "chat:429,retry-after=1") as emulator,
        Person(tmp_path, "ask", "Why?", "--base-url", emulator.url) as person,
    ):
        person.wait_for(re.compile(r"\nwaiting to retry: \d\.\d s$").search)
        person.write("\x03")
        assert person.wait() == 130
    assert re.fullmatch(r"ddg-chat: will retry in [4-8] s: too many requests for now \(429\)", person.text)


def test_quiet_is_quiet(tmp_path: Path) -> None:
    with (
        emulated(None, "chat:cut=0,then=hang,of=wire") as emulator,
        Person(tmp_path, "ask", "Why?", "--quiet", "--timeout", "1", "--base-url", emulator.url) as person,
    ):
        assert person.wait() == 75
    assert "--timeout" in person.text
    assert b"waiting" not in person.raw


MARKDOWN = "# Title\n\nSome **bold** text with `code`.\n\n```python\nprint('x')\n```\n\n* one\n* two\n"


@pytest.mark.parametrize(
    "options", [(), ("--no-color",), pytest.param(("NO_COLOR",), marks=pytest.mark.deep("as --no-color"))], ids=" ".join
)
def test_markdown_is_drawn_and_coloured_unless_colours_are_not_wanted(options: tuple[str, ...], tmp_path: Path) -> None:
    env = {"NO_COLOR": "1"} if "NO_COLOR" in options else {}
    wanted = [option for option in options if option != "NO_COLOR"]
    with (
        emulated(lambda _: [MARKDOWN]) as emulator,
        Person(tmp_path, "ask", "Why?", *wanted, "--base-url", emulator.url, env=env) as person,
    ):
        assert person.wait() == 0
    assert all(word in person.text for word in ("Title", "Some bold text with code.", "print('x')", " • one"))
    colour = re.search(rb"\x1b\[[0-9;]*\b(3[0-7]|4[0-7]|9[0-7]|38;5;\d+)m", person.raw)
    assert bool(colour) == (not options)
    assert b"\x1b[1m" in person.raw or b"\x1b[1;" in person.raw, "bold is no colour"


def test_a_terminal_that_can_t_move_its_cursor_gets_the_text(tmp_path: Path) -> None:
    with (
        emulated(lambda _: [MARKDOWN]) as emulator,
        Person(tmp_path, "ask", "Why?", "--base-url", emulator.url, env={"TERM": "dumb"}) as person,
    ):
        assert person.wait() == 0
    assert person.raw.replace(b"\r\n", b"\n").decode() == MARKDOWN


def test_no_control_sequence_of_the_service_is_written(tmp_path: Path) -> None:
    nasty = (
        "a\x1b]0;title\x07b\x9b2Jc\x1b[31m **d** [e](http://x/\x1b[2J) &#27;[2J &#155;2J\n\n```\x1b[2J\nf\x1b[2J\n```\n"
    )
    with (
        emulated(lambda _: [nasty], "chat:event=[CHAT_TITLE:\x1b[2Jtitle],after=1") as emulator,
        Person(tmp_path, "chat", "--base-url", emulator.url) as person,
    ):
        shown = person.enter("Why?")
        listed = person.enter("/load")
    for sequence in (b"\x1b]0;", b"\x1b[2J", b"\x1b[31m", "\x9b".encode(), b"\x07"):
        assert sequence not in person.raw
    assert "a\N{REPLACEMENT CHARACTER}]0;title" in shown
    assert "\N{REPLACEMENT CHARACTER}[2Jtitle" in listed


def test_a_narrow_terminal_that_gets_narrower_in_the_middle_of_a_reply(tmp_path: Path) -> None:
    words = " ".join(f"word{number}" for number in range(40))
    halves = Halves(f"{words}\n\nand{words} ", f"{words}\n\nend\n")
    with (
        emulated(halves) as emulator,
        Person(tmp_path, "ask", "Why?", "--base-url", emulator.url, columns=30, rows=8) as person,
    ):
        person.wait_for("word39")
        person.resize(20, 8)
        halves.more.set()
        assert person.wait() == 0
        assert person.text.endswith("\n\nend")
        assert person.text.split().count("word20") >= 2


def test_a_reply_longer_than_the_screen_is_all_there(tmp_path: Path) -> None:
    lines = [f"* item {number}\n" for number in range(100)]
    with (
        emulated(lambda _: lines) as emulator,
        Person(tmp_path, "ask", "Why?", "--base-url", emulator.url, rows=10) as person,
    ):
        assert person.wait() == 0
    assert person.text.split("\n") == [f" • item {number}" for number in range(100)]


def test_an_interrupted_question_leaves_what_came_and_the_cursor(tmp_path: Path) -> None:
    halves = Halves()
    with (
        emulated(halves) as emulator,
        Person(tmp_path, "ask", "Why?", "--base-url", emulator.url) as person,
    ):
        person.wait_for("The first half.")
        person.write("\x03")
        assert person.wait() == 130
        halves.more.set()
    assert person.text == "The first half."
    assert person.raw.rindex(b"\x1b[?25h") > person.raw.rindex(b"\x1b[?25l"), "the cursor is seen again"


@pytest.mark.parametrize("command", thinned(["chat", "ask"], one_in=2, reason="a process each"))
def test_a_program_that_is_terminated_leaves_the_terminal_as_it_was(command: str, tmp_path: Path) -> None:
    halves = Halves()
    question = ["Why?"] if command == "ask" else []
    with emulated(halves) as emulator:
        with Person(tmp_path, command, *question, "--base-url", emulator.url) as person:
            if command == "chat":
                person.prompted()
                person.write("Why?\r")
            person.wait_for("The first half.")
            person.signal(signal.SIGTERM)
            assert person.wait() == 143
        halves.more.set()
    assert "Traceback" not in person.text
    assert person.raw.rindex(b"\x1b[?25h") > person.raw.rindex(b"\x1b[?25l"), "the cursor is seen again"
