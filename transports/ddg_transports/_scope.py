"""What bounds a wait of the async driver, and what a stream of its own can tell."""

from __future__ import annotations

from typing import Any, Protocol

from anyio import TypedAttributeSet, typed_attribute


class Scope(Protocol):
    """What bounds a wait, and ends it from outside: an `anyio.CancelScope`, or what is cheaper.

    Attributes:
        deadline: the latest time for it, by the loop's clock.
    """

    deadline: float

    def __enter__(self) -> object: ...

    def __exit__(self, *_: Any) -> bool: ...

    def cancel(self) -> None:
        """End it."""


class StreamAttribute(TypedAttributeSet):
    """What a stream can tell beside what anyio's do, through TLS too; `_asyncio` has one that does.

    Attributes:
        unread: how many bytes it has taken in that nobody has asked for.
    """

    unread: int = typed_attribute()
