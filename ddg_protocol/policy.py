"""What the embedder allows a session: tries, times and bounds."""

from __future__ import annotations

import math

import msgspec

from .text import shown

KIB = 1024
MIB = 1024 * 1024
MAX_SECONDS = 1_000_000
"""The longest wait, eleven days: in milliseconds it fits the 32 bits that some platforms have for it."""
MAX_COUNT = 2**63 - 1
"""The largest whole number, which is `sys.maxsize` on most platforms."""
MAX_CHALLENGE_RETRIES = 3
_MAY_BE_0 = frozenset(
    {
        "max_retries",
        "max_unanswered_retries",
        "max_challenge_retries",
        "base_delay",
        "max_retry_after",
        "drain_timeout",
        "max_redirects",
    }
)
_MAY_BE_NONE = frozenset({"max_unanswered_retries", "max_prompt_chars"})


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The tries, times and bounds of a session (PROTOCOL.md sections 7 and 8).

    Times are in seconds, at most 1,000,000; sizes are of decompressed bytes. Whole numbers are below 2**63.

    Attributes:
        strict: whether a malformed payload ends the turn with `MalformedEvent`; otherwise it is an event.
        max_retries: how often a kind of request is retried in one turn.
        max_unanswered_retries: the same for a request that got no response: after a `TransportError` or a
            `ChatTimeoutError`. A busy service may soon be free, but a wrong address stays wrong. None is `max_retries`.
        base_delay: the delay from which the backoff grows.
        max_challenge_retries: how often a question is repeated in one turn with the answer to a newer challenge, after
            the service asked for one or refused the one it got; at most 3.
        max_retry_after: the longest ``Retry-After`` that a turn waits for. A longer one ends every turn of the client
            at once, until no more than this is left of it.
        connect_timeout: for making the connection.
        write_timeout: for sending a request.
        read_timeout: for the response's head, and for each further chunk of its body.
        total_timeout: for a whole exchange, from the pull of its `SendRequest` to the end of its body.
        turn_timeout: for a whole turn, from `Session.ask` to the end of the reply. Every request, redirect, retry and
            wait counts, and so do the turns of the client's other chats meanwhile. A turn ends at once where it would
            have to wait for longer.
        drain_timeout: for reading the rest of a body after a complete reply, so that the connection can be kept.
        max_redirects: the most redirects of one request.
        max_prompt_chars: the longest prompt; None allows any.
        max_head_bytes: the longest head of a response, together with the interim ones (1xx) before it.
        max_page_bytes: the longest front-end page, and the longest list of models.
        max_error_bytes: how much is kept of the body of a refusal.
        max_drain_bytes: how much is read of a body that nobody wants, so that the connection can be kept.
        max_event_bytes: the longest line, and the longest event, of the stream.
        max_image_bytes: the longest event that brings an image, if that is more. As text, an image is a third longer:
            4 MiB are enough for one of 3 MiB.
        max_reply_bytes: the longest reply. Every byte of its body counts, before and after decompression, whatever it
            means. Each of these is bounded by it, too: twice the memory of the reply's text; twice that of the rest
            that `TurnFinished` has; and all that a `wire.WireSession` reads of chunk extensions, sizes in an unusual
            form and trailers.
        max_challenge_bytes: the longest challenge, as encoded in its header.
    """

    strict: bool = False
    max_retries: int = 3
    max_unanswered_retries: int | None = None
    base_delay: float = 2.0
    max_challenge_retries: int = 1
    max_retry_after: float = 60.0
    connect_timeout: float = 10.0
    write_timeout: float = 10.0
    read_timeout: float = 30.0
    total_timeout: float = 60.0
    turn_timeout: float = 180.0
    drain_timeout: float = 1.0
    max_redirects: int = 10
    max_prompt_chars: int | None = 16_000
    max_head_bytes: int = 128 * KIB
    max_page_bytes: int = 8 * MIB
    max_error_bytes: int = 64 * KIB
    max_drain_bytes: int = 64 * KIB
    max_event_bytes: int = 1 * MIB
    max_image_bytes: int = 4 * MIB
    max_reply_bytes: int = 16 * MIB
    max_challenge_bytes: int = 256 * KIB

    def __post_init__(self) -> None:
        """Check every number.

        Raises:
            ValueError: an attribute is not a number of its kind. A count is whole, and at most `MAX_COUNT`; a time is
                at most `MAX_SECONDS`.
        """
        for name, default in zip(self.__struct_fields__, self.__struct_defaults__, strict=True):
            value = getattr(self, name)
            if isinstance(default, bool) or (value is None and name in _MAY_BE_NONE):
                continue
            whole = default is None or isinstance(default, int)
            is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
            least = 0 if name in _MAY_BE_0 else math.ulp(0.0)
            if not (is_number and least <= value <= (MAX_COUNT if whole else MAX_SECONDS)):
                kind = "a whole number" if whole else "a number"
                bound = "0 or more" if least == 0 else "more than 0"
                most = "below 2**63" if whole else f"at most {MAX_SECONDS}"
                raise ValueError(f"Policy.{name} must be {kind}, {bound} and {most}, not {shown(value)}")
        if self.max_challenge_retries > MAX_CHALLENGE_RETRIES:
            raise ValueError(
                f"Policy.max_challenge_retries must be at most {MAX_CHALLENGE_RETRIES}, "
                f"not {shown(self.max_challenge_retries)}"
            )
