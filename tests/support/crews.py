"""Processes that do turns of shared conversations, and that are killed and stopped meanwhile.

A turn appends its key to the conversation's document. So what was stored can be read off the document: each turn that
was acknowledged is in it once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any

import msgspec

from ddg_protocol.coordination import (
    Busy,
    Call,
    Claim,
    Claimed,
    Commit,
    Committed,
    Done,
    Lost,
    Mark,
    Reserve,
    Result,
    Slot,
)
from ddg_protocol.errors import EngineUnavailable

OpenEngine = Callable[[], Any]
_fork = multiprocessing.get_context("fork")


def nonce() -> str:
    return os.urandom(8).hex()


def patiently(engine: Any, call: Call, *, seconds: float = 30.0) -> Result:
    """Make a call, and repeat it while the engine is unavailable."""
    until = time.monotonic() + seconds
    while True:
        try:
            result: Result = engine.call(call)
            return result
        except EngineUnavailable:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def turn(engine: Any, key: str, name: str, *, lease: float, ask: Callable[[], None] = lambda: None) -> bytes:
    """Do a turn, as a session does; return its reply. Of one that is lost to another holder, begin anew."""
    while True:
        claimed = patiently(engine, Claim(key=key, holder=nonce(), lease=lease, turn=name))
        match claimed:
            case Done(reply=reply):
                return reply
            case Busy(retry_after=wait):
                time.sleep(min(wait, 0.02))
                continue
        assert isinstance(claimed, Claimed), claimed
        if patiently(engine, Mark(key=key, fence=claimed.fence, lease=lease)) == Lost():
            continue
        ask()
        reply = f"{name} by {os.getpid()} {nonce()}".encode()
        stored = Commit(
            key=key,
            fence=claimed.fence,
            revision=claimed.revision,
            document=claimed.document + name.encode() + b"\n",
            turn=name,
            reply=reply,
        )
        if isinstance(patiently(engine, stored), Committed):
            return reply


def document_of(engine: Any, key: str) -> list[str]:
    """Return the turns of a conversation, in order."""
    claimed = patiently(engine, Claim(key=key, holder=nonce(), lease=1.0, take_over=True))
    assert isinstance(claimed, Claimed), claimed
    return claimed.document.decode().split()


class PlainLock:
    """What many make do with: a lock that ends, and a document that whoever had it then writes."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def call(self, call: Call) -> Result:
        if isinstance(call, Mark):
            return self._engine.call(call)  # type: ignore[no-any-return]
        if isinstance(call, Commit):
            taken = self._engine.call(Claim(key=call.key, holder=nonce(), lease=1.0, take_over=True))
            call = msgspec.structs.replace(call, fence=taken.fence, revision=taken.revision)
        return self._engine.call(call)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._engine.close()


class Fatal:
    """An engine whose process is killed before or after one of its calls."""

    def __init__(self, engine: Any, at: int, *, after: bool) -> None:
        self._engine, self._at, self._after = engine, at, after
        self._calls = 0

    def call(self, call: Call) -> Result:
        self._calls += 1
        if self._calls == self._at and not self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        result: Result = self._engine.call(call)
        if self._calls == self._at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def begin(work: Callable[[], object]) -> BaseProcess:
    """Have a process do something; it ends without a word, and with 1 after an exception."""

    def run() -> None:
        try:
            work()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)

    process = _fork.Process(target=run)
    process.start()
    return process


@contextmanager
def ended(processes: list[BaseProcess]) -> Iterator[None]:
    """Kill processes at the end of a ``with`` block."""
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


class Line:
    """A pipe of short lines, from many processes to one. A line that was written is there, whoever is killed."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        self._rest = b""

    def write(self, text: str) -> None:
        os.write(self._writing, text.encode() + b"\n")  # at once, as it is shorter than PIPE_BUF

    def lines(self) -> list[str]:
        """Return the lines that have come since."""
        while True:
            try:
                self._rest += os.read(self._reading, 1 << 16)
            except BlockingIOError:
                break
        *whole, self._rest = self._rest.split(b"\n")
        return [line.decode() for line in whole]

    def close(self) -> None:
        os.close(self._reading)
        os.close(self._writing)


class Start:
    """Has requests begin when slots say so, and writes down when they did.

    Args:
        line: gets the times.
        interval: of the requests, in seconds.
        window: of the slots, in seconds.
        heeds: whether a slot that is over is left alone; without, it is the control.
    """

    def __init__(self, line: Line, *, interval: float, window: float, heeds: bool = True) -> None:
        self._line, self._interval, self._window, self._heeds = line, interval, window, heeds
        self._ticket = self._epoch = ""

    def request(self, engine: Any, pause: Callable[[], None], *, need: int = 1) -> None:
        """Wait for a slot, begin a request, and write down its time."""
        name = nonce()
        while True:
            asked = time.monotonic()
            slot = patiently(
                engine,
                Reserve(
                    nonce=name,
                    interval=self._interval,
                    window=self._window,
                    need=need,
                    ticket=self._ticket,
                    epoch=self._epoch,
                    max_wait=600.0,
                ),
            )
            assert isinstance(slot, Slot), slot
            self._ticket, self._epoch = slot.ticket, slot.epoch
            pause()
            time.sleep(slot.delay)
            now = time.monotonic()
            if slot.final and (now <= asked + self._window or not self._heeds):
                self._line.write(repr(now))
                return
