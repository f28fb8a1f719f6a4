"""Servers of Valkey and Redis on loopback ports, each in a folder of its own: single, with a replica, in a cluster.

Each ends with its ``with`` block. A test that needs a program that isn't installed is skipped.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import valkey
from valkey.exceptions import ValkeyError

from .servers import free_port

PROGRAMS = ("redis-server", "valkey-server")
_PATIENCE = 30.0  # seconds


class Store:
    """A server that can be stopped, killed, paused and started again on the same port and folder."""

    def __init__(self, program: str, folder: Path, *options: str) -> None:
        found = shutil.which(program)
        if found is None:
            pytest.skip(f"needs {program}")
        self.program, self.folder, self.options = found, folder, options
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: list[Any] = []

    @property
    def url(self) -> str:
        return f"valkey://127.0.0.1:{self.port}"

    def client(self, **settings: Any) -> Any:
        """Return a client of the server, closed with it."""
        settings = {"host": "127.0.0.1", "port": self.port, "socket_timeout": _PATIENCE, **settings}
        client = valkey.Valkey(**settings)
        self._clients.append(client)
        return client

    def start(self) -> None:
        """Start the server and wait until it answers."""
        assert self._process is None
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        arguments += ["--appendonly", "no", "--repl-diskless-sync-delay", "0", *self.options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([self.program, *arguments], stdout=log, stderr=log)
        self.wait_for(lambda client: bool(client.ping()))

    def wait_for(self, holds: Callable[[Any], bool]) -> None:
        """Wait until something holds of the server; an error of its client is a no."""
        client = self.client()
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                if holds(client):
                    return
            except ValkeyError:
                pass
            assert self._process is not None
            assert self._process.poll() is None, (self.folder / "log").read_text(errors="replace")
            assert time.monotonic() < until, (self.folder / "log").read_text(errors="replace")
            time.sleep(0.01)

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the server, at once unless another signal is named."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(how)
            self._process.wait(_PATIENCE)
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Send the server a signal, to pause it or have it go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def close(self) -> None:
        """End the server and close the clients."""
        for client in self._clients:
            client.close()
        self.stop()


@contextmanager
def store(program: str, folder: Path, *options: str) -> Iterator[Store]:
    """Run a server for a ``with`` block."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Store(program, folder, *options)
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextmanager
def replica_of(primary: Store, folder: Path, *options: str) -> Iterator[Store]:
    """Run a replica of a server, for a ``with`` block that begins when it has all that the server has."""
    with store(primary.program, folder, "--replicaof", f"127.0.0.1 {primary.port}", *options) as replica:
        replica.wait_for(lambda client: client.info("replication")["master_link_status"] == "up")
        yield replica


@contextmanager
def cluster(program: str, folder: Path, *, size: int = 3) -> Iterator[list[Store]]:
    """Run a cluster without replicas, for a ``with`` block that begins when it is up."""
    with ExitStack() as stack:
        options = ("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "2000")
        nodes = []
        for number in range(size):
            port = free_port()
            nodes.append(
                stack.enter_context(store(program, folder / str(number), *options, "--cluster-port", str(port)))
            )
        first, *others = nodes
        edges = [16384 * number // size for number in range(size + 1)]
        for node, low, high in zip(nodes, edges, edges[1:], strict=False):
            node.client().execute_command("CLUSTER ADDSLOTSRANGE", low, high - 1)
        for number, node in enumerate(nodes):
            node.client().execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for other in others:
            cluster_port = other.options[other.options.index("--cluster-port") + 1]
            first.client().execute_command("CLUSTER MEET", "127.0.0.1", other.port, cluster_port)
        for node in nodes:
            node.wait_for(_is_whole(size))
        yield nodes


def _is_whole(size: int) -> Callable[[Any], bool]:
    def holds(client: Any) -> bool:
        info = client.execute_command("CLUSTER INFO")
        text = info if isinstance(info, dict) else {}
        return text.get("cluster_state") == "ok" and text.get("cluster_known_nodes") == str(size)

    return holds
