"""The engine over clients of Valkey and Redis: which ones it takes, and what becomes of their failures. No server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
import redis.backoff
import redis.retry
import valkey
import valkey.asyncio
import valkey.backoff
import valkey.retry
from support.servers import free_port

from ddg_protocol.coordination import Commit, Committed, Held, Hold, Lost
from ddg_protocol.errors import EngineUnavailable
from ddg_transports.engines.sqlite import SqliteEngine
from ddg_transports.engines.valkey import ValkeyEngine

HOLD = Hold(seconds=1.0)
COMMIT = Commit(key="the key", fence=7, revision=2, document=b"a token", turn="t", reply=b"answer")


class Client:
    """A client that does what it is told, and remembers its calls."""

    def __init__(self, *replies: Any) -> None:
        self._replies = list(replies)
        self.calls: list[tuple[str, Any]] = []

    def evalsha(self, sha: str, number: int, /, *arguments: Any) -> Any:
        return self.execute_command("EVALSHA", sha, number, *arguments)

    def eval(self, script: str, number: int, /, *arguments: Any) -> Any:
        return self.execute_command("EVAL", script, number, *arguments)

    def pipeline(self, *, transaction: bool) -> Pipeline:
        assert not transaction
        return Pipeline(self)

    def execute_command(self, name: str, script: Any, *arguments: Any) -> Any:
        self.calls.append((name, script))
        reply = self._replies.pop(0)
        if isinstance(reply, BaseException):
            raise reply
        return reply

    def close(self) -> None:
        self.calls.append(("close", None))


class Pipeline:
    """Sends commands together; gives exceptions as replies."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._commands: list[tuple[Any, ...]] = []

    def execute_command(self, *command: Any) -> None:
        self._commands.append(command)

    def execute(self, *, raise_on_error: bool) -> list[Any]:
        assert not raise_on_error
        replies: list[Any] = []
        for name, *rest in self._commands:
            try:
                replies.append(self._client.execute_command(name, rest[0], *rest[1:]))
            except Exception as error:
                replies.append(error)
        return replies


def unknown_script() -> Exception:
    return valkey.exceptions.NoScriptError("No matching script. Please use EVAL.")


def test_a_script_that_the_server_does_not_know_is_sent_whole() -> None:
    client = Client(b"held", unknown_script(), b"held")
    engine = ValkeyEngine(client)
    assert engine.call(HOLD) == engine.call(HOLD) == Held()
    assert [name for name, _ in client.calls] == ["EVALSHA", "EVALSHA", "EVAL"]
    sha, script = client.calls[1][1], client.calls[2][1]
    assert len(sha) == 40
    assert "redis.call('TIME')" in script


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (valkey.exceptions.ConnectionError("Error 111 connecting to secret:6379"), "it can't be reached"),
        (valkey.exceptions.TimeoutError("secret"), "it didn't answer in time"),
        (TimeoutError("secret"), "it didn't answer in time"),
        (ConnectionResetError("secret"), "it can't be reached, or closed the connection"),
        (redis.exceptions.ConnectionError("secret"), "it can't be reached"),
        (redis.exceptions.BusyLoadingError("secret"), "it is still loading its data"),
        (valkey.exceptions.AuthenticationError("secret"), "it refuses the user name or the password"),
        (valkey.exceptions.ReadOnlyError("secret"), "it is a replica"),
        (valkey.exceptions.OutOfMemoryError("secret"), "its memory is full"),
        (valkey.exceptions.NoPermissionError("secret"), "the user may not run scripts"),
        (redis.exceptions.MasterDownError("MASTERDOWN secret"), "its cluster is down"),
        (valkey.exceptions.ResponseError("ACL failure in script: User secret has no"), "the user may not run scripts"),
        (redis.exceptions.ResponseError("The user executing the script can't secret"), "the user may not run scripts"),
        (valkey.exceptions.ResponseError("NOREPLICAS secret"), "too few of its replicas can be reached"),
        (valkey.exceptions.ResponseError("MISCONF secret"), "it can't write to its disk"),
        (valkey.exceptions.ResponseError("BUSY secret"), "it is busy with a script"),
        (valkey.exceptions.ResponseError("CLUSTERDOWN secret"), "its cluster is down"),
        (valkey.exceptions.ResponseError("MOVED 7 secret:7000"), "it is a part of a cluster"),
        (redis.exceptions.MovedError("7 secret:7000"), "it is a part of a cluster"),
        (valkey.exceptions.ResponseError("WRONGTYPE secret"), r"it failed \(ResponseError, WRONGTYPE\)"),
        (valkey.exceptions.ResponseError("secret"), r"it failed \(ResponseError\)"),
        (UnicodeDecodeError("utf-8", b"secret", 0, 1, "secret"), r"it failed \(UnicodeDecodeError\)"),
    ],
)
@pytest.mark.parametrize("replicas", [0, 1])
def test_whatever_a_client_raises_is_one_error_that_shows_nothing(error: Exception, reason: str, replicas: int) -> None:
    engine = ValkeyEngine(Client(error, *[1] * replicas), replicas=replicas)
    with pytest.raises(EngineUnavailable, match=f"^Client: {reason}") as caught:
        engine.call(COMMIT)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is caught.value.__cause__ is None  # some have the command's arguments


def test_a_reply_that_can_not_be_read_is_one_of_the_server_that_is_named() -> None:
    with pytest.raises(EngineUnavailable, match=r"^Client: the reply to Hold can't be read"):
        ValkeyEngine(Client(b"hold")).call(HOLD)


def test_no_other_exception_is_taken_for_a_failure_of_the_server() -> None:
    with pytest.raises(KeyboardInterrupt):
        ValkeyEngine(Client(KeyboardInterrupt())).call(HOLD)


def test_a_commit_counts_when_replicas_have_it() -> None:
    client = Client([b"committed", b"3"], 2)
    assert ValkeyEngine(client, replicas=2).call(COMMIT) == Committed(revision=3)
    assert [name for name, _ in client.calls] == ["EVALSHA", "WAIT"]


def test_a_commit_that_too_few_replicas_have_does_not_count_yet() -> None:
    engine = ValkeyEngine(Client([b"committed", b"3"], 1, [b"committed", b"3"], 2), replicas=2)
    with pytest.raises(EngineUnavailable, match="1 of 2 replicas have the turn so far"):
        engine.call(COMMIT)
    assert engine.call(COMMIT) == Committed(revision=3)


def test_a_commit_that_is_lost_waits_for_no_replica() -> None:
    assert ValkeyEngine(Client([b"lost"], 0), replicas=1).call(COMMIT) == Lost()


def test_a_commit_whose_script_is_unknown_is_sent_whole_and_waited_for() -> None:
    client = Client(unknown_script(), 0, [b"committed", b"3"], 1)
    assert ValkeyEngine(client, replicas=1).call(COMMIT) == Committed(revision=3)
    assert [name for name, _ in client.calls] == ["EVALSHA", "WAIT", "EVAL", "WAIT"]


def test_other_calls_wait_for_no_replica() -> None:
    assert ValkeyEngine(Client(b"held"), replicas=2).call(HOLD) == Held()


RETRIES = redis.retry.Retry(redis.backoff.NoBackoff(), 1)
NO_RETRIES = redis.retry.Retry(redis.backoff.NoBackoff(), 0)


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        (redis.Redis(socket_timeout=5), "it repeats commands: pass retry="),
        (redis.Redis(socket_timeout=5, retry=RETRIES), "it repeats commands: pass retry="),
        (redis.Redis(socket_timeout=None, retry=NO_RETRIES), "it would wait without end: pass socket_timeout=5"),
        (valkey.Valkey(), "it would wait without end"),
        (valkey.Valkey(socket_timeout=5, retry_on_timeout=True), "it repeats commands"),
        (valkey.Valkey(socket_timeout=5, retry_on_error=[ConnectionError]), "it repeats commands"),
        (
            valkey.Valkey(socket_timeout=5, retry=valkey.retry.Retry(valkey.backoff.NoBackoff(), -1)),
            "it repeats commands",
        ),
        (valkey.Valkey(socket_timeout=5, decode_responses=True), "it decodes what it receives"),
        (redis.asyncio.Redis(socket_timeout=5), "it is asynchronous, and a blocking one is needed"),
        (valkey.asyncio.Valkey(socket_timeout=5), "it is asynchronous, and a blocking one is needed"),
        (object(), "it has no methods evalsha and eval"),
    ],
)
def test_a_client_that_can_not_be_used_is_refused_with_what_it_needs(client: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ValkeyEngine(client)


@pytest.mark.parametrize(
    "client",
    [
        redis.Redis(socket_timeout=5, retry=NO_RETRIES),
        valkey.Valkey(socket_timeout=5),
        valkey.Valkey(socket_timeout=5, retry=valkey.retry.Retry(valkey.backoff.NoBackoff(), 0)),
    ],
)
def test_a_client_that_can_be_used_is_taken_and_stays_open(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(client, "close", lambda: closed.append(True))
    with ValkeyEngine(client) as engine:
        assert repr(engine) == f"<ValkeyEngine {type(client).__name__}, scope 'default'>"
    assert not closed


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"scope": ""}, "the scope must be text of 1 to"),
        ({"scope": "\ud800"}, "the scope has half of a surrogate pair"),
        ({"ttl": 0.0}, "ttl must be more than 0 s, or None"),
        ({"ttl": float("nan")}, "ttl must be more than 0 s, or None"),
    ],
)
def test_a_setting_that_can_not_be_is_refused(settings: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=reason):
        ValkeyEngine(Client(), **settings)
    if "ttl" in settings:
        with pytest.raises(ValueError, match=reason):
            SqliteEngine(tmp_path, **settings)


def test_a_cluster_can_not_wait_for_replicas() -> None:
    class Cluster(Client):
        def get_node_from_key(self, key: bytes) -> None: ...

    with pytest.raises(ValueError, match="replicas can't be waited for in a cluster"):
        ValkeyEngine(Cluster(), replicas=1)


@pytest.mark.parametrize("library", ["valkey", "redis"])
@pytest.mark.parametrize("scheme", ["valkey", "redis"])
def test_a_url_opens_a_client_of_the_library_that_is_installed(
    scheme: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if library == "redis":
        monkeypatch.setitem(sys.modules, "valkey", None)
    port = free_port()
    with ValkeyEngine(f"{scheme}://user:secret@127.0.0.1:{port}/0?client_name=secret", scope="office") as engine:
        assert repr(engine) == f"<ValkeyEngine {scheme}://127.0.0.1:{port}, scope 'office'>"
        with pytest.raises(EngineUnavailable, match=f"^{scheme}://127.0.0.1:{port}: it can't be reached"):
            engine.call(HOLD)


def test_a_url_of_another_scheme_is_refused_without_being_shown() -> None:
    with pytest.raises(ValueError, match="the URL must begin with valkey://, valkeys://, redis://, ") as caught:
        ValkeyEngine("http://user:secret@localhost")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "valkey://user:secret/x@host",
        "valkey://user:sec#ret@host",
        "redis://user:12/secret@host",
        "valkey://host:secret",
        "valkeys://[secret",
    ],
)
def test_a_url_whose_password_is_not_encoded_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError, match=r"^the URL's host and port can't be read; in a password") as caught:
        ValkeyEngine(url)
    assert "sec" not in str(caught.value)
    assert caught.value.__context__ is caught.value.__cause__ is None


def test_a_url_says_what_to_install_where_there_is_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("valkey", "redis"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ModuleNotFoundError, match=r"needs valkey or redis: pip install valkey$"):
        ValkeyEngine("valkey://localhost")
