"""The status of waits, shown on standard error: what a command waits for, and for how long."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from ddg_protocol import (
    DuckChatError,
    Retrying,
    SendRequest,
    ServiceError,
    ServiceProfile,
    TextDelta,
    TurnCancelled,
    TurnFinished,
    Wait,
)
from ddg_protocol.events import LimitReached, Queued, ReasoningDelta, ReasoningSummary, ServiceNotice, ToolStarted
from ddg_transports.blocking import Trace

from ._say import Fold, say, width_of
from ._text import columns, first, harmless, one_line

_WORTH_SAYING = 0.3  # seconds; a shorter wait would only flicker
_STEP = 0.1
_WAITS = {
    "pacing": "waiting to keep the service's pace",
    "backoff": "waiting to retry",
    "busy": "waiting for the conversation",
}
_ROOM = 3  # columns that stay free: the terminal echoes Ctrl-C as two characters


class StatusLine:
    """A temporary line at the cursor that shows the remaining or the elapsed time of a wait.

    It needs only carriage return from the terminal. While it is shown, nothing else may be written to the terminal.

    Args:
        stream: a terminal, with its cursor at the beginning of a line.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._change = threading.Condition()
        self._text: Callable[[float], str] | None = None
        self._shown = 0  # columns
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="status line", daemon=True)
        self._thread.start()

    def show(self, text: Callable[[float], str]) -> None:
        """Show a text, unless it is cleared soon.

        Args:
            text: returns the text for a time of `time.monotonic`; called again as time passes.
        """
        with self._change:
            self._text = text
            self._change.notify()

    def clear(self) -> None:
        """Remove the text; when this returns, the line is empty again."""
        with self._change:
            self._text = None
            self._write("")

    def close(self) -> None:
        """Remove the text, and end the thread."""
        self.clear()
        with self._change:
            self._ended = True
            self._change.notify()
        self._thread.join()

    def _run(self) -> None:
        with self._change:
            while not self._ended:
                if (text := self._text) is None:
                    self._change.wait()
                    continue
                self._change.wait(_WORTH_SAYING)
                while self._text is text and not self._ended:
                    self._write(text(time.monotonic()))
                    self._change.wait(_STEP)

    def _write(self, text: str) -> None:
        text = fitted(one_line(text), width_of(self._stream) - _ROOM)
        if text or self._shown:
            end = "" if text else "\r"
            wide = columns(text)
            self._stream.write(f"\r{text}{' ' * (self._shown - wide)}{end}")
            self._stream.flush()
            self._shown = wide


class Waiting:
    """Shows at a terminal what the program waits for; made to be a client's ``on_action``.

    A wait is shown in a `StatusLine`. A retry's cause and a notice from the service stay as lines, and so does the
    model's reasoning. Put ``with waiting: ...`` around each turn: its end removes the status line, and shows what came
    in the middle of a reply, where it doesn't break a line.

    Args:
        stream: standard error, if it is a terminal.
        profile: the service's profile.
        moving: whether the terminal can overwrite text; if not, a wait is shown as a line.
        dim: whether the terminal can dim text, and may.
        streams: whether a reply is shown while it arrives; if not, that is waited for, too.

    Attributes:
        about: what the status line says besides, such as which turn it is.
    """

    def __init__(
        self, stream: TextIO, profile: ServiceProfile, *, moving: bool = True, dim: bool = False, streams: bool = True
    ) -> None:
        self.about = ""
        self._streams = streams
        self._stream = stream
        self._moving = moving
        self._dimmed = "\x1b[2m{}\x1b[22m" if dim else "{}"
        self._in_reasoning = False  # whether the cursor is within a line of reasoning
        self._fold: Fold | None = None  # of the reasoning, on a terminal
        self._in_reply = False  # whether text of the reply has come
        self._late: list[str] = []  # reasoning that came after it
        self._status: StatusLine | None = None
        self._at_the_end: dict[str, None] = {}  # each text once
        self._queued = False
        doing = {
            profile.front_end_path: "fetching the front end's version",
            profile.landing_path: "fetching cookies",
            profile.status_path: "fetching a token",
            profile.chat_path: "waiting for the reply",
            profile.models_path: "fetching the list of models",
        }
        self._doing = {profile.url(path): what for path, what in doing.items() if path is not None}

    def __call__(self, trace: Trace) -> None:
        """Show the status of what happens next."""
        match action := trace.what:
            case Queued():
                self._queued = True
                self._queue(action, trace.at)
            case Wait(reason="pacing") if self._queued:
                pass  # the queue's own time is shown, until a request begins
            case Wait():
                what = _WAITS[action.reason]
                left = action.until - trace.at
                if self._moving:
                    self._show(lambda now: f"{what}: {max(0.0, action.until - now):.1f} s")
                elif left >= 1:
                    self._say(f"{what}: {math.ceil(left)} s")
            case SendRequest():
                self._queued = False
                what, begun = self._doing.get(action.url, "following a redirect"), time.monotonic()
                if self._moving:
                    self._show(lambda now: f"{what}: {now - begun:.1f} s")
            case Retrying():
                when = f"in {math.ceil(action.delay)} s" if action.delay else "at once"
                self._say(f"will retry {when}: {_what(action.cause)}")
            case ServiceNotice():
                self._say(action.text)
            case ReasoningDelta(text):
                self._reason(text)
            case ReasoningSummary(text):
                self._end_reasoning()
                self._reason(f"{text}\n")
            case ToolStarted(name) if self._moving and not self._in_reply:
                begun = time.monotonic()
                self._show(lambda now: f"the service uses {name}: {now - begun:.1f} s")
            case LimitReached():
                self._at_the_end[f"the service reports that the {action.limit} limit is reached"] = None
            case TurnFinished(reason="length"):
                self._at_the_end["the reply was cut short by a limit of the service"] = None
            case TextDelta() if not self._streams and self._moving:
                if not self._in_reply:
                    begun = time.monotonic()
                    self._show(lambda now: f"the reply arrives: {now - begun:.1f} s")
                self._in_reply = True
            case TextDelta() | TurnFinished() | TurnCancelled():
                self._end_reasoning()
                self._in_reply = True
                self.clear()

    def _queue(self, queued: Queued, now: float) -> None:
        def text(now: float) -> str:
            return f"in the queue, about {max(1, math.ceil(queued.until - now))} s"

        if self._moving:
            self._show(text)
        else:
            self._say(text(now))

    def clear(self) -> None:
        """Remove the status line."""
        if self._status is not None:
            self._status.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        status, self._status = self._status, None
        if status is not None:
            status.close()
        self._in_reply = False
        late, self._late = self._late, []
        if late:
            self._reason("".join(late))
        self._end_reasoning()
        said, self._at_the_end = self._at_the_end, {}
        for text in said:
            self._say(text)

    def _reason(self, text: str) -> None:
        """Show reasoning, unless a reply that has begun would be broken by it."""
        if self._fold is None and self._stream.isatty():
            self._fold = Fold(width_of(self._stream))
        if self._in_reply:
            self._late.append(text)
            return
        self.clear()
        self._write_reasoning(self._fold.feed(harmless(text)) if self._fold else harmless(text))
        self._in_reasoning = not text.endswith("\n")

    def _write_reasoning(self, text: str) -> None:
        if text:
            self._stream.write(self._dimmed.format(text))
            self._stream.flush()

    def _end_reasoning(self) -> None:
        if self._in_reasoning:
            if self._fold is not None:
                self._write_reasoning(self._fold.end())
            self._stream.write("\n")
            self._in_reasoning = False
            self._fold = None

    def _show(self, text: Callable[[float], str]) -> None:
        self._end_reasoning()
        if self._status is None:
            self._status = StatusLine(self._stream)
        about = f" · {self.about}" if self.about else ""

        def with_turn(now: float) -> str:
            whole = f"{text(now)}{about}"
            return whole if columns(whole) <= width_of(self._stream) - _ROOM else text(now)

        self._status.show(with_turn)

    def _say(self, text: str) -> None:
        self._end_reasoning()
        self.clear()
        say(f"ddg-chat: {one_line(text)}", self._stream)


def fitted(status: str, most: int) -> str:
    """Shorten a status to a number of columns. What is cut is what is waited for, and not for how long.

    Args:
        status: what is waited for, a colon, and how long.
        most: the columns. A time is shown in any case.
    """
    if columns(status) <= most:
        return status
    what, colon, seconds = status.rpartition(": ")
    if not colon:
        return f"{first(status, most - 1)}…"
    return f"{first(what, max(0, most - 2 - columns(seconds)))}… {seconds}"


def _what(error: DuckChatError) -> str:
    """Return what an error says has happened, without its advice, which is for the end of the turn."""
    what, _, advice = str(error).partition("; ")
    if not advice or not isinstance(error, ServiceError) or not error.status:
        return what
    return f"{what} ({error.status} {error.type})" if error.type else f"{what} ({error.status})"
