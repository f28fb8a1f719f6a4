"""``ddg-chat`` on real pseudo-terminals of 24, 80 and 200 columns: no word is broken, and nothing is lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.paths import TRANSCRIPTS
from support.person import Person
from support.tiers import thinned

from ddg_chat._store import Store
from ddg_chat._talk import HELP, NOTES
from ddg_protocol import Conversation, Message
from ddg_protocol.events import ReasoningDelta
from ddg_protocol.service import Service
from ddg_protocol.service.script import fault_from_text
from ddg_transports.emulator import Emulator

pytestmark = pytest.mark.usefixtures("quick_start")


def emulated(*said: object, faults: tuple[str, ...] = ()) -> Emulator[Service]:
    script = [fault_from_text(fault) for fault in faults]
    return Emulator(Service(responder=lambda _: iter(said), script=script))  # type: ignore[arg-type, return-value]


SIZES = [24, 80, 200]
LOOKS = [("--color", "xterm-256color"), ("--no-color", "xterm-256color"), ("--color", "dumb")]
ALL = [(columns, color, term) for columns in SIZES for color, term in LOOKS]
CASES = thinned(ALL, one_in=3, reason="a process each")

#: Words of every kind of script, each once: accents, right to left, wide. pyte loses joiners and vowel signs.
LATIN = [f"wort{number}" for number in range(60)]
PEOPLE_S = ["naïve", "Zürich", "שלום", "עולם", "مرحبا", "بالعالم", "Привет", "γειά", "日本語", "한국어", "中文"]
JOINED = ["می\u200cخواهم", "नमस्ते", "👩\u200d👧"]
REPLY = f"""\
# {" ".join(LATIN[:6])}

{" ".join(LATIN[6:30])} **{LATIN[30]}** *{LATIN[31]}* {" ".join(PEOPLE_S)}

* {" ".join(LATIN[32:44])}
* {PEOPLE_S[2]} {LATIN[44]}

> {" ".join(LATIN[45:52])}

```python
{LATIN[52]} = {LATIN[53]}
```

{" ".join(LATIN[54:])}
"""
MARKS = set("#*>▌•`=") | {"```python", "```"}


def words(text: str) -> list[str]:
    return [word for part in text.split() if (word := part.strip("*")) and word not in MARKS]


@pytest.mark.parametrize(("columns", "color", "term"), CASES)
def test_a_reply_has_all_its_words_whole(columns: int, color: str, term: str, tmp_path: Path) -> None:
    with (
        emulated(*re.findall(r"\S+\s*|\s+", REPLY)) as emulator,
        Person(
            tmp_path, "ask", "Why?", color, "--base-url", emulator.url, columns=columns, env={"TERM": term}
        ) as person,
    ):
        assert person.wait() == 0
    assert words(person.text) == words(REPLY)
    coloured = re.search(rb"\x1b\[[0-9;]*\b(3[0-7]|9[0-7])m", person.raw)
    assert bool(coloured) == (color == "--color" and term != "dumb")


@pytest.mark.parametrize(("columns", "color", "term"), thinned(ALL, one_in=9, reason="a process each"))
def test_reasoning_has_all_its_words_whole(columns: int, color: str, term: str, tmp_path: Path) -> None:
    thought = " ".join([*LATIN, *PEOPLE_S])
    pieces = [ReasoningDelta(thought[start : start + 7]) for start in range(0, len(thought), 7)]
    with (
        emulated(*pieces, "So.") as emulator,
        Person(
            tmp_path, "ask", "Why?", color, "--base-url", emulator.url, columns=columns, env={"TERM": term}
        ) as person,
    ):
        assert person.wait() == 0
    assert words(person.text) == [*words(thought), "So."]


@pytest.mark.parametrize("columns", thinned(SIZES, one_in=3, reason="a process each"))
def test_words_with_joiners_reach_the_terminal_whole(columns: int, tmp_path: Path) -> None:
    with (
        emulated(ReasoningDelta(" ".join(JOINED)), *(f"{word} " for word in JOINED * 5)) as emulator,
        Person(tmp_path, "ask", "Why?", "--base-url", emulator.url, columns=columns) as person,
    ):
        assert person.wait() == 0
    raw = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", " ", person.raw.decode())
    letters = set("".join(JOINED))  # on a slow machine, a line of what is waited for stands among them
    assert {word for word in raw.split() if letters & set(word)} == set(JOINED)


@pytest.mark.parametrize("columns", thinned(SIZES, one_in=3, reason="a process each"))
def test_what_a_chat_says_has_all_its_words_whole(columns: int, tmp_path: Path) -> None:
    with (
        emulated("So.", faults=("chat:429,type=ERR_USER_LIMIT,times=1",)) as emulator,
        Person(tmp_path, "chat", "--base-url", emulator.url, columns=columns) as person,
    ):
        greeting = f"gpt-4o-mini at {emulator.url}; /help lists the commands, Ctrl-D leaves"
        assert words(person.prompted()) == words(greeting)
        help_ = [f"{term} {explanation}" for term, explanation in HELP]
        assert words(person.enter("/help")) == words(" ".join([*help_, NOTES]))
        refusal = "ddg-chat: this user's allowance is used up; wait until it is renewed (429 ERR_USER_LIMIT)"
        assert words(person.enter("Why?")) == words(refusal)
        unknown = (
            "ddg-chat: there is no command /sing; /help lists the commands. To ask a question that begins with /, put "
            "a space before it"
        )
        assert words(person.enter("/sing")) == words(unknown)
        assert person.enter("/save my-dear-friend").split()[-1] == "my-dear-friend"
        assert person.enter("Why?") == "So."
        person.wait_for(lambda _: person.below == "gpt-4o-mini · 1 turn · my-dear-friend")


@pytest.mark.parametrize("columns", thinned(SIZES, one_in=3, reason="a process each"))
def test_lists_have_all_their_words_whole(columns: int, tmp_path: Path) -> None:
    history = (Message("user", " ".join(LATIN[:8])), Message("assistant", "So."))
    Store(tmp_path / "ddg-chat" / "conversations").save("sky", Conversation(message_history=history))
    for command, first, count in ((["conversations"], "sky", 13), (["conversations", "search", "wort3"], "sky", 19)):
        with Person(tmp_path, *command, columns=columns) as person:
            assert person.wait() == 0
        assert person.text.split()[0] == first
        assert len(person.text.split()) == count
        assert set(re.findall(r"wort\w*", person.text)) <= set(LATIN)


@pytest.mark.parametrize("columns", thinned(SIZES, one_in=3, reason="a process each"))
def test_what_differs_has_all_its_words_whole(columns: int, tmp_path: Path) -> None:
    two_turns = str(TRANSCRIPTS / "two-turns.jsonl")
    other = (TRANSCRIPTS / "two-turns.jsonl").read_text("utf-8").replace("Why is the sky blue?", " ".join(PEOPLE_S))
    (tmp_path / "other.jsonl").write_text(other, "utf-8")
    with Person(tmp_path, "inspect", two_turns, str(tmp_path / "other.jsonl"), columns=columns) as person:
        assert person.wait() == 1
    whole = person.text.replace('"', " ").split()
    assert set(PEOPLE_S) <= set(whole)
    assert {"-", "+", "Why", "is", "the", "sky", "blue?", "/duckchat/v1/chat"} <= set(whole)


@pytest.mark.parametrize("columns", thinned(SIZES, one_in=3, reason="a process each"))
def test_a_usage_error_has_all_its_words_whole(columns: int, tmp_path: Path) -> None:
    with Person(tmp_path, "ask", "Why?", "--timeout", "soon", columns=columns) as person:
        assert person.wait() == 2
    said = (
        "ddg-chat ask: error: argument --timeout: must be a number of seconds above 0 and at most 86400, not 'soon' "
        "ddg-chat ask --help says what it takes"
    )
    assert person.text.split() == said.split()


@pytest.mark.parametrize("columns", thinned(SIZES, one_in=3, reason="a process each"))
def test_a_retry_and_its_wait_fit_the_terminal(columns: int, tmp_path: Path) -> None:
    with (
        emulated("So.", faults=("chat:503",)) as emulator,
        Person(tmp_path, "ask", "Why?", "--base-url", emulator.url, columns=columns) as person,
    ):
        person.wait_for(re.compile(r"\nwaiting to ret(ry: |… )\d\.\d s$").search)
        person.write("\x03")
        assert person.wait() == 130
    assert re.fullmatch(
        r"ddg-chat: will retry in \d s: the service is not available now \(503\)", " ".join(person.text.split())
    )


@pytest.mark.parametrize("columns", thinned(SIZES, one_in=3, reason="a process each"))
def test_a_doctor_s_findings_have_all_their_words_whole(columns: int, tmp_path: Path) -> None:
    with Person(tmp_path, "doctor", columns=200) as wide, Person(tmp_path, "doctor", columns=columns) as person:
        assert wide.wait() == person.wait() == 0
    parts = [each.text.partition("\nfiles\n")[0] for each in (wide, person)]  # the files' names are long
    assert parts[0].split() == parts[1].split()
    assert max(map(len, parts[1].splitlines())) <= columns
