"""The service on a loopback port: HTTP/1.1 around `ddg_protocol.service.Service`.

`serve` is for programs on anyio, asyncio or trio; `Emulator` is for all others, tests above all::

    with Emulator(Service(challenge=True)) as emulator:
        ...  # talk to emulator.url, then look at emulator.service.log
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from functools import partial
from types import TracebackType
from typing import TypeVar

import anyio
import h11
from anyio.abc import AsyncResource, SocketAttribute, SocketStream, TaskStatus
from anyio.from_thread import start_blocking_portal

from ddg_protocol.errors import printable
from ddg_protocol.service import Service, ServiceRequest, ServiceResponse

MAX_HEAD_BYTES = 64 * 1024
"""The longest head of a request that is read."""
MAX_BODY_BYTES = 1024 * 1024
"""The longest body of a request that is read."""

_LINGER = 1.0  # seconds

Resource = TypeVar("Resource", bound=AsyncResource)


async def serve(
    service: Service,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    task_status: TaskStatus[str] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; made for ``await task_group.start(serve, service)``, which gives the base URL.

    What the service's responder raises ends the server, and is raised here in an exception group: a test's own mistake
    is not to be taken for a client's.

    Args:
        service: what answers. Its time is this machine's; all connections share it.
        host: a loopback address. A protocol's test double has no business on a network.
        port: where to listen; 0 takes a free one.
        task_status: told the base URL, without a slash at the end, once clients can connect.

    Raises:
        ValueError: the host is not a loopback address, or the port is out of range.
        OSError: the port can't be had.
    """
    if not _is_loopback(host):
        raise ValueError(
            f"the emulator listens on a loopback address such as 127.0.0.1 or ::1, not {printable(host)!r}"
        )
    if not 0 <= port <= 65535:
        raise ValueError(f"a port is a number from 0 to 65535, not {port}")
    async with _closing(await anyio.create_tcp_listener(local_host=host, local_port=port)) as listener:
        name = f"[{host}]" if ":" in host else host
        task_status.started(f"http://{name}:{listener.extra(SocketAttribute.local_port)}")
        await listener.serve(partial(_converse, service))


class Emulator:
    """`serve` in a thread of its own, from ``with`` to the end of the block.

    Leaving the block closes every connection, and raises what the service's responder raised, if it did.

    Args:
        service: what answers; a plain one if none is given.
        port: where to listen on 127.0.0.1; 0 takes a free one.

    Attributes:
        service: what answers.
        url: the base URL, without a slash at the end; empty before the block is entered.
    """

    def __init__(self, service: Service | None = None, *, port: int = 0) -> None:
        self.service = Service() if service is None else service
        self.url = ""
        self._port = port
        self._scope: anyio.CancelScope
        self._running = ExitStack()

    def __enter__(self) -> Emulator:
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal())
            serving, self.url = portal.start_task(self._serve)
            # Last to first: end it, see how it ended. Cancelling the future instead could hide an error on its way.
            stack.callback(serving.result)
            stack.callback(lambda: portal.call(self._scope.cancel))
            self._running = stack.pop_all()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._running.close()

    async def _serve(self, *, task_status: TaskStatus[str]) -> None:
        with anyio.CancelScope() as self._scope:
            await serve(self.service, port=self._port, task_status=task_status)


def _is_loopback(host: str) -> bool:
    # An address and no name: what "localhost" resolves to is this machine's configuration, not a promise.
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _converse(service: Service, stream: SocketStream) -> None:
    """Answer one connection's requests, until either side has had enough."""
    connection = _Connection(stream)
    async with _closing(stream):
        with suppress(anyio.BrokenResourceError):  # the client went away, as clients may
            try:
                while (request := await connection.receive()) is not None:
                    await connection.respond(request, service.handle(request, now=time.time()))
                    if not connection.is_kept():
                        break
            except h11.RemoteProtocolError as error:
                await connection.refuse(error.error_status_hint)


@asynccontextmanager
async def _closing(resource: Resource) -> AsyncIterator[Resource]:
    """Close a resource, and let nothing come in between: a cancellation here would take the place of an error."""
    try:
        yield resource
    finally:
        with anyio.CancelScope(shield=True):
            await resource.aclose()


class _Connection:
    """The server's side of one HTTP/1.1 connection."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)

    async def receive(self) -> ServiceRequest | None:
        """Read a request whole.

        Returns:
            The request, or None when the client is done.

        Raises:
            h11.RemoteProtocolError: what came is not HTTP, or too much of it.
        """
        head = await self._next_event()
        if not isinstance(head, h11.Request):
            return None
        if self._http.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[]))
        body = bytearray()
        while isinstance(event := await self._next_event(), h11.Data):
            body += event.data
            if len(body) > MAX_BODY_BYTES:
                raise h11.RemoteProtocolError("the body is too long", error_status_hint=413)
        headers = tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in head.headers)
        return ServiceRequest(head.method.decode("ascii"), head.target.decode("ascii"), headers, bytes(body))

    async def respond(self, request: ServiceRequest, response: ServiceResponse) -> None:
        """Send a response, each piece of its body as it is made."""
        headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.headers]
        with closing(response.pieces):
            await self._send(h11.Response(status_code=response.status, headers=headers))
            for piece in response.pieces:
                await anyio.sleep(piece.delay)
                if request.method != "HEAD":
                    await self._send(h11.Data(data=piece.data))
            await self._send(h11.EndOfMessage())

    def is_kept(self) -> bool:
        """Tell whether the connection takes another request, and make it ready for that."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def refuse(self, status: int) -> None:
        """Say that what came is no request, and close in a way that lets the client read it."""
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        await self._send(h11.Response(status_code=status, headers=headers))
        await self._send(h11.EndOfMessage())
        # Closing with bytes unread would reset the connection, and the refusal with it (RFC 9112, section 9.6).
        await self._stream.send_eof()
        with anyio.move_on_after(_LINGER):
            while await self._read():
                pass

    async def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            self._http.receive_data(await self._read())

    async def _read(self) -> bytes:
        """Read what is there; empty at the end."""
        try:
            return await self._stream.receive()
        except anyio.EndOfStream:
            return b""

    async def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            await self._stream.send(data)
