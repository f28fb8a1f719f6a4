"""The scope that bounds a wait of the async driver, and the attributes of the driver's own streams."""

from __future__ import annotations

from typing import Any, Protocol

from anyio import TypedAttributeSet, typed_attribute


class Scope(Protocol):
    """Bounds a wait, and ends it from outside: an `anyio.CancelScope`, or a cheaper substitute.

    Attributes:
        deadline: the latest time at which the wait ends, by the loop's clock.
    """

    deadline: float

    def __enter__(self) -> object: ...

    def __exit__(self, *_: Any) -> bool: ...

    def cancel(self) -> None:
        """End the wait."""


class StreamAttribute(TypedAttributeSet):
    """Attributes of a stream in addition to anyio's, visible through TLS too. `_asyncio.AsyncioStream` has them.

    Attributes:
        unread: the number of bytes that have arrived and have not been read.
    """

    unread: int = typed_attribute()
