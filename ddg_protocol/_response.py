"""What the head and the body of a response mean (PROTOCOL.md sections 3, 4 and 7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from . import handshake
from ._exchange import End, Exchange, Head
from ._setup import Setup
from ._turn import Turn
from .content import ContentDecoder
from .errors import ContentDecodingError, DuckChatError, FrontEndVersionMissing, IncompleteStream, StreamTooLarge
from .events import Event, ModelsReceived
from .headers import Headers, field
from .redirect import REDIRECTS, redirect_target
from .steps import Step

_READ_WHOLE = (Step.FRONT_END, Step.MODELS)


class Body:
    """The body of a response: undoes the content coding and checks the length.

    Args:
        step: which request it is a response to.
        status: the response's.
        headers: the response's.
        limit: the most bytes that a coded body may come in.
        fed: the bytes that another body was fed, to go on from there.
        decoded: how many bytes that one had decoded.

    Attributes:
        status: as given.
        headers: as given.
        limit: as given.
        coded: whether it has a content coding.
        chunks: the decoded bytes that were not taken.
        fed: the bytes that the decoder of a chat response was fed; a snapshot can't store its state otherwise.
        decoded: how many bytes it has decoded.

    Raises:
        ContentDecodingError: the coding was not asked for, and the response means nothing without its body.
    """

    __slots__ = ("_decoder", "_decoding", "_length", "chunks", "coded", "decoded", "fed", "headers", "limit", "status")

    def __init__(
        self, step: Step, status: int, headers: Headers, limit: int, *, fed: bytes = b"", decoded: int = 0
    ) -> None:
        self.status = status
        self.headers = headers
        self.limit = limit
        self.fed = bytearray(fed)
        self.decoded = decoded
        self._length = _content_length(headers)
        self._decoding: Iterator[bytes] = iter(())
        try:
            self._decoder = ContentDecoder(field(headers, "content-encoding"))
        except ContentDecodingError:
            if status == 200 and step in (Step.FRONT_END, Step.CHAT, Step.MODELS):
                raise
            self._decoder = ContentDecoder()  # the body is kept as it came
        self.coded = self._decoder.coded
        self.chunks: deque[bytes] = deque()
        if fed:
            self._decoding = _after(decoded, self._decoder.decode(fed))

    def decode(self, exchange: Exchange) -> bool:
        """Decode a little more of a coded body, once `chunks` is empty, so that no bomb is held in memory.

        Args:
            exchange: has the chunks that the driver reported.

        Returns:
            Whether there was more.

        Raises:
            ContentDecodingError: it is not of its coding.
            StreamTooLarge: the coded form is longer than its bound.
        """
        chunk = next(self._decoding, b"")
        while not chunk and exchange.chunks:
            data = exchange.chunks.popleft()
            if exchange.received > self.limit:  # a coding without any content need not end
                raise StreamTooLarge(f"the compressed body is longer than {self.limit} bytes", limit=self.limit)
            if exchange.step is Step.CHAT:
                self.fed += data
            self._decoding = self._decoder.decode(data)
            chunk = next(self._decoding, b"")
        if chunk:
            self.decoded += len(chunk)
            self.chunks.append(chunk)
        return bool(chunk)

    def end(self, exchange: Exchange) -> bool:
        """Check the end of the body, once nothing of it is left to decode.

        Args:
            exchange: has what the driver reported.

        Returns:
            Whether the body has ended.

        Raises:
            IncompleteStream: it is shorter than its content-length.
            ContentDecodingError: it ended inside its coding.
        """
        if not isinstance(exchange.end, End):
            return False
        if self._length is not None and exchange.received < self._length:
            raise IncompleteStream(f"the body ended after {exchange.received} of {self._length} bytes; ask again")
        self._decoder.end()
        return True


def _after(position: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Return the chunks without their first bytes."""
    for chunk in chunks:
        if position < len(chunk):
            yield chunk[position:]
        position = max(0, position - len(chunk))


def _content_length(headers: Headers) -> int | None:
    """Return the content-length if that is the framing. Repeated, it counts once (RFC 9110 section 8.6)."""
    if field(headers, "transfer-encoding"):
        return None
    length, *others = {said.strip(" \t") for said in field(headers, "content-length").split(",")}
    is_number = length.isascii() and length.isdigit() and len(length) < 20
    return int(length) if is_number and not others else None


def read_head(setup: Setup, turn: Turn, exchange: Exchange, head: Head) -> Body:
    """Process the head of a response: its cookies, its tokens, and how its body is read.

    Args:
        setup: the session's.
        turn: gets the cookies and the tokens.
        exchange: whose head it is.
        head: its status and fields.

    Returns:
        The body that follows.

    Raises:
        InvalidToken: a token can't be sent back.
        RedirectRefused: a redirect can't be followed; its body is not read.
        ContentDecodingError: see `Body`.
    """
    policy, step = setup.policy, exchange.step
    turn.jar.receive(exchange.request.url, head.headers, now=head.now)
    is_page = step in _READ_WHOLE and head.status == 200
    if is_reply(step, head):
        limit = policy.max_reply_bytes
    else:
        limit = policy.max_page_bytes if is_page else policy.max_error_bytes
    body = Body(step, head.status, head.headers, limit)
    if head.status in REDIRECTS:
        redirected_to(setup, exchange, body)
    elif step is Step.CHAT and (tokens := handshake.read_tokens(head.headers, setup.profile)) is not None:
        # Any chat response may bring a new pair (PROTOCOL.md section 3). A redirect is not one: the same request goes
        # on to another place, with the answer that belongs to its token.
        turn.renew(tokens)
    return body


def collect(exchange: Exchange, body: Body, text: bytearray) -> bool:
    """Collect the body of a response that is not a reply.

    Args:
        exchange: has the driver's reports.
        body: decodes them.
        text: is extended, up to the body's limit.

    Returns:
        Whether it is complete: the end came, or enough of a body that need not be read to its end.

    Raises:
        IncompleteStream: the body is shorter than its content-length.
        ContentDecodingError: it is not of its content coding.
        StreamTooLarge: the front-end page or the list of models is longer than its bound, or the coded body is.
    """
    while body.chunks or (body.coded and body.decode(exchange)):
        text += body.chunks.popleft()[: body.limit - len(text) + 1]
        if len(text) > body.limit:
            del text[body.limit :]
            if exchange.step in _READ_WHOLE and body.status == 200:
                raise StreamTooLarge(f"the {exchange.step.value} is longer than {body.limit} bytes", limit=body.limit)
            return True
    return body.end(exchange)


def is_reply(step: Step, head: Head) -> bool:
    """Check whether a response is a reply: an event stream, with status 200, to a chat request."""
    kind = field(head.headers, "content-type").partition(";")[0].strip(" \t").lower()
    return step is Step.CHAT and head.status == 200 and kind == "text/event-stream"


def redirected_to(setup: Setup, exchange: Exchange, body: Body) -> str:
    """Return where a redirect leads.

    Raises:
        RedirectRefused: it can't be followed.
    """
    location = field(body.headers, "location")
    return redirect_target(exchange.request, body.status, location, exchange.redirects, setup.profile, setup.policy)


def conclude(
    setup: Setup, turn: Turn, step: Step, body: Body, text: bytearray, problem: DuckChatError | None, now: float
) -> Event | None:
    """Process a complete response that is neither a reply nor a redirect.

    Args:
        setup: the session's. The shared state gets the front-end version, the cookies of the landing page, and a
            ``Retry-After``.
        turn: gets the tokens and cookies.
        step: which request it is a response to.
        body: has the status and the fields.
        text: the decoded body, as far as it was collected.
        problem: why the body could not be read to its end; None if it could.
        now: the caller's clock, in seconds.

    Returns:
        An event for the caller, or None.

    Raises:
        ServiceError: the response is a refusal. Its head says so, whether or not its body could be read.
        FrontEndVersionMissing: the front-end page has no version.
        MalformedModelList: the list of models can't be read.
        HandshakeError: the status response has no token.
        InvalidToken: it has one that can't be sent back.
    """
    if body.status != 200 or step is Step.CHAT:
        from .refusal import retry_after, service_error  # which most conversations never need

        seconds = retry_after(body.headers)
        if seconds is not None:
            setup.shared.pacer.hold(now + seconds)
        raise service_error(body.status, bytes(text), retry_after=seconds)
    match step:
        case Step.FRONT_END:
            version = handshake.read_version(text, setup.profile)
            if not version:
                raise problem or FrontEndVersionMissing("the front-end page has no version markers")
            setup.shared.fe_version = version
            setup.shared.pacer.fetched(turn.ticket, step)
        case Step.MODELS:
            if problem is not None:
                raise problem
            from .model_list import read_models  # which most conversations never need

            return ModelsReceived(read_models(text))
        case Step.LANDING:
            leave_landing_page(setup, turn)
            setup.shared.has_landed(turn.jar, now=now)
            setup.shared.pacer.fetched(turn.ticket, step)
        case _:
            turn.renew(handshake.require_tokens(body.headers, setup.profile))
            return handshake.read_notice(text)
    return None


def leave_landing_page(setup: Setup, turn: Turn) -> None:
    """Set the client's own cookies, whether or not the landing page set some (PROTOCOL.md section 3)."""
    turn.landing_due = False
    for cookie in setup.own_cookies():
        turn.jar.set(cookie)
