"""The command line of ddg-protocol."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ddg_protocol import __version__

__all__ = ["__version__"]


def __getattr__(name: str) -> object:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ddg_protocol import __version__  # which help doesn't need

    return __version__
