"""What goes wrong when: the script of a `Service`, as data.

A `Fault` says at which endpoint, from which request on and how often; its effects say what becomes of the response.
Effects are few and compose: each takes the response as the one before left it, from the service out to the wire. ::

    Service(script=[
        Fault("chat", [Refuse(429, retry_after=2)], times=1),
        Fault("chat", [Coding("gzip"), Cut(100, "reset")], first=2, times=1),
    ])

`ddg_protocol.service.script` reads the same from text. All that is lazy or endless here is made as it is taken.

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
        """Hold each attribute to its type, as reading it from TOML would.

        Raises:
            ValueError: which attribute is not of its kind.
        """
        for field in msgspec.structs.fields(self):
            try:
                value = msgspec.convert(getattr(self, field.name), field.type)
            except msgspec.ValidationError as error:
                raise ValueError(f"{field.encode_name}: {error}") from None
            force_setattr(self, field.name, value)


class _Effect(_Checked, frozen=True, tag_field="do", tag=str.lower):
    pass


# In place of the service's answer


class Refuse(_Effect, frozen=True):
    """An error body of PROTOCOL.md section 7, in place of whatever the answer was. The request's token is spent.

    Attributes:
        status: the HTTP status.
        type: the ``ERR_...`` word; empty leaves it out.
        retry_after: the value of ``retry-after``, seconds or a date; empty leaves it out.
        tokens: whether a new token and its challenge come with it.
    """

    status: Annotated[int, Meta(ge=200, le=599)]
    type: Annotated[str, Meta(pattern=r"\A[^\ud800-\udfff]*\Z")] = ""
    retry_after: int | _Text = ""
    tokens: bool = False


class Redirect(_Effect, frozen=True):
    """A redirect, as by something that stands before the service: the service itself never sees the request.

    Attributes:
        to: the ``location``; empty leads to the same place again. So once is a redirect that leads somewhere, and
            always is one that leads round in a circle.
        status: the HTTP status. A 301, 302 or 303 turns a question into a GET.
    """

    to: _Text = ""
    status: Literal[301, 302, 303, 307, 308] = 307


# The head


class Header(_Effect, frozen=True):
    r"""A field of the head set, in place of all of that name, or taken away.

    A value goes out as it is: with ``"\r\n"`` in it, what follows is another field to the client. Who sets
    ``content-length`` or ``transfer-encoding`` has the body sent without further framing.

    Attributes:
        name: of the field.
        value: what it says; None takes the field away.
    """

    name: _Text
    value: _Text | None = None


# The body


class Body(_Effect, frozen=True):
    """Another body, under the same head.

    Attributes:
        text: what it says.
    """

    text: _Text = ""


class Event(_Effect, frozen=True):
    """An event put into a reply's stream: an error, ``[PING]``, a title, anything.

    Attributes:
        data: its data, a line.
        after: how many events come before it; the first of a reply is an empty piece. In a shorter reply it is last.
    """

    data: _Text
    after: _Count = 0

    def over(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Give the pieces with the event among them."""
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
    """Another end of a reply's stream than ``[DONE]``.

    Attributes:
        data: the last event's data, such as ``[DONE][LIMIT_CONVERSATION]``; empty leaves the event out.
    """

    data: _Text = ""

    def over(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Give the pieces with the last one exchanged."""
        mine = event(as_bytes(self.data)) if self.data else b""
        return (replace(piece, data=mine) if piece.data == DONE else piece for piece in pieces)


class Insert(_Effect, frozen=True):
    """Bytes put among the others.

    Attributes:
        text: what is put there.
        at: how many bytes come before it.
        of: of what. On the wire, at 0, the response is no HTTP.
    """

    text: _Text
    at: _Count = 0
    of: Of = "body"

    def over(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Give the pieces with the text among them."""
        left, mine = self.at, as_bytes(self.text)
        for piece in pieces:
            if mine and len(piece.data) >= left:
                piece = replace(piece, data=piece.data[:left] + mine + piece.data[left:])
                mine = b""
            left -= len(piece.data)
            yield piece


class Endless(_Effect, frozen=True):
    r"""A body that never ends: behind what there is of it comes a text, again and again, as fast as it is taken.

    With `Body` before it, it is all there is; after ``Body("data: ")`` it is an endless line, and before `Coding` a
    compressed bomb.

    Attributes:
        text: what is repeated.
    """

    text: Annotated[_Text, Meta(min_length=1)] = "\0"

    def over(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Give the pieces, and then the others."""
        text = as_bytes(self.text)
        return chain(pieces, repeat(Piece(text * (1 + _BLOCK // len(text)))))


class Coding(_Effect, frozen=True):
    """A compressed body, whether or not it was asked for. What each piece holds can be read when it has come.

    Attributes:
        name: the ``content-encoding``.
    """

    name: Literal["gzip", "deflate"] = "gzip"

    def over(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Give the pieces, compressed."""
        deflate = zlib.compressobj(wbits=_WINDOW[self.name])
        for piece in pieces:
            data = deflate.compress(piece.data) + deflate.flush(zlib.Z_SYNC_FLUSH)
            yield replace(piece, data=data)
        yield Piece(deflate.flush())


# The way to the client


class Split(_Effect, frozen=True):
    """The same bytes in smaller pieces. Where a piece ended before, one ends now too.

    Attributes:
        sizes: where they are cut: after so many bytes, then after so many more. The last size goes for all the rest,
            so ``(1,)`` is byte by byte.
        of: of what. A piece of a chunked body is a chunk; on the wire, it is what is written at once.
    """

    sizes: Annotated[tuple[Annotated[int, Meta(ge=1)], ...], Meta(min_length=1)]
    of: Of = "body"

    def over(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Give the pieces, cut."""
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
    """The pieces come slowly; with `Split` before it, the bytes.

    Attributes:
        seconds: what passes before each.
        of: of what. On the wire, the head is a piece too.
    """

    seconds: _Seconds
    of: Of = "body"

    def over(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Give the pieces, each so much later."""
        return (replace(piece, delay=piece.delay + self.seconds) for piece in pieces)


class Cut(_Effect, frozen=True):
    """An end after so many bytes, in one of four ways. A response that is shorter is left alone.

    Attributes:
        at: how many bytes come.
        then: ``"close"`` closes the connection in good order though the response isn't whole; ``"reset"`` resets it;
            ``"hang"`` leaves the client waiting; ``"end"`` makes it the end of the body, and that a good one.
        of: of what. Only a body can end well.
    """

    at: _Count = 0
    then: Literal["close", "reset", "hang", "end"] = "close"
    of: Of = "body"

    def __post_init__(self) -> None:
        """Refuse what can't be meant.

        Raises:
            ValueError: an attribute is not of its kind, or the two don't go together.
        """
        super().__post_init__()
        if (self.of, self.then) == ("wire", "end"):
            raise ValueError('then: "end" ends a body well; on the wire there is "close"')

    def over(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Give the pieces up to there."""
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
"""What changes bytes on their way; each has ``over(pieces)``, which is lazy."""

Effect = Refuse | Redirect | Header | Body | StreamEffect
"""What becomes of a response."""


class Fault(_Checked, frozen=True):
    """What goes wrong, and when.

    Attributes:
        on: the endpoint.
        effects: what becomes of the response, each after the one before.
        first: the request to that endpoint that it begins with, counted from 1, over all clients.
        times: how many requests it is for; None for all that come.
    """

    on: Endpoint
    effects: Annotated[Sequence[Effect], Meta(min_length=1)]
    first: Annotated[int, Meta(ge=1)] = 1
    times: Annotated[int, Meta(ge=1)] | None = None

    def __post_init__(self) -> None:
        """Keep the effects as they are now.

        Raises:
            ValueError: which attribute is not of its kind.
        """
        super().__post_init__()
        force_setattr(self, "effects", tuple(self.effects))

    def applies(self, endpoint: Endpoint | None, number: int) -> bool:
        """Tell whether it is for a request.

        Args:
            endpoint: where the request goes.
            number: which one to that endpoint it is, counted from 1.
        """
        return endpoint == self.on and self.first <= number and (self.times is None or number < self.first + self.times)


def as_bytes(text: str) -> bytes:
    """Give the bytes that a fault's text stands for."""
    return text.encode("utf-8", "surrogateescape")
