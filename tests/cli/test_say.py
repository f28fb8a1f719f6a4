"""Lines for a person: broken between words, on terminals of every width."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddg_chat._say import Fold, folded, say, table, width_of
from ddg_chat._seen import RequestsSeen
from ddg_chat._text import columns
from ddg_protocol.service import Service, ServiceRequest

PIECES = ["a", "Wort", " ", "  ", "\n", "\t", "語", "e\u0301", "\N{ARABIC LETTER BEH}", "👩‍👧"]
TEXTS = st.lists(st.sampled_from(PIECES)).map("".join)
WIDTHS = st.integers(10, 40)


@given(text=TEXTS, width=WIDTHS)
def test_no_word_is_broken_or_lost_and_no_line_is_too_long(text: str, width: int) -> None:
    lines = folded(text, width).split("\n")
    assert [word for line in lines for word in line.split()] == text.split()
    assert all(columns(line) <= width or len(line.split()) == 1 for line in lines)


@given(text=TEXTS, width=WIDTHS)
def test_lines_that_fit_stay_as_they_are(text: str, width: int) -> None:
    lines = [line.rstrip() for line in text.expandtabs(4).split("\n")]
    if all(columns(line) <= width for line in lines) and "\t" not in text:
        assert folded(text, width).rstrip("\n ") == "\n".join(lines).rstrip("\n ")


def test_a_tab_is_as_wide_however_it_arrives() -> None:
    fold = Fold(80)
    assert fold.feed("a ") + fold.feed(" \tb") + fold.end() == folded("a  \tb", 80)


@given(text=TEXTS, width=WIDTHS, data=st.data())
def test_a_text_that_arrives_in_pieces_is_broken_at_the_same_places(text: str, width: int, data: st.DataObject) -> None:
    fold = Fold(width)
    written, at = "", 0
    while at < len(text):
        end = data.draw(st.integers(at + 1, len(text)))
        written += fold.feed(text[at:end])
        at = end
    assert written + fold.end() == folded(text, width)


def test_an_indented_line_stays_indented() -> None:
    assert folded("  one two three", 10) == "  one two\n  three"


def test_a_table_is_side_by_side_where_there_is_room() -> None:
    rows = [("/model [NAME]", "show the model, or switch"), ("/new", "start anew")]
    assert table(rows, 42) == ("  /model [NAME]  show the model, or switch\n  /new           start anew")
    assert table(rows, 24) == "  /model [NAME]\n    show the model, or\n    switch\n  /new\n    start anew"


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_only_a_terminal_gets_broken_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "12")
    for stream, written in ((Screen(), "one two\nthree\x0b\n"), (io.StringIO(), "one two three\x0b\n")):
        say("one two three\x0b", stream)
        assert stream.getvalue() == written.replace("\x0b", "\N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize("columns", ["", "0", "many"])
def test_a_width_that_nobody_knows_is_80(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert width_of(io.StringIO()) == 80


def test_what_the_emulator_says_of_a_request_is_one_line_without_control_characters() -> None:
    response = Service().handle(ServiceRequest("GET", "/x", ()), now=0.0)
    response.exchange.reason = "one\x1b]0;a\x07\ntwo"
    RequestsSeen(out := io.StringIO())(response)
    (line,) = out.getvalue().splitlines()
    assert "one" in line
    assert line.isprintable()


def test_what_the_emulator_says_is_broken_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "24")
    screen = Screen()
    RequestsSeen(screen)("a connection brought no request: it was closed at once")
    _, _, said = screen.getvalue().partition(" ")
    assert said == "a connection\nbrought no request: it\nwas closed at once\n"
