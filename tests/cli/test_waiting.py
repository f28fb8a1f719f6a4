"""What is waited for: shown as long as it lasts, and then gone without a trace."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable

import pytest

from ddg_chat._waiting import StatusLine, Waiting
from ddg_protocol import DUCKDUCKGO_2025_04, Event, RateLimitError, Retrying, SendRequest, TextDelta, Wait
from ddg_protocol.events import LimitReached, Queued, ReasoningDelta, ReasoningSummary, ToolStarted
from ddg_transports.blocking import Trace

TIMEOUT = 60.0  # for what never ends, on the slowest of machines


class Watched(io.StringIO):
    """A terminal's stream, whose writing can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._written = threading.Condition()

    def write(self, text: str) -> int:
        with self._written:
            self._written.notify_all()
            return super().write(text)

    def wait_for(self, seen: Callable[[str], object]) -> None:
        with self._written:
            assert self._written.wait_for(lambda: seen(self.getvalue()), TIMEOUT), self.getvalue()

    @property
    def line(self) -> str:
        """What is on the line of the cursor."""
        shown: list[str] = []
        at = 0
        for character in self.getvalue().rpartition("\n")[2]:
            if character == "\r":
                at = 0
            else:
                shown[at : at + 1] = character
                at += 1
        return "".join(shown).rstrip()


@pytest.fixture
def stream() -> Watched:
    return Watched()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show a wait as soon as it begins."""
    monkeypatch.setattr("ddg_chat._waiting._WORTH_SAYING", 0.01)


def request(path: str) -> SendRequest:
    return SendRequest(id=1, method="GET", url=DUCKDUCKGO_2025_04.url(path), headers=(), body=b"", timeout=10.0)


def tell(waiting: Waiting, what: SendRequest | Wait | Event) -> None:
    waiting(Trace(1, what, time.monotonic()))


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("path", "said"),
    [
        (DUCKDUCKGO_2025_04.front_end_path, "fetching the front end's version: 0."),
        (DUCKDUCKGO_2025_04.landing_path, "fetching cookies: 0."),
        (DUCKDUCKGO_2025_04.status_path, "fetching a token: 0."),
        (DUCKDUCKGO_2025_04.chat_path, "waiting for the reply: 0."),
        ("/duckchat/v1/models", "fetching the list of models: 0."),
        ("/elsewhere", "following a redirect: 0."),
    ],
)
def test_each_request_is_told_until_the_reply_comes(path: str, said: str, stream: Watched) -> None:
    with Waiting(stream, DUCKDUCKGO_2025_04.updated({"models_path": "/duckchat/v1/models"})) as waiting:
        tell(waiting, request(path))
        stream.wait_for(lambda text: said in text)
        tell(waiting, TextDelta("It"))
        assert stream.line == ""
        written = stream.getvalue()
        assert written.endswith("\r"), "the reply begins where the line did"
    assert stream.getvalue() == written


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("reason", "said"), [("pacing", "waiting to keep the service's pace: "), ("backoff", "waiting to retry: ")]
)
def test_a_wait_counts_down(reason: str, said: str, stream: Watched) -> None:
    with Waiting(stream, DUCKDUCKGO_2025_04) as waiting:
        tell(waiting, Wait(id=1, until=time.monotonic() + 100, reason=reason))
        stream.wait_for(lambda text: text.count(said + "99.") >= 2)
    assert stream.line == ""


@pytest.mark.usefixtures("at_once")
def test_a_place_in_the_queue_is_told_until_a_request_begins(stream: Watched) -> None:
    with Waiting(stream, DUCKDUCKGO_2025_04) as waiting:
        tell(waiting, Queued(3, time.monotonic() + 20))
        tell(waiting, Wait(id=1, until=time.monotonic() + 1.5, reason="pacing"))
        stream.wait_for(lambda text: "in the queue, about 20 s" in text)
        tell(waiting, request(DUCKDUCKGO_2025_04.status_path))
        stream.wait_for(lambda text: "fetching a token" in text)
        tell(waiting, Wait(id=2, until=time.monotonic() + 1.5, reason="pacing"))
        stream.wait_for(lambda text: "waiting to keep the service's pace" in text)
    assert stream.getvalue().index("queue") < stream.getvalue().index("token") < stream.getvalue().index("pace")


def test_what_follows_soon_is_told_in_its_place(stream: Watched) -> None:
    with Waiting(stream, DUCKDUCKGO_2025_04) as waiting:
        tell(waiting, request(DUCKDUCKGO_2025_04.landing_path))
        tell(waiting, request(DUCKDUCKGO_2025_04.chat_path))
        stream.wait_for(lambda text: "waiting for the reply" in text)
    assert "cookies" not in stream.getvalue()


def test_what_is_worth_knowing_stays(stream: Watched) -> None:
    with Waiting(stream, DUCKDUCKGO_2025_04) as waiting:
        tell(waiting, Retrying(1, 2.5, RateLimitError("too\x1b[2J many", status=429)))
        tell(waiting, TextDelta("It"))
        tell(waiting, LimitReached("conversation"))
        assert stream.getvalue() == "ddg-chat: will retry in 3 s: too\N{REPLACEMENT CHARACTER}[2J many\n"
    assert stream.getvalue().endswith("\nddg-chat: the service reports that the conversation limit is reached\n")


def test_a_terminal_that_can_t_take_text_back_gets_lines(stream: Watched) -> None:
    actions: list[SendRequest | Wait | Queued] = [
        request(DUCKDUCKGO_2025_04.chat_path),
        Queued(1, time.monotonic() + 19.5),
        Wait(id=1, until=time.monotonic() + 1.5, reason="pacing"),
        request(DUCKDUCKGO_2025_04.chat_path),
        Wait(id=1, until=time.monotonic() + 0.5, reason="pacing"),
        Wait(id=2, until=time.monotonic() + 99.5, reason="backoff"),
    ]
    with Waiting(stream, DUCKDUCKGO_2025_04, moving=False) as waiting:
        for action in actions:
            tell(waiting, action)
    assert stream.getvalue() == "ddg-chat: in the queue, about 20 s\nddg-chat: waiting to retry: 100 s\n"


@pytest.mark.usefixtures("at_once")
def test_a_status_line_fits_its_terminal(stream: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    status = StatusLine(stream)
    status.show(lambda now: "a status that is longer than the line")
    stream.wait_for(lambda text: "a status" in text)
    assert stream.line == "a status that is…"
    status.show(lambda now: "what is waited for: 12.3 s")
    stream.wait_for(lambda text: "12.3 s" in text)
    assert stream.line == "what is w… 12.3 s", "how long it takes is never cut"
    status.close()
    assert stream.line == ""


def test_a_limit_is_told_once_however_often_the_service_says_it(stream: Watched) -> None:
    with Waiting(stream, DUCKDUCKGO_2025_04) as waiting:
        for limit in ("output", "input", "output"):
            tell(waiting, LimitReached(limit))
    said = "ddg-chat: the service reports that the {} limit is reached\n"
    assert stream.getvalue() == said.format("output") + said.format("input")


def test_reasoning_is_shown_dimmed_before_the_reply(stream: Watched) -> None:
    with Waiting(stream, DUCKDUCKGO_2025_04, dim=True) as waiting:
        tell(waiting, ReasoningDelta("Let me {see}:"))
        tell(waiting, ReasoningDelta(" the sky\x1b[31m."))
        tell(waiting, ReasoningSummary("It is blue."))
        tell(waiting, TextDelta("Because"))
    dim = "\x1b[2m{}\x1b[22m".format
    assert stream.getvalue() == (
        dim("Let me {see}:") + dim(" the sky\N{REPLACEMENT CHARACTER}[31m.") + "\n" + dim("It is blue.\n")
    )


def test_reasoning_in_the_middle_of_a_reply_is_shown_after_it(stream: Watched) -> None:
    with Waiting(stream, DUCKDUCKGO_2025_04) as waiting:
        tell(waiting, TextDelta("Because"))
        tell(waiting, ReasoningDelta("Is that "))
        tell(waiting, ReasoningDelta("so?"))
        tell(waiting, ToolStarted("WebSearch"))
        assert stream.getvalue() == ""
    assert stream.getvalue() == "Is that so?\n"
    with waiting:
        tell(waiting, ReasoningDelta("Anew"))
        assert stream.getvalue() == "Is that so?\nAnew"
    assert stream.getvalue() == "Is that so?\nAnew\n"


@pytest.mark.usefixtures("at_once")
def test_a_tool_is_told_while_it_is_used(stream: Watched) -> None:
    with Waiting(stream, DUCKDUCKGO_2025_04) as waiting:
        tell(waiting, ReasoningDelta("Let me see"))
        tell(waiting, ToolStarted("WebSearch"))
        stream.wait_for(lambda text: "Let me see\n\rthe service uses WebSearch: 0." in text)
        tell(waiting, TextDelta("It"))
        assert stream.line == ""
