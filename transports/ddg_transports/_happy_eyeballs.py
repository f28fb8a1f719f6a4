"""Happy Eyeballs (RFC 8305): attempts to connect to the addresses of a name start one after the other, and race."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import zip_longest

import anyio
from anyio.abc import ByteStream

from ._waits import Addresses

#: Seconds after which the next attempt starts if the one before has not failed (RFC 8305, section 5).
ATTEMPT_DELAY = 0.25

Open = Callable[[str, int], Awaitable[ByteStream]]


async def race(addresses: Addresses, open_stream: Open, *, delay: float = ATTEMPT_DELAY) -> ByteStream:
    """Connect to the address that answers first.

    Args:
        addresses: from `socket.getaddrinfo`.
        open_stream: connects to one address, given as host and port.
        delay: seconds between two attempts.

    Returns:
        The first stream; all others are closed.

    Raises:
        OSError: there is no address, or all attempts failed: the error of the last one that did.
    """
    winner: ByteStream | None = None
    errors: list[OSError] = []

    async def attempt(host: str, port: int, failed: anyio.Event) -> None:
        nonlocal winner
        try:
            stream = await open_stream(host, port)
        except OSError as error:
            errors.append(error)
            failed.set()
            return
        if winner is None:
            winner = stream
            group.cancel_scope.cancel()
        else:
            await anyio.aclose_forcefully(stream)

    try:
        async with anyio.create_task_group() as group:
            for *_, (host, port, *_) in interleaved(addresses):
                failed = anyio.Event()
                group.start_soon(attempt, host, port, failed)
                with anyio.move_on_after(delay):
                    await failed.wait()
        if winner is None:
            raise errors[-1] if errors else OSError("the name has no address")
        return winner
    except BaseException:
        if winner is not None:
            await anyio.aclose_forcefully(winner)
        raise
    finally:
        errors.clear()  # an error's traceback refers to this list


def interleaved(addresses: Addresses) -> Addresses:
    """Order addresses so that the two families alternate, beginning with that of the first (RFC 8305, section 4)."""
    preferred = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    return [address for pair in zip_longest(preferred, others) for address in pair if address is not None]
