"""The SQLite engine: many processes and threads, forks, files of others, full disks, another boot."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from ddg_protocol.coordination import (
    Busy,
    Claim,
    Claimed,
    Commit,
    Committed,
    Done,
    Hold,
    Lost,
    Mark,
    Refused,
    Release,
    Released,
    Reserve,
    Slot,
)
from ddg_protocol.errors import EngineUnavailable, LocalProtocolError
from ddg_transports.engines import _database, sqlite
from ddg_transports.engines.sqlite import SqliteEngine

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # a worker's


def reserve(nonce: str = "n", **changes: Any) -> Reserve:
    return Reserve(**{"nonce": nonce, "interval": 1.5, "window": 0.05, "max_wait": 180.0, **changes})


def claim(engine: SqliteEngine, key: str = "k", holder: str = "h", **changes: Any) -> Claimed:
    claimed = engine.call(Claim(**{"key": key, "holder": holder, "lease": 30.0, **changes}))
    assert isinstance(claimed, Claimed), claimed
    return claimed


def commit(engine: SqliteEngine, document: bytes, key: str = "k", holder: str = "h", turn: str = "") -> None:
    claimed = claim(engine, key, holder)
    stored = Commit(
        key=key,
        fence=claimed.fence,
        revision=claimed.revision,
        document=document,
        turn=turn,
        reply=b"r" if turn else b"",
    )
    assert engine.call(stored) == Committed(revision=claimed.revision + 1)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SqliteEngine]:
    with SqliteEngine(tmp_path / "engine") as engine:
        yield engine


def in_child(work: Callable[[], object]) -> object:
    """Fork, have the child do something, and return its result; an exception is its class and text."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()

    def run(there: Connection) -> None:
        try:
            there.send(work())
        except BaseException as error:
            there.send((type(error).__name__, str(error)))
        there.close()
        os._exit(0)

    child = context.Process(target=run, args=(there,))
    child.start()
    there.close()
    found = here.recv()
    child.join()
    return found


def test_what_one_engine_stores_another_one_has(tmp_path: Path) -> None:
    with SqliteEngine(tmp_path) as first, SqliteEngine(str(tmp_path)) as second:
        commit(first, b"document", turn="1")
        done = second.call(Claim(key="k", holder="other", lease=1.0, turn="1"))
        assert done == Done(reply=b"r", revision=1, document=b"document")
        claimed = claim(second, holder="other")
        assert (claimed.revision, claimed.document) == (1, b"document")
        assert isinstance(first.call(Claim(key="k", holder="third", lease=1.0)), Busy)
        slot, other = first.call(reserve("a")), second.call(reserve("b"))
        assert isinstance(slot, Slot)
        assert isinstance(other, Slot)
        assert slot.epoch == other.epoch
        assert (slot.position, other.position) == (0, 1)


def test_a_release_leaves_or_replaces_the_document(engine: SqliteEngine) -> None:
    commit(engine, b"document")
    claimed = claim(engine, holder="2")
    assert engine.call(Release(key="k", fence=claimed.fence, revision=1)) == Released()
    claimed = claim(engine, holder="3")
    assert claimed.document == b"document"
    assert engine.call(Release(key="k", fence=claimed.fence, revision=1, document=b"new")) == Released()
    assert claim(engine, holder="4").document == b"new"


def test_the_files_are_private_and_in_a_folder_that_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    SqliteEngine(folder).close()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "pace.db": 0o600,
        "conversations.db": 0o600,
    }


def test_it_shows_its_folder_and_nothing_else(engine: SqliteEngine, tmp_path: Path) -> None:
    assert repr(engine) == f"SqliteEngine({str(tmp_path / 'engine')!r})"


def test_a_closed_engine_is_closed(engine: SqliteEngine) -> None:
    engine.call(reserve())
    engine.close()
    engine.close()
    for call in (reserve(), Claim(key="k", holder="h", lease=1.0)):
        with pytest.raises(LocalProtocolError, match="the engine is closed"):
            engine.call(call)


# Threads and forks


def test_threads_share_an_engine(engine: SqliteEngine) -> None:
    def take(number: int) -> bool:
        return isinstance(engine.call(Claim(key="k", holder=f"h{number}", lease=30.0)), Claimed)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(40))) == 1


def test_a_fork_uses_the_engine_of_its_parent(engine: SqliteEngine) -> None:
    commit(engine, b"of the parent")

    def work() -> object:
        commit(engine, b"of the child", holder="c")
        return os.getpid()

    assert in_child(work) != os.getpid()
    assert claim(engine, holder="p").document == b"of the child"


def test_a_fork_waits_for_the_call_of_another_thread(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    within, go_on = threading.Event(), threading.Event()
    clock = sqlite._now

    def slow() -> int:
        within.set()
        assert go_on.wait(60)
        return clock()

    monkeypatch.setattr(sqlite, "_now", slow)
    with ThreadPoolExecutor(1) as pool:
        slot = pool.submit(engine.call, reserve())
        assert within.wait(60)
        monkeypatch.setattr(sqlite, "_now", clock)
        threading.Timer(0.05, go_on.set).start()
        found = in_child(lambda: type(engine.call(reserve("child"))).__name__)
    assert found == "Slot"
    assert isinstance(slot.result(), Slot)


def test_a_fork_that_python_is_not_told_of_is_refused(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.call(reserve())
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with pytest.raises(LocalProtocolError, match="create the engine in the process that uses it"):
        engine.call(reserve())


def test_an_engine_that_was_not_used_is_no_matter_to_such_a_fork(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert isinstance(engine.call(reserve()), Slot)


def crowd(folder: Path, number: int, work: Callable[[SqliteEngine, int], object]) -> list[object]:
    """Have many processes open an engine at once, each do something with it, and return what they found."""
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(number), context.SimpleQueue()

    def run(which: int) -> None:
        try:
            barrier.wait(60)
            with SqliteEngine(folder) as engine:
                answers.put(work(engine, which))
        except BaseException as error:
            answers.put((type(error).__name__, str(error)))

    processes = [context.Process(target=run, args=(which,)) for which in range(number)]
    for process in processes:
        process.start()
    found = [answers.get() for _ in processes]
    for process in processes:
        process.join()
    return found


def turns(engine: SqliteEngine, which: int) -> str:
    for turn in range(5):
        holder = f"{which}-{turn}"
        while True:
            claimed = engine.call(Claim(key="k", holder=holder, lease=60.0))
            if isinstance(claimed, Claimed):
                break
            time.sleep(0.001)
        document = claimed.document + b"%s\n" % holder.encode()
        fence, revision = claimed.fence, claimed.revision
        engine.call(Mark(key="k", fence=fence, lease=60.0))
        assert engine.call(Commit(key="k", fence=fence, revision=revision, document=document)) != Lost()
        engine.call(reserve(holder))
    return ""


@pytest.mark.parametrize(
    "number", [pytest.param(4), pytest.param(32, marks=pytest.mark.deep("32 processes, ten times over"))]
)
def test_processes_that_open_a_fresh_folder_at_once_lose_nothing(number: int, tmp_path: Path) -> None:
    for repetition in range(10 if number > 10 else 1):
        folder = tmp_path / str(repetition)
        assert crowd(folder, number, turns) == [""] * number
        with SqliteEngine(folder) as engine:
            lines = claim(engine, holder="last").document.decode().split()
        assert sorted(lines) == sorted(f"{which}-{turn}" for which in range(number) for turn in range(5))


def test_a_process_that_is_killed_within_a_transaction_changes_nothing(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(engine, b"before")
    pid = os.fork()
    if not pid:  # pragma: no cover
        claimed = claim(engine, holder="child")
        monkeypatch.setattr(sqlite, "write_stored", lambda _: os.kill(os.getpid(), signal.SIGKILL))
        engine.call(Commit(key="k", fence=claimed.fence, revision=1, document=b"half"))
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    claimed = claim(engine, holder="other", take_over=True)
    assert (claimed.revision, claimed.document) == (1, b"before")


# Time


def at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(sqlite, "_now", lambda: int(seconds * 1_000_000))


def test_the_clock_is_the_machines_and_is_read_within_the_transaction(engine: SqliteEngine) -> None:
    before = time.monotonic()
    first = claim(engine, holder="1")
    assert before <= first.fence / 1_000_000 <= time.monotonic()


@pytest.mark.parametrize("uptime", [5.0, 100_000.0])
def test_another_boot_ends_leases_and_slots(uptime: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, 50_000.0)
    with SqliteEngine(tmp_path) as engine:
        commit(engine, b"document")
        claimed = claim(engine, holder="1")
        engine.call(Mark(key="k", fence=claimed.fence, lease=30.0))
        engine.call(Hold(seconds=600.0))
        slot = engine.call(reserve("1", max_wait=1000.0))
        assert isinstance(slot, Slot)
    monkeypatch.setattr(sqlite, "_boot", lambda: "another boot")
    at(monkeypatch, uptime)
    with SqliteEngine(tmp_path) as engine:
        again = claim(engine, holder="2")
        assert again.fence > claimed.fence
        assert again.sent
        assert again.document == b"document"
        other = engine.call(reserve("2", ticket=slot.ticket, epoch=slot.epoch, max_wait=1000.0))
        assert isinstance(other, Slot)
        assert other.epoch != slot.epoch
        assert other.delay == (600.0 if uptime < 50_000.0 else 2.5)  # the hold; or else the grace of another life


def test_where_a_boot_has_no_name_a_clock_that_begins_anew_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_boot", lambda: "")
    at(monkeypatch, 50_000.0)
    with SqliteEngine(tmp_path) as engine:
        claim(engine, holder="1")
        first = engine.call(reserve("1"))
        at(monkeypatch, 50_001.0)
        assert isinstance(engine.call(Claim(key="k", holder="2", lease=1.0)), Busy)
        at(monkeypatch, 5.0)
        assert isinstance(claim(engine, holder="2"), Claimed)
        second = engine.call(reserve("2"))
    assert isinstance(first, Slot)
    assert isinstance(second, Slot)
    assert first.epoch != second.epoch


def test_the_boot_has_a_name_on_linux_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> str:
        raise FileNotFoundError

    if sys.platform == "linux":
        assert len(sqlite._boot()) == 36
    monkeypatch.setattr(Path, "read_text", missing)
    assert sqlite._boot() == ""


def test_conversations_that_nobody_uses_are_forgotten_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    today = 1_764_331_122.0
    monkeypatch.setattr(time, "time", lambda: today)
    monkeypatch.setattr(sqlite, "_FORGOTTEN", 2)
    with SqliteEngine(tmp_path, ttl=3600.0) as engine:
        for number in range(5):
            claim(engine, str(number))
        commit(engine, b"document", key="5")
        today += 3601.0
        assert claim(engine, "5", "new").document == b""
        claim(engine, "other", "new")
        claim(engine, "other", "newer", take_over=True)
    with sqlite3.connect(tmp_path / "conversations.db") as connection:
        for table in ("lease", "stored"):
            assert sorted(connection.execute(f"SELECT key FROM {table}")) == [("5",), ("other",)]
    connection.close()
    with SqliteEngine(tmp_path, ttl=3600.0) as engine:
        today += 3599.0
        assert isinstance(engine.call(Claim(key="5", holder="2", lease=1.0)), Claimed | Busy)
        assert isinstance(engine.call(Claim(key="5", holder="new", lease=1.0)), Claimed)


# Files that can't be used


def test_a_newer_form_of_the_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    SqliteEngine(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "conversations.db")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(
        EngineUnavailable, match=r"conversations.db has version 2, and this .* reads 1: use the version"
    ):
        SqliteEngine(tmp_path)


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE theirs (x)", "PRAGMA user_version = 7", "PRAGMA application_id = 7"]
)
def test_a_database_of_another_program_is_refused_and_left_alone(statement: str, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "pace.db")
    connection.execute(statement)
    connection.close()
    content = (tmp_path / "pace.db").read_bytes()
    with pytest.raises(EngineUnavailable, match=r"pace.db is a database of another program"):
        SqliteEngine(tmp_path)
    assert (tmp_path / "pace.db").read_bytes() == content


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pace.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(EngineUnavailable, match="file is not a database"):
        SqliteEngine(tmp_path)
    assert (tmp_path / "pace.db").read_bytes() == b"not a database" * 1000


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EngineUnavailable, match="file can't be made: File exists"):
        SqliteEngine(tmp_path / "file")
    (tmp_path / "folder" / "pace.db").mkdir(parents=True)
    with pytest.raises(EngineUnavailable, match=r"pace.db: unable to open database file"):
        SqliteEngine(tmp_path / "folder")


@pytest.mark.parametrize("table", ["lease", "stored"])
def test_a_row_that_can_not_be_read_is_an_error_and_stays(table: str, engine: SqliteEngine, tmp_path: Path) -> None:
    commit(engine, b"document")
    connection = sqlite3.connect(tmp_path / "engine" / "conversations.db")
    with connection:
        connection.execute(f"UPDATE {table} SET state = ?", (b"\x01secret",))
    for _ in range(2):
        with pytest.raises(EngineUnavailable, match=r"the stored (lease|conversation) can't be read") as caught:
            claim(engine, holder="other")
        assert "secret" not in str(caught.value)
    assert connection.execute(f"SELECT state FROM {table}").fetchall() == [(b"\x01secret",)]
    connection.close()


@pytest.mark.parametrize("value", ["1", "'text'", "x''"])
def test_a_pace_that_is_no_row_is_an_error_and_stays(value: str, engine: SqliteEngine, tmp_path: Path) -> None:
    engine.call(reserve())
    connection = sqlite3.connect(tmp_path / "engine" / "pace.db")
    with connection:
        connection.execute(f"UPDATE pace SET state = {value}")
    with pytest.raises(EngineUnavailable, match=r"pace.db: the stored pace is empty"):
        engine.call(reserve())
    with pytest.raises(EngineUnavailable, match="the stored pace is empty"):
        engine.overview(interval=1.5)
    connection.close()


def test_a_file_whose_tables_have_damaged_names_is_an_error(tmp_path: Path) -> None:
    SqliteEngine(tmp_path).close()
    file = tmp_path / "pace.db"
    found = file.read_bytes()
    assert b"tablepacepace" in found
    file.write_bytes(found.replace(b"tablepacepace", b"tablepac\xffpace").replace(b"TABLE pace (id", b"TABLE pace (("))
    with (
        pytest.raises(EngineUnavailable, match=r"pace.db is damaged \(stop what uses it, and restore it"),
        SqliteEngine(tmp_path) as engine,
    ):
        engine.call(reserve())


def test_a_conversation_of_which_a_part_is_gone_is_an_error(engine: SqliteEngine, tmp_path: Path) -> None:
    commit(engine, b"document")
    connection = sqlite3.connect(tmp_path / "engine" / "conversations.db")
    with connection:
        connection.execute("DELETE FROM stored")
    connection.close()
    with pytest.raises(EngineUnavailable, match="the stored conversation is empty"):
        claim(engine, holder="other")


def errors_of(engine: SqliteEngine, call: Commit) -> list[str]:
    """Make a call that fails twice; return the errors."""
    found = []
    for _ in range(2):
        try:
            engine.call(call)
        except EngineUnavailable as error:
            found.append(str(error))
    return found


def test_a_file_that_can_not_grow_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    def work() -> object:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with SqliteEngine(tmp_path) as engine:
            commit(engine, b"short")
            claimed = claim(engine, holder="2")
            call = Commit(key="k", fence=claimed.fence, revision=1, document=bytes(1_000_000))
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
            found = errors_of(engine, call)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            return found, engine.call(call)

    assert in_child(work) == ([f"{tmp_path}/conversations.db: disk I/O error"] * 2, Committed(revision=2))


@pytest.mark.deep("it mounts a file system, as root")
def test_a_disk_that_is_full_refuses_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "none", disk], check=False).returncode:
        pytest.skip("needs a right to mount file systems")
    try:
        with SqliteEngine(disk) as engine:
            commit(engine, b"short")
            claimed = claim(engine, holder="2")
            engine.call(reserve())
            call = Commit(key="k", fence=claimed.fence, revision=1, document=bytes(1_000_000))
            text = f"{disk}/conversations.db: database or disk is full (make room for it)"
            assert errors_of(engine, call) == [text] * 2
            subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
            assert engine.call(call) == Committed(revision=2)
            assert isinstance(engine.call(reserve()), Slot)
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_that_is_read_only_is_refused(exists: bool, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    if exists:
        SqliteEngine(folder).close()
    folder.mkdir(exist_ok=True)

    def work() -> object:
        if os.getuid() == 0:
            for path in (folder, *folder.iterdir()):
                os.chmod(path, 0o755 if path.is_dir() else 0o644)
            for parent in tmp_path.parents:
                if parent.stat().st_mode & 0o055 != 0o055 and parent != Path("/"):
                    os.chmod(parent, parent.stat().st_mode | 0o055)
            os.chmod(tmp_path, 0o755)
            os.setgid(65534)
            os.setuid(65534)
        else:
            os.chmod(folder, 0o555)
        SqliteEngine(folder)
        return None

    found = str(in_child(work))
    assert found.startswith(f"('EngineUnavailable', '{folder}/pace.db: ")
    assert "the file and its folder must be writable" in found


def test_a_writer_that_does_not_end_is_waited_for_in_vain(
    engine: SqliteEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_database, "_PATIENCE", 0.05)
    other = sqlite3.connect(tmp_path / "engine" / "pace.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(EngineUnavailable, match=r"pace.db: database is locked \(other processes have been writing"):
        engine.call(reserve())
    other.execute("ROLLBACK")
    other.close()
    assert isinstance(engine.call(reserve()), Slot | Refused)


def test_a_file_system_without_shared_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_database, "_WAL", "PRAGMA journal_mode = DELETE")
    with pytest.raises(EngineUnavailable, match=r"pace.db can't be shared: a local disk is needed"):
        SqliteEngine(tmp_path)
