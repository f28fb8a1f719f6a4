"""A scenario on a loopback port: the service that it is about, the stranger, and what both see."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import msgspec

from ddg_protocol.service import (
    Exchange,
    Fault,
    Question,
    Service,
    ServiceRequest,
    ServiceResponse,
)
from ddg_protocol.service.faults import Redirect

from ...emulator import Emulator
from ._values import STRANGER, Observation, Request, Scenario

Client = Callable[[str, Sequence[str], Callable[[str], object]], object]
"""A client in this process.

It gets the service's address, the questions to ask one after the other in one conversation, and a function that takes
the text of the replies as it comes. It raises an exception if a reply isn't whole, after it has asked all of them.
"""

PATIENCE = 35.0
"""Seconds without a request and without output after which a client hangs."""
MAX_PRINTED = 4 * 1024 * 1024
"""How many characters of what a client prints are kept."""


class Stage:
    """Serves a scenario from ``with`` to the end of the block.

    Args:
        scenario: what is to happen.
        clock: returns the time, in seconds, by which the requests are stamped.

    Attributes:
        url: the service's base URL, without a slash at the end; empty before the block is entered.
    """

    def __init__(self, scenario: Scenario, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = ""
        self._scenario = scenario
        self._clock = clock
        self._opened = clock()
        self._stack = ExitStack()
        self._strange: _Watched | None = None
        self._watched: _Watched

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            faults = list(self._scenario.faults)
            effects = [effect for fault in faults for effect in fault.effects]
            if any(isinstance(effect, Redirect) and effect.to.startswith(STRANGER) for effect in effects):
                self._strange = _Watched(Service(), self._clock)
                port = stack.enter_context(Emulator(self._strange)).url.rpartition(":")[2]
                faults = [_led_to(fault, f"http://localhost:{port}") for fault in faults]
            is_about_answers = self._scenario.family == "challenge"
            self._watched = _Watched(self._service(faults), self._clock, takes_any_answer=not is_about_answers)
            self._opened = self._clock()
            self.url = stack.enter_context(Emulator(self._watched)).url
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def active(self) -> float:
        """When the last request came, by the clock; before the first one, when the block was entered."""
        return max((watched.active for watched in (self._watched, self._strange) if watched), default=self._opened)

    def close(self) -> None:
        """Stop serving, as leaving the block does; may be called again, and by another thread."""
        self._stack.close()

    def seen(self, *, printed: str, said: str = "", code: int | None = 0, seconds: float = 0.0) -> Observation:
        """Return what was seen of a client; call it after the block, when the service knows how everything ended.

        Args:
            printed: what the client printed on standard output.
            said: what it printed on standard error.
            code: its exit code; None if it had to be stopped.
            seconds: how long it took.
        """
        return Observation(
            printed=printed,
            said=said,
            code=code,
            seconds=seconds,
            requests=self._watched.requests(self._opened),
            strange=self._strange.requests(self._opened) if self._strange else (),
            unmet=self._watched.unmet,
        )

    def _service(self, faults: Sequence[Fault]) -> Service:
        replies = {turn.question: turn.pieces for turn in self._scenario.turns}

        def respond(question: Question) -> Sequence[str]:
            return replies.get(question.text.strip(), ("This question is not one of the scenario's.",))

        return Service(responder=respond, script=faults, challenge=self._scenario.challenge)


class _Watched:
    """A service that notes when each request comes.

    Args:
        service: responds to the requests.
        clock: returns the time, in seconds.
        takes_any_answer: whether the answer to a challenge doesn't matter, so that a client that gets it wrong is still
            seen in all that has nothing to do with challenges.
    """

    def __init__(self, service: Service, clock: Callable[[], float], *, takes_any_answer: bool = True) -> None:
        self.service = service
        self._takes_any_answer = takes_any_answer
        self._faults = len(service.unmet_faults)
        self._clock = clock
        self._came: list[tuple[float, ServiceRequest, Exchange]] = []
        self.active = clock()

    def handle(self, request: ServiceRequest, *, now: float) -> ServiceResponse:
        came = self.active = self._clock()
        response = self.service.handle(_unanswered(request) if self._takes_any_answer else request, now=now)
        self._came.append((came, request, self.service.log[-1]))
        return response

    @property
    def unmet(self) -> bool:
        return bool(self._faults) and len(self.service.unmet_faults) == self._faults

    def requests(self, since: float) -> tuple[Request, ...]:
        return tuple(_request(came - since, request, exchange) for came, request, exchange in self._came)


def play(
    scenario: Scenario, client: Client, *, clock: Callable[[], float] = time.monotonic, patience: float = PATIENCE
) -> Observation:
    """Run a client of this process in a scenario.

    Args:
        scenario: what is to happen.
        client: asks the scenario's questions. Its exceptions don't come out: they are what it says. `SystemExit` is
            as in a program.
        clock: returns the time, in seconds, by which the requests are stamped.
        patience: after how many seconds in all the service hangs up on a client that still waits.

    Returns:
        What was seen.
    """
    printed: list[str] = []
    said, code = "", 0
    late = threading.Event()
    with Stage(scenario, clock=clock) as stage:

        def give_up() -> None:
            late.set()
            stage.close()

        timer = threading.Timer(patience, give_up)
        timer.daemon = True
        timer.start()
        started = time.monotonic()
        try:
            client(stage.url, scenario.questions, printed.append)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            said = end.code if isinstance(end.code, str) else ""
        except Exception as error:
            said, code = f"{type(error).__name__}: {error}", 1
        finally:
            timer.cancel()
        seconds = time.monotonic() - started
    return stage.seen(
        printed="".join(printed)[:MAX_PRINTED], said=said, code=None if late.is_set() else code, seconds=seconds
    )


def _led_to(fault: Fault, address: str) -> Fault:
    """Return a fault whose redirects to the stranger lead to its real address."""
    effects = [
        Redirect(effect.to.replace(STRANGER, address), effect.status) if isinstance(effect, Redirect) else effect
        for effect in fault.effects
    ]
    return msgspec.structs.replace(fault, effects=effects)


def _unanswered(request: ServiceRequest) -> ServiceRequest:
    headers = tuple((name, "" if name.lower() == "x-vqd-hash-1" else value) for name, value in request.headers)
    return msgspec.structs.replace(request, headers=headers)


def _request(at: float, request: ServiceRequest, exchange: Exchange) -> Request:
    return Request(
        at=at,
        method=request.method,
        target=request.target,
        headers=request.headers,
        body=request.body,
        endpoint=exchange.endpoint,
        status=exchange.status,
        error=exchange.error,
        reason=exchange.reason,
        spoiled=bool(exchange.faults),
        taken=exchange.taken,
        ended=exchange.ended,
    )
