"""Draws the pictures that need no Graphviz: the layers, and turns as sequences, taken from runs of the code.

``python docs/pictures.py`` writes ``layers.svg``, ``turn.svg`` and ``shared-turn.svg`` beside itself. The same code
gives the same bytes, so a test can tell whether they are current by drawing them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from itertools import count, groupby
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ddg_protocol import DUCKDUCKGO_2025_04, SendRequest, Session, Signal, TextDelta, Wait
from ddg_protocol.coordination import (
    Call,
    Claim,
    Claimed,
    Commit,
    Coordinate,
    Coordination,
    Mark,
    MemoryEngine,
    Reserve,
    Result,
    Slot,
)
from ddg_protocol.service import Service
from ddg_protocol.session import Action
from ddg_protocol.testing import Clock, Run

HERE = Path(__file__).parent

STYLE = """
  :root { --ground: #fff; --ink: #1d2433; --soft: #5a6478; --line: #5b7db1; --box: #eef3fb; --pure: #e9f5ec;
          --pure-line: #5a9a6c; --note: #fdf4e3; --note-line: #c9a24b }
  @media (prefers-color-scheme: dark) {
    :root { --ground: #161a22; --ink: #e6e9f0; --soft: #a4adbf; --line: #7f9fd0; --box: #222b3b; --pure: #1d2f24;
            --pure-line: #74b587; --note: #332b1a; --note-line: #c9a24b } }
  text { font: 13px Helvetica, Arial, sans-serif; fill: var(--ink) }
  .title { font-weight: bold; font-size: 14px } .code { font: 12px Menlo, Consolas, monospace }
  .soft { fill: var(--soft); font-size: 12px } .right { text-anchor: end } .middle { text-anchor: middle }
  .ground { fill: var(--ground) } .band { fill: var(--box); stroke: var(--line) }
  .pure { fill: var(--pure); stroke: var(--pure-line) } .part { fill: var(--ground); stroke: var(--line) }
  .pure-part { fill: var(--ground); stroke: var(--pure-line) }
  .note { fill: var(--note); stroke: var(--note-line) }
  .arrow { stroke: var(--line); stroke-width: 1.4; fill: none; marker-end: url(#head) }
  .life { stroke: var(--soft); stroke-dasharray: 3 4 } #head path { fill: var(--line) }
"""


def svg(width: int, height: int, title: str, parts: Iterable[str]) -> str:
    """Put the parts of a picture into one file."""
    body = "\n".join(parts)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">
<title>{escape(title)}</title>
<style>{STYLE}</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0L8 4L0 8z"/></marker></defs>
{box(0, 0, width, height, "ground")}
{body}
</svg>
"""


def box(x: int, y: int, width: int, height: int, kind: str) -> str:
    """Draw a rectangle."""
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" class="{kind}"/>'


def text(x: int, y: int, words: str, kind: str = "") -> str:
    """Write a line."""
    return f'<text x="{x}" y="{y}" class="{kind}">{escape(words)}</text>'


def arrow(x1: int, y1: int, x2: int, y2: int) -> str:
    """Draw an arrow."""
    return f'<path d="M{x1} {y1}L{x2} {y2}" class="arrow"/>'


# The layers

#: Each layer: its package, what it is, its parts with what they are; from the top.
LAYERS: tuple[tuple[str, str, tuple[tuple[tuple[str, str], ...], ...]], ...] = (
    ("your program", "or ddg_chat, the command line", ()),
    (
        "ddg_transports",
        "what touches the world: opens, sends, reads, sleeps, closes; decides nothing",
        (
            (
                ("blocking.Client", "sockets, ssl"),
                ("anyio.AsyncClient", "asyncio and trio"),
                ("emulator", "the service on a port"),
            ),
            (
                ("httpcore", "pools, proxies, HTTP/2"),
                ("transport", "one of your own"),
                ("testing", "its contract, as checks"),
            ),
        ),
    ),
    (
        "ddg_protocol",
        "pure: no I/O, no clock, no chance, no logging; decides everything",
        (
            (("wire.WireSession", "bytes in, bytes out (h11)"), ("service.Service", "the other side, as pure")),
            (("Session", "requests out, response bytes in, events out"), ("testing, transcript", "tools for tests")),
            (
                ("handshake", "pages, tokens, cookies"),
                ("challenge", "x-vqd-hash-1"),
                ("sse, chat", "the reply's stream"),
                ("conversation", "a value, as JSON"),
            ),
        ),
    ),
)


def layers() -> str:
    """Draw the layers."""
    return svg(780, 522, "The layers of ddg-protocol; arrows point down only", _layers())


def _layers() -> Iterator[str]:
    y = 14
    for number, (package, what, rows) in enumerate(LAYERS):
        height = 50 + 58 * len(rows)
        kind = "pure" if number == len(LAYERS) - 1 else "band"
        yield box(14, y, 752, height, kind)
        name = f'<tspan class="title">{package}</tspan>'
        yield f'<text x="30" y="{y + 30}">{name}<tspan dx="14">{escape(what)}</tspan></text>'
        for row, parts in enumerate(rows):
            width = (720 - 12 * (len(parts) - 1)) // len(parts)
            for column, (name, about) in enumerate(parts):
                x, top = 30 + column * (width + 12), y + 46 + 58 * row
                yield box(x, top, width, 48, "part" if kind == "band" else "pure-part")
                yield text(x + 12, top + 20, name, "code")
                yield text(x + 12, top + 38, about, "soft")
        y += height
        if number < len(LAYERS) - 1:
            yield arrow(390, y, 390, y + 26)
            yield text(402, y + 18, ("asks, takes events", "told what came, asked what is next")[number], "soft")
            y += 28


# A turn


class Step(NamedTuple):
    """One line of the sequence."""

    source: int
    target: int
    text: str
    seconds: float


class Noted(Session):
    """A session that notes what goes in and out of it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.steps: list[Step] = []
        self.is_tentative = "coordination" in settings

    def ask(self, messages: Any, *, now: float, **options: Any) -> None:
        """See `Session.ask`."""
        super().ask(messages, now=now, **options)
        self.steps.append(Step(CALLER, SESSION, f"ask({messages!r})", now))

    def next_action(self, *, now: float) -> Action:
        """See `Session.next_action`."""
        action = super().next_action(now=now)
        match action:
            case SendRequest():
                headers = dict(action.headers)
                answer = "x-vqd-hash-1: " + ("the answer" if headers.get("x-vqd-hash-1") else "empty")
                url = urlsplit(action.url)
                words = f"{action.method} {url.path}" + (f"?{url.query[:12]}…" if url.query else "")
                words += f"  {answer}" if "x-vqd-hash-1" in headers else ""
                self.steps.append(Step(SESSION, SERVICE, words, now))
            case Wait():
                self.steps.append(Step(SESSION, SESSION, f"Wait: {action.until - now:.1f} s, {action.reason}", now))
            case Signal() | Coordinate():
                pass
            case TextDelta() if self.is_tentative:
                self.steps.append(Step(SESSION, CALLER, "TextDelta, tentative", now))
            case event:
                self.steps.append(Step(SESSION, CALLER, type(event).__name__, now))
        return action

    def receive_head(self, request: SendRequest, status: int, headers: Any, *, now: float) -> None:
        """See `Session.receive_head`."""
        super().receive_head(request, status, headers, now=now)
        names = [name for name, _ in headers]
        brought = [name for name in ("set-cookie", "x-vqd-4", "x-vqd-hash-1") if name in names]
        stream = ["event stream"] if ("content-type", "text/event-stream") in headers else []
        self.steps.append(Step(SERVICE, SESSION, f"{status}  {', '.join(stream + brought)}", now))

    def coordinated(self, intent: Coordinate, result: Result, *, asked: float, now: float) -> None:
        """See `Session.coordinated`."""
        super().coordinated(intent, result, asked=asked, now=now)
        self.steps.append(Step(SESSION, ENGINE, said(intent.call), asked))
        self.steps.append(Step(ENGINE, SESSION, said(result), now))


def said(value: Call | Result) -> str:
    """Write a call or a result, with what tells it from others of its kind."""
    match value:
        case Claim(turn=turn):
            return f"Claim  turn {turn!r}" if turn else "Claim"
        case Claimed(revision=revision):
            return f"Claimed  a fence, revision {revision}"
        case Reserve(need=need):
            return f"Reserve  need {need}"
        case Slot(delay=delay, final=final):
            return f"Slot  {'final' if final else 'not final'}, in {delay:.2f} s"
        case Mark() | Commit():
            return f"{type(value).__name__}  by that fence"
    return type(value).__name__


CALLER, SESSION, SERVICE, ENGINE = range(4)
LANES = ((110, "caller"), (330, "Session, and its driver"), (690, "service"))
SHARED_LANES = ((90, "caller"), (290, "Session, and its driver"), (770, "service"), (530, "engine"))


def turn() -> str:
    """Draw the first turn with a service that asks for the answer to its challenge."""
    session = Noted()
    Run(session, Service(challenge=True)).ask("Why is the sky blue?")
    steps = [(step, len(list(same))) for step, same in groupby(session.steps)]
    parts = _turn(steps, session.steps[0].seconds, LANES)
    return svg(800, 84 + 30 * len(steps), "The first turn, challenge included", parts)


def shared_turn() -> str:
    """Draw a turn that waits for another client's request, in a conversation that an engine keeps."""
    clock = Clock(1000.0)
    engine = MemoryEngine(lambda: clock.now)
    numbers = count()
    settings: dict[str, Any] = {
        "profile": DUCKDUCKGO_2025_04,
        "random_bytes": lambda length: next(numbers).to_bytes(length),
        "coordination": Coordination(key="c"),
    }
    service = Service()
    Run(Session(**settings), service, clock=clock, engine=engine).ask("Why is the sky blue?", turn="1")
    clock.now += 0.5
    session = Noted(**settings)
    Run(session, service, clock=clock, engine=engine).ask("And at night?", turn="2")
    steps = [(step, len(list(same))) for step, same in groupby(session.steps)]
    parts = _turn(steps, session.steps[0].seconds, SHARED_LANES)
    return svg(920, 84 + 30 * len(steps), "A turn across session, engine and service", parts)


def _turn(steps: list[tuple[Step, int]], begin: float, lanes: tuple[tuple[int, str], ...]) -> Iterator[str]:
    bottom = 66 + 30 * len(steps)
    for x, name in lanes:
        width = 190 if x - 95 > 0 else 150
        yield f'<path d="M{x} 44V{bottom}" class="life"/>'
        yield box(x - width // 2, 14, width, 30, "pure" if x == lanes[SESSION][0] else "band")
        yield text(x, 34, name, "title middle")
    y = 44
    for step, times in steps:
        y += 30
        source, target = lanes[step.source][0], lanes[step.target][0]
        words = step.text + (f" × {times}" if times > 1 else "")
        if source == target:
            yield box(source - 95, y - 16, 190, 24, "note")
            yield text(source, y, words, "middle soft")
        else:
            yield arrow(source, y + 4, target, y + 4)
            kind = "middle" if step.source == SERVICE else "middle code"
            yield text((source + target) // 2, y - 2, words, kind)
        yield text(lanes[SERVICE][0] + 105, y + 4, f"{step.seconds - begin:.1f} s", "soft right")


PICTURES: Mapping[str, Callable[[], str]] = {"layers.svg": layers, "turn.svg": turn, "shared-turn.svg": shared_turn}


def draw() -> None:
    """Write the pictures."""
    for name, make in PICTURES.items():
        (HERE / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    draw()
