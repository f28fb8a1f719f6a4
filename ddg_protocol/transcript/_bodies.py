"""Bodies in a file: large chunks are compressed, and those that an earlier body has at the same place are not repeated.

Replies stay as they are, to be read. A page is fetched by many chats, and arrives in other chunks each time, so it is
not the chunk that is looked for but its bytes in the body of the same address.
"""

from __future__ import annotations

import zlib
from contextlib import suppress

import msgspec

from ..content import ContentDecoder
from ..errors import ContentDecodingError
from ..headers import field
from ..policy import KIB, MIB
from ._lines import ReceiveData, ReceiveHead, ReceivePacked, ReceiveRepeated

LARGE = KIB
"""Chunks that are longer are compressed, or refer to another body."""
_MOST_KEPT = MIB
"""The most bytes of a body that others can repeat."""
_MOST_ADDRESSES = 8
"""The most addresses whose bodies a recording keeps, to find them repeated."""

Address = tuple[str, str, int]
"""A method, a URL and a status."""


class Kept(msgspec.Struct):
    """The longest body so far of those of one address that begin the same.

    Attributes:
        chat: its chat.
        id: the id of its request.
        data: its first bytes, without content decoding.
    """

    chat: int
    id: int
    data: bytearray


class WrittenBody:
    """A body that is being written.

    Args:
        kept: the bodies that the recording keeps.
        address: where this one comes from.
        chat: the number of its chat.
        id: the id of its request.
    """

    def __init__(self, kept: dict[Address, Kept], address: Address, chat: int, id: int) -> None:
        self.id = id
        self._all = kept
        self._address = address
        self._chat = chat
        self._kept = Kept(chat, id, bytearray())
        self._follows = True  # whether it is the kept body, as far as it has come
        self._size = 0

    def line(self, data: bytes) -> ReceiveData | ReceivePacked | ReceiveRepeated:
        """Return the line for the next chunk."""
        start = self._size
        self._size += len(data)
        if not start:
            self._kept = self._begun(data)
        kept = self._kept
        known = kept.data[start : self._size]
        if known == data and len(data) > LARGE:
            return ReceiveRepeated(self.id, (kept.chat, kept.id), len(data))
        self._follows = self._follows and data.startswith(known) and self._size <= _MOST_KEPT
        if self._follows and len(known) < len(data):
            kept.data += data[len(known) :]
            kept.chat, kept.id = self._chat, self.id
        return literal(self.id, data) if len(data) <= LARGE else _packed(self.id, data)

    def _begun(self, data: bytes) -> Kept:
        """Return the kept body that begins as this one, or a new one in the place of one that doesn't."""
        kept = self._all.get(self._address)
        if kept is None or not data.startswith(kept.data[: len(data)]):
            kept = self._all[self._address] = Kept(self._chat, self.id, bytearray())
            if len(self._all) > _MOST_ADDRESSES:
                del self._all[next(iter(self._all))]
        return kept


def literal(id: int, data: bytes) -> ReceiveData:
    """Return the line for a chunk as it is."""
    try:
        return ReceiveData(id, text=data.decode())
    except UnicodeDecodeError:
        return ReceiveData(id, base64=data)


def _packed(id: int, data: bytes) -> ReceiveData | ReceivePacked:
    found = zlib.compress(data)
    if len(found) < len(data) * 3 // 4:  # or base64 makes it longer
        return ReceivePacked(id, found)
    return literal(id, data)


class ReadBodies:
    """The bodies of a transcript that is read: they are bounded in all, whatever it says.

    In each chat, one is under way at a time, as in its session.

    Args:
        most: the most bytes to which bodies that are compressed or repeated may expand, in all.
    """

    def __init__(self, most: int) -> None:
        self._most = self._left = most
        self._bodies: dict[tuple[int, int], bytearray] = {}
        self._decoders: dict[int, tuple[int, ContentDecoder]] = {}

    def begin(self, line: ReceiveHead) -> None:
        """Note a head, after which a body comes."""
        names = tuple((name.lower(), value) for name, value in line.headers)
        self._decoders.pop(line.chat, None)
        try:
            self._decoders[line.chat] = line.id, ContentDecoder(field(names, "content-encoding"))
        except ContentDecodingError:
            return  # no session decodes it

    def data(self, line: ReceiveData | ReceivePacked | ReceiveRepeated) -> ReceiveData:
        """Return the chunk of a line.

        Raises:
            ValueError: it is damaged, or the bodies expand to more than the bound.
        """
        body = self._bodies.setdefault((line.chat, line.id), bytearray())
        if isinstance(line, ReceivePacked):
            found = ReceiveData(line.id, base64=self._unpacked(line.zlib), chat=line.chat)
        elif isinstance(line, ReceiveRepeated):
            found = ReceiveData(line.id, base64=self._repeated(line, len(body)), chat=line.chat)
        else:
            found = line
        data = found.data
        body += data
        self._decode(line.chat, line.id, data)
        return found

    def _unpacked(self, packed: bytes) -> bytes:
        decoder = zlib.decompressobj()
        with suppress(zlib.error):
            data = decoder.decompress(packed, self._left + 1)
            self._count(len(data))
            if decoder.eof and not decoder.unused_data:
                return data
        raise ValueError("a chunk that is compressed can't be decompressed")

    def _repeated(self, line: ReceiveRepeated, start: int) -> bytes:
        self._count(line.size)
        other = self._bodies.get(line.like, b"")
        if start + line.size > len(other):
            raise ValueError("a chunk repeats bytes that the other body doesn't have")
        return bytes(other[start : start + line.size])

    def _decode(self, chat: int, id: int, data: bytes) -> None:
        current, decoder = self._decoders.get(chat, (0, None))
        if decoder is None or not decoder.coded or current != id:
            return
        try:
            for piece in decoder.decode(data):
                self._count(len(piece))
        except ContentDecodingError:
            del self._decoders[chat]

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ValueError(f"the bodies are more than {self._most} bytes, expanded")
