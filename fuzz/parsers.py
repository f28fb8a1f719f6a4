"""The parsers: what each makes of any bytes, and what must hold of it.

An input says itself where it is cut: at each byte FF, which is in no UTF-8 text.
"""

from __future__ import annotations

import base64
import copy
import json
import math
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import chain, islice
from typing import Any
from urllib.parse import urlsplit

import h11
import msgspec

from ddg_chat._text import harmless, one_line
from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    Conversation,
    Cookie,
    DuckChatError,
    Event,
    LocalProtocolError,
    Message,
    ModelNotSupportedError,
    Policy,
    SendRequest,
    ServiceError,
    ServiceProfile,
    Session,
    TextDelta,
    UnsupportedChallenge,
)
from ddg_protocol._http import HttpConnection
from ddg_protocol.challenge import build_x_vqd_hash_1, decode_string_literal, describe_form, read_challenge, read_script
from ddg_protocol.challenge.dom import MAX_CHARACTERS, outline, read_snippet, utf16_length
from ddg_protocol.chat import format_prompt, last_user_message
from ddg_protocol.content import PIECE, ContentDecoder
from ddg_protocol.conversation import Tokens
from ddg_protocol.cookies import MAX_COOKIES, CookieJar
from ddg_protocol.dates import parse_date
from ddg_protocol.errors import (
    ContentDecodingError,
    ConversationFormatError,
    HandshakeError,
    InvalidToken,
    MalformedModelList,
    RedirectRefused,
    StreamTooLarge,
)
from ddg_protocol.handshake import read_notice, read_tokens, read_version, require_tokens
from ddg_protocol.headers import Headers
from ddg_protocol.model_list import read_models, write_models
from ddg_protocol.redaction import redacted
from ddg_protocol.redirect import REDIRECTS, redirect_target
from ddg_protocol.refusal import retry_after, service_error
from ddg_protocol.reply import ReplyReader, SavedReply
from ddg_protocol.service._challenge import Challenge as Asked
from ddg_protocol.service._exchange import Refusal
from ddg_protocol.service._pages import http_date
from ddg_protocol.service._tokens import Tokens as Issued
from ddg_protocol.sse import EventStreamDecoder, ServerSentEvent
from ddg_protocol.text import printable
from ddg_protocol.transcript._redaction import Secrets
from ddg_protocol.transcript._texts import BodyTexts, ReplyTexts
from ddg_protocol.transcript._words import same_script

CUT = b"\xff"
BYTE_BY_BYTE = 300
"""Bytes up to which an input is also given byte by byte: longer ones would take most of the time."""
PROFILE = DUCKDUCKGO_2025_04
POLICY = Policy()
FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def fits_a_message(error: Exception) -> None:
    """Hold an exception to what `errors` says of messages: one line, visible, bounded; and it can be passed on."""
    said = str(error)
    assert said, "no message"
    assert said.isprintable(), f"not one visible line: {said!r}"
    assert len(said) < 2000, f"a message of {len(said)} characters"
    if isinstance(error, DuckChatError):
        again = copy.copy(error)
        assert (type(again), str(again)) == (type(error), said)


def fields_of(data: bytes) -> Headers:
    r"""Read header fields, a line each, ``name: value``; ``\r`` and ``\n`` in a value mean the bytes."""
    lines = (line.partition(b":") for line in data.split(b"\n"))
    return tuple(
        (
            name.decode("latin-1").lower(),
            value.strip(b" ").replace(rb"\r", b"\r").replace(rb"\n", b"\n").decode("latin-1"),
        )
        for name, colon, value in lines
        if colon
    )


# Event streams


def event_stream(data: bytes) -> None:
    """Read a stream in several ways, which are one; with the usual bound, and with a small one."""
    chunks = data.split(CUT)
    whole = b"".join(chunks)
    for bound in (1024 * 1024, 24):
        seen = _events(chunks, bound)
        assert seen == _events([whole], bound)
        assert seen[1:] == _payloads(chunks, bound)[1:]
        assert [event.data for event in seen[0]] == [
            str(payload, "utf-8", "replace") for payload in _payloads(chunks, bound)[0]
        ]
        if len(whole) <= BYTE_BY_BYTE:
            assert seen == _events([whole[i : i + 1] for i in range(len(whole))], bound)


def _events(chunks: Sequence[bytes], bound: int) -> tuple[list[ServerSentEvent], str | bool]:
    decoder = EventStreamDecoder(max_event_bytes=bound)
    events: list[ServerSentEvent] = []
    try:
        for chunk in chunks:
            events += decoder.feed(chunk)
        return events, decoder.close()
    except StreamTooLarge as error:
        fits_a_message(error)
        return events, str(error)


def _payloads(chunks: Sequence[bytes], bound: int) -> tuple[list[bytes], str | bool]:
    decoder = EventStreamDecoder(max_event_bytes=bound)
    payloads: list[bytes] = []
    try:
        for number, chunk in enumerate(chunks):
            payloads += decoder.feed_data(chunk)
            if number < 8 and not decoder.too_large:
                remainder, decoder = decoder.remainder, EventStreamDecoder(max_event_bytes=bound)
                assert decoder.feed_data(remainder) == []
        return payloads, decoder.close()
    except StreamTooLarge as error:
        return payloads, str(error)


# Replies


class _Exact(ReplyReader):
    """Without the short cut for plain text."""

    _plain = property(lambda self: False, lambda self, plain: None)


def reply(data: bytes) -> None:
    """Read a reply in several ways, which are one; strict and lenient, with the usual bounds and with small ones."""
    chunks = data.split(CUT)
    whole = b"".join(chunks)
    for strict, event_bytes, reply_bytes in ((False, 1024 * 1024, 1024 * 1024), (True, 1024 * 1024, 9), (False, 40, 9)):
        policy = Policy(strict=strict, max_event_bytes=event_bytes, max_reply_bytes=reply_bytes)

        def make(kind: type[ReplyReader] = ReplyReader) -> ReplyReader:
            return kind(policy)  # noqa: B023

        def resumed(reader: ReplyReader) -> ReplyReader:
            data = json.loads(json.dumps(msgspec.to_builtins(reader.saved)))
            return ReplyReader(policy, msgspec.convert(data, SavedReply))  # noqa: B023

        seen = _outcome(make(), chunks)
        assert seen == _outcome(make(_Exact), chunks)
        assert seen == _outcome(make(), [whole])
        if len(whole) <= BYTE_BY_BYTE:
            assert seen == _outcome(make(), [whole[i : i + 1] for i in range(len(whole))])
            if reply_bytes > 9 and len(chunks) <= BYTE_BY_BYTE:  # where a bound of a reply is counted from is not kept
                assert seen == _outcome(make(), chunks, resumed)


def _outcome(
    reader: ReplyReader, chunks: Sequence[bytes], between: Callable[[ReplyReader], ReplyReader] | None = None
) -> tuple[object, ...]:
    events: list[Event] = []
    raised = ""
    try:
        for chunk in chunks:
            reader.chunks.append(chunk)
            event = reader.next_event()
            while event is not None:
                events.append(event)
                event = reader.next_event()
            if between is not None and not reader.done:
                reader = between(reader)
        reader.end()
        events += iter(reader.next_event, None)
        assert reader.done
    except DuckChatError as error:
        fits_a_message(error)
        raised = f"{type(error).__name__}: {error}"
    texts = [event.text for event in events if isinstance(event, TextDelta)]
    assert all(texts)
    assert "".join(texts) == reader.text
    reader.text.encode()
    said = reader.title, reader.limit_reached, reader.served_model
    return events, raised, reader.done, reader.finish_reason, *said


def redaction(data: bytes) -> None:
    """Blank the texts of a stream, however it is cut; replace what a head or a challenge says."""
    chunks = data.split(CUT)
    whole = b"".join(chunks)
    texts = ReplyTexts()
    blanked = b"".join(map(texts.feed, chunks))
    assert blanked == ReplyTexts().feed(whole)
    assert len(blanked) == len(whole)
    assert blanked == ReplyTexts().feed(blanked)
    body = BodyTexts(PROFILE)
    assert len(b"".join(map(body.feed, chunks))) == len(whole)
    secret = _SECRET.encode()
    before = whole[:_BOUND]  # what is said before a secret takes much less to be as odd as it may be
    for said in (secret, b'"' + secret + b'"', b'{"type":"' + secret + b'"}', b"<p>" + secret):
        assert secret not in BodyTexts(PROFILE).feed(before + said), "a body is shown"
        assert secret not in ReplyTexts().feed(before + said), "a reply is shown"
        assert secret not in ReplyTexts().feed(before + b"\n\ndata: " + said), "an event is shown"
    headers = fields_of(whole)
    stood_in = Secrets(PROFILE).headers(headers)
    assert len(stood_in) == len(headers)
    for name, value in headers:
        field = (name, value + _SECRET)
        if name != "x-vqd-hash-1":  # in base64 it is something else
            shown = repr(Secrets(PROFILE).headers((field,))) + repr(redacted((field,)))
            assert _SECRET not in shown, f"{name} is shown"
    for place in _PLACES:
        planted = (*headers[:4], place(_SECRET))
        shown = repr(Secrets(PROFILE).headers(planted)) + repr(redacted(planted))
        assert _SECRET not in shown, f"{place(_SECRET)} is shown"
    script = whole.decode("latin-1")
    same_script(script, Secrets(PROFILE).value)
    for code in (f"a = '{_SECRET}' // {_SECRET}", f"/* {_SECRET} */ {_SECRET[:15]}(`<p>{_SECRET}`)"):
        assert _SECRET[:15] not in same_script(code + script[:_BOUND], Secrets(PROFILE).value)


_SECRET = "Qz7secretSECRET\xc3\xa9"
#: Where a head can have a secret, beside what the input has.
_PLACES: tuple[Callable[[str], tuple[str, str]], ...] = (
    lambda secret: ("set-cookie", f"user={secret}; path=/{secret}; comment={secret}"),
    lambda secret: ("set-cookie2", secret),
    lambda secret: ("www-authenticate", f'Bearer realm="{secret}"'),
    lambda secret: ("location", f"/{secret}?{secret}#{secret}"),
    lambda secret: (f"x-{secret}", secret),
)


# The handshake


def pages(data: bytes) -> None:
    """Look for the version's markers, and for the status; a page and a body are the same to them."""
    version = read_version(data, PROFILE)
    assert re.fullmatch("[!-~]{0,512}", version)
    if version:
        first, second = (data.split(marker.encode(), 1)[1] for marker in PROFILE.version_markers)
        assert version.encode() == first.split(b'"')[0] + b"-" + second.split(b'"')[0]
        Conversation(fe_version=version)
    notice = read_notice(data)
    if notice is not None:
        assert notice.status.isprintable()
        assert notice.text.isprintable()


def tokens(data: bytes) -> None:
    """Take tokens from a head, and hand them to the service, which knows its own."""
    headers = fields_of(data)
    try:
        found = read_tokens(headers, PROFILE)
        if found is not None:
            assert found == require_tokens(headers, PROFILE)
            assert FIELD_VALUE.fullmatch(found.vqd + found.vqd_hash_1)
            assert Conversation(vqd=found.vqd, vqd_hash_1=found.vqd_hash_1).tokens == found
        else:
            _refused(lambda: require_tokens(headers, PROFILE), HandshakeError)
    except InvalidToken as error:
        fits_a_message(error)
    issued = Issued("", limit=2)
    pairs = [issued.issue() for _ in range(3)]
    for _, value in headers:
        spent = any(pair.token == value for pair in pairs)
        try:
            assert issued.spend(value) in pairs
        except Refusal as refusal:
            assert refusal.status == 400
            assert refusal.error in ("ERR_INVALID_VQD", "ERR_EXPIRED_VQD")
        else:
            assert spent
            pairs = [pair for pair in pairs if pair.token != value]
        Asked.drawn("", 1).is_answered(value, user_agent="", brands="")


def _refused(do: Callable[[], object], *kinds: type[Exception]) -> None:
    try:
        do()
    except kinds as error:
        fits_a_message(error)
    else:
        raise AssertionError(f"no {' or '.join(kind.__name__ for kind in kinds)}")


# Challenges


def literals(data: bytes) -> None:
    """Read a string literal. What it means, written in the plainest way, means the same."""
    source = data.decode("utf-8", "surrogateescape")
    try:
        value = decode_string_literal(source)
    except UnsupportedChallenge as error:
        fits_a_message(error)
        assert error.expected
        assert error.position is not None
        assert 0 <= error.position <= len(source)
    else:
        assert utf16_length(value) <= len(source) * 2
        assert decode_string_literal(json.dumps(value)) == value


_SCRIPT = """(function () { return { server_hashes: %s, client_hashes: [navigator.userAgent + (navigator.userAgentData ?
navigator.userAgentData.brands.map(b => `"${b.brand}";v="${b.version}"`).join(', ') : ''), (function(){
const e = document.createElement('div'); e.innerHTML = %s; return String(%d + e.innerHTML.length); })()], signals: {}
}; })()"""


def challenge_script(data: bytes) -> None:
    """Read a script. What it says, said in the plainest way, is read as the same."""
    script = data.decode("utf-8", "surrogateescape")
    try:
        found = read_script(script)
    except UnsupportedChallenge as error:
        fits_a_message(error)
        assert error.expected
        assert error.position is not None
        assert 0 <= error.position <= len(script)
    else:
        again = _SCRIPT % (json.dumps(found.server_hashes), json.dumps(found.html), found.offset)
        assert read_script(again) == found
    assert describe_form(script).isprintable()


_VERSIONS = (133, 156, 140, None)


def dom(data: bytes) -> None:
    """Parse a snippet as each version of the browser would. Who doesn't know the version says what all of them say."""
    html = data.decode("utf-8", "surrogateescape")
    lengths: dict[int | None, int] = {}
    for chrome in _VERSIONS:
        try:
            root, inner_html = read_snippet(html, chrome=chrome)
        except UnsupportedChallenge as error:
            fits_a_message(error)
            assert error.expected
        else:
            assert len(html) <= MAX_CHARACTERS
            assert all(depth >= 1 for depth, _ in outline(root))
            lengths[chrome] = utf16_length(inner_html)
    if None in lengths:
        assert lengths == dict.fromkeys(_VERSIONS, lengths[None])


def challenge(data: bytes) -> None:
    """Answer a challenge, given as a header or, after an FF, as a script; with an identity before another FF."""
    first, cut, rest = data.partition(CUT)
    identity, cut_again, script = rest.partition(CUT)
    header = base64.b64encode(script).decode() if cut_again else first.decode("latin-1")
    headers = {"user-agent": first.decode("latin-1") if cut else "Chrome/133", "Sec-CH-UA": identity.decode("latin-1")}
    for style in ("python", "compact"):
        try:
            answer = build_x_vqd_hash_1(header, headers, style=style)
        except (UnsupportedChallenge, LocalProtocolError) as error:
            fits_a_message(error)
            continue
        said = json.loads(base64.b64decode(answer, validate=True))
        found = read_script(read_challenge(header, max_bytes=1 << 20))
        assert list(said) == ["server_hashes", "client_hashes", "signals"]
        assert said["server_hashes"] == list(found.server_hashes)
        assert [len(base64.b64decode(each)) for each in said["client_hashes"]] == [32, 32]
        Tokens(vqd_hash_1=answer)  # can be sent


# Heads


_URLS = ("https://duckduckgo.com/duckchat/v1/chat", "https://start.duckduckgo.com/", "https://duck.ai/a/b?c")


def cookies(data: bytes) -> None:
    """Take cookies from heads of three hosts in turn; each gets its own back, and nobody else does."""
    jar = CookieJar()
    for number, head in enumerate(data.split(CUT)):
        jar.receive(_URLS[number % 3], fields_of(head), now=float(number))
    kept = jar.cookies
    assert len(kept) <= MAX_COOKIES
    assert jar.offset is None or math.isfinite(jar.offset)
    for cookie in kept:
        assert any(host == cookie.domain or host.endswith(f".{cookie.domain}") for host in _hosts())
        assert cookie.expires is None or math.isfinite(cookie.expires)
    assert not jar.copy().header_for("https://evil.example/", now=0.0)
    assert all("." in cookie.domain for cookie in kept)  # not a whole top-level domain
    for url in (*_URLS, "http://duckduckgo.com/"):
        line = jar.copy().header_for(url, now=1e6)
        assert FIELD_VALUE.fullmatch(line)
        assert not url.startswith("http:") or all(f"{c.name}={c.value}" not in line for c in kept if _is_only(c, kept))
    talk = Conversation(cookies=kept)
    assert Conversation.from_json(talk.to_json()) == talk


def _hosts() -> list[str]:
    return [urlsplit(url).hostname or "" for url in _URLS]


def _is_only(cookie: Cookie, kept: Sequence[Cookie]) -> bool:
    """Whether a cookie is for https alone, and nothing that isn't could be taken for it."""
    pair = f"{cookie.name}={cookie.value}"
    return cookie.secure and all(other.secure or pair not in f"{other.name}={other.value}" for other in kept)


def redirects(data: bytes) -> None:
    """Follow a redirect, or not: never to another host, never in the clear, never to what no request line can hold."""
    location = data.decode("latin-1")
    for method, url in (("GET", _URLS[2]), ("POST", _URLS[0]), ("GET", "http://127.0.0.1:8000/x")):
        profile = PROFILE if url.startswith("https:") else PROFILE.at("http://127.0.0.1:8000")
        request = SendRequest(id=1, method=method, url=url, headers=(), body=b"", timeout=1.0)
        for status in sorted(REDIRECTS):
            try:
                target = redirect_target(request, status, location, 0, profile, POLICY)
            except RedirectRefused as error:
                fits_a_message(error)
                continue
            parts = urlsplit(target)
            assert parts.scheme == ("https" if profile is PROFILE else parts.scheme)
            assert parts.scheme == "https" or parts.hostname == "127.0.0.1"
            assert profile.allows(parts.hostname or "")
            assert parts.username is None
            assert re.fullmatch("[!-~]+", target)
            assert (method, status) not in {("POST", status) for status in (301, 302, 303)}
            # It is its own target: nobody who reads it again comes to another place.
            assert redirect_target(request, 307, target, 0, profile, POLICY) == target
            _on_the_wire(msgspec.structs.replace(request, url=target))


def _on_the_wire(request: SendRequest) -> None:
    head = HttpConnection(max_head_bytes=_BOUND, max_framing_bytes=_BOUND).send(request).split(b"\r\n")
    assert head[0].count(b" ") == 2


def dates(data: bytes) -> None:
    """Read when to come back, and dates as such."""
    seconds = retry_after(fields_of(data))
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)
    date = parse_date(data.decode("latin-1"))
    if date is not None:
        assert math.isfinite(date)
        assert parse_date(_date_as_text(date)) == date


def _date_as_text(date: float) -> str:
    try:
        return http_date(date)
    except (ValueError, OverflowError):  # before the epoch of some systems
        return datetime.fromtimestamp(date).isoformat()


# Bodies


_BOUND = 4096


def http(data: bytes) -> None:
    """Read a response as h11 does; with ``=`` before it the connection then ends.

    Bounds that h11 doesn't have end it earlier, where more came than they are.
    """
    ended = data.startswith(b"=")
    chunks = data.removeprefix(b"=").split(CUT)
    whole = b"".join(chunks)
    ways = [chunks, [whole]]
    if len(whole) <= BYTE_BY_BYTE:
        ways.append([whole[i : i + 1] for i in range(len(whole))])
    asked = SendRequest(id=1, method="GET", url="http://127.0.0.1/", headers=(), body=b"", timeout=1.0)
    for way in ways:
        mine = HttpConnection(max_head_bytes=_BOUND, max_framing_bytes=_BOUND)
        theirs = h11.Connection(h11.CLIENT, max_incomplete_event_size=_BOUND)
        given = [each for each in way if each] + [b""] * ended
        mine.send(asked)
        theirs.send(h11.Request(method="GET", target="/", headers=[("host", "127.0.0.1")]))
        theirs.send(h11.EndOfMessage())
        heads, body, refused = _heard(map(mine.read, given))
        their_heads, their_body, they_refused = _heard(_by_h11(theirs, each) for each in given)
        if re.search(r"longer than \d", refused):  # a bound that h11 has not
            assert len(whole) > _BOUND
            assert their_heads[: len(heads)] == heads
            assert their_body.startswith(body)
        else:
            assert (heads, body, bool(refused)) == (their_heads, their_body, bool(they_refused))
            assert refused or mine.next_cycle() == _next_cycle(theirs)


def _by_h11(connection: h11.Connection, data: bytes) -> Iterator[bytes | h11.Event]:
    connection.receive_data(data)
    event: object = None
    while connection.their_state in (h11.SEND_RESPONSE, h11.SEND_BODY) and event is not h11.NEED_DATA:
        event = connection.next_event()
        if isinstance(event, h11.Event):
            yield bytes(event.data) if isinstance(event, h11.Data) else event


def _next_cycle(connection: h11.Connection) -> bool:
    try:
        idle = connection.next_event() is h11.NEED_DATA
        connection.start_next_cycle()
    except h11.ProtocolError:
        return False
    return idle


def _heard(answers: Iterable[Iterator[bytes | h11.Event]]) -> tuple[list[object], bytes, str]:
    heads: list[object] = []
    body = b""
    try:
        for event in chain.from_iterable(answers):
            if isinstance(event, bytes):
                body += event
            else:
                heads.append(event)
    except h11.RemoteProtocolError as error:
        return heads, body, str(error)
    return heads, body, ""


def coding(data: bytes) -> None:
    """Decode a body: the first letter is its coding, in capitals where the rest is coded first and then cut short.

    However it is cut, it is the same body; no piece is large; what zlib reads is read as zlib does.
    """
    names = {b"g": "gzip", b"d": "deflate", b"r": "deflate", b"i": "identity"}
    kind, (first, *others) = data[:1], data[1:].split(CUT)
    name = names.get(kind.lower())
    if name is None:
        _refused(lambda: ContentDecoder(kind.decode("latin-1") + "?"), ContentDecodingError)
        return
    if kind.isupper():
        window = {b"G": 31, b"D": 15, b"R": -15}.get(kind)
        joined = b"".join([first, *others])
        coder = zlib.compressobj(wbits=window) if window else None
        coded = joined if coder is None else coder.compress(joined) + coder.flush()
        chunks = [coded[:-1], coded[-1:]]
    else:
        joined = None
        chunks = [first, *(CUT + other for other in others)]  # coded bytes may be any: they are kept
    seen = _decoded(name, chunks)
    ways = [[b"".join(chunks)]]
    if len(data) <= BYTE_BY_BYTE:
        ways.append([bytes([byte]) for chunk in chunks for byte in chunk])
    for way in ways:
        other = _decoded(name, way)
        assert seen[1] == other[1]
        # zlib gives nothing of a chunk in which it finds that it is wrong, be there something good before.
        assert seen[0].startswith(other[0]) or other[0].startswith(seen[0])
        assert seen[0] == other[0] or seen[1] == "ContentDecodingError"
    if joined is not None and len(joined) < _MOST * PIECE:
        assert seen == (joined, "")


_MOST = 64


def _decoded(name: str, chunks: Sequence[bytes]) -> tuple[bytes, str]:
    decoder = ContentDecoder(name)
    found = bytearray()
    try:
        for chunk in chunks:
            for piece in decoder.decode(chunk):
                assert 0 < len(piece) <= (PIECE if decoder.coded else len(chunk))
                found += piece[: _MOST * PIECE - len(found)]
                if len(found) == _MOST * PIECE:
                    return bytes(found), "enough"
        decoder.end()
    except ContentDecodingError as error:
        fits_a_message(error)
        return bytes(found), "ContentDecodingError"
    return bytes(found), ""


def refusals(data: bytes) -> None:
    """Find the exception for a body: the first three letters are the status, if they are digits."""
    status = int(data[:3]) if data[:3].isdigit() else 429
    error = service_error(status, data[3:], retry_after=2.5 if status % 2 else None)
    fits_a_message(error)
    assert isinstance(error, ServiceError)
    assert error.type is None or error.type.isprintable()
    assert error.status == status or 400 <= error.status < 600
    assert error.body == data[3:]
    assert error.retryable in (True, False)


def model_list(data: bytes) -> None:
    """Read a list of models; what was read is written and read as the same."""
    try:
        listed = read_models(data)
    except MalformedModelList as error:
        fits_a_message(error)
        return
    written = read_models(write_models(listed))
    assert [model.id for model in written.models] == [model.id for model in listed.models]
    assert read_models(write_models(written)) == written
    PROFILE.with_models(listed)


# What is stored, set and said


def conversation(data: bytes) -> None:
    """Read a stored conversation; what was read is written and read as the same, as text and as bytes."""
    for source in (data, data.decode("utf-8", "surrogateescape")):
        try:
            found = Conversation.from_json(source)
        except ConversationFormatError as error:
            fits_a_message(error)
        else:
            assert Conversation.from_json(found.to_json()) == found
            assert repr(found).isprintable()
            Session(conversation=found)


_read_profile = msgspec.json.Decoder(ServiceProfile).decode
_read_policy = msgspec.json.Decoder(Policy).decode


def profile(data: bytes) -> None:
    """Read a profile and a policy from JSON, as transcripts do, or a base address; a session can begin with them."""
    found: list[ServiceProfile] = []
    for read in (_read_profile, lambda data: PROFILE.at(data.decode("utf-8", "surrogateescape"))):
        with suppress(ValueError, RecursionError):  # of JSON's own: the message is msgspec's
            found.append(read(data))
    try:
        policy = _read_policy(data)
    except (ValueError, RecursionError):
        policy = POLICY
    for each in found:
        assert each.allows(each.host)
        for request in _first_requests(each, policy):
            assert request.url.startswith(each.origin + "/")
            assert all(FIELD_VALUE.fullmatch(name + value) for name, value in request.headers)
            _on_the_wire(request)


def _first_requests(profile: ServiceProfile, policy: Policy) -> Iterator[SendRequest]:
    """Give the requests of a turn in which the handshake goes well."""
    from .sessions import answered_at_once

    return islice(answered_at_once(Session(profile, policy=policy)), 8)


def messages(data: bytes) -> None:
    """Take what a caller may hand in: JSON, or a model's name."""
    try:
        PROFILE.validate_model(data.decode("utf-8", "surrogateescape"))
    except ModelNotSupportedError as error:
        fits_a_message(error)
    try:
        said: Any = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(said, list):
        said = [said]
    for make in (format_prompt, last_user_message):
        try:
            assert isinstance(make(said), str)
        except LocalProtocolError as error:
            fits_a_message(error)
    history = (Message("user", "a"), Message("assistant", "b"))
    for session in (Session(), Session(conversation=Conversation(model="o3-mini", message_history=history))):
        try:
            session.ask(said, now=0.0)
        except LocalProtocolError as error:
            fits_a_message(error)


def shown(data: bytes) -> None:
    """Make text fit for a message, and for a terminal."""
    text = data.decode("utf-8", "surrogateescape")
    for limit in (1, 24, 120):
        said = printable(text, limit)
        assert said.isprintable()
        assert len(said) <= limit
        said = one_line(text, limit)
        assert len(said) <= limit
        assert not HARMFUL.search(said)
        assert not re.search(r"\s\s|[\t\n]", said)
    said = harmless(text)
    assert len(said) == len(text)
    assert not HARMFUL.search(said)


HARMFUL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
