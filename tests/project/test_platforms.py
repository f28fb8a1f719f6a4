"""What differs on Windows and macOS, as far as this machine can pretend to be one: no test here runs on either."""

from __future__ import annotations

import ctypes
import errno
import importlib.util
import json
import os
import socket
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from support.paths import ROOT

from ddg_chat import _errors, _store
from ddg_protocol import DUCKDUCKGO_2025_04, Conversation
from ddg_protocol.wire import Connect
from ddg_transports._waits import Wake
from ddg_transports.anyio import unix as async_unix
from ddg_transports.blocking import Client, unix
from ddg_transports.emulator import Emulator

IMPORT_ALL = """
import importlib, json, os, pkgutil, sys
# What is imported from here on by others would ask for Windows.
import anyio, asyncio, ctypes, hypothesis, html5lib, httpcore, platformdirs, prompt_toolkit.shortcuts
import pytest, rich.console, rich.live, selectors, signal, socket, subprocess, tempfile, trio, types

anyio.run(anyio.sleep, 0)  # imports what anyio has for asyncio
sys.platform = "win32"
sys.modules |= dict.fromkeys(["fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"])  # not importable
sys.modules["msvcrt"] = types.ModuleType("msvcrt")
for module, *names in ((socket, "AF_UNIX"), (signal, "SIGHUP", "SIGALRM", "SIGUSR1", "SIGKILL", "pthread_sigmask"),
                       (os, "fork", "getuid", "geteuid", "umask", "killpg", "getpgid", "O_NOFOLLOW", "O_DIRECTORY")):
    for name in names:
        delattr(module, name)
found = []
for package in map(importlib.import_module, ("ddg_protocol", "ddg_transports", "ddg_chat")):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            found.append(importlib.import_module(module.name).__name__)
print(json.dumps(found))
"""


def test_every_module_can_be_imported_without_what_windows_lacks() -> None:
    run = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=False, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert {"ddg_chat._files", "ddg_transports.emulator", "ddg_transports.testing.contract"} <= set(found)


class Msvcrt(ModuleType):
    """Windows' locks: another process has the file, for as many tries as `held`."""

    LK_LOCK, LK_UNLCK = 1, 0

    def __init__(self, held: int) -> None:
        super().__init__("msvcrt")
        self.held = held
        self.calls: list[tuple[int, int]] = []

    def locking(self, file: int, mode: int, size: int) -> None:
        self.calls.append((mode, os.lseek(file, 0, os.SEEK_CUR)))
        if mode == self.LK_LOCK and len(self.calls) <= self.held:
            raise OSError(errno.EDEADLK, "Resource deadlock avoided")


@pytest.fixture
def msvcrt() -> Msvcrt:
    return Msvcrt(held=2)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, msvcrt: Msvcrt) -> Any:
    module = on_windows("_files", monkeypatch, msvcrt)
    monkeypatch.setattr(module, "_PAUSE", 0.0)
    return module


def on_windows(name: str, monkeypatch: pytest.MonkeyPatch, msvcrt: Msvcrt) -> Any:
    """Import a module of `ddg_chat` once more, as Windows has it."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", msvcrt)
    spec = importlib.util.spec_from_file_location(f"ddg_chat.{name}_on_windows", ROOT / "ddg_chat" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_lock_waits_longer_than_windows_own_ten_tries(files: Any, msvcrt: Msvcrt, tmp_path: Path) -> None:
    with open(tmp_path / ".lock", "ab+") as file:
        file.write(b"some bytes")
        file.flush()
        with files.locked(file.fileno()):
            assert msvcrt.calls == [(msvcrt.LK_LOCK, 0)] * 3
        assert msvcrt.calls[3:] == [(msvcrt.LK_UNLCK, 0)]


def test_a_lock_that_fails_otherwise_is_an_error(
    files: Any, msvcrt: Msvcrt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: int) -> None:
        raise OSError(errno.EACCES, "no")

    monkeypatch.setattr(msvcrt, "locking", broken)
    with open(tmp_path / ".lock", "ab") as file, pytest.raises(OSError, match="no"), files.locked(file.fileno()):
        raise AssertionError


@pytest.mark.parametrize(("busy", "kept"), [(3, "new"), (100, "new"), (101, "old")])
def test_replacing_a_file_waits_for_whoever_is_reading_it_but_not_for_ever(
    busy: int, kept: str, files: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    new.write_text("new", encoding="utf-8")
    old.write_text("old", encoding="utf-8")
    replace, tries = os.replace, iter(range(busy))

    def shared(source: Path, target: Path) -> None:
        if next(tries, None) is not None:
            raise PermissionError(errno.EACCES, "the file is in use")
        replace(source, target)

    monkeypatch.setattr(os, "replace", shared)
    with nullcontext() if kept == "new" else pytest.raises(PermissionError):
        files.replace(new, old)
    assert old.read_text(encoding="utf-8") == kept


def test_a_conversation_is_not_stored_in_a_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = _store.Store(tmp_path)
    assert store.save("nul", Conversation()) == "nul"
    monkeypatch.setattr(sys, "platform", "win32")
    for name in ("nul", "CON", "com1", "lpt\xb9", "aux.2"):
        with pytest.raises(_errors.CommandError, match="the name of a device on Windows"):
            store.load(name)
    for name in ("null", "com", "com10", "a.nul"):
        with pytest.raises(_errors.CommandError, match="there is no conversation"):
            store.load(name)


def test_a_pipe_that_nobody_reads_is_an_invalid_argument_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = OSError(errno.EINVAL, "Invalid argument")
    assert _errors.is_lost_reader(BrokenPipeError())
    assert not _errors.is_lost_reader(lost)
    monkeypatch.setattr(sys, "platform", "win32")
    assert _errors.is_lost_reader(lost)
    assert not _errors.is_lost_reader(OSError(errno.EINVAL, "Invalid argument", "a?.md"))
    assert not _errors.is_lost_reader(ValueError())


def test_a_unix_socket_is_a_connection_that_fails_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    monkeypatch.setattr(sys, "platform", "win32")
    connect = Connect(id=1, host="localhost", port=80, tls=False, timeout=1.0)
    with pytest.raises(OSError, match="no unix sockets on Windows"):
        unix("/run/duck.sock")(connect)
    with pytest.raises(OSError, match="no unix sockets on Windows"):
        async_unix("/run/duck.sock")(connect).send(None)  # type: ignore[attr-defined]


def test_a_sleep_comes_back_for_ctrl_c_and_ends_when_it_is_rung_for_its_turn() -> None:
    waits: list[float] = []

    class Bell:
        def acquire(self, timeout: float) -> bool:
            waits.append(timeout)
            if rings := {2: "another", 4: "one"}.get(len(waits)):
                wake.ring(rings)
            return False

        def release(self) -> None:
            pass

    wake = Wake()
    wake._bell = Bell()  # type: ignore[assignment]
    wake.begin("one")
    wake.sleep(60)
    assert waits == [0.5, 0.5, 0.5, 0.5]
    wake.begin("two")
    wake.sleep(-1)
    assert len(waits) == 4


def test_the_emulator_goes_on_where_an_option_of_a_connection_cannot_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    # As on macOS, where the client has left before it was accepted.
    refused: list[int] = []
    with Emulator() as emulator:

        class Socket(socket.socket):
            def setsockopt(self, level: int, option: int, value: Any, *more: Any) -> None:
                if emulator.url.endswith(f":{self.getsockname()[1]}"):
                    refused.append(option)
                    raise OSError(errno.EINVAL, "Invalid argument")
                super().setsockopt(level, option, value, *more)

        monkeypatch.setattr(socket, "socket", Socket)
        with Client(DUCKDUCKGO_2025_04.at(emulator.url, minimum_interval=0.0)) as client:
            assert client.chat().ask("Why?").text
    assert socket.TCP_NODELAY in refused


@pytest.mark.parametrize("modern", [True, False])
def test_a_windows_console_is_told_to_understand_escape_sequences(
    modern: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    mode, msvcrt = [3], Msvcrt(held=0)

    def read_mode(_: Any, into: Any) -> int:
        into._obj.value = mode[-1]
        return 1

    def set_mode(_: Any, new: int) -> int:
        mode.extend([new] if modern else [])
        return int(modern)

    kernel = SimpleNamespace(GetConsoleMode=read_mode, SetConsoleMode=set_mode)
    monkeypatch.setattr(msvcrt, "get_osfhandle", lambda number: number, raising=False)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    monkeypatch.delenv("TERM", raising=False)
    screen = on_windows("_screen", monkeypatch, msvcrt)
    with open(os.devnull, "w", encoding="utf-8") as console:
        assert not screen.takes_escapes(console)
        monkeypatch.setattr(console, "isatty", lambda: True, raising=False)
        assert screen.takes_escapes(console) is modern
    assert mode == ([3, 7] if modern else [3])
