"""Happy Eyeballs: which addresses are tried, in which order, and that every attempt but the winner is closed."""

from __future__ import annotations

import math
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute
from support.loops import Loop, loops
from support.sockets import open_sockets, settled
from support.sweep import cancelled_at

from ddg_protocol.wire import Connect
from ddg_transports import _streams
from ddg_transports._happy_eyeballs import interleaved, race
from ddg_transports.anyio import tcp

pytestmark = pytest.mark.anyio

HOSTS = ("::1", "::2", "192.0.2.1", "192.0.2.2")


@pytest.fixture(params=loops())
def anyio_backend(request: pytest.FixtureRequest) -> Loop:
    loop: Loop = request.param
    return loop


def addresses(*hosts: str) -> list[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int]]]:
    return [
        (socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 443)) for host in hosts
    ]


class Opened(ByteStream):
    """A stream that only knows whether it is closed."""

    def __init__(self) -> None:
        self.closed = False

    async def receive(self, max_bytes: int = 65536) -> bytes:
        raise NotImplementedError

    async def send(self, item: bytes) -> None:
        raise NotImplementedError

    async def send_eof(self) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        self.closed = True
        await anyio.lowlevel.checkpoint()


class Network:
    """Connects to made-up addresses.

    Args:
        hosts: what happens to an attempt, by host; a host that isn't here never answers.
    """

    def __init__(self, **hosts: Callable[[], Awaitable[None]]) -> None:
        self.hosts = hosts
        self.tried: list[str] = []
        self.opened: list[Opened] = []

    async def open(self, host: str, port: int) -> ByteStream:
        assert port == 443
        self.tried.append(host)
        await self.hosts.get(host, anyio.sleep_forever)()
        self.opened.append(Opened())
        return self.opened[-1]


async def refuses() -> None:
    await anyio.lowlevel.checkpoint()
    raise ConnectionRefusedError("refused")


async def answers() -> None:
    await anyio.lowlevel.checkpoint()


def test_families_alternate_beginning_with_the_first() -> None:
    def ordered(*hosts: str) -> list[str]:
        return [address[4][0] for address in interleaved(addresses(*hosts))]

    assert ordered("::1", "::2", "::3", "192.0.2.1") == ["::1", "192.0.2.1", "::2", "::3"]
    assert ordered("192.0.2.1", "::1", "::2") == ["192.0.2.1", "::1", "::2"]
    assert ordered("::1") == ["::1"]
    assert ordered() == []


async def test_the_first_address_that_answers_is_the_only_one_tried() -> None:
    network = Network(**{"::1": answers})
    stream = await race(addresses(*HOSTS), network.open, delay=math.inf)
    assert (network.tried, network.opened) == (["::1"], [stream])
    assert not network.opened[0].closed


async def test_an_attempt_that_fails_starts_the_next_one_at_once() -> None:
    network = Network(**{"::1": refuses, "192.0.2.1": refuses, "::2": answers})
    assert await race(addresses(*HOSTS), network.open, delay=math.inf) is network.opened[0]
    assert network.tried == ["::1", "192.0.2.1", "::2"]


async def test_an_address_that_never_answers_delays_the_next_one_and_no_more() -> None:
    network = Network(**{"192.0.2.1": refuses, "::2": answers})
    assert await race(addresses(*HOSTS), network.open, delay=0.001) is network.opened[0]
    assert network.tried[:3] == ["::1", "192.0.2.1", "::2"]


async def test_an_attempt_that_is_slow_may_still_win() -> None:
    others_tried = anyio.Event()

    async def last() -> None:
        others_tried.set()
        await anyio.sleep_forever()

    network = Network(**{"::1": others_tried.wait, "192.0.2.2": last})
    assert await race(addresses(*HOSTS), network.open, delay=0) is network.opened[0]
    assert network.tried == ["::1", "192.0.2.1", "::2", "192.0.2.2"]


async def test_an_attempt_that_succeeds_too_late_is_closed() -> None:
    both = anyio.Event()

    async def second() -> None:
        both.set()
        with anyio.CancelScope(shield=True):  # it connects before the cancellation reaches it
            await anyio.lowlevel.checkpoint()

    network = Network(**{"::1": both.wait, "192.0.2.1": second})
    stream = await race(addresses("::1", "192.0.2.1"), network.open, delay=0)
    assert [opened.closed for opened in network.opened] == [opened is not stream for opened in network.opened]
    assert len(network.opened) == 2


async def test_the_last_failure_is_raised_when_no_address_answers() -> None:
    with pytest.raises(ConnectionRefusedError, match="refused"):
        await race(addresses("::1", "::2"), Network(**{"::1": refuses, "::2": refuses}).open, delay=math.inf)
    with pytest.raises(OSError, match="the name has no address"):
        await race([], Network().open)


async def test_a_race_that_is_cancelled_at_any_step_leaves_no_stream_open() -> None:
    for n in count(1):
        network = Network(**{"192.0.2.1": refuses, "::2": answers})
        kept: list[ByteStream] = []

        async def run(network: Network = network, kept: list[ByteStream] = kept) -> None:
            kept.append(await race(addresses(*HOSTS), network.open, delay=0))

        tried = await cancelled_at(n, run())
        assert [opened for opened in network.opened if not opened.closed] == kept
        if not tried:
            break
    assert n > 5


# On real sockets


@contextmanager
def black_hole() -> Iterator[tuple[str, int]]:
    """An address that never answers: its queue of connections is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()
        for each in waiting:
            each.close()


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """A name with three addresses: the first never answers, the second refuses; return the third, which answers."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=1000) as listener,
        black_hole() as hole,
        socket.socket() as bound,
    ):
        bound.bind(("127.0.0.1", 0))

        async def getaddrinfo(*_: object, **__: object) -> list[object]:
            every = (hole, bound.getsockname(), listener.getsockname())
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in every]

        monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(_streams, "race", partial(race, delay=0))
        yield listener.getsockname()


NAME = Connect(id=1, host="a-name", port=1, tls=False, timeout=30.0)


async def test_a_name_is_connected_to_at_the_address_that_answers(resolved: tuple[str, int]) -> None:
    before = open_sockets()
    stream = await tcp(NAME)
    assert stream.extra(SocketAttribute.raw_socket).getpeername() == resolved
    await stream.aclose()
    await settled(before)


async def test_connecting_that_is_cancelled_at_any_step_leaves_no_socket(resolved: tuple[str, int]) -> None:
    async def connect() -> None:
        await anyio.aclose_forcefully(await tcp(NAME))

    before = open_sockets()
    for n in count(1):
        tried = await cancelled_at(n, connect())
        await settled(before)
        if not tried:
            break
    assert n > 5
