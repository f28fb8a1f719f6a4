"""Content codings, ``gzip`` and ``deflate``, decoded in small pieces so that memory stays bounded (PROTOCOL.md 4)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .errors import ContentDecodingError

if TYPE_CHECKING:
    import zlib

ACCEPTED = "gzip, deflate"
"""The ``accept-encoding`` of requests whose response may be compressed."""
PIECE = 64 * 1024
"""The most decompressed bytes in one piece."""
_SLICE = 16 * 1024
"""The most compressed bytes that zlib gets at once: it copies those that it leaves over, again for every piece."""
_ALIASES = {"": "identity", "x-gzip": "gzip"}  # RFC 9110 section 8.4.1.3


class ContentDecoder:
    """Decodes a body of one coding, incrementally.

    Args:
        coding: the ``content-encoding``; empty or ``identity`` passes data through.

    Raises:
        ContentDecodingError: the coding was not asked for.
    """

    __slots__ = ("_coding", "_head", "_inflate", "coded")

    def __init__(self, coding: str = "") -> None:
        coding = coding.strip(" \t").lower()
        coding = _ALIASES.get(coding, coding)
        if coding not in ("identity", "gzip", "deflate"):
            # The message shows a short word; anything else can be a secret.
            named = f"coding '{coding}'" if re.fullmatch(r"[a-z0-9-]{1,20}", coding) else "another coding"
            raise ContentDecodingError(f"the body has {named}; only {ACCEPTED} were asked for")
        self._coding = coding
        self._inflate: zlib._Decompress | None = None
        self._head = b""  # the first byte of a deflate body, until the second has come
        self.coded = coding != "identity"

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes.

        Args:
            data: bytes of the body, cut anywhere.

        Yields:
            Decoded bytes, never empty; of a coded body at most `PIECE` at once. Decoding goes as far as the iteration.

        Raises:
            ContentDecodingError: the bytes don't have the coding.
        """
        if not self.coded:
            if data:
                yield data
            return
        for start in range(0, len(data), _SLICE):
            yield from self._decode(data[start : start + _SLICE])

    def _decode(self, data: bytes) -> Iterator[bytes]:
        import zlib  # which many conversations never need

        if self._inflate is None:
            data = self._head + data
            self._head = data if self._coding == "deflate" and len(data) < 2 else b""
        more = not self._head
        while more:
            # RFC 1952 section 2.2: a gzip file is a series of members.
            if self._inflate is None or (self._inflate.eof and self._coding == "gzip"):
                self._inflate = self._new_inflate(data)
            try:
                piece = self._inflate.decompress(data, PIECE)
            except zlib.error as error:
                raise ContentDecodingError(f"the body is not {self._coding}: {error}") from error
            if piece:
                yield piece
            data = self._inflate.unconsumed_tail or self._inflate.unused_data
            if data and self._inflate.eof and self._coding == "deflate":
                raise ContentDecodingError("the body goes on after the end of its deflate coding")
            # After a full piece, zlib may hold more output though it has taken all input.
            more = bool(data) or (len(piece) == PIECE and not self._inflate.eof)

    def end(self) -> None:
        """Check that the body may end here.

        Raises:
            ContentDecodingError: it ends inside its coding, or has bytes that could not be decoded.
        """
        if self._head or (self._inflate is not None and (not self._inflate.eof or self._inflate.unused_data)):
            raise ContentDecodingError(f"the body ended before its {self._coding} coding was complete")

    def _new_inflate(self, data: bytes) -> zlib._Decompress:
        import zlib

        if self._coding == "gzip":
            return zlib.decompressobj(wbits=31)
        # "deflate" is the zlib format (RFC 9110 section 8.4.1.2), but some servers send raw deflate.
        is_zlib = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
        return zlib.decompressobj(wbits=15 if is_zlib else -15)
