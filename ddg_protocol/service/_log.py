"""The log: the last exchanges, bounded in number and in size."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ._exchange import Exchange, ServiceRequest

LOG_LENGTH = 1000
"""How many exchanges the log keeps."""
LOG_BYTES = 16 * 1024 * 1024
"""How many bytes their requests may take in all."""

#: Python's overhead for each header field and each request, in bytes, rounded up.
_OVERHEAD = 256


class Log:
    """Keeps the newest exchanges. The last one is kept whatever its size."""

    def __init__(self) -> None:
        self._exchanges: deque[tuple[Exchange, int]] = deque()
        self._size = 0

    def add(self, exchange: Exchange) -> None:
        """Add an exchange, and drop the oldest ones beyond the bounds."""
        size = _size(exchange.request)
        self._exchanges.append((exchange, size))
        self._size += size
        while len(self._exchanges) > 1 and (len(self._exchanges) > LOG_LENGTH or self._size > LOG_BYTES):
            self._size -= self._exchanges.popleft()[1]

    def exchanges(self) -> Sequence[Exchange]:
        """Return the exchanges, oldest first."""
        return tuple(exchange for exchange, _ in self._exchanges.copy())  # a server's thread may add one meanwhile


def _size(request: ServiceRequest) -> int:
    """Estimate how many bytes a request takes."""
    fields = sum(len(name) + len(value) + _OVERHEAD for name, value in request.headers)
    return len(request.method) + len(request.target) + len(request.body) + fields + _OVERHEAD
