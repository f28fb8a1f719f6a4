"""The contract of a transport: the native drivers keep it, and each way to break it is found by its check alone."""

from __future__ import annotations

import asyncio
import re
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from support.loops import Loop, loops
from support.native import AsyncExchange, AsyncTransport, BlockingExchange, BlockingTransport, blocking, on_anyio
from support.tiers import some, thinned

from ddg_protocol import Failure, FailureKind, SendRequest, TransportError
from ddg_transports.testing.contract import CHECKS, Context, Factory, FactoryError, Report, Result, check, trusting
from ddg_transports.testing.contract.__main__ import main
from ddg_transports.testing.contract._bench import Bench
from ddg_transports.testing.contract._checks.failures import TOKEN
from ddg_transports.testing.contract._runner import Planned, plan
from ddg_transports.transport import verifying_context

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


class QuotesWhatItReads(Broken):
    check = "nothing-quoted"

    def error(self, error: TransportError, request: SendRequest, timeout: float) -> Exception:
        if error.failure.kind is not FailureKind.OTHER or "SSH" in str(error):
            return error
        return TransportError(f"bad head: {TOKEN!r}", failure=error.failure)  # as h11 and http.client say it


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
    others = some([other for other in CHECKS if other != name], one_in=16)
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


@pytest.fixture
def given_up(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Return an event that is set when a check, or the trial of a factory, has ended or is given up."""
    event = threading.Event()

    def stop(bench: Bench, stop: Callable[[Bench], None] = Bench.stop) -> None:
        event.set()
        stop(bench)

    monkeypatch.setattr(Bench, "stop", stop)
    return event


def test_a_transport_that_never_returns_is_given_up(given_up: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    class Waits(Broken):
        def request(self, request: SendRequest) -> SendRequest:
            given_up.wait(60)
            return request

    (planned,) = plan(partial(factory_of, Waits), ["not-decoded"], tls=False)
    given_up.clear()  # the trial of the factory has ended
    monkeypatch.setattr(Bench, "patience", 0.1)
    assert planned().problem == "it was still waiting after 0.1 s"


@pytest.mark.deep("as on asyncio's own loop")
@pytest.mark.parametrize("loop", loops())
def test_the_async_driver_keeps_the_contract_on_every_loop(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    run = anyio.run
    backend, options = loop
    monkeypatch.setattr(anyio, "run", lambda *called, **_: run(*called, backend=backend, backend_options=options))
    report = check(on_anyio)
    assert report.kept, str(report)


# A factory that isn't one


def no_manager(context: ssl.SSLContext) -> BlockingTransport:
    return BlockingTransport(context)


def no_decorator(context: ssl.SSLContext) -> Iterator[BlockingTransport]:
    yield BlockingTransport(context)


async def no_async_decorator(context: ssl.SSLContext) -> AsyncIterator[AsyncTransport]:
    yield AsyncTransport(context)


async def a_coroutine(context: ssl.SSLContext) -> AsyncTransport:
    return AsyncTransport(context)


def no_arguments() -> AbstractContextManager[BlockingTransport]:
    raise NotImplementedError


def raises(context: ssl.SSLContext) -> AbstractContextManager[BlockingTransport]:
    raise RuntimeError("no such\nbackend")


@contextmanager
def raises_inside(context: ssl.SSLContext) -> Iterator[BlockingTransport]:
    raise RuntimeError("no such backend")
    yield


@contextmanager
def forgets_to_yield_it(context: ssl.SSLContext) -> Iterator[None]:
    yield


@contextmanager
def not_async(context: ssl.SSLContext) -> Iterator[AsyncTransport]:
    yield AsyncTransport(context)


class OpensWithoutATimeout:
    def open(self, request: SendRequest) -> None:
        raise NotImplementedError


@contextmanager
def opens_without_a_timeout(context: ssl.SSLContext) -> Iterator[OpensWithoutATimeout]:
    yield OpensWithoutATimeout()


@pytest.mark.parametrize(
    ("factory", "problem", "remedy"),
    [
        ("mymodule.Transport", "a str is not a factory", "a factory takes an ssl.SSLContext and returns"),
        (no_arguments, "can't be called with one argument (too many positional", "a factory takes"),
        (raises, "the factory raised RuntimeError (no such backend)", "call it yourself"),
        (no_manager, "returned a BlockingTransport, which is no context manager", "give it __enter__ and __exit__"),
        (lambda _: AsyncTransport(ssl.create_default_context()), "an AsyncTransport", "give it __aenter__"),
        (no_decorator, "returned a generator", "put @contextlib.contextmanager above"),
        (no_async_decorator, "returned an async_generator", "put @contextlib.asynccontextmanager above"),
        (a_coroutine, "returned a coroutine", "put @contextlib.asynccontextmanager above"),
        (raises_inside, "entering the factory's context manager raised RuntimeError (no such", "try it yourself"),
        (forgets_to_yield_it, "gave None, which has no method open()", "yield the transport"),
        (not_async, "open() of the transport is async", "use @contextlib.asynccontextmanager"),
        (opens_without_a_timeout, "can't be called as open(request, timeout=", "see ddg_transports.transport"),
        (
            lambda context: nullcontext(BlockingTransport(context)),
            "as open(request) (missing",
            "context manager is async",
        ),
    ],
)
def test_a_factory_that_is_none_is_one_line_with_what_to_do(factory: Any, problem: str, remedy: str) -> None:
    with pytest.raises(FactoryError) as caught:
        check(factory, ["not-decoded", "empty-body"])
    said = str(caught.value)
    assert problem in said
    assert remedy in said.partition(problem)[2]
    assert "\n" not in said


def test_an_exchange_may_close_its_socket_in_the_next_round_of_the_loop_as_asyncio_does() -> None:
    class Exchange:
        def __init__(self, exchange: AsyncExchange) -> None:
            self.exchange, self.status, self.headers = exchange, exchange.status, exchange.headers

        async def read(self) -> bytes:
            return await self.exchange.read()

        async def aclose(self) -> None:
            self.closing = asyncio.create_task(self.exchange.aclose())

    class Later(AsyncTransport):
        async def open(self, request: SendRequest) -> Any:
            return Exchange(await super().open(request))

    @asynccontextmanager
    async def factory(context: ssl.SSLContext) -> AsyncIterator[Later]:
        yield Later(context)

    report = check(factory, ["early-close"], tls=False)
    assert report.kept, str(report)


def test_a_backend_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddg_transports.testing.contract._runner.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^trio is not installed: pip install trio$"):
        check(on_anyio, ["empty-body"], backend="trio")


def test_a_request_that_is_sent_again_is_told_from_one_that_fails_as_it_should() -> None:
    class Persistent(BlockingTransport):
        def open(self, request: SendRequest, *, timeout: float) -> BlockingExchange:
            try:
                return super().open(request, timeout=timeout)
            except TransportError:
                return super().open(request, timeout=timeout)

    @contextmanager
    def factory(context: ssl.SSLContext) -> Iterator[Persistent]:
        with closing(Persistent(context)) as transport:
            yield transport

    (result,) = check(factory, ["one-after-the-other"], tls=False).results
    assert result.problem == (
        "a connection that ends before the head, which is no reason to send the request again: "
        "expected a TransportError, but it succeeded and returned an exchange"
    )


def test_a_factory_whose_transport_never_closes_is_given_up(
    given_up: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bench, "patience", 0.1)

    @contextmanager
    def waits(context: ssl.SSLContext) -> Iterator[BlockingTransport]:
        yield BlockingTransport(context)
        given_up.wait(60)

    with pytest.raises(FactoryError, match="making a transport and closing it doesn't end"):
        check(waits)


def test_a_factory_is_given_the_path_of_the_certificate_too() -> None:
    seen: list[str] = []

    @contextmanager
    def by_path(context: Context) -> Iterator[BlockingTransport]:
        seen.append(context.cafile)
        with blocking(verifying_context(context.cafile)) as transport:
            yield transport

    report = check(by_path, ["not-decoded", "bad-certificate"], tls=True)
    assert report.kept, str(report)
    assert {Path(cafile).name for cafile in seen} == {"ca.pem", "other-ca.pem"}


def test_the_context_for_a_factory_verifies_like_the_default_one() -> None:
    context, like = trusting(), verifying_context(trusting().cafile)
    for setting in ("options", "verify_flags", "verify_mode", "check_hostname", "protocol"):
        assert getattr(context, setting) == getattr(like, setting)
    assert context.get_ca_certs() == like.get_ca_certs()


# Waivers


def test_a_waived_check_runs_and_is_reported_with_what_it_found_and_the_reason() -> None:
    report = check(bad, ["not-decoded", "empty-body"], waive={"not-decoded": "it always decodes"})
    assert report.kept
    assert [result.name for result in report.waived] == ["not-decoded", "not-decoded (tls)"]
    assert not report.unneeded
    (first, *_) = str(report).splitlines()
    assert first.startswith("waived  not-decoded ")
    assert f"owed: {CHECKS['not-decoded'].owed}" in str(report)
    assert "b'some text'" in str(report)
    assert "waived: it always decodes" in str(report)


def test_a_waiver_is_no_excuse_for_another_check() -> None:
    report = check(bad, ["not-decoded"], tls=False, waive={"empty-body": "it has none"})
    assert [result.name for result in report.broken] == ["not-decoded"]


def test_a_waiver_that_is_not_needed_is_said() -> None:
    report = check(good, ["not-decoded"], waive={"not-decoded": "it always decodes"})
    assert report.kept
    assert report.unneeded == ("not-decoded",)
    assert str(report).endswith("the waiver of not-decoded is not needed, the transport keeps it: remove it")


def test_a_waiver_that_is_needed_over_tls_alone_is_needed() -> None:
    results = (Result("a", "It is.", "", 0.5, "why"), Result("a (tls)", "It is.", "It isn't.", 0.5, "why"))
    assert Report(results).unneeded == ()


@pytest.mark.parametrize(
    ("waive", "said"),
    [
        ({"no-such-check": "it can't"}, "there is no check no-such-check"),
        ({"head-as-given": " "}, "the waiver of head-as-given has no reason"),
        *[
            ({name: "it can't"}, f"{name} can't be waived: {check.protects}")
            for name, check in CHECKS.items()
            if check.protects
        ],
    ],
)
def test_a_waiver_without_a_check_or_a_reason_or_of_what_protects_people_is_refused(
    waive: dict[str, str], said: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        check(good, waive=waive)


def test_these_checks_protect_people() -> None:
    assert {name for name, check in CHECKS.items() if check.protects} == {
        "bad-certificate",  # anyone on the way
        "body-cut",  # half a reply for a whole one
        "no-cookies",  # who is who
        "nothing-quoted",  # tokens in logs
        "redirect-not-followed",  # tokens, and what was asked
    }


# The report and the command


def test_the_report_says_what_is_owed_and_what_came_instead() -> None:
    report = Report((Result("a-check", "It is good.", "", 0.5), Result("another", "It is kind.", "it was rude", 1.0)))
    assert not report.kept
    assert str(report).splitlines() == [
        "kept    a-check                            0.50 s",
        "BROKEN  another                            1.00 s",
        "        owed: It is kind.",
        "        but:  it was rude",
        "1 of 2 kept, 1 BROKEN, in 1.5 s",
        "BROKEN: another",
    ]


def good(context: ssl.SSLContext) -> AbstractContextManager[BlockingTransport]:
    return blocking(context)


def bad(context: ssl.SSLContext) -> AbstractContextManager[Broken]:
    return factory_of(Decodes, context)


def test_the_command_prints_the_results_and_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{__name__}:good", "not-decoded", "no-tls"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("3 of 3 kept, in ")
    assert main([f"{__name__}:bad", "not-decoded"]) == 1
    assert "b'some text'" in capsys.readouterr().out
    assert main([f"{__name__}:bad", "not-decoded", "--waive", "not-decoded=it always decodes"]) == 0
    assert "0 of 2 kept, 2 waived, in " in capsys.readouterr().out


def test_the_command_prints_each_result_as_it_comes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before: list[str] = []
    run = Planned.__call__

    def watched(planned: Planned) -> Result:
        before.append(capsys.readouterr().out)
        return run(planned)

    monkeypatch.setattr(Planned, "__call__", watched)
    assert main([f"{__name__}:good", "not-decoded", "empty-body"]) == 0
    assert before[0] == ""
    assert [out.split()[:2] for out in before[1:]] == [
        ["kept", "not-decoded"],
        ["kept", "empty-body"],
        ["kept", "not-decoded"],
    ]


def test_a_terminal_shows_which_check_is_running(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main([f"{__name__}:good", "empty-body"]) == 0
    shown = capsys.readouterr().out.split("\n")
    assert [line.partition("\r")[0].strip() for line in shown[:2]] == ["empty-body", "empty-body (tls)"]
    assert all(len(before) < len(after) for before, after in (line.split("\r") for line in shown[:2]))


def test_ctrl_c_says_how_many_checks_have_no_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: Planned) -> Result:
        raise KeyboardInterrupt

    monkeypatch.setattr(Planned, "__call__", interrupt)
    assert main([f"{__name__}:good", "empty-body"]) == 130
    assert capsys.readouterr().out == "interrupted: 2 of 2 checks have no result\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{here}:good", "no-such-check"], "there is no check no-such-check"),
        (["{here}:good", "--waive", "body-cut=why not"], "body-cut can't be waived"),
        (["{here}:good", "--waive", "not-decoded"], "the waiver of not-decoded has no reason"),
        (["{here}"], "write it as MODULE:FACTORY"),
        (["{here}:nothing"], "has no nothing"),
        (["no_such_module:factory"], "importing no_such_module raised ModuleNotFoundError"),
        (["{here}:no_manager"], "give it __enter__ and __exit__"),
    ],
)
def test_what_cannot_be_checked_is_one_line_and_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit:
        main([argument.format(here=__name__) for argument in arguments])
    assert exit.value.code == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)


def test_the_help_has_an_example_the_exit_codes_and_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["--help"])
    assert exit.value.code == 0
    said = capsys.readouterr().out
    assert "contract mymodule:factory --backend trio" in said
    assert "exit codes:" in said
    for name, found in CHECKS.items():
        assert f"\n{'*' if found.protects else ' '} {name} " in said
