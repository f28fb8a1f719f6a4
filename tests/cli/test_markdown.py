"""Markdown as it comes: wherever it is cut, however long or hostile it is, all of it is on the screen in the end."""

from __future__ import annotations

import io
import os
import re
import threading
import time
import unicodedata
from collections.abc import Iterable
from itertools import pairwise
from random import Random

import pyte
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from support.screens import ScrollingScreen
from support.tiers import examples, thinned

from ddg_chat._markdown import _LONGEST, _MOST_BRACKETS, _MOST_LINES, MarkdownStream, _Unit, write_markdown
from ddg_chat._pace import Pace

TIMEOUT = 60.0  # for what never ends, on the slowest of machines


class _Cells(ScrollingScreen):
    """Puts an accent onto the last column, as terminals do. pyte alone begins a new line with it."""

    def draw(self, data: str) -> None:
        for part in re.split("(\N{COMBINING ACUTE ACCENT})", data):
            if part == "\N{COMBINING ACUTE ACCENT}" and self.cursor.x == self.columns:
                row = self.buffer[self.cursor.y]
                at = self.columns - (1 if row[self.columns - 1].data else 2)  # the second half of a wide one is empty
                row[at] = row[at]._replace(data=unicodedata.normalize("NFC", row[at].data + part))
            elif part:
                super().draw(part)


class Screen:
    """A terminal that keeps what scrolls away, and what was written to it."""

    def __init__(self, columns: int, rows: int) -> None:
        self._screen = _Cells(columns, rows)
        self._screen.set_mode(pyte.modes.LNM)
        self._stream = pyte.Stream(self._screen)
        self._out = io.StringIO()
        self.console = Console(
            file=self._out,
            force_terminal=True,
            color_system="standard",
            width=columns,
            height=rows,
            legacy_windows=False,
            _environ={"TERM": "xterm-256color"},
        )
        self._shown = 0

    @property
    def raw(self) -> str:
        """All that was written to it."""
        return self._out.getvalue()

    @property
    def text(self) -> str:
        """What the terminal shows of it, and has shown."""
        raw = self.raw
        self._stream.feed(raw[self._shown :])
        self._shown = len(raw)
        return self._screen.text


def drawn(pieces: Iterable[str], *, columns: int = 60, rows: int = 24) -> Screen:
    """Draw a text, once after each of its pieces."""
    screen = Screen(columns, rows)
    with MarkdownStream(screen.console) as stream:
        for piece in pieces:
            stream.feed(piece)
            stream.draw()
    return screen


EVERYTHING = """\
# Title

Some **bold** text with `code` and a [link](http://x.org/) and <b>html</b>
in a second line.

1. one
2. two
   - inner

> a quote

| a | b |
|---|---|
| 1 | 2 |

```python
def f(x):

    return x
```
end"""


def test_each_kind_of_block_as_a_person_sees_it() -> None:
    assert drawn([EVERYTHING]).text.split("\n") == [
        "                           Title",
        "",
        "Some bold text with code and a link (http://x.org/) and",
        "<b>html</b> in a second line.",
        "",
        " 1 one",
        " 2 two",
        "    • inner",
        "",
        "▌ a quote",
        "",
        " a  b",
        " ────",
        " 1  2",
        "",
        "def f(x):",
        "",
        "    return x",
        "",
        "end",
    ]


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("<!-- a comment -->", "<!-- a comment -->"),
        ("<b>", "<b>"),
        ("[a]: http://x.org/", "[a]: http://x.org/"),
        ("![an image](http://x.org/)", "!an image (http://x.org/)"),
    ],
)
def test_what_can_t_be_drawn_is_not_left_out(written: str, seen: str) -> None:
    assert drawn([f"before\n\n{written}\n\nafter"]).text == f"before\n\n{seen}\n\nafter"


def test_a_word_that_is_longer_than_its_column_is_not_cut() -> None:
    shown = drawn(["|a|b|\n|-|-|\n|RemoteProtocolError|the other side broke the protocol|\n"], columns=24).text
    first = "".join(line[:11].strip() for line in shown.split("\n"))
    assert "RemoteProtocolError" in first
    assert "…" not in shown


def test_only_a_line_feed_ends_a_line() -> None:
    bad = "\N{REPLACEMENT CHARACTER}"
    assert drawn(["a\vb\u2028c\x85d\n\n* e\n* f\n"]).text == f"a{bad}b{bad}c{bad}d\n\n • e\n • f"


@pytest.mark.parametrize("entity", ["&#27;", "&#12;", "&#x9b;", "&#x202e;", "&#x2028;", "&#x85;", "&#0;"])
def test_an_entity_names_no_control_character(entity: str) -> None:
    assert drawn([f"a{entity}b"]).text in ("a\N{REPLACEMENT CHARACTER}b", f"a{entity}b", "ab")


# Cut anywhere

WORDS = ["word", "text here ", "日本語", "e\N{COMBINING ACUTE ACCENT}", "👩", "x" * 50, "&amp;", "\\", "'''", "x = 1\n"]
BLOCKS = ["# ", "## ", "* ", "- item\n", "+ ", "1. ", "2) ", "> ", "    ", "|", "a | b\n--|--\n", "---\n", "===\n"]
CODE = ["```", "```python\n", "~~~\n", "`", "    code\n"]
INLINE = ["*", "**", "_", "~~", "[x](", "http://x)", "[r]: u\n", "![i](u)", "<b>", "<!--", "-->"]
HOSTILE = [
    "\x1b[2J",
    "\x1b]0;t\x07",
    "\x9b5A",
    "&#27;[2J",
    "&#12;",
    "&#x202e;",
    "\u2028",
    "\u202e",
    "\r",
    "\r\n",
    "\t",
    "\v",
    "\x00",
]
SPACE = ["\n", "\n\n", " ", "  "]

texts = st.lists(st.sampled_from([*WORDS, *BLOCKS, *CODE, *INLINE, *HOSTILE, *SPACE, *SPACE]), max_size=30).map("".join)
sizes = st.tuples(st.sampled_from([3, 10, 20, 40]), st.sampled_from([2, 5, 24]))


@st.composite
def cut_texts(draw: st.DrawFn) -> list[str]:
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]


@settings(max_examples=examples(60))
@given(cut_texts(), sizes)
@example(["```\n", "a\n", "\n", "```", "\n"], (20, 5))
@example(["* a\n", "\n", "* b\n\n  c\n* d"], (20, 2))
@example(["a\n", "==", "=\nb"], (20, 5))
@example(["a\n#", "b\n"], (20, 5))
@example(["* a\n-", "--\n"], (20, 5))
def test_wherever_a_text_is_cut_what_is_seen_in_the_end_is_the_same(pieces: list[str], size: tuple[int, int]) -> None:
    columns, rows = size
    in_pieces, at_once = (drawn(cut, columns=columns, rows=rows) for cut in (pieces, ["".join(pieces)]))
    assert in_pieces.text == at_once.text


#: Colours, up and erase for what is still growing, the cursor hidden and shown.
OWN_SEQUENCES = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[lh]|1A|2K)")


@settings(max_examples=examples(60))
@given(cut_texts(), sizes)
def test_no_control_sequence_of_a_text_reaches_the_terminal(pieces: list[str], size: tuple[int, int]) -> None:
    raw = OWN_SEQUENCES.sub("", drawn(pieces, columns=size[0], rows=size[1]).raw)
    assert not re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", raw)


@st.composite
def numbered(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """A text with words that are all different, cut somewhere; and the words, in order."""
    kinds = st.sampled_from(
        ["{}\n\n", "{} ", "* {}\n", "1. {}\n", "> {}\n\n", "# {}\n", "\n```\n{}\n```\n", "**{}** ", "`{}` "]
    )
    words = [f"w{number}w" for number in range(draw(st.integers(1, 40)))]
    text = "".join(draw(kinds).format(word) for word in words)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return [text[start:end] for start, end in pairwise([0, *cuts, len(text)])], words


@settings(max_examples=examples(40))
@given(numbered(), sizes)
def test_nothing_of_a_text_is_lost_and_nothing_doubled(
    said: tuple[list[str], list[str]], size: tuple[int, int]
) -> None:
    pieces, words = said
    screen = drawn(pieces, columns=max(10, size[0]), rows=size[1])
    assert re.findall(r"w\d+w", screen.text) == words


#: What is seldom written, in runs that are longer than anything that is laid out at once.
ODD = [
    " ",
    "\t",
    "\n",
    " \n",
    "\t\n",
    "日",
    "e\N{COMBINING ACUTE ACCENT}",
    "\N{ZERO WIDTH JOINER}",
    "> ",
    "* ",
    "`",
    "\\",
]


@st.composite
def odd_texts(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """A text of words that are all different between runs of what is seldom written, cut; and the words, in order."""
    words = [f"w{number}w" for number in range(draw(st.integers(0, 2)))]
    lengths = st.sampled_from([1, 100, _LONGEST - 1, _LONGEST + 1])
    runs = [draw(st.sampled_from(ODD)) * draw(lengths) for _ in range(len(words) + 1)]
    opening = draw(st.sampled_from(["", "```\n", "```python\n", "* ", "> ", "    ", "# "]))
    ends = draw(st.sampled_from(["", "\n"]))
    text = opening + runs[0] + "".join(f"\n{word}{ends}{run}" for word, run in zip(words, runs[1:], strict=True))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[start:end] for start, end in pairwise([0, *cuts, len(text)])], words


@settings(max_examples=examples(15, default=5))
@given(odd_texts())
@example(([" " * (_LONGEST + 1)], []))
@example((["\t" * (_LONGEST + 1), "\t", "\nw0w"], ["w0w"]))
@example((["w0w\n\n", " " * (_LONGEST + 1), "\nw1w"], ["w0w", "w1w"]))
@example((["* " + "> " * 100 + "\nw0w" + "> " * 100 + "\nw1w"], ["w0w", "w1w"]))
@example((["> " * 120 + "w0w\n\nw1w"], ["w0w", "w1w"]))
@example((["- " * 120 + "w0w"], ["w0w"]))
def test_nothing_is_lost_of_a_text_of_what_is_seldom_written(said: tuple[list[str], list[str]]) -> None:
    pieces, words = said
    shown = drawn_into_nothing(pieces)
    assert re.findall(r"w\d+w", shown) == words


def drawn_into_nothing(pieces: list[str]) -> str:
    """Draw a text, once after each of its pieces; gives what was written for good, without a terminal's cells."""
    screen = Screen(200, 4)
    with Settled(screen.console) as stream:
        for piece in pieces:
            stream.feed(piece)
            stream.draw()
    return stream.settled


class Settled(MarkdownStream):
    """Takes note of what is written for good."""

    settled = ""

    def _show(self, settled: list[list[Segment]], tail: list[list[Segment]]) -> None:
        self.settled += "".join("".join(part.text for part in line) + "\n" for line in settled)
        super()._show(settled, tail)


def test_code_is_not_cut_where_the_terminal_becomes_narrower() -> None:
    screen = Screen(60, 24)
    with MarkdownStream(screen.console) as stream:
        for width, piece in [
            (30, "```\nw0w and more\n"),
            (30, "w1w and more\n"),
            (8, "0123456789 w2w\n"),
            (8, "```\n"),
        ]:
            screen.console.width = width  # while the screen shows what it did: terminals differ in what they make of it
            stream.feed(piece)
            stream.draw()
    assert screen.text == "w0w and more\nw1w and more\n0123456789 w2w"


@settings(max_examples=examples(40, default=10))
@given(numbered())
def test_at_no_time_is_anything_doubled_or_out_of_order(said: tuple[list[str], list[str]]) -> None:
    pieces, words = said
    screen = Screen(60, 60)
    with MarkdownStream(screen.console) as stream:
        for piece in pieces:
            stream.feed(piece)
            stream.draw()
            seen = re.findall(r"w\d+w", screen.text)
            assert seen == words[: len(seen)]


def test_what_is_growing_is_seen_before_it_is_whole() -> None:
    screen = Screen(60, 24)
    with MarkdownStream(screen.console) as stream:
        for piece, seen in [
            ("Half a **par", "Half a **par"),
            ("agraph** and", "Half a paragraph and"),
            ("\n\n* it", "Half a paragraph and\n\n • it"),
            ("em\n\n```\nco", "Half a paragraph and\n\n • item\n\nco"),
        ]:
            stream.feed(piece)
            stream.draw()
            assert screen.text == seen


# How long it takes

LONG = {
    "code": "```\n" + "x = 1\n" * 5000,
    "coloured code": "```python\n" + "x = [1, 'a']\n" * 2500,
    "a line of code": "```python\n" + "y" * 200_000,
    "a paragraph": "word " * 40_000,
    "a line": "x" * 200_000,
    "a list": "* item\n" * 1500,
    "an item": "* " + "word " * 20_000,
    "lists in lists": "".join("  " * level + "* x\n" for level in range(200)),
    "code in a list": "* ```\n" + "  x\n" * 8000,
    "a table": "|a|b|\n|--|--|\n" + "|1|2|\n" * 5000,
    "a wide table": "".join("|" + cell * 2000 + "\n" for cell in ("a|", "-|", "b|")),
    "a quote": "> q\n" * 5000,
    "a lazy quote": "> a\n" + "b\n" * 5000,
    "quotes in quotes": "> " * 5000 + "x\n",
    "brackets": "[" * 40_000,
    "some brackets in each paragraph": ("[" * _MOST_BRACKETS + "x" * 7500 + "\n\n") * 5,
    "links": "[a](\n" * 10_000,
    "emphasis": "*a_ " * 10_000,
    "entities": "&amp;" * 10_000,
    "empty lines": "\n" * 50_000,
    "blanks": " " * 100_000,
    "tabs": "\t" * 40_000,
    "blanks in code": "```autoit\n" + " " * 8000 + "\n```\n",
    "empty lines in code": "```python\n" + " \n" * 4000 + "```\n",
    "a long name of a language": "```" + "x" * 100_000 + "\n" + "\n" * 20_000,
    "a long fence": "`" * 100_000 + "\n" + "\n" * 20_000,
    "wide characters": "日" * 50_000,
    "joiners": "\N{ZERO WIDTH JOINER}" * 50_000,
}


SECONDS = 0.1
"""What a KiB may take of a processor."""


class Measured(MarkdownStream):
    """Takes note of how much is laid out at once."""

    most = 0
    most_lines = 0
    total = 0

    def _lines(self, unit: _Unit) -> list[list[Segment]]:
        self.most = max(self.most, len(unit.text))
        self.most_lines = max(self.most_lines, unit.text.count("\n"))
        self.total += len(unit.text)
        return super()._lines(unit)


@pytest.mark.parametrize("kind", thinned(LONG, one_in=16, reason="much of each kind"))
def test_however_long_a_text_is_drawing_more_of_it_takes_a_bounded_time(kind: str) -> None:
    text = LONG[kind]
    step = len(text) // 4 + 1
    screen = Screen(80, 24)
    with Measured(screen.console) as stream:
        for start in range(0, len(text), step):
            stream.feed(text[start : start + step])
            begun = time.process_time()
            stream.draw()
            # A tenth of it is usual. Of the whole text it would be minutes for brackets, and more with each piece.
            assert time.process_time() - begun < 8.0
    assert stream.most <= 2 * _LONGEST or kind == "a line of code"  # which is not coloured


@pytest.mark.parametrize("kind", ["a lazy quote", "a quote", "a table", "links"])
def test_lines_of_a_letter_are_laid_out_in_parts_of_a_bounded_number_of_lines(kind: str) -> None:
    with Measured(Screen(80, 24).console) as stream:
        stream.feed(LONG[kind])
        stream.draw()
    assert stream.most_lines == _MOST_LINES


@pytest.mark.parametrize("kind", thinned(LONG, one_in=16, reason="much of each kind"))
def test_what_is_laid_out_grows_as_the_text_does(kind: str) -> None:
    text = LONG[kind][:100_000]
    with Measured(Screen(80, 24).console) as stream:
        for start in range(0, len(text), 1024):
            stream.feed(text[start : start + 1024])
            stream.draw()
    assert stream.total <= 16 * len(text), "each KiB is laid out a bounded number of times"


# The pace


def test_a_reply_is_drawn_while_nothing_comes() -> None:
    screen = Screen(60, 24)
    seen = threading.Event()
    write = screen.console.file.write

    def spy(text: str) -> int:
        if "half" in text:
            seen.set()
        return write(text)

    screen.console.file.write = spy  # type: ignore[method-assign]

    def pieces() -> Iterable[str]:
        yield "The first half"
        assert seen.wait(TIMEOUT), "it is drawn when more comes, only"
        yield " and the second"

    write_markdown(screen.console, pieces())
    assert screen.text == "The first half and the second"


def test_what_came_of_a_reply_that_breaks_stays() -> None:
    screen = Screen(60, 24)

    def pieces() -> Iterable[str]:
        yield "* one\n* tw"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        write_markdown(screen.console, pieces())
    assert screen.text == " • one\n • tw"


def test_what_becomes_due_several_times_while_it_is_being_done_is_done_once_more() -> None:
    begun, may_end = threading.Semaphore(0), threading.Semaphore(0)
    count = 0

    def work() -> None:
        nonlocal count
        count += 1
        begun.release()
        assert may_end.acquire(timeout=TIMEOUT)

    with Pace(work) as pace:
        pace.due()
        assert begun.acquire(timeout=TIMEOUT)
        for _ in range(3):
            pace.due()
        may_end.release()
        assert begun.acquire(timeout=TIMEOUT)
        may_end.release()
    assert count == 2


def test_what_is_not_due_is_not_done() -> None:
    begun = threading.Semaphore(0)
    with Pace(begun.release) as pace:
        for _ in range(2):
            pace.due()
            assert begun.acquire(timeout=TIMEOUT)
            assert not begun.acquire(timeout=0.05)


def test_what_goes_wrong_while_drawing_is_raised_where_the_reply_is_read() -> None:
    failed = threading.Event()

    def work() -> None:
        failed.set()
        raise BrokenPipeError

    def read() -> None:
        with Pace(work) as pace:
            pace.due()
            assert failed.wait(TIMEOUT)

    with pytest.raises(BrokenPipeError):
        read()


# Thousands of documents

_EACH = int(os.environ.get("DDG_DOCUMENTS", "2000")) // 40


def random_pieces(random: Random) -> list[str]:
    """A document of blocks, words and what is hostile, cut at random places, often between any two characters."""
    kinds = (WORDS, WORDS, BLOCKS, CODE, INLINE, HOSTILE, SPACE, SPACE)
    text = "".join(random.choice(random.choice(kinds)) for _ in range(random.randint(1, random.choice((20, 60, 150)))))
    cuts = sorted(random.randint(0, len(text)) for _ in range(random.choice((1, 2, 5, 12))))
    return [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]


def drawn_in_time(pieces: list[str], columns: int, rows: int) -> tuple[Screen, float]:
    """Draw a text, once after each of its pieces; returns the screen, and the time that drawing took on a processor."""
    screen = Screen(columns, rows)
    spent = -time.thread_time()
    with MarkdownStream(screen.console) as stream:
        for piece in pieces:
            stream.feed(piece)
            stream.draw()
    spent += time.thread_time()
    return screen, spent


@pytest.mark.deep("2,000 documents; as many as DDG_DOCUMENTS says, such as 20,000")
@pytest.mark.parametrize("seed", range(40))
def test_the_screen_is_that_of_the_whole_document_however_it_came(seed: int) -> None:
    random = Random(seed)
    for _ in range(_EACH):
        pieces = random_pieces(random)
        text = "".join(pieces)
        columns, rows = random.choice((3, 10, 24, 80, 200)), random.choice((2, 5, 24))
        in_pieces, _ = drawn_in_time(pieces, columns, rows)
        at_once, spent = drawn_in_time([text], columns, rows)
        assert in_pieces.text == at_once.text, (pieces, columns, rows)
        bound = SECONDS * max(1.0, len(text.encode()) / 1024)
        # What else the machine does costs time, too: what takes long takes long each time.
        assert spent < bound or min(drawn_in_time([text], columns, rows)[1] for _ in range(5)) < bound, text


@pytest.mark.deep("much of each kind")
@pytest.mark.parametrize("kind", LONG)
def test_no_kind_of_text_takes_more_than_a_tenth_of_a_second_a_kib(kind: str) -> None:
    text = LONG[kind]
    pieces = [text[start : start + 1024] for start in range(0, len(text), 1024)]
    bound = SECONDS * len(text.encode()) / 1024
    assert any(drawn_in_time(pieces, 80, 24)[1] < bound for _ in range(3))
