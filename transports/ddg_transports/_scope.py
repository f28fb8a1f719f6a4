"""What the driver knows of its own stream on asyncio without importing asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio import TypedAttributeSet, typed_attribute

if TYPE_CHECKING:
    from ._asyncio_stream import AsyncioStream


class WaitEnded(Exception):
    """A wait of the stream ended without a result: its time is up, or another task ended it."""


class StreamAttribute(TypedAttributeSet):
    """An attribute of the stream in addition to anyio's, visible through TLS too.

    Attributes:
        own: the stream itself.
    """

    own: AsyncioStream = typed_attribute()
