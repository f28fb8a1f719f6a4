"""The timeline as one self-contained page: it needs no network, and can be read without scripts.

All text from outside goes through `said`: it is text in the page and nothing else, whatever it contains.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise, zip_longest
from string import Template

import msgspec

from .._document import document, part, said
from .._text import escaped
from ._texts import cut
from ._timeline import Detail, Entry, Kind, Timeline, titles

_CUT = 4_000
"""The most characters of a text in the details."""
_CUT_LINE = 300
"""The most characters of an entry's line."""
_MOST_ENTRIES = 20_000
"""The most entries that are drawn; browsers get slow with more."""
_MOST_TEXT = 8 * 1024 * 1024
"""The most characters of all details together, including their markup."""
_MARKUP = 20

_INSTANT = 1e-6
"""Seconds; the minimum duration with which a run is drawn."""

_THINNEST = 0.25
"""Percent; the minimum width of a bar, so that it stays visible."""

_LETTER, _MARGIN = 0.6, 0.4
"""Percent; the width of a letter on a page of the usual width, and the space around a label."""

_KINDS: dict[Kind, str] = {
    "calls": "Calls",
    "requests": "Requests",
    "chunks": "Chunks",
    "events": "Events",
    "waits": "Waits",
    "challenges": "Challenges",
    "states": "States",
    "errors": "Errors",
}


def page(timelines: Sequence[Timeline], name: str, *, full: bool = False) -> str:
    """Make the page.

    Args:
        timelines: the chats of the run.
        name: the transcript's name.
        full: whether to include texts uncut.

    Returns:
        HTML. Its content security policy allows only its own style and script, by their hashes: it makes no requests.
    """
    whole, timelines = timelines, _bounded(timelines)
    entries = [entry for timeline in timelines for entry in timeline.entries]
    left_out = sum(len(timeline.entries) for timeline in whole) - len(entries)
    parties = ["caller", "session", "service"]
    if any("solver" in (entry.source, entry.target) for entry in entries):
        parties.append("solver")
    solver = " has-solver" if "solver" in parties else ""
    rows = _Rows(None if full else _CUT)
    charts: list[str] = []
    turns: list[str] = []
    drawn = 0
    for title, timeline in zip(titles(whole), timelines, strict=True):
        charts.append(_Chart(timeline, drawn).drawn(title))
        turns += rows.turns(timeline, title.partition(",")[0], solver)
        drawn += len(timeline.entries)
    notes = [*_notes(whole)]
    if left_out:
        notes.append(f"The last {left_out:,} entries are left out: {_MOST_ENTRIES:,} are drawn.")
    if rows.left_out:
        notes.append(f"{rows.left_out:,} texts of details are left out: {_MOST_TEXT:,} characters are drawn.")
    body = Template(part(__package__, "page.html")).substitute(
        name=said(escaped(name)),
        facts="\n".join(f"<div><dt>{label}</dt><dd>{said(value)}</dd></div>" for label, value in _facts(whole)),
        flaws="\n".join(f'<p class="flaw" role="note">{said(escaped(flaw))}</p>' for flaw in _flaws(whole)),
        charts="\n".join(charts),
        kinds="\n".join(_boxes(entries)),
        parties="".join(f'<span class="{party}">{party}</span>' for party in parties),
        solver=solver,
        turns="\n".join(turns),
        notes=" ".join(notes),
    )
    return document("inspect", name, body, style=part(__package__, "page.css"), script=part(__package__, "page.js"))


def _line(text: str, limit: int) -> str:
    """Return the beginning of a text in one line, and the number of characters left out."""
    return escaped(cut(text, limit))


def _bounded(timelines: Sequence[Timeline]) -> Sequence[Timeline]:
    """Return the chats with as many of their entries as are drawn."""
    left, found = _MOST_ENTRIES, []
    for timeline in timelines:
        found.append(msgspec.structs.replace(timeline, entries=timeline.entries[:left]))
        left -= len(found[-1].entries)
    return found


def _flaws(timelines: Sequence[Timeline]) -> Iterator[str]:
    """Yield each flaw once: damage ends every chat."""
    yield from dict.fromkeys(flaw for timeline in timelines for flaw in timeline.flaws)


def _facts(timelines: Sequence[Timeline]) -> Iterator[tuple[str, str]]:
    entries = [entry for timeline in timelines for entry in timeline.entries]
    turns = sum(entry.kind == "calls" and entry.title == "ask" for entry in entries)
    errors = sum(entry.kind == "errors" for entry in entries)
    first = timelines[0].began
    took = max(max(0.0, timeline.began - first) + timeline.seconds for timeline in timelines)
    yield "Service", escaped(timelines[0].origin)
    if len(timelines) > 1:
        yield "Chats", f"{len(timelines):,}"
    yield "Turns", f"{turns:,}"
    yield "Requests", f"{sum(timeline.requests for timeline in timelines):,}"
    yield "Received", f"{sum(timeline.received for timeline in timelines):,} bytes"
    yield "Took", f"{took:.3f} s"
    yield "Waiting", f"{sum(timeline.waited for timeline in timelines):.3f} s"
    if errors:
        yield "Errors", f"{errors:,}"
    ends = dict.fromkeys("not known" if timeline.state is None else timeline.state.name for timeline in timelines)
    yield "Ends", ", ".join(ends)


def _notes(timelines: Sequence[Timeline]) -> Iterator[str]:
    yield "Tokens, cookies and hashes are stand-ins: the recording never contained them."
    if timelines[0].blanked:
        yield "Questions and replies were blanked in it too."
    yield "After a cut text, (+N) is the number of characters left out."


def _boxes(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield a checkbox for each kind, because the style sheet refers to all of them."""
    counts = Counter(entry.kind for entry in entries)
    for kind, name in _KINDS.items():
        hidden = "" if counts[kind] else " hidden"
        box = f'<input type="checkbox" id="show-{kind}" checked>'
        yield f"<label{hidden}>{box}{name} <b>{counts[kind]:,}</b></label>"


class _Rows:
    """The list of entries."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._left = _MOST_TEXT
        self.left_out = 0
        self._longest = 0.0
        self._at = ""
        self._index = 0

    def turns(self, timeline: Timeline, chat: str, solver: str) -> Iterator[str]:
        """Yield the turns of a chat. Its name is empty if it is alone."""
        self._longest = max(((entry.until or 0.0) - entry.at for entry in timeline.entries), default=0.0)
        self._at = ""
        number = 0
        for entries in timeline.turns:
            question = next((entry for entry in entries if entry.kind == "calls" and entry.title == "ask"), None)
            number += question is not None
            title = "Before the first question" if question is None else f"Turn {number}"
            title = f"{chat}: {title[0].lower()}{title[1:]}" if chat else title
            asked = "" if question is None else f"<span>{said(_line(question.text, _CUT_LINE))}</span>"
            yield f'<section class="turn{solver}" aria-label="{title}">\n<h2><small>{title}</small>{asked}</h2>\n<ol>'
            yield from map(self._entry, entries)
            yield "</ol>\n</section>"

    def _entry(self, entry: Entry) -> str:
        at = f"{entry.at:.3f}"
        same, self._at = " same" if at == self._at else "", at
        bad = " bad" if entry.bad else ""
        anchor = f"e{self._index}"
        self._index += 1
        way = "" if entry.source == entry.target else f"{entry.source} to {entry.target}"
        lanes = f'<span class="lanes {entry.source}-{entry.target}" aria-hidden="true"><i></i></span>'
        what = f'<span class="what"><span class="way">{way}</span>{self._what(entry)}</span>'
        summary = f'<summary><span class="at{same}">{at}</span>{lanes}{what}</summary>'
        body = "".join(map(self._detail, entry.details)) + f'<p class="where">Line {entry.line} of the transcript</p>'
        return (
            f'<li class="entry {entry.kind}{bad}" id="{anchor}" data-kind="{entry.kind}"><details>{summary}'
            f'<div class="details">{body}</div></details></li>'
        )

    def _what(self, entry: Entry) -> str:
        title, text = _line(entry.title, _CUT_LINE), _line(entry.text, _CUT_LINE)
        if entry.kind == "chunks" and entry.title == "chunk":
            title = f"{entry.size:,} byte{'' if entry.size == 1 else 's'}"
        if entry.title in ("ask", "TextDelta"):
            text = f"“{text}”"
        if entry.kind == "states":
            text = ""  # the details explain the states
        length = ""
        if entry.until is not None and self._longest:
            part = 100 * (entry.until - entry.at) / self._longest
            length = (
                '<svg class="length" aria-hidden="true"><rect width="100%" height="100%" rx="2"/>'
                f'<rect width="{part:.2f}%" height="100%" rx="2"/></svg>'
            )
        more = f' <span class="more">{length}{said(text)}</span>' if text else ""
        return f"<b>{said(title)}</b>{more}"

    def _detail(self, detail: Detail) -> str:
        parts = [f"<h3>{said(escaped(detail.label))}</h3>"]
        if detail.fields:
            fields = (f"<dt>{self._text(name)}</dt><dd>{self._text(value)}</dd>" for name, value in detail.fields)
            parts.append(f"<dl>{''.join(fields)}</dl>")
        if detail.text:
            parts.append(f"<pre>{self._text(detail.text)}</pre>")
        return "".join(parts)

    def _text(self, text: str) -> str:
        text = text if self._limit is None else cut(text, self._limit)
        if len(text) + _MARKUP > self._left:
            self._left = 0  # leave out all texts after the first that doesn't fit
            self.left_out += 1
            return "(left out)"
        self._left -= len(text) + _MARKUP
        return said(text)


class _Chart:
    """The overview: a lane for each party, and one for waits, over time.

    All lengths are percentages, so that it fills the available width without stretching its letters.
    """

    _LANES = ("caller", "session", "service", "waits")
    _TOP, _LANE, _BAR = 24, 30, 18
    _HEIGHT = 156

    def __init__(self, timeline: Timeline, first: int) -> None:
        self._entries = timeline.entries
        self._first = first  # the page's number of the first entry
        self._seconds = max(timeline.seconds, _INSTANT)
        self._places: list[float] = []
        self._end = 100.0

    def drawn(self, title: str) -> str:
        """Draw both. A chat that is alone has no title."""
        return Template(part(__package__, "chart.html")).substitute(
            title=f"<h3>{title}</h3>\n" if title else "", scaled=self.scaled(), compressed=self.compressed()
        )

    def scaled(self) -> str:
        """Draw the overview with time to scale."""
        total = self._seconds
        self._places = [100 * entry.at / total for entry in self._entries]
        step = _nice(total / 8)
        ticks = [(100 * number * step / total, f"{number * step:g} s") for number in range(int(total / step) + 1)]
        return self._draw("scaled", ticks, "Overview, time to scale")

    def compressed(self) -> str:
        """Draw the overview with a step for each entry, and compressed pauses."""
        places, ticks = [0.0], [(0.0, "0 s")]
        for before, entry in pairwise(self._entries):
            passed = entry.at - before.at
            places.append(places[-1] + 1 + 4 * math.log1p(10 * passed))
            if passed and places[-1] - ticks[-1][0] > 0:
                ticks.append((places[-1], f"{entry.at:.4g} s"))
        total = places[-1] + 1
        self._places = [100 * place / total for place in places]
        kept: list[tuple[float, str]] = []
        for place, label in ticks:
            if not kept or 100 * place / total - kept[-1][0] > 7:
                kept.append((100 * place / total, label))
        return self._draw("compressed", kept, "Overview, a step for each entry")

    def _draw(self, name: str, ticks: Sequence[tuple[float, str]], label: str) -> str:
        width = "100%" if len(self._entries) < 400 or name == "scaled" else str(3 * len(self._entries))
        parts = [f'<svg class="{name}" width="{width}" height="{self._HEIGHT}" role="group" aria-label="{label}">']
        parts.append('<g class="axis" aria-hidden="true">')
        for place, text in ticks:
            anchor = ' text-anchor="end"' if place > 97 else ""
            parts.append(f'<line x1="{place:.3f}%" x2="{place:.3f}%" y1="18" y2="{self._HEIGHT}"/>')
            parts.append(f'<text x="{place:.3f}%" y="13"{anchor}>{text}</text>')
        parts.append("</g>")
        parts += self._states()
        parts += self._exchanges()
        parts += self._waits()
        parts += self._marks()
        return "".join([*parts, "</svg>"])

    def _states(self) -> Iterator[str]:
        moves = [index for index, entry in enumerate(self._entries) if entry.kind == "states"]
        for index, after in zip_longest(moves, moves[1:]):
            state = self._entries[index].title.rpartition(" ")[2]
            yield self._bar(index, self._place(after), "session", f"s {state}", (state,), state)

    def _exchanges(self) -> Iterator[str]:
        """Yield a bar for each request, from sending it to the last data of its response."""
        sent: int | None = None
        last = 0
        for index, entry in enumerate((*self._entries, None)):
            is_request = entry is not None and entry.kind == "requests" and entry.source == "session"
            if sent is not None and (entry is None or is_request):
                yield self._exchange(sent, last)
                sent = None
            if is_request:
                sent = last = index
            elif entry is not None and entry.source == "service":
                last = index

    def _exchange(self, sent: int, last: int) -> str:
        request = self._entries[sent]
        answers = self._entries[sent + 1 : last + 1]
        status = next((each.title for each in answers if each.kind == "requests"), "no response")
        bad = any(each.bad and each.source == "service" for each in answers)
        text = _line(f"{request.title} {request.text.partition('?')[0]}", 60)
        classes = "x bad" if bad else "x"
        return self._bar(sent, self._place(last), "service", classes, (f"{status} {text}", status), f"{text}: {status}")

    def _waits(self) -> Iterator[str]:
        times = [entry.at for entry in self._entries]  # they never go back
        for index, entry in enumerate(self._entries):
            if entry.kind == "waits" and entry.until is not None:
                later = bisect_left(times, entry.until, lo=index + 1)
                after = later if later < len(times) else None
                label = f"{entry.until - entry.at:.3g} s"
                yield self._bar(index, self._place(after), "waits", "w", (label,), f"wait {entry.text}")

    def _marks(self) -> Iterator[str]:
        y = self._y("caller") + self._BAR / 2
        for index, entry in enumerate(self._entries):
            if "caller" in (entry.source, entry.target) or (entry.kind == "errors" and entry.target == entry.source):
                bad = " bad" if entry.bad else ""
                text = said(_line(f"{entry.title} {entry.text[:80]}", 80))
                radius = 3 if entry.title == "TextDelta" else 5
                yield (
                    f'<a class="e {entry.kind}{bad}" href="#e{self._first + index}" aria-label="{text}">'
                    f"<title>{text}</title>"
                    f'<circle cx="{self._places[index]:.3f}%" cy="{y}" r="{radius}"/></a>'
                )

    def _bar(self, index: int, end: float, lane: str, classes: str, labels: tuple[str, ...], title: str) -> str:
        """Draw a bar with the first of its labels that fits."""
        begin = self._places[index]
        width, y = max(_THINNEST, end - begin), self._y(lane)
        thin = " thin" if width == _THINNEST else ""
        text = said(title)
        bar = f'<rect x="{begin:.3f}%" y="{y}" width="{width:.3f}%" height="{self._BAR}"/>'
        label = next((label for label in labels if _LETTER * len(label) + _MARGIN < width), "")
        if label:
            bar += (
                f'<svg x="{begin:.3f}%" y="{y}" width="{width:.3f}%" height="{self._BAR}" aria-hidden="true">'
                f'<text x="4" y="13">{said(label)}</text></svg>'
            )
        link = f'<a class="{classes}{thin}" href="#e{self._first + index}" aria-label="{text}">'
        return f"{link}<title>{text}</title>{bar}</a>"

    def _place(self, index: int | None) -> float:
        return 100.0 if index is None else self._places[index]

    def _y(self, lane: str) -> int:
        return self._TOP + self._LANE * self._LANES.index(lane) + (self._LANE - self._BAR) // 2


def _nice(step: float) -> float:
    """Round a step up to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= step * 0.999)
