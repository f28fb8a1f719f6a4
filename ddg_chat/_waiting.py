"""What a command waits for and for how long, said on standard error while it waits."""

from __future__ import annotations

import math
import shutil
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from ddg_protocol import Retrying, SendRequest, ServiceProfile, TextDelta, TurnCancelled, TurnFinished, Wait
from ddg_protocol.events import LimitReached, ServiceNotice
from ddg_transports.blocking import Seen

from ._text import one_line

_WORTH_SAYING = 0.3  # seconds; what is over sooner would only flicker
_STEP = 0.1


class StatusLine:
    """A line at the cursor that says how long something has still to go, or has gone on; then it is gone again.

    It needs nothing of the terminal but carriage return, and comes and goes as a whole, so that nothing else may be
    written to the terminal while it is shown.

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
        """Show a text, if it is not cleared soon.

        Args:
            text: gives it for a time, that of `time.monotonic`; asked again as time goes by.
        """
        with self._change:
            self._text = text
            self._change.notify()

    def clear(self) -> None:
        """Take the text away; once this is done the line is as it was."""
        with self._change:
            self._text = None
            self._write("")

    def close(self) -> None:
        """Take the text away, for ever."""
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
        text = one_line(text, max(10, shutil.get_terminal_size().columns - 1))
        if text or self._shown:
            end = "" if text else "\r"
            self._stream.write(f"\r{text.ljust(self._shown)}{end}")
            self._stream.flush()
            self._shown = len(text)


class Waiting:
    """Tells a person at a terminal what is waited for; made to be a client's ``on_action``.

    What will be over is a `StatusLine`; what is worth knowing afterwards, a retry's cause or a notice of the service,
    stays as a line. ``with waiting: ...`` around each turn leaves no status line behind; what the service says in the
    middle of a reply is told at the end of the block, where it breaks no line.

    Args:
        stream: standard error, if it is a terminal.
        profile: of the service that is asked.
        moving: whether the terminal can take text back; if not, a wait is a line, too.
    """

    def __init__(self, stream: TextIO, profile: ServiceProfile, *, moving: bool = True) -> None:
        self._stream = stream
        self._moving = moving
        self._status: StatusLine | None = None
        self._at_the_end: dict[str, None] = {}  # each once, however often it is said
        self._doing = {
            profile.url(profile.front_end_path): "asking for the front end's version",
            profile.url(profile.landing_path): "asking for cookies",
            profile.url(profile.status_path): "asking for a token",
            profile.url(profile.chat_path): "waiting for the reply",
        }

    def __call__(self, action: Seen) -> None:
        """Take note of what is done next."""
        match action:
            case Wait():
                what = {"pacing": "keeping the service's pace", "backoff": "waiting to try again"}[action.reason]
                left = action.until - time.monotonic()
                if self._moving:
                    self._show(lambda now: f"{what}: {max(0.0, action.until - now):.1f} s")
                elif left >= 1:
                    self._say(f"{what}: {math.ceil(left)} s")
            case SendRequest():
                what, begun = self._doing.get(action.url, "following a redirect"), time.monotonic()
                if self._moving:
                    self._show(lambda now: f"{what}: {now - begun:.1f} s")
            case Retrying():
                self._say(f"to be tried again: {action.cause}")
            case ServiceNotice():
                self._say(action.text)
            case LimitReached():
                self._at_the_end[f"the service says that the {action.limit} limit is reached"] = None
            case TurnFinished(reason="length"):
                self._at_the_end["the reply was cut short by a limit of the service"] = None
            case TextDelta() | TurnFinished() | TurnCancelled():
                self.clear()

    def clear(self) -> None:
        """Take the status line away."""
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
        said, self._at_the_end = self._at_the_end, {}
        for text in said:
            self._say(text)

    def _show(self, text: Callable[[float], str]) -> None:
        if self._status is None:
            self._status = StatusLine(self._stream)
        self._status.show(text)

    def _say(self, text: str) -> None:
        self.clear()
        print(f"ddg-chat: {one_line(text)}", file=self._stream, flush=True)
