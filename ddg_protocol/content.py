"""Content codings, ``gzip`` and ``deflate``: piece by piece, so that no bomb is ever held whole (PROTOCOL.md 4)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from .errors import ContentDecodingError, printable

ACCEPTED = "gzip, deflate"
"""The ``accept-encoding`` of requests whose response may be compressed."""
PIECE = 64 * 1024
"""The most decompressed bytes that come out at once."""


class ContentDecoder:
    """Undoes one coding, incrementally.

    Args:
        coding: the ``content-encoding``; empty or ``identity`` passes data through.

    Raises:
        ContentDecodingError: a coding that was not asked for.
    """

    __slots__ = ("_coding", "_head", "_inflate", "coded")

    def __init__(self, coding: str = "") -> None:
        coding = coding.strip().lower().removeprefix("x-")
        if coding not in ("", "identity", "gzip", "deflate"):
            raise ContentDecodingError(
                f"the body is coded as {printable(coding, 40)!r}; only {ACCEPTED} were asked for"
            )
        self._coding = coding
        self._inflate: zlib._Decompress | None = None
        self._head = b""  # the first byte of a deflate body, until the second is there
        self.coded = coding in ("gzip", "deflate")

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes.

        Args:
            data: bytes of the body, cut anywhere.

        Yields:
            Decoded bytes, at most `PIECE` at once. What is not iterated is not decoded.

        Raises:
            ContentDecodingError: the bytes are not of the coding.
        """
        if not self.coded:
            yield data
            return
        if not data:
            return
        if self._inflate is None:
            data = self._head + data
            if self._coding == "deflate" and len(data) < 2:
                self._head = data
                return
            self._head = b""
            self._inflate = self._new_inflate(data)
        try:
            while data:
                piece = self._inflate.decompress(data, PIECE)
                if piece:
                    yield piece
                data = self._inflate.unconsumed_tail
                if self._inflate.eof:
                    # RFC 1952 section 2.2: a gzip file is a series of members.
                    data = self._inflate.unused_data if self._coding == "gzip" else b""
                    if data:
                        self._inflate = self._new_inflate(data)
        except zlib.error as error:
            raise ContentDecodingError(f"the body is not {self._coding}: {error}") from error

    def end(self) -> None:
        """Say that the body has ended.

        Raises:
            ContentDecodingError: it ended inside its coding.
        """
        if self._head or (self._inflate is not None and not self._inflate.eof):
            raise ContentDecodingError(f"the body ended before its {self._coding} coding was complete")

    def _new_inflate(self, data: bytes) -> zlib._Decompress:
        if self._coding == "gzip":
            return zlib.decompressobj(wbits=31)
        # "deflate" is zlib by RFC 9110 section 8.4.1.2, and raw deflate from the servers that misread it.
        is_zlib = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
        return zlib.decompressobj(wbits=15 if is_zlib else -15)
