"""What happens, as records of `logging`: none has a word of a question, a reply, a token or a cookie."""

from __future__ import annotations

import importlib
import json
import logging
import subprocess
import sys
from contextlib import suppress

import anyio
import pytest
from support.paths import ROOT

from ddg_protocol import DUCKDUCKGO_2025_04, DuckChatError, FailureKind, Policy, ServiceProfile
from ddg_protocol.events import Queued
from ddg_protocol.service import Fault, Service
from ddg_protocol.service.faults import Refuse
from ddg_protocol.service.script import fault_from_text
from ddg_transports import Trace, tracing
from ddg_transports.anyio import AsyncClient
from ddg_transports.blocking import Client
from ddg_transports.emulator import Emulator
from ddg_transports.testing.clock import SkippingClock
from ddg_transports.testing.peer import CUT, Peer

SECRET = "Qz7Kwmbv"


def at(url: str) -> ServiceProfile:
    return DUCKDUCKGO_2025_04.at(url)


@pytest.fixture(autouse=True)
def _everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ddg_transports")


def ask(service: Service, question: str = "Why?", policy: Policy | None = None) -> None:
    clock = SkippingClock()
    with Emulator(service) as emulator:
        client = Client(at(emulator.url), policy=policy, clock=clock, sleep=clock.sleep, on_action=tracing.log)
        with client:
            client.chat().ask(question)


def of(caplog: pytest.LogCaptureFixture, topic: str, least: int = logging.INFO) -> list[tuple[str, str]]:
    """Return the records of a topic: their level and message."""
    name = f"ddg_transports.{topic}"
    return [(r.levelname, r.getMessage()) for r in caplog.records if r.name == name and r.levelno >= least]


def test_a_turn_is_two_records_and_each_response_one(caplog: pytest.LogCaptureFixture) -> None:
    ask(Service(responder=lambda question: ["So ", "it is."]))
    assert of(caplog, "turn") == [
        ("INFO", "chat 1: the turn begins, with gpt-4o-mini"),
        ("INFO", "chat 1: the turn is complete: 9 characters (stop)"),
    ]
    requests = [text.partition(" http://")[2].partition("/")[2] for _, text in of(caplog, "request")]
    assert requests == [
        "?q=DuckDuckGo+AI+Chat&ia=chat&duckai=1: 200",
        "aichat: 200",
        "duckchat/v1/status: 200",
        "duckchat/v1/chat: 200",
    ]
    assert ("DEBUG", "chat 1: 3 characters") in of(caplog, "turn", logging.DEBUG)
    assert of(caplog, "connection", logging.DEBUG)[0][1].startswith("chat 1: connect to 127.0.0.1:")


def test_a_client_without_a_hook_logs_once_its_logger_is_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing used to reach `logging` unless a hook was given."""

    async def ask_async(url: str) -> None:
        async with AsyncClient(at(url)) as client:
            await client.chat().ask("Why?")

    for level, told in ((logging.DEBUG, True), (logging.INFO, False)):
        caplog.set_level(level, "ddg_transports")
        caplog.clear()
        with Emulator() as emulator:
            with Client(at(emulator.url)) as client:
                client.chat().ask("Why?")
            anyio.run(ask_async, emulator.url)
        turns = [text for _, text in of(caplog, "turn") if "begins" in text]
        assert turns == ["chat 1: the turn begins, with gpt-4o-mini"] * 2 * told
        assert bool(of(caplog, "request", logging.DEBUG)) == told


def test_a_hook_takes_the_place_of_the_records(caplog: pytest.LogCaptureFixture) -> None:
    with Emulator() as emulator, Client(at(emulator.url), on_action=lambda trace: None) as client:
        client.chat().ask("Why?")
    assert caplog.records == []


def test_a_client_does_not_import_logging_to_find_that_nobody_wants_it() -> None:
    code = "import sys, ddg_transports.blocking as b; b.Client().chat(); sys.exit('logging' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_place_in_the_queue_is_a_record(caplog: pytest.LogCaptureFixture) -> None:
    tracing.log(Trace(7, Queued(2, 25.0), 5.0))
    assert of(caplog, "wait") == [("INFO", "chat 7: 2 ahead in the queue, for about 20.0 s")]


def test_a_retry_and_a_failure_are_warnings(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DuckChatError):
        ask(Service(script=[Fault("chat", [Refuse(503)])]), policy=Policy(max_retries=1))
    warnings = [text.partition(" in ")[0] for level, text in of(caplog, "turn") if level == "WARNING"]
    assert warnings == ["chat 1: retry 1", "chat 1: the turn failed: ServiceUnavailableError"]
    (wait,) = of(caplog, "wait")
    assert "(backoff)" in wait[1]
    (failed,) = [record for record in caplog.records if "the turn failed" in record.getMessage()]
    members = {name: value for name, value in vars(failed).items() if name.startswith("ddg_")}
    assert members.pop("ddg_at") > 0
    assert members == {
        "ddg_chat": 1,
        "ddg_what": "ServiceUnavailableError",
        "ddg_error": "ServiceUnavailableError",
        "ddg_status": 503,
        "ddg_retry_after": None,
    }


def test_a_challenge_is_told(caplog: pytest.LogCaptureFixture) -> None:
    ask(Service(challenge=True))
    assert of(caplog, "challenge") == [("INFO", "chat 1: the service wants the answer to its challenge")]


def test_a_connection_that_breaks_is_told(caplog: pytest.LogCaptureFixture) -> None:
    policy = Policy(max_retries=0)
    with (
        Peer(*[(CUT,)] * 9) as peer,
        Client(at(peer.url), policy=policy, on_action=tracing.log) as client,
        pytest.raises(DuckChatError),
    ):
        client.chat().ask("Why?")
    assert ("WARNING", f"chat 1: the request failed ({FailureKind.CUT.value})") in of(caplog, "request")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_client_is_logged_the_same_way(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main(url: str) -> None:
        async with AsyncClient(at(url), on_action=tracing.log) as client:
            await client.chat().ask("Why?")

    with Emulator() as emulator:
        anyio.run(main, emulator.url, backend=backend)
    assert len(of(caplog, "turn")) == 2
    assert len(of(caplog, "request")) == 4


def test_nothing_is_described_that_no_handler_wants(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "ddg_transports")
    ask(Service())
    assert caplog.records == []


SAID = [
    f"chat:event={SECRET}",
    f"chat:event=[CHAT_TITLE:{SECRET}]",
    f"chat:event=[STOP_REASON:{SECRET}]",
    f"chat:event=[LIMIT_{SECRET.upper()}]",
    f"chat:event=[ADS:{SECRET}]",
    "chat:event=" + json.dumps({"action": "error", "status": 429, "type": SECRET}).replace(",", "%2C"),
    f"chat:429,type=ERR_{SECRET}",
    f"chat:503,body={SECRET}",
    f"status:redirect=/{SECRET}",
    f"status:redirect=https://example.org/{SECRET}",
    f"status:header=x-vqd-4,value={SECRET}",
    f"status:header=set-cookie,value={SECRET}={SECRET}",
    f"chat:header=content-type,value={SECRET}",
    f"status:body={json.dumps({'status': SECRET})}",
    f"chat:418,type=ERR_CHALLENGE,tokens,header=x-vqd-hash-1,value={SECRET}",
    f"chat:insert={SECRET},of=wire",
]


@pytest.mark.parametrize("fault", SAID)
@pytest.mark.parametrize("strict", [False, True])
def test_no_record_holds_a_word_of_the_service_or_the_caller(
    fault: str, strict: bool, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(responder=lambda question: ["I say ", SECRET], script=[fault_from_text(fault)], challenge=True)
    with suppress(DuckChatError):
        ask(service, f"Why {SECRET}?", Policy(strict=strict))
    assert len(caplog.records) > 10
    shown = "\n".join(repr(vars(record)) + record.getMessage() for record in caplog.records)
    assert SECRET.lower() not in shown.lower()
    for exchange in service.log:
        for name, value in exchange.request.headers:
            if name in ("x-vqd-4", "x-vqd-hash-1", "cookie"):
                assert not value or value not in shown


def test_the_module_loads_neither_a_driver_nor_a_loop() -> None:
    code = "import sys, json, ddg_transports.tracing; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not set(json.loads(run.stdout)) & {
        "anyio",
        "asyncio",
        "trio",
        "httpcore",
        "socket",
        "ssl",
        "bs4",
        "html5lib",
    }


# The example


@pytest.mark.deep("opentelemetry-sdk is no dependency")
def test_the_example_makes_a_span_of_each_turn_with_a_child_of_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.trace import StatusCode

    monkeypatch.syspath_prepend(ROOT / "examples")
    example = importlib.import_module("traced")
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans = example.Spans(provider.get_tracer("test"))
    service = Service(script=[fault_from_text("chat:503,times=1")])
    clock = SkippingClock()
    with (
        Emulator(service) as emulator,
        Client(at(emulator.url), clock=clock, sleep=clock.sleep, on_action=spans) as client,
    ):
        first, second, third = client.chat(), client.chat(), client.chat()
        first.ask(f"Why {SECRET}?")
        service.add_fault(Fault("chat", [Refuse(429, "ERR_USER_LIMIT")], times=1))
        with pytest.raises(DuckChatError):
            second.ask("Why?")
        with third.stream("Why?") as reply:
            next(iter(reply))
    ended = exporter.get_finished_spans()
    turns = [span for span in ended if span.parent is None]
    assert [span.attributes["ddg.chat"] for span in turns if span.attributes] == [1, 2, 3]
    assert [span.status.status_code for span in turns] == [StatusCode.UNSET, StatusCode.ERROR, StatusCode.UNSET]
    assert [[event.name for event in turn.events] for turn in turns] == [["retry"], [], ["cancelled"]]
    children = [span for span in ended if span.parent and span.parent.span_id == turns[0].context.span_id]
    statuses = [span.attributes["http.response.status_code"] for span in children if span.attributes]
    assert statuses == [200, 200, 200, 503, 200, 200]
    assert not spans._turns
    assert not spans._requests
    assert SECRET not in "".join(span.to_json() for span in ended)
