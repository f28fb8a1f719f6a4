"""An HTTP/2 server in front of HTTP/1.1 ones: it does on the client's connection what they do on theirs.

It listens on unix sockets, one for plain HTTP/2 and one for TLS, and forwards each request to its authority. So a
transport that connects to it, whatever the URL, meets every peer of the contract over HTTP/2.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

import anyio
import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h11
from anyio.abc import ByteStream, SocketStream
from anyio.from_thread import start_blocking_portal
from anyio.streams.tls import TLSStream

from ddg_transports.testing.contract import trusting
from ddg_transports.testing.peer import CERTIFICATES

#: Fields of a connection rather than a message, which HTTP/2 forbids (RFC 9113, section 8.2.2).
_HOP_BY_HOP = {b"connection", b"transfer-encoding", b"keep-alive", b"host"}
_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError, ssl.SSLError)


class Gateway:
    """A server that runs in its own thread, for a ``with`` block.

    Args:
        folder: for its sockets.

    Attributes:
        plain: path of the socket for clients that know that they will meet HTTP/2.
        tls: path of the socket for clients that speak TLS.
        connections: how many clients have connected.
    """

    def __init__(self, folder: Path) -> None:
        self.plain = str(folder / "plain")
        self.tls = str(folder / "tls")
        self.connections = 0
        self._running = ExitStack()
        self._scope: anyio.CancelScope
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(CERTIFICATES / "loopback.pem")
        self._context.set_alpn_protocols(["h2"])

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal())
            serving, _ = portal.start_task(self._serve)
            stack.callback(serving.result)
            stack.callback(lambda: portal.call(self._scope.cancel))
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    async def _serve(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        plain, tls = await anyio.create_unix_listener(self.plain), await anyio.create_unix_listener(self.tls)
        async with plain, tls, anyio.create_task_group() as group:
            self._scope = group.cancel_scope
            group.start_soon(plain.serve, self._converse)
            group.start_soon(tls.serve, self._converse_secretly)
            task_status.started()

    async def _converse_secretly(self, stream: SocketStream) -> None:
        with suppress(*_GONE):
            await self._converse(await TLSStream.wrap(stream, ssl_context=self._context, standard_compatible=False))
        await anyio.aclose_forcefully(stream)

    async def _converse(self, stream: ByteStream) -> None:
        self.connections += 1
        connection = _Connection(stream)
        try:
            await connection.run()
        finally:
            with anyio.CancelScope(shield=True):
                for each in (stream, connection.upstream):
                    if each is not None:
                        await anyio.aclose_forcefully(each)


class _Connection:
    """A client's connection and its connection upstream; exchanges follow one another."""

    def __init__(self, stream: ByteStream) -> None:
        self.upstream: ByteStream | None = None
        self._stream = stream
        self._secure = isinstance(stream, TLSStream)
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None, normalize_inbound_headers=False)
        )
        self._http = h11.Connection(h11.CLIENT)
        self._id = 0
        self._is_over = False
        self._asked = anyio.Event()  # the whole request is forwarded
        self._window = anyio.Event()
        self._sending = anyio.Lock()

    async def run(self) -> None:
        async with anyio.create_task_group() as group:
            with suppress(*_GONE, h2.exceptions.ProtocolError):
                self._h2.initiate_connection()
                await self._flush()
                while True:
                    data = await self._stream.receive()
                    if self._is_over:
                        continue  # until the client closes it too: what it sends may cross with the GOAWAY
                    for event in self._h2.receive_data(data):
                        await self._take(event, group.start_soon)
                    await self._flush()
            group.cancel_scope.cancel()

    async def _flush(self) -> None:
        async with self._sending:
            if data := self._h2.data_to_send():
                await self._stream.send(data)

    async def _take(self, event: h2.events.Event, start: Callable[..., Any]) -> None:
        if isinstance(event, h2.events.RequestReceived):
            fields: dict[bytes, bytes] = {bytes(k): bytes(v) for k, v in event.headers if k[:1] == b":"}
            others = [(bytes(k), bytes(v)) for k, v in event.headers if k[:1] != b":"]
            if self.upstream is None:
                await self._connect(fields[b":authority"].decode())
                start(self._answer)
            self._id = event.stream_id
            self._asked = anyio.Event()
            headers = [(b"host", fields[b":authority"]), *others]
            await self._send(h11.Request(method=fields[b":method"], target=fields[b":path"], headers=headers))
        elif isinstance(event, h2.events.DataReceived):
            await self._send(h11.Data(data=event.data))
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            await self._send(h11.EndOfMessage())
            self._asked.set()
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            self._window.set()
            self._window = anyio.Event()
        elif isinstance(event, h2.events.ConnectionTerminated | h2.events.StreamReset):
            raise anyio.EndOfStream

    async def _connect(self, authority: str) -> None:
        host, _, port = authority.rpartition(":")
        self.upstream = await anyio.connect_tcp(host, int(port))
        if self._secure:
            self.upstream = await TLSStream.wrap(
                self.upstream, hostname=host, ssl_context=trusting(), standard_compatible=False
            )

    async def _send(self, event: h11.Event) -> None:
        assert self.upstream is not None
        if data := self._http.send(event):
            await self.upstream.send(data)

    async def _answer(self) -> None:
        """Forward everything from upstream, and its end."""
        with suppress(*_GONE, h2.exceptions.ProtocolError):
            try:
                await self._pass_on()
            except h11.RemoteProtocolError:
                self._h2.reset_stream(self._id, h2.errors.ErrorCodes.INTERNAL_ERROR)
            self._h2.close_connection()
            self._is_over = True
            await self._flush()

    async def _pass_on(self) -> None:
        assert self.upstream is not None
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                try:
                    data = await self.upstream.receive()
                except _GONE:
                    data = b""
                self._http.receive_data(data)
            elif isinstance(event, h11.Response):
                fields = [(k, v) for k, v in event.headers if k not in _HOP_BY_HOP]
                self._h2.send_headers(self._id, [(b":status", b"%d" % event.status_code), *fields])
                await self._flush()
            elif isinstance(event, h11.InformationalResponse):
                self._h2.send_headers(self._id, [(b":status", b"%d" % event.status_code)])
                await self._flush()
            elif isinstance(event, h11.Data):
                await self._send_data(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                await self._asked.wait()  # the response can come before the request's END_STREAM
                self._h2.end_stream(self._id)
                await self._flush()
                if h11.MUST_CLOSE in (self._http.our_state, self._http.their_state):
                    return
                self._http.start_next_cycle()
            else:
                return

    async def _send_data(self, data: bytes) -> None:
        while data:
            size = min(self._h2.local_flow_control_window(self._id), self._h2.max_outbound_frame_size)
            if size <= 0:
                await self._window.wait()
                continue
            self._h2.send_data(self._id, data[:size])
            data = data[size:]
            await self._flush()
