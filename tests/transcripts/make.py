"""Makes the transcripts of this folder: the service, face to face with a session, and what each run is about.

    python tests/transcripts/make.py

Replaying them shows whether today's core still does what it did when they were made; make them anew only where it is
meant to do something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ddg_protocol import ClientState, DuckChatError, Policy, Session, SolveChallenge, TextDelta
from ddg_protocol.service import Fault, Question, Service
from ddg_protocol.service import faults as f
from ddg_protocol.testing import Clock, Run, every, split_at
from ddg_protocol.transcript import RecordedSession, Recording
from ddg_protocol.wire import WireSession

FOLDER = Path(__file__).parent
SERVICES: dict[str, Service] = {}
"""By the transcript's name, the service that it was made with."""

GZIPPED_PAGE = Fault("front_end", (f.Coding("gzip"),))


def replies(question: Question) -> Iterator[str]:
    yield from ("You ", "said: ", question.text, " ☃", "\n", '"quoted" \\ and so on')


def service(name: str, *script: Fault, **settings: object) -> Service:
    SERVICES[name] = Service(responder=replies, script=(GZIPPED_PAGE, *script), seed=name, **settings)  # type: ignore[arg-type]
    return SERVICES[name]


def two_turns(write: Callable[[str], object]) -> None:
    """Two turns, as they are when all is well; the delays of the service show in the times."""
    run = Run(RecordedSession(Session(), write), service("two-turns", delay=0.05), clock=Clock(100.0))
    run.ask("Why is the sky blue?")
    run.ask("And at night?", model="o3-mini")


def challenge(write: Callable[[str], object]) -> None:
    """The service asks for the answer to its challenge; texts are blanked."""
    session = RecordedSession(Session(), write, redact_texts=True)
    run = Run(session, service("challenge", challenge=True), clock=Clock(100.0), chunks=every(100))
    run.ask("A secret question: what is 1 + 1?")
    run.ask(
        [{"role": "user", "content": [{"type": "text", "text": "And\n\n2 + 2?"}]}, {"role": "user", "content": " "}]
    )


def troubles(write: Callable[[str], object]) -> None:
    """A redirect, refusals with retries, a title, a limit, words that mean nothing, and turns that fail."""
    script = (
        Fault("landing", (f.Redirect(),), times=1),
        Fault("status", (f.Refuse(503),), times=1),
        Fault("chat", (f.Refuse(429, "ERR_RATE_LIMIT", retry_after=7),), times=1),
        Fault("chat", (f.Event("[CHAT_TITLE:About it]", 2), f.Event("[PING]", 1), f.Event("{oh", 3)), first=2, times=1),
        Fault("chat", (f.Cut(700, "reset"),), first=3, times=1),
        Fault("chat", (f.Refuse(400, "ERR_INVALID_VQD"),), first=4, times=1),
        Fault("chat", (f.Done("[DONE][LIMIT_CONVERSATION]"), f.Coding("deflate")), first=5),
    )
    draws = iter([0.25, 0.75, 0.125])
    session = RecordedSession(Session(jitter=lambda: next(draws)), write)
    run = Run(session, service("troubles", *script), clock=Clock(5.0), chunks=split_at(60, 61, 200))
    run.ask("Well?")
    for question in ("And?", "Still?", "More?"):
        try:
            run.ask(question)
        except DuckChatError:
            continue


def wire(write: Callable[[str], object]) -> None:
    """A wire session over the recorded one, in small chunks; the caller stops early, then asks for all of it."""
    there, shared = service("wire"), ClientState()
    shared.fe_version = there.front_end_version  # fetched before, by another session
    session = Session(policy=Policy(strict=True), cookies={"mine": "my own cookie"}, shared=shared)
    run = Run(WireSession(RecordedSession(session, write)), there, clock=Clock(7.5), chunks=every(11))
    run.ask("Well?", until=lambda event: isinstance(event, TextDelta))
    run.ask("Well?")


def solver(write: Callable[[str], object]) -> None:
    """A solver of the embedder's own, whose answer the service refuses; two sessions that share a client's state."""
    shared = ClientState()
    there = service("solver")
    other = Run(Session(shared=shared), there, clock=Clock(50.0))
    other.ask("Who is first?")

    def solve(challenge: SolveChallenge) -> str:
        return f"an-answer-of-{len(challenge.script)}-characters"

    session = RecordedSession(Session(shared=shared, solver="embedder", answer_challenge="always"), write)
    run = Run(session, there, clock=other.clock, solver=solve)
    try:
        run.ask("Well?")
    except DuckChatError:
        run.session.close()
        run.next_event()


def two_chats(write: Callable[[str], object]) -> None:
    """Two chats that share nothing, at the same time: a page that both fetch, in other chunks, is stored once."""
    page = Fault("landing", (f.Body("".join(f"<p>This is paragraph {number}.</p>" for number in range(300))),))
    recording, there, clock = Recording(write), service("two-chats", page), Clock(100.0)
    runs = [Run(recording.record(Session()), there, clock=clock, chunks=every(size)) for size in (1500, 4000)]
    for run, question in zip(runs, ("Who is first?", "Who is second?"), strict=True):
        run.begin(question)
    going = list(runs)
    while going:
        going = [run for run in going if run.next_event() is not None]


ALL = {"two-turns": two_turns, "challenge": challenge, "troubles": troubles, "wire": wire, "solver": solver}
SEVERAL = {"two-chats": two_chats}
"""Those of several chats."""


def made(name: str) -> str:
    lines: list[str] = []
    (ALL | SEVERAL)[name](lines.append)
    return "".join(lines)


if __name__ == "__main__":
    for name in ALL | SEVERAL:
        (FOLDER / f"{name}.jsonl").write_text(made(name), encoding="utf-8")
