"""What differs between two transcripts: which steps correspond, what is compared, and the account on the terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.paths import ROOT, TRANSCRIPTS
from support.peak import peak_of
from support.tiers import examples

from ddg_chat._text import columns
from ddg_chat.inspect._account import Look, account
from ddg_chat.inspect._beside import beside
from ddg_chat.inspect._differences import Comparison, Pair, differences, matched, rows
from ddg_chat.inspect._steps import Fact, Step
from ddg_chat.inspect._texts import common_ends
from ddg_chat.main import main
from ddg_protocol import ConversationFormatError, Session
from ddg_protocol.service import Fault, Service
from ddg_protocol.service import faults as f
from ddg_protocol.testing import Clock, Run
from ddg_protocol.transcript import RecordedSession, Recording, Transcript

Lines = list[dict[str, Any]]
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp\u202c\x07\r\x08\x7f\u2028\0"
MIB = 1024 * 1024


def text_of(name: str) -> str:
    return (TRANSCRIPTS / f"{name}.jsonl").read_text(encoding="utf-8")


def changed(change: Callable[[Lines], object], name: str = "two-turns") -> str:
    lines = [json.loads(line) for line in text_of(name).splitlines()]
    change(lines)
    return "".join(json.dumps(line) + "\n" for line in lines)


def requests(lines: Lines) -> list[dict[str, Any]]:
    return [line["gives"] for line in lines if line.get("gives", {}).get("type") == "SendRequest"]


def compared(a: str, b: str) -> Comparison:
    (comparison,) = differences(Transcript.salvage(a)[0], Transcript.salvage(b)[0])
    return comparison


def found(a: str, b: str) -> list[tuple[str, str, str, str | None, str | None]]:
    """The differences: the step, the fact, how it differs, and what each has."""
    listed: list[tuple[str, str, str, str | None, str | None]] = []
    for _, pair in compared(a, b).found:
        if pair.is_alone:
            listed.append((pair.step.title, "", "only in A" if pair.b is None else "only in B", None, None))
        for row in pair.changes:
            listed.append((pair.step.title, f"{row.part} {row.name}".strip(), row.how, row.a, row.b))
    return listed


def told(a: str, b: str, *, width: int = 80, full: bool = False) -> str:
    chats = differences(Transcript.salvage(a)[0], Transcript.salvage(b)[0])
    return "\n".join(account(chats, "a.jsonl", "b.jsonl", Look(width, full=full)))


def recorded(*script: Fault, reply: str = "So.", question: str = "Why?", start: float = 0.0, **options: Any) -> str:
    lines: list[str] = []
    session = RecordedSession(Session(), lines.append, **options)
    Run(session, Service(responder=lambda _: [reply], script=script, seed=str(start)), clock=Clock(start)).ask(question)
    return "".join(lines)


# What is found


@pytest.mark.parametrize("name", ["two-turns", "challenge", "troubles", "wire", "solver"])
def test_nothing_differs_between_a_run_and_itself(name: str) -> None:
    assert compared(text_of(name), text_of(name)).count == 0
    assert compared(text_of(name), text_of(name)).ignored == {}


def test_a_run_and_the_same_at_another_time_differ_by_nature_alone() -> None:
    now, later = recorded(), recorded(start=1e6)
    version = [each for each in found(now, later) if "x-fe-version" not in each[1]]
    assert version == []
    assert compared(now, later).ignored["dates"] >= 4


def test_headers_are_added_removed_changed_and_moved() -> None:
    def change(lines: Lines) -> None:
        headers = requests(lines)[3]["headers"]
        headers[1][1] = "de"
        headers[:] = [header for header in headers if header[0] not in ("origin", "referer")]
        headers.insert(0, headers.pop(3))
        headers.insert(5, ["x-new", "1"])

    listed = found(text_of("two-turns"), changed(change))
    assert {(name, how) for _, name, how, _, _ in listed} == {
        ("header accept-language", "changed"),
        ("header origin", "removed"),
        ("header referer", "removed"),
        ("header x-new", "added"),
        ("header content-type", "moved"),
    }
    assert ("POST /duckchat/v1/chat", "header content-type", "moved", "place 4 of 16", "place 1 of 15") in listed


def test_a_method_a_path_and_members_of_a_body_differ() -> None:
    def change(lines: Lines) -> None:
        sent = requests(lines)
        sent[2]["method"] = "POST"
        sent[3]["url"] = "https://duckduckgo.com/duckchat/v2/chat?x=1"
        sent[3]["body"] = '{"messages":[{"role":"user","content":"Why is the sky blue?","more":1}],"model":"gpt-4"}'

    listed = found(text_of("two-turns"), changed(change))
    assert ("GET /duckchat/v1/status", "method", "changed", "GET", "POST") in listed
    assert ("POST /duckchat/v1/chat", "path", "changed", "/duckchat/v1/chat", "/duckchat/v2/chat") in listed
    assert ("POST /duckchat/v1/chat", "query", "added", None, "x=1") in listed
    assert ("POST /duckchat/v1/chat", "body model", "changed", '"gpt-4o-mini"', '"gpt-4"') in listed
    assert ("POST /duckchat/v1/chat", "body messages[0].more", "added", None, "1") in listed
    assert len(listed) == 5


def test_the_type_of_a_member_differs() -> None:
    text = text_of("two-turns").replace(r"{\"status\":\"0\"}", r"{\"status\":0}")
    assert found(text_of("two-turns"), text) == [
        ("GET /duckchat/v1/status", "response body status", "changed", '"0"', "0")
    ]


def test_what_came_and_how_it_ended_differ() -> None:
    good, bad = recorded(), text_of("troubles")
    listed = found(good, recorded(Fault("chat", (f.Refuse(429, "ERR_RATE_LIMIT", retry_after=7),), times=1)))
    assert ("POST /duckchat/v1/chat", "response status", "changed", "200", "429") in listed
    assert ("POST /duckchat/v1/chat", "response header retry-after", "added", None, "7") in listed
    assert ("Retrying", "", "only in B", None, None) in listed
    assert ("wait, backoff", "", "only in B", None, None) in listed
    assert ("how it ended", "how", "changed", "TurnFinished", "IncompleteStream") in found(text_of("two-turns"), bad)
    assert ("TextDelta", "text", "changed", "So.", "No.") in found(good, recorded(reply="No."))


def test_another_first_request_makes_no_other_beginning() -> None:
    listed = found(text_of("solver-0.1"), text_of("solver"))
    assert listed[0] == ("GET /aichat", "", "only in A", None, None)
    assert "TurnStarted" not in {step for step, *_ in listed}


def test_a_reply_in_other_chunks_is_the_same() -> None:
    def of(*pieces: str) -> str:
        lines: list[str] = []
        Run(RecordedSession(Session(), lines.append), Service(responder=lambda _: pieces)).ask("Why?")
        return "".join(lines)

    assert found(of("It ", "is so."), of("It is", " ", "so.")) == []


def test_a_token_that_was_used_before_is_told_and_its_value_is_not() -> None:
    def reuse(lines: Lines) -> None:
        first, second = (
            next(header for header in sent["headers"] if header[0] == "x-vqd-4") for sent in requests(lines)[3:5]
        )
        second[1] = first[1]

    ((step, name, how, a, b),) = found(text_of("two-turns"), changed(reuse))
    assert (step, name, how) == ("POST /duckchat/v1/chat", "header x-vqd-4", "changed")
    assert a is not None
    assert b is not None
    assert a.endswith("41 characters⟩, the one that came last")
    assert b.endswith("41 characters⟩, one that came before")


def test_a_secret_that_has_no_stand_in_is_not_shown() -> None:
    def leak(lines: Lines) -> None:
        for line in lines:
            if line.get("do") == "receive_head":
                line["headers"] += [["set-cookie", "ThatIsMine"], ["set-cookie", "a=ThatIsMine; Path=/"]]
                line["headers"] += [["x-vqd-4", "ThatIsMine"], ["authorization", "ThatIsMine"]]
        for sent in requests(lines):
            sent["headers"] += [["cookie", "a=ThatIsMine; ThatIsMine"], ["x-vqd-hash-1", "ThatIsMine"]]

    a, b = text_of("two-turns"), changed(leak)
    assert "ThatIsMine" not in told(a, b, full=True)
    assert "ThatIsMine" not in beside([compared(a, b)], "a", "b", [], full=True)


def test_waits_differ_if_one_is_more_than_twice_as_long() -> None:
    def longer(by: float) -> str:
        def change(lines: Lines) -> None:
            for line in lines:
                if line.get("gives", {}).get("type") == "Wait" and line["gives"]["reason"] == "backoff":
                    line["gives"]["until"] += by

        return changed(change, "troubles")

    assert [each[1] for each in found(text_of("troubles"), longer(1.0))] == []
    assert ("wait, backoff", "seconds", "changed", "2.500", "12.500") in found(text_of("troubles"), longer(10.0))


def test_a_wait_for_what_is_left_of_the_interval_comes_and_goes() -> None:
    def change(lines: Lines) -> None:
        del lines[11:13]
        assert lines[10]["do"] == "receive_eof"

    comparison = compared(text_of("two-turns"), changed(change))
    assert comparison.count == 0
    assert comparison.ignored == {"times": 1}


def test_texts_are_not_compared_with_blanked_ones() -> None:
    kept, blanked = recorded(), recorded(redact_texts=True)
    comparison = compared(kept, blanked)
    assert comparison.count == 0
    assert comparison.ignored["texts that one recording has blanked"] >= 4


def test_another_address_is_told_once() -> None:
    elsewhere = text_of("two-turns").replace('"origin":"https://duckduckgo.com"', '"origin":"https://duck.ai"')
    elsewhere = elsewhere.replace('"url":"https://duckduckgo.com', '"url":"https://duck.ai')
    elsewhere = elsewhere.replace('["origin","https://duckduckgo.com"]', '["origin","https://duck.ai"]')
    elsewhere = elsewhere.replace('["referer","https://duckduckgo.com/"]', '["referer","https://duck.ai/"]')
    assert found(text_of("two-turns"), elsewhere) == [
        ("settings", "profile.origin", "changed", '"https://duckduckgo.com"', '"https://duck.ai"')
    ]


def test_a_turn_that_only_one_run_has_does_not_disturb_the_others() -> None:
    second = "\n".join([text_of("two-turns").splitlines()[0], *text_of("two-turns").splitlines()[59:]])
    comparison = compared(text_of("two-turns"), second)
    assert [turn.title for turn in comparison.turns] == ["turn 1 of A", "turn 2 of A, turn 1 of B"]
    assert {name for _, name, _, _, _ in found(text_of("two-turns"), second)} == {
        *("", "header x-vqd-4", "header cookie ⟨redacted⟩")  # from before the second run, where nothing has come
    }


# Which steps correspond


@given(st.text("abc", max_size=30), st.text("abc", max_size=30))
def test_what_matches_is_the_same_and_nothing_is_lost(a: str, b: str) -> None:
    pairs = list(matched(a, b, str))
    assert "".join(one for one, _ in pairs if one is not None) == a
    assert "".join(other for _, other in pairs if other is not None) == b
    assert all(one == other for one, other in pairs if one and other)
    assert not any(one is None and other is None for one, other in pairs)


def test_what_one_key_leaves_over_is_matched_by_the_next() -> None:
    assert list(matched(["a1", "b1", "c1"], ["a1", "b2", "d1", "c1"], str, lambda each: str(each)[0])) == [
        ("a1", "a1"),
        ("b1", "b2"),
        (None, "d1"),
        ("c1", "c1"),
    ]


@pytest.mark.parametrize("kinds", ["ab ba", "ab c", "a b", "abcabd dbacb", "a aab"])
def test_matching_takes_linear_time(kinds: str) -> None:
    looked: list[int] = []

    class Counted(str):
        def __hash__(self) -> int:
            looked.append(1)
            return super().__hash__()

    def looks(count: int) -> int:
        a, b = ([Counted(each) for each in kind * count] for kind in kinds.split())
        looked.clear()
        assert list(matched(a, b, lambda each: each))
        return len(looked)

    assert looks(1_000) < 2.2 * looks(500)


def test_a_fact_that_moved_is_the_fewest_that_can_have() -> None:
    def step(*names: str) -> Step:
        return Step("request", "GET /", 1, 0.0, lambda: [Fact("header", name, "1", "1") for name in names])

    found = rows(step("a", "b", "c", "d", "e"), step("a", "e", "b", "c", "d"))
    assert [(row.name, row.how) for row in found] == [
        *(("a", "same"), ("b", "same"), ("c", "same"), ("d", "same"), ("e", "moved"))
    ]
    assert [row.how for row in rows(step("a", "a"), step("a"))] == ["same", "removed"]
    assert Pair(step("a"), None).is_alone


@given(st.text("ab \u0301", max_size=20), st.text("ab \u0301", max_size=20))
def test_what_two_texts_have_in_common_is_at_their_ends(a: str, b: str) -> None:
    start, end = common_ends(a, b)
    assert a[:start] == b[:start]
    assert a[len(a) - end :] == b[len(b) - end :]
    assert start + end <= min(len(a), len(b))
    assert start == 0 or a[start - 1] == " "
    assert end == 0 or a[len(a) - end] == " "


# On the terminal

WIDE = 'She wrote "שלום עולם" and 日本語 한국어 می\u200cخواهم, ' + " ".join(f"wort{number}" for number in range(20))


@pytest.mark.parametrize("width", [24, 80, 200])
def test_no_word_is_broken_and_no_line_is_too_wide_but_for_a_long_word(width: int) -> None:
    a, b = recorded(reply=WIDE), recorded(reply=f"{WIDE} end", question=WIDE)
    shown = told(a, b, width=width, full=True)
    assert all(columns(line) <= width for line in shown.split("\n") if len(line.split()) > 2)
    words = set(shown.replace('"', " ").split())
    assert set(WIDE.replace('"', " ").split()) <= words
    assert "שלום" in words


def test_the_account_says_where_they_differ_first_and_where_they_part() -> None:
    shown = told(recorded(), recorded(Fault("chat", (f.Refuse(503),), times=1), question="When?"), width=200)
    assert "They differ first in turn 1, ask (line 2 of A, line 2 of B)." in shown
    assert re.search(
        r"They part in turn 1, POST /duckchat/v1/chat \(line \d+ of A, line \d+ of B\): 200 in A, 503", shown
    )
    assert '    messages\n    - "Why?"\n    + "When?"\n' in shown
    assert "  + wait, backoff: " in shown
    assert "They do the same. They differ first in turn 1, ask" in told(
        recorded(), recorded(question="When?"), width=200
    )


def test_the_account_of_the_document_is_this_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", *(str(TRANSCRIPTS / f"{name}.jsonl") for name in ("two-turns", "challenge"))]) == 1
    assert f"```text\n{capsys.readouterr().out}```" in (ROOT / "docs" / "inspect.md").read_text(encoding="utf-8")


def test_a_change_that_comes_again_is_named_alone() -> None:
    def change(lines: Lines) -> None:
        for sent in requests(lines):
            sent["headers"][0][1] = "another/1.0"

    shown = told(text_of("two-turns"), changed(change))
    assert shown.count("another/1.0") == 1
    assert shown.count("as above: header user-agent") == 4


def test_a_long_value_is_cut_to_what_differs_unless_all_is_wanted() -> None:
    a, b = recorded(reply="word " * 1_000 + "blue"), recorded(reply="word " * 1_000 + "red")
    assert "- (+4,980) …word word word word blue" in told(a, b)
    assert told(a, b, full=True).count("word") == 2_000


def test_many_differences_are_listed_up_to_a_bound() -> None:
    def change(lines: Lines) -> None:
        requests(lines)[0]["headers"] += [[f"x-{number}", "1"] for number in range(150)]

    shown = told(text_of("two-turns"), changed(change))
    assert shown.count("\n    + 1") == 100
    assert shown.endswith("\n50 more differences are left out; --full lists them.")
    assert told(text_of("two-turns"), changed(change), full=True).count("\n    + 1") == 150


# Several chats


def talks(*replies: str) -> str:
    """Record chats of one client, with a question each, into one transcript."""
    lines: list[str] = []
    recording, clock, coming = Recording(lines.append), Clock(), iter(replies)
    service = Service(responder=lambda _: [next(coming)])
    for _ in replies:
        Run(recording.record(Session()), service, clock=clock).ask("Why?")
    return "".join(lines)


def test_chats_are_compared_in_their_order() -> None:
    shown = told(talks("So.", "Thus."), talks("So.", "Hence."), width=200)
    assert shown.startswith("- A: a.jsonl, 2 chats, 2 turns, 8 requests\n+ B: b.jsonl, 2 chats, 2 turns, 8 requests\n")
    first, second = shown.partition("\nChat 1\n")[2].split("\nChat 2\n")
    assert first.startswith("\nNothing differs.\n")
    assert second.startswith("\nThey do the same. They differ first in turn 1, ")
    assert "    - Thus.\n    + Hence." in second
    assert not told(talks("So.", "So."), talks("So.", "So.")).count("They differ")


def test_a_chat_that_only_one_has_is_a_difference() -> None:
    one, three = talks("So."), talks("So.", "Thus.", "Hence.")
    shown = told(three, one)
    assert "- A: a.jsonl, 3 chats, 3 turns, 12 requests\n+ B: b.jsonl, 1 chat, 1 turn, 4 requests\n" in shown
    assert shown.endswith("\nChat 3\n\nOnly A has this chat: 1 turn, 4 requests.")
    assert "\nChat 2\n\nOnly B has this chat: " in told(one, three)
    chats = differences(Transcript.read(one), Transcript.read(three))
    assert [chat.count for chat in chats] == [0, 1, 1]


def test_differences_are_listed_up_to_a_bound_over_all_chats() -> None:
    def change(lines: Lines) -> None:
        for sent in requests(lines):
            sent["headers"] += [[f"x-{sent['id']}-{number}", "1"] for number in range(30)]

    lines = [json.loads(line) for line in talks("So.", "Thus.").splitlines()]
    change(lines)
    shown = told(talks("So.", "Thus."), "".join(json.dumps(line) + "\n" for line in lines))
    assert shown.count("\n    + 1") == 100
    assert shown.endswith("\n140 more differences are left out; --full lists them.")
    assert "\nChat 2\n\nThey do the same. They differ first in turn 1, " in shown


# What is hostile


def is_inert(text: str) -> bool:
    return all(character in "\n\u200c\u200d\u200e\u200f\xa0" or character.isprintable() for character in text)


def spoiled(lines: Lines) -> None:
    for line in lines[1:]:
        for name in ("text", "why", "answer", "messages"):
            if isinstance(line.get(name), str):
                line[name] = HOSTILE
        if line.get("do") == "receive_head":
            line["headers"] = [["content-type", HOSTILE], [HOSTILE, HOSTILE], ["location", HOSTILE]]
        if isinstance(gives := line.get("gives"), dict) and gives["type"] not in ("NEED_DATA", "PAUSED"):
            line["gives"] = {name: HOSTILE if isinstance(value, str) else value for name, value in gives.items()}
            line["gives"]["type"] = gives["type"] if gives["type"] in ("SendRequest", "TurnFinished") else HOSTILE
    lines.append({"do": "lost", "why": HOSTILE})


@pytest.mark.parametrize("full", [False, True])
def test_no_control_sequence_reaches_the_terminal(full: bool) -> None:
    shown = told(text_of("solver"), changed(spoiled, "solver"), full=full)
    assert is_inert(shown)
    assert r"\x1b]0;owned\x07" in shown


@given(st.data())
@settings(max_examples=examples(25))
def test_whatever_is_in_a_transcript_it_is_compared_or_refused(data: st.DataObject) -> None:
    text = text_of("solver").encode()
    at = data.draw(st.integers(0, len(text) - 1))
    other = text[:at] + data.draw(st.binary(max_size=3)) + text[at + data.draw(st.integers(0, 20)) :]
    try:
        chats = differences(Transcript.read(text), Transcript.salvage(other)[0])
    except ConversationFormatError:
        return
    assert is_inert("\n".join(account(chats, "a", "b", Look(80))))
    assert beside(chats, "a", "b", []).endswith("</html>\n")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KNOWN = ["SendRequest", "Wait", "SolveChallenge", "Retrying", "TurnFinished", "TextDelta", "UnknownPayload", "Queued"]
MEMBERS = ["id", "method", "url", "headers", "body", "until", "reason", "script", "cause", "delay", "raw", "text"]
ACTIONS = st.fixed_dictionaries(
    {"type": st.sampled_from(KNOWN) | JSON}, optional={name: JSON | st.just("x" * 100) for name in MEMBERS}
)


@given(st.lists(st.tuples(st.booleans(), ACTIONS), max_size=5))
@settings(max_examples=examples(25))
def test_whatever_is_said_to_have_been_done_is_compared(actions: list[tuple[bool, dict[str, object]]]) -> None:
    head = text_of("solver").splitlines()[0]
    lines = [
        json.dumps({"do": "next_action", "now": 1.0, ("raises" if bad else "gives"): action}) for bad, action in actions
    ]
    other = "\n".join([head, *lines])
    assert is_inert(told(head, other))
    assert told(other, other).endswith("Nothing differs.")


def test_numbers_of_any_size_are_compared() -> None:
    def change(lines: Lines) -> None:
        for line in lines:
            if line.get("gives", {}).get("type") in ("Wait", "Retrying"):
                line["gives"]["until" if line["gives"]["type"] == "Wait" else "delay"] = 10**400

    listed = found(text_of("troubles"), changed(change, "troubles"))
    assert ("wait, pacing", "seconds", "changed", "1.500", "999999995.000") in listed
    assert ("Retrying", "delay", "changed", "2.500", "1000000000.000") in listed


def test_what_a_crafted_document_takes_is_bounded() -> None:
    """Long names that hold many members, and deep ones, would make paths that are far longer than the document."""
    deep = "[" * 900 + "]" * 900
    wide = json.dumps({"k" * 20_000: {"l" * 20_000: {str(number): number for number in range(900)}}})

    def change(lines: Lines) -> None:
        for sent, body in zip(requests(lines), (deep, wide, wide[:-1], deep), strict=False):
            sent["body"] = body

    a, b = Transcript.read(text_of("two-turns")), Transcript.read(changed(change))
    assert peak_of(lambda: beside(differences(a, b), "a", "b", [])) < 8 * MIB


# The command


def test_the_exit_code_is_that_of_diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = str(TRANSCRIPTS / "two-turns.jsonl"), str(TRANSCRIPTS / "challenge.jsonl")
    assert main(["inspect", a, a]) == 0
    assert capsys.readouterr().out == (
        "- A: two-turns.jsonl, 2 turns, 5 requests\n+ B: two-turns.jsonl, 2 turns, 5 requests\n\nNothing differs.\n"
    )
    two = str(TRANSCRIPTS / "two-chats.jsonl")
    assert main(["inspect", two, two]) == 0
    assert main(["inspect", two, a]) == 1
    capsys.readouterr()
    assert main(["inspect", a, b]) == 1
    assert "They differ first, and part, in turn 1, POST /duckchat/v1/chat" in capsys.readouterr().out
    cut = tmp_path / "cut.jsonl"
    cut.write_text(text_of("two-turns")[:-30], "utf-8")
    assert main(["inspect", a, str(cut)]) == 65
    out, err = capsys.readouterr()
    assert out.startswith("- A: two-turns.jsonl, 2 turns, 5 requests\n+ B: cut.jsonl, ")
    assert re.fullmatch(r"ddg-chat: cut\.jsonl: line 93: .*; the rest is not compared\n", err)
    assert main(["inspect", a, str(tmp_path / "nothing")]) == 74
    assert main(["inspect", "-", "-"]) == 2
    assert "only one of the two transcripts can come from standard input" in capsys.readouterr().err
