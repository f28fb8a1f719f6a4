"""``ddg-chat inspect``: the diagram of each recorded run, its widths, and that nothing in it can do anything.

The diagrams in ``inspected/`` are there to be read; to make them anew: ``python tests/cli/test_inspect.py``.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.coordinated import Told
from support.paths import ROOT, TRANSCRIPTS
from support.tiers import examples, thinned

from ddg_chat._text import columns, escaped, first, visible
from ddg_chat.inspect._diagram import ASCII, Style, draw
from ddg_chat.inspect._page import page
from ddg_chat.inspect._texts import cut, fit, wrapped
from ddg_chat.inspect._timeline import Entry, Timeline, read_timeline, read_timelines
from ddg_chat.main import COMMANDS, main
from ddg_protocol import ConversationFormatError, DuckChatError, Failure, FailureKind, Session
from ddg_protocol.coordination import Release
from ddg_protocol.events import GeneratedImage, ImageDraft, ReasoningDelta, Source, ToolStarted
from ddg_protocol.service import Fault, Said, Service
from ddg_protocol.service import faults as f
from ddg_protocol.testing import Clock, Run
from ddg_protocol.transcript import RecordedSession, Recording, Transcript

INSPECTED = Path(__file__).parent / "inspected"
NAMES = ("two-turns", "challenge", "troubles", "wire", "solver")
SGR = re.compile(r"\x1b\[[0-9;]+m")

#: Sets the title, moves the cursor, turns red by C1, reorders, rings, and overwrites its line.
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp\u202c\x07\r\x08\x7f\u2028\0"


GZIPPED = Fault("front_end", (f.Coding("gzip"),))


def text_of(name: str) -> str:
    return (TRANSCRIPTS / f"{name}.jsonl").read_text(encoding="utf-8")


def timeline_of(text: str) -> Timeline:
    return read_timeline(*Transcript.salvage(text))


def drawn(text: str, *, width: int = 100, full: bool = False, colour: bool = False) -> str:
    return "\n".join(draw(timeline_of(text), Style(width, full=full, colour=colour))) + "\n"


def flat(shown: str) -> str:
    """What a diagram says, on one line and without its lifelines."""
    return " ".join(re.sub(r"[│┊ ]+", " ", shown).split())


def hostile_run() -> str:
    """A run in which all that the service can say is hostile, and that the core takes as well as it can."""
    script = (
        Fault("status", (f.Refuse(503, f"ERR_{HOSTILE}"),), times=1),
        Fault("chat", (f.Event(f"[CHAT_TITLE:{HOSTILE}]".replace("\r", "").replace("\0", ""), 1), f.Event("{oh", 1))),
    )
    lines: list[str] = []
    run = Run(RecordedSession(Session(), lines.append), Service(responder=lambda _: [HOSTILE, "end"], script=script))
    run.ask(HOSTILE.replace("\0", ""))
    return "".join(lines)


def test_a_coordinated_run_shows_what_was_asked_of_the_shared_engine() -> None:
    lines: list[str] = []
    hand = Told()
    hand.session = RecordedSession(hand.session, lines.append)  # type: ignore[assignment]
    hand.ask().request_for("duckai=1")
    hand.on(Release, Failure(FailureKind.OTHER, "it is down")).session.cancel()
    hand.pull()
    shown = drawn("".join(lines))
    for said in ("asks the shared engine Claim", "the shared engine Claimed", "the shared engine failed: it is down"):
        assert said in flat(shown)
    assert "COORDINATING" in shown
    assert max(columns(line) for line in shown.splitlines()) <= 100


def changed(name: str, change: Callable[[list[dict[str, object]]], None]) -> str:
    """A recorded transcript with its lines changed."""
    lines = [json.loads(line) for line in text_of(name).splitlines()]
    change(lines)
    return "".join(json.dumps(line) + "\n" for line in lines)


# What is drawn


@pytest.mark.parametrize("name", NAMES)
def test_the_diagram_of_a_recorded_run_is_this(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["inspect", str(TRANSCRIPTS / f"{name}.jsonl")]) == 0
    out, err = capsys.readouterr()
    assert out == (INSPECTED / f"{name}.txt").read_text(encoding="utf-8")
    assert err == ""


def test_the_diagram_of_the_document_is_this_one_too() -> None:
    document = (ROOT / "docs" / "inspect.md").read_text(encoding="utf-8")
    assert f"```text\n{(INSPECTED / 'two-turns.txt').read_text(encoding='utf-8')}```" in document


@pytest.mark.parametrize("width", thinned([20, 60, 79, 80, 99, 100, 140], one_in=7, reason="as for its neighbours"))
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    for name in NAMES:
        for full in (False, True):
            lines = drawn(text_of(name), width=width, full=full).splitlines()
            assert max(map(columns, lines)) <= max(width, 60)


def test_full_shows_each_chunk_each_state_and_all_of_each_text() -> None:
    shown = drawn(text_of("wire"), full=True)
    assert shown.count(" bytes: ") + shown.count(" byte: ") == text_of("wire").count('"do":"receive_data"')
    assert "DRAINING → READY" in shown
    assert "(+" not in shown
    long = changed("two-turns", lambda lines: lines[1].update(messages="word " * 100))
    assert drawn(long, full=True).count("word") == 100
    assert '"word word' in drawn(long)
    kept = re.search(r'ask ("(?:word )+.*?)… \(\+([0-9]+)\)', drawn(long))
    assert kept
    assert len(kept[1]) + int(kept[2]) == len('ask ""') + 500 - len("ask ")


def test_what_went_wrong_is_not_cut_like_the_rest() -> None:
    shown = flat(drawn(text_of("troubles"), width=80))
    assert "the reply was cut READY off before it was complete (the connection was reset); ask again" in shown
    assert "too many requests for now; try again later; it says to come back in 7 s (429 ERR_RATE_LIMIT)" in shown


def test_what_a_reply_has_beside_its_text_is_told_and_images_by_their_size() -> None:
    lines: list[str] = []
    said: list[Said] = [
        *(ReasoningDelta("Let me see"), ToolStarted("WebSearch", "", '{"query":"sky"}'), "Because."),
        *(Source("https://a.example/", "A title"), GeneratedImage("QUJD" * 300, "png"), ImageDraft("QUJD"), b"[ADS:x]"),
    ]
    Run(RecordedSession(Session(), lines.append), Service(responder=lambda _: said)).ask("Why?")
    told = {entry.title: entry for entry in timeline_of("".join(lines)).entries if entry.kind == "events"}
    assert told["ReasoningDelta"].text == "Let me see"
    assert told["ToolStarted"].text == 'WebSearch, {"query":"sky"}'
    assert told["Source"].text == "https://a.example/, A title"
    assert told["GeneratedImage"].text == "png, 1,200 characters"
    assert told["ImageDraft"].text == "4 characters"
    assert told["UnknownPayload"].text == "[ADS:x]"
    finished = told["TurnFinished"]
    assert finished.text == "stop, 8 characters, reasoning: 1, tools: 1, sources: 1, images: 1, by gpt-4o-mini"
    assert "QUJD" not in str([told["GeneratedImage"].details, finished.details])
    assert '"base64": "1,200 characters"' in str(finished.details)


def test_colours_change_nothing_but_the_colour() -> None:
    for name in NAMES:
        coloured = drawn(text_of(name), colour=True)
        assert "\x1b" in coloured
        assert "".join(SGR.split(coloured)) == drawn(text_of(name))


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("arguments", "environment", "has_colours"),
    [((), {}, True), (("--no-color",), {}, False), ((), {"NO_COLOR": "1"}, False), ((), {"TERM": "dumb"}, False)],
)
def test_a_terminal_has_colours_unless_they_are_not_wanted(
    arguments: tuple[str, ...], environment: dict[str, str], has_colours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    out = Terminal()
    with contextlib.redirect_stdout(out):
        assert main(["inspect", *arguments, str(TRANSCRIPTS / "solver.jsonl")]) == 0
    assert ("\x1b[" in out.getvalue()) is has_colours


def test_an_output_that_can_not_say_it_gets_it_in_ascii() -> None:
    command = [sys.executable, "-m", "ddg_chat", "inspect", "-"]
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONPATH": ":".join(sys.path), "COLUMNS": "100"}
    done = subprocess.run(command, input=text_of("solver").encode(), capture_output=True, check=True, env=environment)
    assert b"|<========|         |         |    ERR_CHALLENGE" in done.stdout
    assert done.stdout.isascii()
    lines = draw(timeline_of(text_of("troubles")), Style(100, ASCII))
    assert "\n".join(lines).replace("☃", "").isascii()


def test_help_does_not_load_it() -> None:
    code = "import sys; sys.argv = ['ddg-chat', '--help']\ntry: from ddg_chat.main import main; main()\n"
    code += "except SystemExit: assert not [name for name in sys.modules if 'inspect' in name and 'ddg' in name]"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert "inspect" in COMMANDS


# The timeline


def test_times_sizes_and_what_was_waited_for_add_up() -> None:
    timeline = timeline_of(text_of("two-turns"))
    assert timeline.requests == 5
    assert timeline.waited == pytest.approx(5.6)
    assert timeline.seconds == pytest.approx(6.4)
    assert timeline.received == sum(entry.size for entry in timeline.entries)
    assert [len(turn) for turn in timeline.turns] == [51, 28]
    wait = next(entry for entry in timeline.entries if entry.kind == "waits")
    assert (wait.at, wait.until, wait.text) == (0.0, 1.5, "1.500 s, pacing")


def test_a_chunk_has_its_text_decompressed_and_the_events_in_it() -> None:
    timeline = timeline_of(text_of("troubles"))
    page_chunks = [entry for entry in timeline.entries if entry.kind == "chunks"][:5]
    assert "".join(entry.text for entry in page_chunks).startswith("<!DOCTYPE html>")
    assert page_chunks[3].details[0].label == "Body, decompressed"
    last = [entry for entry in timeline.entries if entry.text.startswith("data: [DONE][LIMIT_CONVERSATION]")]
    assert last[0].details[0].fields[-1] == ("message", "[DONE][LIMIT_CONVERSATION]")


def test_a_wait_that_was_cut_short_ends_there() -> None:
    def give_up(lines: list[dict[str, object]]) -> None:
        index = next(n for n, line in enumerate(lines) if line.get("do") == "wait_elapsed")
        done = {"do": "next_action", "now": 100.25, "gives": {"type": "TurnCancelled", "text": ""}}
        lines[index:] = [{"do": "cancel"}, done, {**done, "gives": {"type": "PAUSED"}}]

    timeline = timeline_of(changed("two-turns", give_up))
    assert timeline.flaws == ()
    wait = next(entry for entry in timeline.entries if entry.kind == "waits")
    assert (wait.until, wait.text) == (0.25, "1.500 s, pacing")


def everything(timeline: Timeline) -> str:
    def of(entry: Entry) -> list[str]:
        parts = [entry.title, entry.text]
        for detail in entry.details:
            parts += [detail.label, detail.text, *(value for pair in detail.fields for value in pair)]
        return parts

    return "\n".join(part for entry in timeline.entries for part in of(entry))


@pytest.mark.parametrize("name", NAMES)
def test_a_stand_in_is_shown_as_such(name: str) -> None:
    shown = everything(timeline_of(text_of(name)))
    headers = [line for line in shown.split("\n") if re.fullmatch(r"⟨redacted r[0-9]+, [0-9]+ characters⟩", line)]
    assert headers
    assert not re.search(r"^r[0-9]+x+$", shown, re.MULTILINE)


def test_what_should_have_been_a_stand_in_is_not_shown_either() -> None:
    token, cookie = "4-12345678901234567890", "ThatIsMine"

    def leak(lines: list[dict[str, object]]) -> None:
        for line in lines:
            if line.get("do") == "receive_head":
                cookies = [["set-cookie", f"a={cookie}; Path=/"], ["set-cookie", cookie]]
                line["headers"] = [["x-vqd-4", token], ["Authorization", token], ["x-vqd-hash-1", token], *cookies]

    text = changed("two-turns", leak)
    assert token in text
    shown = page([timeline_of(text)], "leak") + drawn(text, full=True)
    assert "redacted, 22 characters" in shown
    assert token not in shown.partition("current core")[0]
    assert cookie not in shown.partition("current core")[0]


# Not all of it


def inspected(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    file = tmp_path / "run.jsonl"
    file.write_text(text, encoding="utf-8")
    code = main(["inspect", str(file)])
    return code, *capsys.readouterr()


def test_a_transcript_that_was_cut_within_a_line_is_shown_up_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = text_of("two-turns").splitlines()
    code, out, err = inspected("\n".join(lines[:40]) + "\n" + lines[40][:50], tmp_path, capsys)
    assert code == 65
    assert "POST /duckchat/v1/chat" in out
    assert "the transcript is damaged: line 41: " in out
    assert err.startswith("ddg-chat: line 41 can't be read, and the rest is not shown: ")


def test_a_transcript_that_ends_within_a_turn_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = inspected("\n".join(text_of("two-turns").splitlines()[:40]), tmp_path, capsys)
    assert code == 1
    assert "the recording ends within a turn: the session is STREAMING" in flat(out)
    assert err == "ddg-chat: the transcript ends within a turn: the session is STREAMING (the reply is being read)\n"


def two_chats() -> list[str]:
    lines: list[str] = []
    recording, service, clock = Recording(lines.append), Service(script=[GZIPPED]), Clock(50.0)
    for question in ("Why?", "Why not?"):
        Run(recording.record(Session()), service, clock=clock).ask(question)
    return lines


def test_the_chats_of_a_file_are_drawn_one_after_the_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = inspected("".join(two_chats()), tmp_path, capsys)
    assert (code, err) == (0, "")
    first, second = re.split(r"\nChat 2, after [0-9.]+ s\n\n", out)
    assert first.startswith("Chat 1\n\nseconds ")
    assert second.startswith("seconds ")
    assert 'ask "Why?"' in first
    assert 'ask "Why not?"' in second
    assert all("1 turn, 4 requests, " in each for each in (first, second))


def test_the_chats_of_a_file_are_on_one_page(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_text("".join(two_chats()), encoding="utf-8")
    assert main(["inspect", str(tmp_path / "run.jsonl"), "--html", str(tmp_path / "run.html")]) == 0
    shown = (tmp_path / "run.html").read_text(encoding="utf-8")
    assert re.findall(r"<h3>(Chat [^<]*)</h3>\n<div class=\"chart\">", shown)[0] == "Chat 1"
    assert re.findall(r"<small>(.*?)</small><span>(.*?)</span>", shown) == [
        ("Chat 1: turn 1", "Why?"),
        ("Chat 2: turn 1", "Why not?"),
    ]
    ids = re.findall(r' id="(e[0-9]+)"', shown)
    assert ids == [f"e{number}" for number in range(len(ids))]
    assert set(re.findall(r'href="#(e[0-9]+)"', shown)) <= set(ids)
    assert "<dt>Chats</dt><dd>2</dd>" in shown
    assert "<dt>Requests</dt><dd>8</dd>" in shown


def test_damage_is_said_once_and_ends_each_chat(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = inspected("".join([*two_chats(), "{}"]), tmp_path, capsys)
    assert code == 65
    assert out.count("the transcript is damaged: ") == 2
    assert err.count("can't be read") == 1


def test_what_is_decompressed_is_bounded_over_all_chats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddg_chat.inspect._timeline._MOST_DECODED", 300_000)
    one, two = read_timelines(Transcript.read("".join(two_chats())))
    refused = "only 300,000 bytes of all bodies are decompressed"
    assert refused not in repr(one)
    assert refused in repr(two)


def test_a_lost_recording_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    escaped = '{"action":"error","type":"\\u0045RR_USER_LIMIT"}'  # blanked, it is another refusal
    broken = Fault("chat", (f.Refuse(429), f.Body(escaped)))
    lines: list[str] = []
    run = Run(RecordedSession(Session(), lines.append, redact_texts=True), Service(script=[broken]))
    with pytest.raises(DuckChatError):
        run.ask("Hi")
    code, out, err = inspected("".join(lines), tmp_path, capsys)
    assert code == 1
    assert "the recording failed here: " in out
    assert re.fullmatch(r"ddg-chat: line \d+: the recording failed before its run ended\n", err)


def test_where_todays_core_differs_it_is_said_and_the_rest_is_as_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = text_of("two-turns").replace('"TextDelta","text":"You "', '"TextDelta","text":"We "')
    code, out, err = inspected(text, tmp_path, capsys)
    assert code == 1
    assert "the current core differs: a different TextDelta" in out
    assert "TurnFinished stop, 46 characters" in out
    assert out.count("STREAMING") == 1
    assert re.fullmatch(r"ddg-chat: line \d+: the current core no longer does the same; the rest .*\n", err)


def test_a_file_that_is_none_or_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = inspected("nonsense", tmp_path, capsys)
    assert (code, out) == (65, "")
    assert "line 1" in err
    assert main(["inspect", str(tmp_path / "nothing")]) == 74
    assert main(["inspect", str(TRANSCRIPTS / "solver.jsonl"), "--html", str(tmp_path / "a" / "b")]) == 74


def test_a_run_in_which_nothing_happened_is_drawn() -> None:
    timeline = timeline_of(text_of("solver").splitlines()[0])
    assert timeline.entries == ()
    assert "0 turns, 0 requests" in "\n".join(draw(timeline, Style(80)))
    assert "0 bytes" in page([timeline], "empty")


# What is hostile


def is_inert(text: str) -> bool:
    return all(character in "\n\u200c\u200d\u200e\u200f\xa0" or character.isprintable() for character in text)


@pytest.mark.parametrize("full", [False, True])
def test_no_control_sequence_reaches_the_terminal(full: bool) -> None:
    text = hostile_run()
    assert timeline_of(text).flaws == ()
    shown = drawn(text, full=full)
    assert is_inert(shown)
    assert r"\x1b]0;owned\x07" in shown
    assert is_inert("".join(SGR.split(drawn(text, full=full, colour=True))))


def test_nor_does_one_from_what_no_session_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def spoil(lines: list[dict[str, object]]) -> None:
        for line in lines[1:]:
            for name in ("text", "why", "answer", "messages"):
                if isinstance(line.get(name), str):
                    line[name] = HOSTILE
            if line.get("do") == "receive_head":
                line["headers"] = [["content-type", HOSTILE], [HOSTILE, HOSTILE], ["location", HOSTILE]]
            if isinstance(gives := line.get("gives"), dict) and gives["type"] not in ("NEED_DATA", "PAUSED"):
                line["gives"] = {name: HOSTILE if isinstance(value, str) else value for name, value in gives.items()}
        lines.append({"do": "lost", "why": HOSTILE})

    code, out, err = inspected(changed("solver", spoil), tmp_path, capsys)
    assert code == 1
    assert is_inert(out)
    assert is_inert(err)
    assert r"\x1b]0;owned\x07" in out


@given(st.data())
@settings(max_examples=examples(150))
def test_whatever_is_in_a_transcript_it_is_shown_inert_or_refused(data: st.DataObject) -> None:
    text = text_of("solver").encode()
    at = data.draw(st.integers(0, len(text) - 1))
    spoiled = text[:at] + data.draw(st.binary(max_size=3)) + text[at + data.draw(st.integers(0, 20)) :]
    try:
        timeline = read_timeline(*Transcript.salvage(spoiled))
    except ConversationFormatError:
        return
    assert is_inert("\n".join(draw(timeline, Style(80))))
    assert page([timeline], "spoiled").endswith("</html>\n")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KNOWN = ["SendRequest", "Wait", "SolveChallenge", "Retrying", "TurnFinished", "TextDelta", "UnknownPayload", "ask"]
MEMBERS = [
    "id",
    "method",
    "url",
    "headers",
    "body",
    "until",
    "reason",
    "script",
    "cause",
    "attempt",
    "delay",
    "raw",
    "text",
]
ACTIONS = st.fixed_dictionaries(
    {"type": st.sampled_from(KNOWN) | JSON}, optional={name: JSON | st.just("x" * 100) for name in MEMBERS}
)


@given(st.lists(st.tuples(st.booleans(), st.floats(allow_nan=False, allow_infinity=False), ACTIONS), max_size=5))
@settings(max_examples=examples(150))
def test_whatever_is_said_to_have_been_done_is_shown(actions: list[tuple[bool, float, dict[str, object]]]) -> None:
    head = text_of("solver").splitlines()[0]
    lines = [
        json.dumps({"do": "next_action", "now": now, ("raises" if bad else "gives"): action})
        for bad, now, action in actions
    ]
    timeline = timeline_of("\n".join([head, *lines]))
    shown = "\n".join(draw(timeline, Style(80)))
    assert is_inert(shown)
    assert len(shown) < 1000 * (len(actions) + 2)
    assert page([timeline], "said").endswith("</html>\n")


# Texts


@given(st.text(), st.integers(1, 40))
def test_a_text_that_is_broken_into_lines_is_all_there(text: str, width: int) -> None:
    shown = escaped(text)
    lines = wrapped(shown, width)
    assert "".join(lines).replace(" ", "") == shown.replace(" ", "")
    assert all(columns(line) <= max(width, 2) for line in lines)


@given(st.text(), st.integers(0, 40))
def test_a_text_that_is_cut_says_by_how_much(text: str, limit: int) -> None:
    found = re.fullmatch(r"(.*)… \(\+([0-9,]+)\)", cut(text, limit), re.DOTALL)
    if len(text) <= limit:
        assert cut(text, limit) == text
    else:
        assert found
        assert len(found[1]) + int(found[2].replace(",", "")) == len(text)
    shown = escaped(text)
    assert columns(fit(shown, limit)) <= max(limit, len(f"… (+{len(shown):,})"))
    assert shown.startswith(first(shown, limit))


def test_wide_characters_count_twice_and_accents_not_at_all() -> None:
    assert (columns("日本"), columns("e\u0301"), columns("é☃")) == (4, 1, 2)
    assert fit("日本語" * 10, 20) == "日本語日本語… (+24)"
    assert visible("a\r\n\tb\x1b[m\u2028") == "a\n\tb\\x1b[m\\u2028"


SCRIPTS = [
    *("می\u200cخواهم", "👩\u200d👩\u200d👧", "🏳\ufe0f\u200d🌈", "שלום\u200f!"),
    *("क्\u200dष", "Ah\u202f! 12\u00a0km", "日本\u3000語"),
]


@pytest.mark.parametrize("text", SCRIPTS)
def test_scripts_of_people_are_shown_as_text_in_the_diagram_and_on_the_page(text: str) -> None:
    assert visible(text) == text
    lines: list[str] = []
    run = Run(RecordedSession(Session(), lines.append), Service(responder=lambda _: [text]))
    run.ask("Why?")
    assert f'"{text}"' in drawn("".join(lines), full=True)
    assert f"“{text}”" in page([timeline_of("".join(lines))], "run")


def test_a_joiner_takes_no_column() -> None:
    assert (columns("می\u200cخواهم"), columns("a\u200e\u200d")) == (7, 1)


@pytest.mark.parametrize("control", ["\x1b", "\x07", "\x00", "\x9b", "\u202e", "\u2066", "\u2069", "\u200b", "\ufeff"])
def test_controls_and_what_reorders_or_hides_text_are_shown_as_escapes(control: str) -> None:
    assert visible(f"a{control}b") == f"a{control.encode('unicode_escape').decode()}b"


if __name__ == "__main__":
    for each in NAMES:
        (INSPECTED / f"{each}.txt").write_text(drawn(text_of(each)), encoding="utf-8")
