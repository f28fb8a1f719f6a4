"""The script of a `Service`: what goes wrong when, as data.

A `Fault` says at which endpoint, from which request on and how often; its effects change the response. Effects
compose: each applies to the result of the one before, from the service out to the wire. ::

    Service(script=[
        Fault("chat", [Refuse(429, retry_after=2)], times=1),
        Fault("chat", [Coding("gzip"), Cut(100, "reset")], first=2, times=1),
    ])

`ddg_protocol.service.script` parses the same from text. Lazy and endless effects make their bytes on demand.

Texts are sent as UTF-8, header fields too; a lone surrogate stands for a byte that isn't UTF-8 (PEP 383).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import force_setattr, replace

from ._pieces import Endpoint, Piece, Then
from ._reply import DONE, event

__all__ = [
    "Body",
    "Coding",
    "Cut",
    "Done",
    "Drip",
    "Effect",
    "Endless",
    "Event",
    "Fault",
    "Header",
    "Insert",
    "Of",
    "Redirect",
    "Refuse",
    "Split",
    "StreamEffect",
]

Of = Literal["body", "wire"]
"""Which bytes: those of the body as the service makes it, or those of the whole response, head and framing included."""

_Count = Annotated[int, Meta(ge=0)]
_Seconds = Annotated[float, Meta(ge=0, le=1e9)]
_Text = Annotated[str, Meta(pattern=r"\A[^\ud800-\udc7f\udd00-\udfff]*\Z")]

_BLOCK = 64 * 1024
_WINDOW = {"gzip": 31, "deflate": 15}


class _Checked(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    def __post_init__(self) -> None:
        """Check each attribute's type, as parsing it from TOML would.

        Raises:
            ValueError: an attribute is invalid; the message names it.
        """
        for field in msgspec.structs.fields(self):
            try:
                value = msgspec.convert(getattr(self, field.name), field.type)
            except msgspec.ValidationError as error:
                raise ValueError(f"{field.encode_name}: {error}") from None
            force_setattr(self, field.name, value)


class _Effect(_Checked, frozen=True, tag_field="do", tag=str.lower):
    pass


# Instead of the service's response


class Refuse(_Effect, frozen=True):
    """An error body of PROTOCOL.md section 7, instead of the response. The request's token is spent.

    Attributes:
        status: the HTTP status.
        type: the ``ERR_...`` word; empty omits it.
        retry_after: the value of ``retry-after``, seconds or a date; empty omits it.
        tokens: whether a new token and its challenge come with it.
    """

    status: Annotated[int, Meta(ge=200, le=599)]
    type: Annotated[str, Meta(pattern=r"\A[^\ud800-\udfff]*\Z")] = ""
    retry_after: int | _Text = ""
    tokens: bool = False


class Redirect(_Effect, frozen=True):
    """A redirect, as from a proxy in front of the service: the service itself never sees the request.

    Attributes:
        to: the ``location``; empty redirects to the same target. Applied to every request, that is a redirect loop.
        status: the HTTP status. A 301, 302 or 303 turns a question into a GET.
    """

    to: _Text = ""
    status: Literal[301, 302, 303, 307, 308] = 307


# The head


class Header(_Effect, frozen=True):
    r"""A field of the head set, replacing all of that name, or removed.

    A value is sent unchanged: the client reads whatever follows ``"\r\n"`` in it as another field. If
    ``content-length`` or ``transfer-encoding`` is set, the body is sent without further framing.

    Attributes:
        name: the field's name.
        value: the field's value; None removes the field.
    """

    name: _Text
    value: _Text | None = None


# The body


class Body(_Effect, frozen=True):
    """Another body with the same head.

    Attributes:
        text: the body.
    """

    text: _Text = ""


class Event(_Effect, frozen=True):
    """An event inserted into a reply's stream: an error, ``[PING]``, a title, anything.

    Attributes:
        data: its data, one line.
        after: how many events come before it; a reply's first is an empty piece. In a shorter reply it comes last.
    """

    data: _Text
    after: _Count = 0

    def over(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Yield the pieces with the event inserted."""
        mine = Piece(event(as_bytes(self.data)))
        number = 0
        for piece in pieces:
            if number == self.after:
                yield mine
            number += 1
            yield piece
        if number <= self.after:
            yield mine


class Done(_Effect, frozen=True):
    """A different end of a reply's stream, instead of ``[DONE]``.

    Attributes:
        data: the last event's data, such as ``[DONE][LIMIT_CONVERSATION]``; empty omits the event.
    """

    data: _Text = ""

    def over(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Yield the pieces with the last one replaced."""
        mine = event(as_bytes(self.data)) if self.data else b""
        return (replace(piece, data=mine) if piece.data == DONE else piece for piece in pieces)


class Insert(_Effect, frozen=True):
    """Bytes inserted among the others.

    Attributes:
        text: the bytes to insert.
        at: how many bytes come before them.
        of: which bytes. On the wire, at 0, the response is not HTTP.
    """

    text: _Text
    at: _Count = 0
    of: Of = "body"

    def over(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Yield the pieces with the text inserted."""
        left, mine = self.at, as_bytes(self.text)
        for piece in pieces:
            if mine and len(piece.data) >= left:
                piece = replace(piece, data=piece.data[:left] + mine + piece.data[left:])
                mine = b""
            left -= len(piece.data)
            yield piece


class Endless(_Effect, frozen=True):
    r"""A body that never ends: a text follows it, again and again, as fast as it is taken.

    After ``Body()`` the text is the whole body; after ``Body("data: ")`` it is an endless line, and before `Coding` a
    compression bomb.

    Attributes:
        text: the text to repeat.
    """

    text: Annotated[_Text, Meta(min_length=1)] = "\0"

    def over(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Yield the pieces, then the text without end."""
        text = as_bytes(self.text)
        return chain(pieces, repeat(Piece(text * (1 + _BLOCK // len(text)))))


class Coding(_Effect, frozen=True):
    """A compressed body, whether or not the client accepts one. Each piece can be decompressed when it arrives.

    A compressed body stays as it is.

    Attributes:
        name: the ``content-encoding``.
    """

    name: Literal["gzip", "deflate"] = "gzip"

    def over(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Yield the pieces, compressed."""
        deflate = zlib.compressobj(wbits=_WINDOW[self.name])
        for piece in pieces:
            data = deflate.compress(piece.data) + deflate.flush(zlib.Z_SYNC_FLUSH)
            yield replace(piece, data=data)
        yield Piece(deflate.flush())


# Delivery to the client


class Split(_Effect, frozen=True):
    """The same bytes in smaller pieces. Existing boundaries stay.

    Attributes:
        sizes: the distances between the new boundaries, in bytes. The last one repeats, so ``(1,)`` is byte by byte.
        of: which bytes. A piece of a chunked body is an HTTP chunk; on the wire, it is what is written at once.
    """

    sizes: Annotated[tuple[Annotated[int, Meta(ge=1)], ...], Meta(min_length=1)]
    of: Of = "body"

    def over(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Yield the pieces, split."""
        sizes = chain(self.sizes, repeat(self.sizes[-1]))
        left = next(sizes)
        for piece in pieces:
            begin, delay = 0, piece.delay
            while len(piece.data) - begin > left:
                yield Piece(piece.data[begin : begin + left], delay)
                begin, delay, left = begin + left, 0.0, next(sizes)
            left = left - (len(piece.data) - begin) or next(sizes)
            yield Piece(piece.data[begin:], delay, piece.then)


class Drip(_Effect, frozen=True):
    """A delay before each piece; after `Split`, before each smaller piece.

    Attributes:
        seconds: the delay.
        of: which bytes. On the wire, the head is a piece too.
    """

    seconds: _Seconds
    of: Of = "body"

    def over(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Yield the pieces, each delayed."""
        return (replace(piece, delay=piece.delay + self.seconds) for piece in pieces)


class Cut(_Effect, frozen=True):
    """An end after some bytes, in one of four ways. A shorter response is unchanged.

    Attributes:
        at: how many bytes are sent.
        then: ``"close"`` closes the connection cleanly though the response is incomplete; ``"reset"`` resets it;
            ``"hang"`` leaves the client waiting; ``"end"`` ends the body there as if it were complete.
        of: which bytes. ``"end"`` is for a body only.
    """

    at: _Count = 0
    then: Literal["close", "reset", "hang", "end"] = "close"
    of: Of = "body"

    def __post_init__(self) -> None:
        """Check the attributes.

        Raises:
            ValueError: an attribute is invalid, or ``then`` and ``of`` don't go together.
        """
        super().__post_init__()
        if (self.of, self.then) == ("wire", "end"):
            raise ValueError('then: "end" is for a body only; on the wire use "close"')

    def over(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Yield the pieces up to the end."""
        then: Then = "more" if self.then == "end" else self.then
        left = self.at
        if left == 0:
            yield Piece(b"", then=then)
            return
        for piece in pieces:
            if len(piece.data) >= left:
                yield replace(piece, data=piece.data[:left], then=then)
                return
            left -= len(piece.data)
            yield piece


StreamEffect = Event | Done | Insert | Endless | Coding | Split | Drip | Cut
"""Any effect on the stream of pieces; each has a lazy ``over(pieces)``."""

Effect = Refuse | Redirect | Header | Body | StreamEffect
"""Any effect on a response."""


class Fault(_Checked, frozen=True):
    """What goes wrong, and when.

    Attributes:
        on: the endpoint.
        effects: the effects on the response, in order.
        first: the first request to that endpoint that it applies to, counted from 1, over all clients.
        times: how many requests it applies to; None for all from there on.
    """

    on: Endpoint
    effects: Annotated[Sequence[Effect], Meta(min_length=1)]
    first: Annotated[int, Meta(ge=1)] = 1
    times: Annotated[int, Meta(ge=1)] | None = None

    def __post_init__(self) -> None:
        """Check the attributes, and copy the effects.

        Raises:
            ValueError: an attribute is invalid; the message names it.
        """
        super().__post_init__()
        force_setattr(self, "effects", tuple(self.effects))

    def applies(self, endpoint: Endpoint | None, number: int) -> bool:
        """Return whether the fault applies to a request.

        Args:
            endpoint: the request's endpoint.
            number: the request's number at that endpoint, counted from 1.
        """
        return endpoint == self.on and self.first <= number and (self.times is None or number < self.first + self.times)


def as_bytes(text: str) -> bytes:
    """Return the bytes that a fault's text stands for."""
    return text.encode("utf-8", "surrogateescape")
