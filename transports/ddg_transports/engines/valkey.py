"""An engine for many machines: Valkey or Redis, from 7.0 on, single or a cluster.

Each call is one script on one hash, so that it is carried out as one step, by the server's own clock. What the scripts
do is in `ddg_protocol.coordination`; here they are sent.
"""

from __future__ import annotations

import contextlib
import inspect
import re
from importlib import import_module
from typing import Any, Self
from urllib.parse import urlsplit

from ddg_protocol.coordination import Call, Commit, LeasedConversation, Lost, Overview, Result
from ddg_protocol.coordination._overview import MAX_LISTED, overview
from ddg_protocol.coordination._valkey import (
    CONVERSATIONS,
    Command,
    decode,
    encode,
    look_at_conversation,
    look_at_pace,
    read_leased,
    read_pace,
)
from ddg_protocol.coordination.settings import check_key
from ddg_protocol.errors import EngineUnavailable

from ._ttl import check_ttl

__all__ = ["ValkeyEngine"]

_TIMEOUT = 5.0  # seconds to connect, and for an answer
_REPLICAS_TIMEOUT = 1000  # milliseconds for replicas to have a commit
_LIBRARIES = ("valkey", "redis")
_SCHEMES = {"valkey": "{}", "valkeys": "{}s", "redis": "{}", "rediss": "{}s", "unix": "unix"}

_CLUSTER = "it is a part of a cluster, which needs a client for clusters"
_REASONS = {  # by the client's exceptions
    "AuthenticationError": "it refuses the user name or the password",
    "AuthorizationError": "it refuses the user name or the password",
    "BusyLoadingError": "it is still loading its data",
    "ClusterDownError": "its cluster is down",
    "MasterDownError": "its cluster is down",
    "NoPermissionError": "the user may not run scripts, or what they run",
    "OutOfMemoryError": "its memory is full (maxmemory)",
    "ReadOnlyError": "it is a replica, which can't be written",
    "MaxConnectionsError": "all connections of the client's pool are in use",
    "TimeoutError": "it didn't answer in time",
    "ConnectionError": "it can't be reached, or closed the connection",
    "AskError": _CLUSTER,  # MovedError is one
}
_CODES = {  # by what the server's error begins with, where the client has no exception for it
    "ASK": _CLUSTER,
    "MOVED": _CLUSTER,
    "BUSY": "it is busy with a script of somebody else",
    "CLUSTERDOWN": _REASONS["ClusterDownError"],
    "MASTERDOWN": _REASONS["MasterDownError"],
    "MISCONF": "it can't write to its disk",
    "NOREPLICAS": "too few of its replicas can be reached (min-replicas-to-write)",
}


class ValkeyEngine:
    """Keeps the pace and the conversations in a Valkey or Redis server. A URL needs the extra ``valkey``.

    Threads can share an engine, and so can a process and its forks. Asyncio and trio call it in a thread. Nothing is
    sent before the first call.

    Args:
        server: the URL (``valkey://``, ``valkeys://`` for TLS, ``unix://``; ``redis`` does as well as ``valkey``), or a
            blocking client of valkey or redis, also one for a cluster. A client repeats no command, has a timeout and
            returns bytes: ``valkey.Valkey(socket_timeout=5)``. It isn't closed with the engine.
        scope: names the pace, which all engines of a scope keep together. The service should see them as one client.
        ttl: for how many seconds a conversation is kept after the last call that changes it; None for no end.
        replicas: how many replicas must have a turn before it counts as stored. With 0, a turn that was stored just
            before a failover may be lost. A cluster's client can't wait for replicas.

    Raises:
        ValueError: if an argument can't be used; the message says why.
        ModuleNotFoundError: if there is a URL, and neither valkey nor redis is installed.

    Example:
        >>> engine = ValkeyEngine("valkey://cache.example:6379/0")
        >>> client = Client(shared=engine)
    """

    def __init__(self, server: Any, *, scope: str = "default", ttl: float | None = None, replicas: int = 0) -> None:
        check_key("the scope", scope)
        check_ttl(ttl)
        self._scope, self._ttl, self._replicas = scope, ttl, replicas
        self._is_own = isinstance(server, str)
        self._client: Any = _connect(server) if isinstance(server, str) else server
        self._shown = _shown(server) if isinstance(server, str) else type(server).__name__
        if unfit := _unfit(self._client, replicas):
            raise ValueError(f"{type(self._client).__name__} can't be used: {'; '.join(unfit)}")

    def __repr__(self) -> str:
        return f"<ValkeyEngine {self._shown}, scope {self._scope!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, call: Call) -> Result:
        """Carry out a call.

        Args:
            call: what a session asks.

        Returns:
            The answer.

        Raises:
            EngineUnavailable: there is none. The call may have been carried out, and can be repeated.
        """
        command = encode(call, scope=self._scope, ttl=self._ttl)
        replicas = self._replicas if isinstance(call, Commit) else 0
        try:
            reply, reached = self._send(command, replicas)
            result = decode(call, reply)
        except EngineUnavailable as error:
            problem = str(error)
        except Exception as error:  # each client has its own, some with the command's arguments: they stay here
            problem = _reason(error)
        else:
            if isinstance(result, Lost) or reached >= replicas:
                return result
            problem = f"{reached} of {replicas} replicas have the turn so far"
        raise EngineUnavailable(f"{self._shown}: {problem}")

    def overview(self, *, interval: float, window: float = 0.05) -> Overview:
        """Return who holds what, for whoever runs the engine. Nothing is changed.

        Every key of the server is looked at for the conversations: that takes a second for some hundred thousand.

        Args:
            interval: seconds between two requests, as of the service's profile.
            window: seconds for which a slot may be used, as of `Coordination.window`.

        Returns:
            The pace, and the conversations that turns have, in no order; None for these if the client can't list keys.

        Raises:
            EngineUnavailable: the server doesn't answer, or what it holds can't be read.
        """
        try:
            conversations = self._leased() if hasattr(self._client, "scan_iter") else None
            reply, _ = self._send(look_at_pace(self._scope), 0)
            now, pace = read_pace(reply)
            return overview(pace, conversations, now=now, interval=interval, window=window)
        except EngineUnavailable as error:
            raise EngineUnavailable(f"{self._shown}: {error}") from None
        except Exception as error:
            raise EngineUnavailable(f"{self._shown}: {_reason(error)}") from None

    def _leased(self) -> list[LeasedConversation]:
        found = []
        for key in self._client.scan_iter(match=CONVERSATIONS, count=1000):
            reply, _ = self._send(look_at_conversation(key), 0)
            if (conversation := read_leased(key, reply)) is not None:
                found.append(conversation)
            if len(found) == MAX_LISTED:
                break
        return found

    def _send(self, command: Command, replicas: int) -> tuple[Any, int]:
        """Send a command; return the reply, and how many replicas have what it has written, if there are to be some."""
        arguments = 1, command.key, *command.arguments
        try:
            if replicas:
                return self._send_and_wait(replicas, "EVALSHA", command.script.sha, *arguments)
            return self._client.evalsha(command.script.sha, *arguments), 0
        except Exception as error:
            if not _is_unknown(error):
                raise
        if replicas:
            return self._send_and_wait(replicas, "EVAL", command.script.text, *arguments)
        return self._client.eval(command.script.text, *arguments), 0

    def _send_and_wait(self, replicas: int, *command: Any) -> tuple[Any, int]:
        """Send a command, then wait on the same connection: replicas are asked for what was written by that one."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.execute_command(*command)
        pipeline.execute_command("WAIT", replicas, _REPLICAS_TIMEOUT)
        reply, reached = pipeline.execute(raise_on_error=False)
        for found in (reply, reached):
            if isinstance(found, Exception):
                raise found
        return reply, reached

    def close(self) -> None:
        """Close the connections, unless the client was given."""
        if self._is_own:
            self._client.close()


def _connect(url: str) -> Any:
    """Return a client for a URL, of valkey or else of redis."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise ValueError(f"the URL must begin with {', '.join(f'{each}://' for each in _SCHEMES)}")
    if not _is_readable(url):
        raise ValueError(
            "the URL's host and port can't be read; in a password, write / as %2F, # as %23, ? as %3F and @ as %40"
        )
    for library in _LIBRARIES:
        try:
            client: Any = getattr(import_module(library), library.capitalize())
        except ModuleNotFoundError:
            continue
        no_backoff = import_module(f"{library}.backoff").NoBackoff()
        return client.from_url(
            f"{_SCHEMES[scheme].format(library)}://{rest}",
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT,
            retry=import_module(f"{library}.retry").Retry(no_backoff, 0),
        )
    raise ModuleNotFoundError("a URL needs valkey or redis: pip install valkey", name=_LIBRARIES[0])


def _is_readable(url: str) -> bool:
    """Return whether a URL has a host and a port, and no part of a password in their place."""
    try:
        parts = urlsplit(url)
        rest = f"{parts.path}?{parts.query}#{parts.fragment}"
        return parts.port != 0 and (parts.scheme == "unix" or "@" not in rest)
    except ValueError:  # its message has what was taken for the port
        return False


def _unfit(client: Any, replicas: int) -> list[str]:
    """Return why a client can't be used. Of a client of another family, only its methods are known."""
    found = []
    if not (hasattr(client, "evalsha") and hasattr(client, "eval")):
        found.append("it has no methods evalsha and eval")
    if inspect.iscoroutinefunction(getattr(client, "execute_command", None)):
        found.append("it is asynchronous, and a blocking one is needed, also for asyncio and trio")
    if hasattr(client, "get_connection_kwargs"):
        settings = client.get_connection_kwargs()
        if settings.get("decode_responses"):
            found.append("it decodes what it receives: pass decode_responses=False")
        if settings.get("socket_timeout") is None:
            found.append("it would wait without end: pass socket_timeout=5")
        if _repeats(settings):
            found.append("it repeats commands: pass retry=Retry(NoBackoff(), 0)")
    if replicas and hasattr(client, "get_node_from_key"):
        found.append("replicas can't be waited for in a cluster: leave replicas=0")
    return found


def _repeats(settings: dict[str, Any]) -> bool:
    """Return whether a client with these settings sends a command again whose answer was lost."""
    retry = settings.get("retry")
    if retry is None:
        return bool(settings.get("retry_on_timeout") or settings.get("retry_on_error"))
    if hasattr(retry, "get_retries"):
        return bool(retry.get_retries())
    tries = 0  # valkey's doesn't tell: it is tried

    def fail() -> None:
        nonlocal tries
        tries += 1
        if tries > 1:
            raise _EnoughError
        raise TimeoutError

    with contextlib.suppress(TimeoutError, _EnoughError):
        retry.call_with_retry(fail, lambda _: None)
    return tries > 1


class _EnoughError(Exception):
    """Ends a client's tries."""


def _is_unknown(error: Exception) -> bool:
    """Return whether the server doesn't know a script (yet, after a restart or a failover, or SCRIPT FLUSH)."""
    return type(error).__name__ == "NoScriptError" or str(error).startswith("NOSCRIPT")


def _reason(error: Exception) -> str:
    """Return what is the matter, in words of this library: an exception's own may have what was sent."""
    for kind in type(error).__mro__:
        if kind.__name__ in _REASONS:
            return _REASONS[kind.__name__]
    if str(error).startswith(("ACL failure in script", "The user executing the script")):
        return _REASONS["NoPermissionError"]
    found = re.match(r"[A-Z]{2,20}(?= )", str(error))
    code = found[0] if found else ""
    return _CODES.get(code) or f"it failed ({type(error).__name__}{f', {code}' if code else ''})"


def _shown(url: str) -> str:
    """Return the address of a URL, without the password and whatever else may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
