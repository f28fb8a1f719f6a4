"""The results as one self-contained page, without scripts: it needs no network.

All text from outside goes through `said`: it is text in the page and nothing else, whatever it contains.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from string import Template
from typing import get_args

from ddg_transports.testing.scenarios import FAMILIES, Kind

from .._document import document, part, said
from .._text import escaped
from ._report import Line, Report

_KINDS: tuple[Kind, ...] = get_args(Kind)


def page(report: Report) -> str:
    """Make the page.

    Args:
        report: the results.

    Returns:
        HTML. Its content security policy allows only its own style, by its hash: it loads nothing, and runs nothing.
    """
    counts = Counter(line.verdict for line in report.results)
    families = {family: [line for line in report.results if _family(line) == family] for family in FAMILIES}
    families = {family: lines for family, lines in families.items() if lines}
    body = Template(part(__package__, "page.html")).substitute(
        program=said(escaped(report.program)),
        counts="\n".join(f'<li class="{_class(kind)}"><b>{counts[kind]}</b> {kind}</li>' for kind in _KINDS),
        when=f"{said(report.began)} UTC, in {report.seconds:.0f} s, by ddg-protocol {said(report.version)}",
        families="\n".join(_entry(family, lines) for family, lines in families.items()),
        sections="\n".join(_section(family, lines) for family, lines in families.items()),
    )
    return document("check", report.program, body, style=part(__package__, "page.css"))


def _prose(text: str) -> str:
    """Return a sentence of a scenario, with its code words marked."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", said(text))


def _family(line: Line) -> str:
    return line.name.partition("/")[0]


def _class(kind: str) -> str:
    return kind.replace(" ", "-")


def _entry(family: str, lines: Sequence[Line]) -> str:
    right, wrong = (sum(line.verdict == kind for line in lines) for kind in ("right", "wrong"))
    bad = f' <span class="bad">{wrong} wrong</span>' if wrong else ""
    return f'<li><a href="#{family}">{family}</a>{bad} <span>{right} of {len(lines)} right</span></li>'


def _section(family: str, lines: Sequence[Line]) -> str:
    scenarios = "\n".join(map(_scenario, lines))
    return f'<section id="{family}">\n<h2>{family}<small>{FAMILIES[family]}</small></h2>\n{scenarios}\n</section>'


def _scenario(line: Line) -> str:
    kind = _class(line.verdict)
    why = said(": ".join(filter(None, (line.mistake, line.why))))
    why = f'<span class="why">{why}</span>' if why else ""
    took = f"{line.seconds:.1f} s" if line.seconds else ""
    return (
        f'<details class="scenario {kind}" id="{line.name}"{" open" if kind == "wrong" else ""}>'
        f'<summary><span class="verdict">{line.verdict}</span>'
        f'<span class="name">{said(line.name.partition("/")[2])}{why}'
        f'</span><span class="took">{took}</span></summary>'
        f'<div class="more">{"".join(_more(line))}</div></details>'
    )


def _more(line: Line) -> Iterator[str]:
    yield f"<p>{_prose(line.does)} {_prose(line.owes)}</p>"
    code = "" if not line.seconds else "; it was stopped" if line.code is None else f"; exit code {line.code}"
    yield f'<p class="section">Section {line.section}{code}</p>'
    for heading, text in (("On standard output", line.printed), ("On standard error", line.said)):
        if text.strip():
            yield f"<h3>{heading}</h3><pre>{said(text)}</pre>"
    if line.requests:
        requests = (
            f"<li><b>{request.at:.2f} s</b>{said(escaped(f'{request.method} {request.target}'))} {request.status}"
            f"{f' <i>{said(escaped(request.note))}</i>' if request.note else ''}</li>"
            for request in line.requests
        )
        yield f'<h3>What the service saw</h3><ol class="requests">{"".join(requests)}</ol>'
