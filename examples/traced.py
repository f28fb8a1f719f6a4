"""A span for each turn, with a child for each request: OpenTelemetry, from what `on_action` gets.

`python examples/traced.py "Why is the sky blue?"` asks the emulator, and prints the spans of the turn.
"""

from __future__ import annotations

import sys

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    PAUSED,
    DuckChatError,
    Retrying,
    SendRequest,
    TurnCancelled,
    TurnFinished,
    TurnStarted,
)
from ddg_protocol.redaction import shown_url
from ddg_transports.blocking import Client, DriverReport, Trace
from ddg_transports.emulator import Emulator


class Spans:
    """The `on_action` of one client, blocking or async. Questions, replies, tokens and cookies are in no span."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._turns: dict[int, Span] = {}  # by chat: a chat has one turn at a time, and a turn one request
        self._requests: dict[int, Span] = {}

    def __call__(self, trace: Trace) -> None:
        chat, what = trace.chat, trace.what
        turn, request = self._turns.get(chat), self._requests.get(chat)
        match what:
            case TurnStarted():
                turn = self._turns[chat] = self._tracer.start_span(f"chat {what.model}")
                turn.set_attribute("gen_ai.operation.name", "chat")
                turn.set_attribute("gen_ai.request.model", what.model)
                turn.set_attribute("ddg.chat", chat)
            case SendRequest() if turn is not None:
                self._end(self._requests, chat)
                self._requests[chat] = self._tracer.start_span(
                    what.method,
                    context=set_span_in_context(turn),
                    kind=SpanKind.CLIENT,
                    attributes={"http.request.method": what.method, "url.full": shown_url(what.url)},
                )
            case DriverReport(method="receive_head", arguments=(int(status), *_)) if request is not None:
                request.set_attribute("http.response.status_code", status)
            case DriverReport(method="transport_failed", arguments=(failure,)) if request is not None:
                request.set_attribute("error.type", failure.kind.value)
                request.set_status(StatusCode.ERROR)
                self._end(self._requests, chat)
            case DriverReport(method="receive_eof"):
                self._end(self._requests, chat)
            case Retrying() if turn is not None:
                turn.add_event("retry", {"attempt": what.attempt, "error.type": type(what.cause).__name__})
            case TurnFinished() if turn is not None:
                turn.set_attribute("gen_ai.response.finish_reasons", [what.reason])
            case TurnCancelled() if turn is not None:
                turn.add_event("cancelled")
            case DuckChatError() if turn is not None:
                turn.set_attribute("error.type", type(what).__name__)
                turn.set_status(StatusCode.ERROR)
        if what is PAUSED or isinstance(what, DuckChatError):
            self._end(self._requests, chat)
            self._end(self._turns, chat)

    def _end(self, spans: dict[int, Span], chat: int) -> None:
        if chat in spans:
            spans.pop(chat).end()


def main() -> None:
    question = " ".join(sys.argv[1:]) or "Why is the sky blue?"
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    spans = Spans(provider.get_tracer("ddg_transports"))
    with Emulator() as emulator, Client(DUCKDUCKGO_2025_04.at(emulator.url), on_action=spans) as client:
        print(client.chat().ask(question).text)
    provider.shutdown()


if __name__ == "__main__":
    main()
