"""A real headless Chromium, driven over a pipe with the DevTools protocol and the standard library only."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

T = TypeVar("T")
CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.deep("a real Chromium")

TIMEOUT = 180.0  # seconds; long enough for slow machines
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe"),
)


LOW_CONTRAST = """(() => {
  const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const colour = text => text.match(/[0-9.]+/g).map(Number);
  const backdrop = e => {
    for (; e; e = e.parentElement) {
      const found = colour(getComputedStyle(e).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll('%s')].filter(e => {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim() !== '');
    if (!own || !e.checkVisibility()) return false;
    return ['', '::before'].some(pseudo => {
      const pair = [luminance(colour(getComputedStyle(e, pseudo).color)), luminance(backdrop(e))].sort((a, b) => b - a);
      return (pair[0] + 0.05) / (pair[1] + 0.05) < 4.5;
    });
  }).map(e => e.outerHTML.slice(0, 80));
})()"""
"""JavaScript: the elements of a selector whose text has less contrast than 4.5 (WCAG 2.2, 1.4.3)."""


def started(start: Callable[[], T]) -> T:
    """Call a function that starts a Chromium, again if that fails: the machine may be busy.

    If it never starts, the test is skipped, since that says nothing about the code under test.
    """
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH: the tests in a browser are skipped")
    for _ in range(3):
        try:
            return start()
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            why = error
    pytest.skip(f"Chromium doesn't start here: {why}")


class Browser:
    """Chromium in a process of its own, with one page.

    Attributes:
        events: the events of the page since it was opened, as (method, parameters).
    """

    def __init__(self, folder: Path) -> None:
        assert CHROMIUM
        there, self._to = os.pipe()
        self._from, back = os.pipe()
        # Chromium reads from 3 and writes to 4; copies with high numbers keep one from overwriting the other.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (there, back)]
        quiet = os.open(os.devnull, os.O_RDWR)
        self.process = os.posix_spawn(
            CHROMIUM,
            [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"],
            os.environ,
            file_actions=[
                *((os.POSIX_SPAWN_DUP2, quiet, number) for number in (1, 2)),
                *((os.POSIX_SPAWN_DUP2, end, number) for end, number in zip(ends, (3, 4), strict=True)),
            ],
            setpgroup=0,
        )
        for end in (there, back, quiet, *ends):
            os.close(end)
        self._read = b""
        self._last = 0
        self._session = ""
        self.events: list[tuple[str, dict[str, Any]]] = []
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Network", "Log", "Audits"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)  # it has nothing to save
        os.close(self._to)
        os.close(self._from)
        os.waitpid(self.process, 0)

    def call(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        """Send a command, and wait for its result."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "result" in answer, f"{method}: {answer}"
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, url: str) -> None:
        """Open a page, and wait until it is loaded."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not self.named("Page.loadEventFired"):
            self._next()

    def named(self, method: str) -> list[dict[str, Any]]:
        """Return the parameters of each event of a name."""
        return [parameters for name, parameters in self.events if name == method]

    def run(self, expression: str) -> Any:
        """Evaluate JavaScript in the page, and await a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression is true: some events come after the call that caused them."""
        again = f"const again = () => ({expression}) ? resolve() : setTimeout(again); again();"
        self.run(f"new Promise(resolve => {{ {again} }})")

    def click(self, selector: str) -> None:
        """Click in the middle of an element, as a mouse does."""
        found = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center', behavior: 'instant'}); const b = e.getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        where = {"x": found[0], "y": found[1], "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, **where)

    def type(self, text: str) -> None:
        """Type into the element that has the focus."""
        for character in text:
            self.call("Input.dispatchKeyEvent", type="keyDown", text=character, key=character)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=character)

    def press(self, key: str, code: int) -> None:
        """Press a key that types nothing, or Enter."""
        text = {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def size(self, width: int, height: int) -> None:
        """Set the size of the page, in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, name: str) -> None:
        """Set the preferred color scheme: ``light`` or ``dark``."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def screenshot(self, file: Path) -> None:
        """Write what the page shows as a PNG."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + TIMEOUT
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._from], [], [], max(0.0, until - time.monotonic()))
            assert ready, "Chromium doesn't respond"
            data = os.read(self._from, 1 << 20)
            assert data, "Chromium has exited"
            self._read += data
        line, _, self._read = self._read.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if "method" in message:
            self.events.append((message["method"], message["params"]))
        return message
