"""Drivers of `ddg_protocol`: everything that touches the world.

The names that most programs need are here: ``from ddg_transports import Client``. Each is imported when it is first
used, so that a blocking program loads neither asyncio nor anyio. The connectors are in `blocking` and `anyio`, which
have one of each name.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ddg_protocol import (
        ChatTimeoutError,
        DuckChatError,
        RateLimitError,
        ServiceError,
        TransportError,
        TurnAborted,
        __version__,
    )
    from ddg_protocol.errors import ChatBusy

    from .anyio import AsyncChat, AsyncClient, AsyncReply
    from .blocking import Chat, Client, DriverReport, Reply, Trace
    from .emulator import Emulator
    from .httpcore import AsyncHttpcoreTransport, HttpcoreTransport

__all__ = [
    "AsyncChat",
    "AsyncClient",
    "AsyncHttpcoreTransport",
    "AsyncReply",
    "Chat",
    "ChatBusy",
    "ChatTimeoutError",
    "Client",
    "DriverReport",
    "DuckChatError",
    "Emulator",
    "HttpcoreTransport",
    "RateLimitError",
    "Reply",
    "ServiceError",
    "Trace",
    "TransportError",
    "TurnAborted",
    "__version__",
]

_NAMES = {
    "ddg_protocol": (
        "ChatTimeoutError DuckChatError RateLimitError ServiceError TransportError TurnAborted __version__"
    ),
    "ddg_protocol.errors": "ChatBusy",
    "ddg_transports.anyio": "AsyncChat AsyncClient AsyncReply",
    "ddg_transports.blocking": "Chat Client DriverReport Reply Trace",
    "ddg_transports.emulator": "Emulator",
    "ddg_transports.httpcore": "AsyncHttpcoreTransport HttpcoreTransport",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
