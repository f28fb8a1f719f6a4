"""The contract of a transport: the native drivers keep it, and each way to break it is found by its check alone."""

from __future__ import annotations

import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import anyio
import msgspec
import pytest
from support.native import AsyncExchange, AsyncTransport, BlockingExchange, BlockingTransport, blocking, on_anyio
from support.tiers import some, thinned

from ddg_protocol import Failure, FailureKind, SendRequest, TransportError
from ddg_transports.testing.contract import CHECKS, Factory, Report, Result, check
from ddg_transports.testing.contract.__main__ import main
from ddg_transports.testing.contract._bench import Bench

FLOORS = [(blocking, "asyncio"), (on_anyio, "asyncio"), (on_anyio, "trio")]


@pytest.mark.parametrize(
    ("factory", "backend", "tls"),
    thinned([(*floor, tls) for floor in FLOORS for tls in (False, True)], one_in=3, reason="each over the other too"),
    ids=["blocking-plain", "blocking-tls", "asyncio-plain", "asyncio-tls", "trio-plain", "trio-tls"],
)
def test_the_native_drivers_keep_the_contract(factory: Factory, backend: str, tls: bool) -> None:
    report = check(factory, tls=tls, backend=backend)
    assert report.kept, str(report)
    assert len(report.results) > 24


# Ways to break it: the good transport with one thing changed


class Broken:
    """A good transport, for now."""

    check = ""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.good = BlockingTransport(context)

    def open(self, request: SendRequest, *, timeout: float) -> Any:
        try:
            return self.exchange(Exchange(self, self.good.open(self.request(request), timeout=timeout)))
        except TransportError as error:
            raise self.error(error, request, timeout) from error

    def request(self, request: SendRequest) -> SendRequest:
        return request

    def exchange(self, exchange: Exchange) -> Exchange:
        return exchange

    def read(self, exchange: Exchange, timeout: float) -> bytes:
        return exchange.good.read(timeout=timeout)

    def error(self, error: TransportError, request: SendRequest, timeout: float) -> Exception:
        return error

    def read_error(self, error: TransportError) -> Exception:
        return error

    def close_exchange(self, exchange: Exchange) -> None:
        exchange.good.close()

    def close(self) -> None:
        self.good.close()


class Exchange:
    def __init__(self, transport: Broken, good: BlockingExchange) -> None:
        self.transport, self.good = transport, good
        self.status, self.headers = good.status, good.headers
        self.given = 0  # bytes

    @property
    def fields(self) -> dict[str, str]:
        return dict(self.good.headers)

    def read(self, *, timeout: float) -> bytes:
        try:
            data = self.transport.read(self, timeout)
        except TransportError as error:
            raise self.transport.read_error(error) from error
        self.given += len(data)
        return data

    def close(self) -> None:
        self.transport.close_exchange(self)


def other(error: TransportError) -> TransportError:
    return TransportError(str(error), failure=Failure(FailureKind.OTHER, str(error)))


class DropsEmptyHeaders(Broken):
    check = "request-as-given"

    def request(self, request: SendRequest) -> SendRequest:
        return msgspec.structs.replace(request, headers=tuple(field for field in request.headers if field[1]))


class CutsRequests(Broken):
    check = "large-request"

    def request(self, request: SendRequest) -> SendRequest:
        return msgspec.structs.replace(request, body=request.body[:65536])


class FollowsRedirects(Broken):
    check = "redirect-not-followed"

    def open(self, request: SendRequest, *, timeout: float) -> Any:
        exchange = super().open(request, timeout=timeout)
        if exchange.status != 302:
            return exchange
        exchange.close()
        return super().open(request, timeout=timeout)


class KeepsCookies(Broken):
    check = "no-cookies"
    cookie = ""

    def request(self, request: SendRequest) -> SendRequest:
        more = (("cookie", self.cookie),) if self.cookie else ()
        return msgspec.structs.replace(request, headers=(*request.headers, *more))

    def exchange(self, exchange: Exchange) -> Exchange:
        self.cookie = exchange.fields.get("set-cookie", "").partition(";")[0]
        return exchange


class RaisesForStatus(Broken):
    check = "refusals-as-given"

    def exchange(self, exchange: Exchange) -> Exchange:
        if exchange.status >= 400:
            exchange.close()
            raise ValueError(f"HTTP {exchange.status}")
        return exchange


class JoinsHeaders(Broken):
    check = "head-as-given"

    def exchange(self, exchange: Exchange) -> Exchange:
        exchange.headers = tuple(exchange.fields.items())
        return exchange


class TakesTheFirstStatusForTheLast(Broken):
    check = "interim-passed-over"

    def exchange(self, exchange: Exchange) -> Exchange:
        if exchange.fields == {"content-length": "1"}:  # which is what comes after the 100
            exchange.status = 100
        return exchange


class Decodes(Broken):
    check = "not-decoded"

    def read(self, exchange: Exchange, timeout: float) -> bytes:
        data = super().read(exchange, timeout)
        return b"some text" if data and "content-encoding" in exchange.fields else data


class LosesChunksOfAByte(Broken):
    check = "byte-by-byte"

    def read(self, exchange: Exchange, timeout: float) -> bytes:
        data = super().read(exchange, timeout)
        if b"d" in data and len(data) < 10 and "transfer-encoding" in exchange.fields:  # whatever came with it
            data = data.replace(b"d", b"") or super().read(exchange, timeout)
        return data


class WaitsForTheWholeBody(Broken):
    check = "at-once"

    def read(self, exchange: Exchange, timeout: float) -> bytes:
        data = super().read(exchange, timeout)
        while "transfer-encoding" in exchange.fields and (more := super().read(exchange, timeout)):
            data += more
        return data


class WantsABody(Broken):
    check = "empty-body"

    def exchange(self, exchange: Exchange) -> Exchange:
        if exchange.status == 204:
            exchange.close()
            raise ValueError("there is no body")
        return exchange


class StopsAtAMegabyte(Broken):
    check = "large-body"

    def read(self, exchange: Exchange, timeout: float) -> bytes:
        return super().read(exchange, timeout) if exchange.given < 1024 * 1024 else b""


class WantsAFraming(Broken):
    check = "until-closed"

    def read(self, exchange: Exchange, timeout: float) -> bytes:
        data = super().read(exchange, timeout)
        if not data and exchange.given and not {"content-length", "transfer-encoding"} & exchange.fields.keys():
            raise TransportError("cut?", failure=Failure(FailureKind.CUT, "cut?"))
        return data


class DoesNotSayNotSent(Broken):
    check = "refused"

    def error(self, error: TransportError, request: SendRequest, timeout: float) -> Exception:
        return other(error) if error.failure.kind is FailureKind.NOT_SENT else error


class DoesNotSayCutBeforeTheHead(Broken):
    check = "cut-before-head"

    def error(self, error: TransportError, request: SendRequest, timeout: float) -> Exception:
        return other(error) if error.failure.kind is FailureKind.CUT else error


class DoesNotSayCut(Broken):
    check = "body-cut"

    def read_error(self, error: TransportError) -> Exception:
        return other(error) if error.failure.kind is FailureKind.CUT else error


class RaisesItsLibrarysOwn(Broken):
    check = "no-http"

    def error(self, error: TransportError, request: SendRequest, timeout: float) -> Exception:
        return ValueError("bad status line") if error.failure.kind is FailureKind.OTHER else error


class TrustsAnyone(Broken):
    check = "bad-certificate"

    def __init__(self, context: ssl.SSLContext) -> None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        super().__init__(context)


class DoesNotSayTls(Broken):
    check = "no-tls"

    def error(self, error: TransportError, request: SendRequest, timeout: float) -> Exception:
        return other(error) if error.failure.kind is FailureKind.TLS and "certificate" not in str(error) else error


class ConnectsForAsLongAsItTakes(Broken):
    check = "connect-timeout"

    def request(self, request: SendRequest) -> SendRequest:
        return msgspec.structs.replace(request, timeout=1.0)


class DoesNotSayTimeoutOfTheHead(Broken):
    check = "head-timeout"

    def error(self, error: TransportError, request: SendRequest, timeout: float) -> Exception:
        return other(error) if timeout < 1 and request.method == "GET" else error


class DoesNotSayTimeoutOfTheBody(Broken):
    check = "read-timeout"

    def read_error(self, error: TransportError) -> Exception:
        return other(error) if error.failure.kind is FailureKind.TIMEOUT else error


class DoesNotSayTimeoutOfTheRequest(Broken):
    check = "write-timeout"

    def error(self, error: TransportError, request: SendRequest, timeout: float) -> Exception:
        return other(error) if timeout < 1 and request.method == "POST" else error


class IsOfNoUseAfterTheLast(Broken):
    check = "one-after-the-other"
    last = False

    def exchange(self, exchange: Exchange) -> Exchange:
        if self.last:
            exchange.close()
            raise ValueError("the connection is closed")
        self.last = {"connection", "content-length"} <= exchange.fields.keys()
        return exchange


class TakesAnIdleConnectionAsItIs(Broken):
    check = "closed-while-idle"

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context)
        self.good.checks_idle = False


class ClosesLater(Broken):
    check = "early-close"

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context)
        self.later: list[Exchange] = []

    def close_exchange(self, exchange: Exchange) -> None:
        self.later.append(exchange)

    def close(self) -> None:
        for exchange in self.later:
            super().close_exchange(exchange)
        super().close()


class ClosesOnce(Broken):
    check = "double-close"

    def close_exchange(self, exchange: Exchange) -> None:
        if exchange.good.closed:
            raise ValueError("it is closed already")
        super().close_exchange(exchange)


class HasOneConnection(Broken):
    check = "several-at-once"
    used = False

    def exchange(self, exchange: Exchange) -> Exchange:
        if self.used:
            super().close_exchange(exchange)
            raise ValueError("the connection is in use")
        self.used = True
        return exchange

    def close_exchange(self, exchange: Exchange) -> None:
        self.used = False
        super().close_exchange(exchange)


LEFT: list[BlockingTransport] = []


class LeavesConnections(Broken):
    check = "nothing-left"

    def close(self) -> None:
        LEFT.append(self.good)


@contextmanager
def factory_of(broken: type[Broken], context: ssl.SSLContext) -> Iterator[Broken]:
    transport = broken(context)
    try:
        yield transport
    finally:
        transport.close()


WAYS = {way.check: way for way in Broken.__subclasses__()}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The contract with little patience, for a check that waits for what never comes; undo it for the others."""
    monkeypatch.setattr(Bench, "slack", 0.2)
    monkeypatch.setattr(Bench, "timeout", 0.5)
    yield monkeypatch
    for transport in LEFT:
        transport.close()
    LEFT.clear()


@pytest.mark.parametrize("name", WAYS)
def test_a_transport_that_is_broken_in_one_way_is_found_by_that_check_alone(
    name: str, impatient: pytest.MonkeyPatch
) -> None:
    others = some([other for other in CHECKS if other != name], one_in=8)
    factory, tls = partial(factory_of, WAYS[name]), CHECKS[name].over == "tls"
    report = check(factory, [name], tls=tls)
    assert [result.name.removesuffix(" (tls)") for result in report.broken] == [name], str(report)
    assert f"owed: {CHECKS[name].owed}" in str(report)
    impatient.undo()
    report = check(factory, others, tls=tls)
    assert report.kept, str(report)


class LosesItsSlot(AsyncTransport):
    """A pool of three that forgets to free a connection when the request is cancelled before its head."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context)
        self.slots = anyio.Semaphore(3)

    async def open(self, request: SendRequest) -> AsyncExchange:
        await self.slots.acquire()
        try:
            exchange = await super().open(request)
        except TransportError:
            self.slots.release()
            raise
        exchange.on_close = self.slots.release
        return exchange


@asynccontextmanager
async def loses_its_slot(context: ssl.SSLContext) -> AsyncIterator[AsyncTransport]:
    transport = LosesItsSlot(context)
    try:
        yield transport
    finally:
        with anyio.CancelScope(shield=True):
            await transport.aclose()


@pytest.mark.parametrize("backend", thinned(["asyncio", "trio"], one_in=2, reason="as on asyncio"))
def test_a_pool_that_loses_the_slot_of_a_cancelled_request_is_found_by_that_check_alone(
    backend: str, impatient: pytest.MonkeyPatch
) -> None:
    report = check(loses_its_slot, ["cancellation"], tls=False, backend=backend)
    assert [result.name for result in report.broken] == ["cancellation"], str(report)
    assert "the next one never ends" in str(report)
    impatient.undo()
    others = some([name for name in CHECKS if name != "cancellation"], one_in=4)
    report = check(loses_its_slot, others, tls=False, backend=backend)
    assert report.kept, str(report)


def test_every_check_has_a_way_to_break_it() -> None:
    assert {*WAYS, "cancellation"} == set(CHECKS)


def test_a_transport_that_never_returns_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "patience", 0.1)

    class Waits(Broken):
        def request(self, request: SendRequest) -> SendRequest:
            threading.Event().wait(0.5)
            return request

    (result,) = check(partial(factory_of, Waits), ["not-decoded"], tls=False).results
    assert result.problem == "it was still waiting after 0.1 s"


# The report and the command


def test_the_report_says_what_is_owed_and_what_came_instead() -> None:
    report = Report((Result("a-check", "It is good.", "", 0.5), Result("another", "It is kind.", "it was rude", 1.0)))
    assert not report.kept
    assert str(report).splitlines() == [
        "kept    a-check                            0.50 s",
        "BROKEN  another                            1.00 s",
        "        owed: It is kind.",
        "        but:  it was rude",
        "1 of 2 kept",
    ]


def good(context: ssl.SSLContext) -> AbstractContextManager[BlockingTransport]:
    return blocking(context)


def bad(context: ssl.SSLContext) -> AbstractContextManager[Broken]:
    return factory_of(Decodes, context)


def test_the_command_prints_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{__name__}:good", "not-decoded", "no-tls"]) == 0
    assert capsys.readouterr().out.endswith("3 of 3 kept\n")
    assert main([f"{__name__}:bad", "not-decoded"]) == 1
    assert "b'some text'" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([f"{__name__}:good", "no-such-check"])
    assert "there is no check no-such-check" in capsys.readouterr().err
