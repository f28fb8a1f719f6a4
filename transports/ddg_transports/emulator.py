"""The service on a loopback port: HTTP/1.1 around `ddg_protocol.service.Service`, over TCP or TLS.

`serve` is for programs on anyio, asyncio or trio; `Emulator` is for all others, mostly tests::

    with Emulator(Service(challenge=True)) as emulator:
        ...  # talk to emulator.url, then look at emulator.service.log

The pieces of a response say what to do with the connection. Nothing is buffered here for a client that doesn't read.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, cast, overload

import anyio
import anyio.lowlevel
import h11
from anyio.abc import ByteStream, TaskStatus
from anyio.from_thread import start_blocking_portal
from anyio.streams.tls import TLSStream

from ddg_protocol.service import Handler, Service, ServiceRequest, ServiceResponse, framed
from ddg_protocol.text import printable

from ._socket_stream import NO_LINGER, READ_SIZE, SocketStream

__all__ = ["MAX_BODY_BYTES", "MAX_HEAD_BYTES", "Emulator", "serve", "throw_away_tls"]

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # `typing` has its defaults (PEP 696) since 3.13 only

    HandlerT = TypeVar("HandlerT", bound=Handler, covariant=True, default=Service)
else:
    from typing import TypeVar

    HandlerT = TypeVar("HandlerT")

MAX_HEAD_BYTES = 64 * 1024
"""The longest request head that is accepted."""
MAX_BODY_BYTES = 1024 * 1024
"""The longest request body that is accepted."""

_LINGER = 1.0  # seconds
_BACKLOG = 1024
#: What runs a responder.
_MACHINERY = {"anyio", "ddg_protocol", "ddg_transports"}
#: The system has no resources to accept a connection for now (accept(2)).
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def throw_away_tls(*names: str) -> tuple[ssl.SSLContext, str]:
    """Make a certificate for this machine's loopback names and addresses, and a CA for it alone.

    Args:
        *names: host names and addresses that the certificate is for, too.

    Returns:
        The context for `serve`, and the CA's certificate in PEM, for clients to trust. Its key is discarded.

    Raises:
        ImportError: trustme isn't installed; the extra ``tls`` installs it.
        ValueError: a name is neither a host name nor an address.
    """
    try:
        import trustme
    except ImportError:
        raise ImportError("TLS needs trustme, which makes the certificate: pip install trustme") from None
    ca = trustme.CA(organization_name="ddg-protocol", organization_unit_name="emulator")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        ca.issue_cert("localhost", "127.0.0.1", "::1", *names).configure_cert(context)
    except (ValueError, UnicodeError) as error:
        raise ValueError(f"no certificate can be made for {printable(', '.join(names))}: {error}") from None
    return context, ca.cert_pem.bytes().decode("ascii")


async def serve(
    service: Handler,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    exposed: bool = False,
    tell: Callable[[ServiceResponse | str], object] | None = None,
    task_status: TaskStatus[str] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; made for ``await task_group.start(serve, service)``, which returns the base URL.

    An exception from the service's responder ends the server, and is raised here in an exception group: a mistake in a
    test must not look like a client's.

    Args:
        service: responds to the requests, by this machine's clock. All connections share it.
        host: a loopback address, unless ``exposed``.
        port: the port to listen on; 0 chooses a free one.
        tls: for https; see `throw_away_tls`.
        exposed: whether to listen on any address, for a container or a network of tests. Nothing asks who connects.
        tell: is called with each response once it has ended, however it did; its ``exchange`` says how. Also with a
            sentence about each connection that brings something other than a request.
        task_status: gets the base URL, without a slash at the end, once clients can connect.

    Raises:
        ValueError: the host is not such an address, or the port is out of range.
        OSError: the port is not available.
    """
    if not (_is_address(host) if exposed else _is_loopback(host)):
        which = "an address such as 0.0.0.0" if exposed else "a loopback address such as 127.0.0.1"
        raise ValueError(f"the emulator listens on {which} or ::1, not {printable(host)!r}")
    if not 0 <= port <= 65535:
        raise ValueError(f"a port is a number from 0 to 65535, not {port}")
    family, name = (socket.AF_INET6, f"[{host}]") if ":" in host else (socket.AF_INET, host)
    with _listening(family, host, port) as listener:
        async with anyio.create_task_group() as connections:
            task_status.started(f"http{'s' if tls else ''}://{name}:{listener.getsockname()[1]}")
            while True:
                connections.start_soon(_converse, service, tls, tell or _ignore, await _accept(listener))


class Emulator(Generic[HandlerT]):
    """Runs `serve` in a thread of its own, from ``with`` to the end of the block.

    Leaving the block closes every connection, and raises the exception of the service's responder, if there was one:
    in place of what the client made of it, and with a traceback that begins in the responder. After that, the service's
    log says how every exchange ended.

    Args:
        service: responds to the requests, for example a `ddg_protocol.transcript.TranscriptService`; None uses a plain
            `Service`.
        port: the port to listen on, on 127.0.0.1; 0 chooses a free one.
        tls: whether to serve https, with a certificate from `throw_away_tls`.

    Attributes:
        service: responds to the requests.
        url: the base URL, without a slash at the end; empty before the block is entered.
        ca_pem: the CA's certificate: ``ssl.create_default_context(cadata=emulator.ca_pem)``; empty without TLS.

    Raises:
        ImportError: see `throw_away_tls`.
    """

    @overload
    def __init__(self: Emulator[Service], *, port: int = 0, tls: bool = False) -> None: ...

    @overload
    def __init__(self, service: HandlerT, *, port: int = 0, tls: bool = False) -> None: ...

    def __init__(self, service: Handler | None = None, *, port: int = 0, tls: bool = False) -> None:
        self.service = cast(HandlerT, Service() if service is None else service)
        self.url = ""
        self.ca_pem = ""
        self._port = port
        self._tls: ssl.SSLContext | None = None
        if tls:
            self._tls, self.ca_pem = throw_away_tls()
        self._scope: anyio.CancelScope
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal())
            serving, self.url = portal.start_task(self._serve)
            # Run last to first: end the server, then get its result. Cancelling the future could hide an error.
            stack.callback(serving.result)
            stack.callback(lambda: portal.call(self._scope.cancel))
            self._running = stack.pop_all()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server, as leaving the block does; may be called again."""
        try:
            self._running.close()
        except BaseExceptionGroup as group:
            if (mistake := _mistake(group)) is None:
                raise
            raise mistake from None

    async def _serve(self, *, task_status: TaskStatus[str]) -> None:
        with anyio.CancelScope() as self._scope:
            await serve(self.service, port=self._port, tls=self._tls, task_status=task_status)


def _mistake(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """Return the exception of the responder, if that is all there is, with a traceback of its own frames alone."""
    if len(group.exceptions) != 1:
        return None
    error, frames = group.exceptions[0], group.exceptions[0].__traceback__
    while frames is not None and frames.tb_frame.f_globals["__name__"].partition(".")[0] in _MACHINERY:
        frames = frames.tb_next
    if frames is None:  # it is no mistake of the responder, but one of this library
        return None
    error.add_note("The responder of the emulator's service raised this.")
    return error.with_traceback(frames)


def _is_loopback(host: str) -> bool:
    # An address, not a name: the machine's configuration decides what "localhost" resolves to.
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _ignore(ended: ServiceResponse | str) -> None:
    pass


def _listening(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    """Return a listening socket, in non-blocking mode."""
    listener = socket.socket(family)
    try:
        listener.setblocking(False)
        if sys.platform == "win32":  # otherwise another program could take the port over
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:  # otherwise connections of an earlier server keep the port for a while
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


async def _accept(listener: socket.socket) -> socket.socket:
    while True:
        try:
            accepted, _ = listener.accept()
        except BlockingIOError:
            await anyio.wait_readable(listener)
        except OSError as error:
            # Ignore a connection that ended before it was accepted. If resources are short, wait until others end.
            await anyio.sleep(0.1 if error.errno in _EXHAUSTED else 0)
        else:
            return accepted


async def _converse(
    service: Handler,
    tls: ssl.SSLContext | None,
    tell: Callable[[ServiceResponse | str], object],
    accepted: socket.socket,
) -> None:
    """Respond to the requests of one connection until either side ends it."""
    # Clients may disconnect at any time.
    with accepted, suppress(anyio.BrokenResourceError, anyio.EndOfStream, ssl.SSLError):
        accepted.setblocking(False)
        with suppress(OSError):  # on macOS it fails if the client has left already
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream: ByteStream = SocketStream(accepted)
        if tls is not None:
            try:
                stream = await TLSStream.wrap(stream, server_side=True, ssl_context=tls)
            except ssl.SSLError as error:  # among other things, the client doesn't trust the certificate
                tell(f"a TLS handshake failed: {printable(error.reason or str(error))}")
                return
        connection = _Connection(stream, accepted)
        try:
            while (request := await connection.receive()) is not None:
                response = service.handle(request, now=time.time())
                try:
                    can_go_on = await connection.respond(response, request.method)
                finally:
                    tell(response)
                if not can_go_on:
                    break
        except h11.RemoteProtocolError as error:
            what = printable(str(error).partition(":")[0])  # what follows is the client's, and may be a secret
            tell(f"a client sent something that is not an HTTP/1.1 request: {what}")
            await connection.refuse(error.error_status_hint)
        if isinstance(stream, TLSStream) and accepted.fileno() != -1:
            # Without a close_notify the client sees a cut (RFC 8446, section 6.1). Don't wait long for the client's.
            with anyio.move_on_after(_LINGER):
                await stream.unwrap()


class _Connection:
    """The server's side of one HTTP/1.1 connection. h11 reads the requests; a response need not be HTTP.

    Args:
        stream: carries the bytes, with TLS or without.
        raw: the socket below.
    """

    def __init__(self, stream: ByteStream, raw: socket.socket) -> None:
        self._stream = stream
        self._raw = raw
        self._http = h11.Connection(h11.SERVER)
        self._early = b""  # bytes that arrived before their request is read

    async def receive(self) -> ServiceRequest | None:
        """Read a complete request.

        Returns:
            The request, or None if the client is done.

        Raises:
            h11.RemoteProtocolError: the bytes are not HTTP, or too many.
        """
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        if self._early:
            self._http.receive_data(self._early)
        head = await self._next_event()
        if not isinstance(head, h11.Request):
            return None
        if self._http.they_are_waiting_for_100_continue:
            await self._stream.send(b"HTTP/1.1 100 \r\n\r\n")
        body = bytearray()
        while isinstance(event := await self._next_event(), h11.Data):
            body += event.data
            if len(body) > MAX_BODY_BYTES:
                raise h11.RemoteProtocolError("the body is too long", error_status_hint=413)
        self._early, _ = self._http.trailing_data
        headers = tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in head.headers)
        return ServiceRequest(head.method.decode("ascii"), head.target.decode("ascii"), headers, bytes(body))

    async def respond(self, response: ServiceResponse, method: str) -> bool:
        """Send a response, each piece as it is made, and handle the connection as the pieces say.

        Returns:
            Whether the connection can take another request.
        """
        chunked = self._http.their_http_version != b"1.0"
        pieces = framed(response, method=method, chunked=chunked, keep=self._http.their_state is h11.DONE)
        try:
            for piece in pieces:
                if piece.delay:
                    with anyio.move_on_after(piece.delay):
                        await self._until_gone()
                if piece.data:
                    await self._stream.send(piece.data)
                match piece.then:
                    case "hang":
                        await self._until_gone()
                    case "close":
                        return False
                    case "reset":
                        # With this option, close() resets the connection and drops unsent bytes (socket(7)).
                        self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
                        self._raw.close()
                        return False
        except (anyio.BrokenResourceError, anyio.EndOfStream):
            response.pieces.close(delivered=False)
            raise
        except anyio.get_cancelled_exc_class():
            # The client may have gone without anyone noticing; the log must say so.
            if self._has_ended():
                response.pieces.close(delivered=False)
            raise
        return True

    async def refuse(self, status: int) -> None:
        """Refuse bytes that are not a request, and end the connection so that the client can read the response."""
        await self._stream.send(b"HTTP/1.1 %d \r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        # Closing with unread bytes would reset the connection, and the client could lose the refusal (RFC 9112, 9.6).
        if not isinstance(self._stream, TLSStream):
            await self._stream.send_eof()
        with anyio.move_on_after(_LINGER):
            while await self._read():
                pass

    async def _until_gone(self) -> None:
        """Wait until the client disconnects.

        Raises:
            anyio.EndOfStream: it has, or it has sent too much ahead of a response.
        """
        while len(self._early) <= MAX_HEAD_BYTES + MAX_BODY_BYTES:
            self._early += await self._stream.receive()
        raise anyio.EndOfStream

    def _has_ended(self) -> bool:
        """Return whether the client has ended the connection. Discards unread bytes."""
        try:
            return any(not self._raw.recv(READ_SIZE) for _ in range(16))
        except BlockingIOError:
            return False
        except OSError:
            return True

    async def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            self._http.receive_data(await self._read())

    async def _read(self) -> bytes:
        """Read the bytes that are there, waiting for the first; empty at the end."""
        try:
            return await self._stream.receive()
        except anyio.EndOfStream:
            return b""
