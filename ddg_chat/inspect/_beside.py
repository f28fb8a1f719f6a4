"""Two runs as one self-contained page, side by side: chat by chat, turn by turn, and step by step. It has no script.

All text from outside goes through `said`: it is text in the page and nothing else, whatever it contains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import Template

from .._document import document, part, said
from .._text import escaped
from ._account import brief, label, place, size, summary, titles
from ._differences import Comparison, Pair, Row, TurnPair, rows
from ._texts import common_ends, cut

_CUT = 4_000
"""The most characters of a value."""
_CUT_LINE = 200
"""The most characters of a step's line."""
_MOST_PAIRS = 5_000
"""The most steps that are drawn; browsers get slow with more."""
_MOST_TEXT = 8 * 1024 * 1024
"""The most characters of all values together, including their markup."""
_MARKUP = 60

_COLUMNS = (
    '<colgroup><col class="what"><col><col></colgroup><thead class="unseen"><tr><th scope="col">What</th>'
    '<th scope="col">A</th><th scope="col">B</th></tr></thead>'
)


def beside(chats: Sequence[Comparison], a: str, b: str, flaws: list[str], *, full: bool = False) -> str:
    """Make the page.

    Args:
        chats: the chats of the two transcripts, in pairs.
        a: the name of the first transcript.
        b: the name of the second.
        flaws: why a part of a transcript is not shown, a sentence each.
        full: whether to include values uncut.

    Returns:
        HTML. Its content security policy allows only its own style, by its hash: it makes no requests, and runs
        nothing.
    """
    drawing = _Drawing(None if full else _CUT)
    drawn = [drawing.chat(*each) for each in zip(titles(chats), chats, strict=True)]
    differs = any(chat.differs for chat in chats)
    sides = (("A", a, [chat.a for chat in chats]), ("B", b, [chat.b for chat in chats]))
    body = Template(part(__package__, "beside.html")).substitute(
        runs="\n".join(
            f'<tr><th scope="row">{side}</th><td>{said(escaped(name))}</td><td>{size(runs)}</td></tr>'
            for side, name, runs in sides
        ),
        flaws="\n".join(f'<p class="flaw" role="note">{said(escaped(flaw))}</p>' for flaw in flaws),
        only=" checked" if differs else "",
        all="" if differs else " checked",
        chats="\n".join(drawn),
        notes=" ".join(drawing.notes()),
    )
    return document("inspect", f"{a} and {b}", body, style=part(__package__, "beside.css"))


class _Drawing:
    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._left = _MOST_TEXT
        self._left_out = self._pairs = 0

    def chat(self, title: str, comparison: Comparison) -> str:
        """Draw a pair of chats. A pair that is alone has no title."""
        sentences = "\n".join(f"<p>{said(sentence)}</p>" for sentence in summary(comparison))
        turns = self._turns(comparison, "h3" if title else "h2")
        drawn = "\n".join(filter(None, (f'<div class="summary">\n{sentences}\n</div>', *turns)))
        if not title:
            return drawn
        return f'<section class="chat" aria-label="{title}">\n<h2>{title}</h2>\n{drawn}\n</section>'

    def _turns(self, comparison: Comparison, heading: str) -> Iterator[str]:
        if comparison.a is None or comparison.b is None:
            return  # the summary has said it
        yield self._turn("Settings", TurnPair(None, None, (comparison.settings,)), heading)
        for turn in comparison.turns:
            yield self._turn(turn.title[:1].upper() + turn.title[1:], turn, heading)

    def notes(self) -> Iterator[str]:
        yield "− is what A has, + is what B has, ~ is what differs from run to run and is not compared."
        yield "Tokens, cookies and hashes are stand-ins: the recordings never contained them."
        yield "(+N) is the number of characters left out."
        if self._pairs > _MOST_PAIRS:
            yield f"The last {self._pairs - _MOST_PAIRS:,} steps are left out: {_MOST_PAIRS:,} are drawn."
        if self._left_out:
            yield f"{self._left_out:,} values are left out: {_MOST_TEXT:,} characters are drawn."

    def _turn(self, title: str, turn: TurnPair, heading: str) -> str:
        steps = "\n".join(filter(None, map(self._pair, turn.pairs)))
        if not steps:
            return ""
        same = "" if any(pair.differs for pair in turn.pairs) else " same"
        question = next((pair.step for pair in turn.pairs if pair.step.title == "ask"), None)
        asked = "" if question is None else f"<span>{said(escaped(cut(brief(question), _CUT_LINE)))}</span>"
        return (
            f'<section class="turn{same}" aria-label="{title}">\n'
            f'<{heading} class="asked"><small>{title}</small>{asked}</{heading}>\n'
            '<p class="sides" aria-hidden="true"><span></span><span>A</span><span>B</span></p>\n'
            f"<ol>\n{steps}\n</ol>\n</section>"
        )

    def _pair(self, pair: Pair) -> str:
        self._pairs += 1
        if self._pairs > _MOST_PAIRS:
            return ""
        same = "" if pair.differs else " same"
        opened = " open" if pair.differs and not pair.is_alone else ""
        sides = "".join(self._side(side, step is not None, pair) for side, step in (("A", pair.a), ("B", pair.b)))
        found = rows(pair.a, pair.b)
        table = ""
        if found:
            body = "".join(map(self._row, found) if not pair.is_alone else map(self._only, found))
            table = f'<table class="facts">{_COLUMNS}<tbody>{body}</tbody></table>'
        where = f'<p class="where">{said(place(None, pair))}</p>'
        return (
            f'<li class="pair{same}"><details{opened}><summary><span class="verdict">{_verdict(pair)}</span>'
            f"{sides}</summary>{table}{where}</details></li>"
        )

    def _side(self, side: str, is_there: bool, pair: Pair) -> str:
        if not is_there:
            return f'<span class="side none"><span class="which">{side}: </span>(nothing)</span>'
        title = said(escaped(cut(pair.step.title, _CUT_LINE)))
        about = said(escaped(cut(brief(pair.step), _CUT_LINE))) if pair.is_alone else ""
        what = f"<b>{title}</b>" + (f' <span class="more">{about}</span>' if about else "")
        if pair.is_alone:
            mark = "del" if side == "A" else "ins"
            what = f"<{mark}>{what}</{mark}>"
        return f'<span class="side"><span class="which">{side}: </span>{what}</span>'

    def _only(self, row: Row) -> str:
        """Draw a fact of a step that only one run has: the step is marked, not each fact."""
        a, b = ("" if value is None else self._text(value) for value in (row.a, row.b))
        return f'<tr><th scope="row">{self._text(label(row))}</th><td>{a}</td><td>{b}</td></tr>'

    def _row(self, row: Row) -> str:
        if row.how in ("same", "nature"):
            mark = '<span class="kind">~ </span>' if row.how == "nature" else ""
            note = f' <span class="kind">({said(row.nature)})</span>' if row.how == "nature" else ""
            a, b = (f"{mark}{self._text(value)}" if value is not None else "" for value in (row.a, row.b))
        else:
            note = ""
            a, b = self._marked(row)
        name = self._text(label(row))
        return f'<tr class="{row.how}"><th scope="row">{name}{note}</th><td>{a}</td><td>{b}</td></tr>'

    def _marked(self, row: Row) -> Iterator[str]:
        """Mark what differs: in two values, the words between what they have in common."""
        start, end = (0, 0) if row.a is None or row.b is None or row.how == "moved" else common_ends(row.a, row.b)
        for value, mark in ((row.a, "del"), (row.b, "ins")):
            if value is None:
                yield ""
                continue
            middle = value[start : len(value) - end]
            after = value[len(value) - end :] if end else ""
            yield (
                f"{self._text(value[:start], from_end=True)}"
                f"<{mark}>{self._text(middle) or '(nothing)'}</{mark}>{self._text(after)}"
            )

    def _text(self, text: str, *, from_end: bool = False) -> str:
        if not text:
            return ""
        if self._limit is not None and len(text) > self._limit:
            text = f"(+{len(text) - self._limit:,}) …{text[-self._limit :]}" if from_end else cut(text, self._limit)
        if len(text) + _MARKUP > self._left:
            self._left = 0  # leave out all texts after the first that doesn't fit
            self._left_out += 1
            return "(left out)"
        self._left -= len(text) + _MARKUP
        return said(text)


def _verdict(pair: Pair) -> str:
    if pair.is_alone:
        return f"only in {'A' if pair.b is None else 'B'}"
    if pair.a is None or pair.b is None:
        return f"~ only in {'A' if pair.b is None else 'B'} ({said(pair.step.nature)})"
    count = len(pair.changes)
    return f"{count:,} difference{'' if count == 1 else 's'}" if count else "the same"
