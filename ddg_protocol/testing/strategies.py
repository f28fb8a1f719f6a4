"""Hypothesis strategies for the protocol: what a service may send, however odd, and how a network delivers it.

Each shrinks towards the plainest case of its kind: a short greeting, a payload that carries text, a stream without
events, a chunking that cuts nothing. The module needs Hypothesis, so it must be imported by name::

    from ddg_protocol.testing import strategies
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from operator import itemgetter
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ..challenge import Challenge
from ..conversation import Conversation, Message
from ..cookies import Cookie
from ..events import (
    GeneratedImage,
    ImageDraft,
    ImageFailed,
    ModelRefusal,
    PartReceived,
    ReasoningDelta,
    ReasoningSummary,
    Source,
    ToolFinished,
    ToolStarted,
)
from ..headers import Headers
from ..intents import Failure, FailureKind
from ..parts import File, Image, Part, Text
from ..revisions.duckduckgo_2025_04 import DUCKDUCKGO_2025_04
from ..service import Fault, PayloadEvent, faults
from ._run import Chunking, Cut, every, split_at, whole

__all__ = [
    "Response",
    "attachments",
    "challenges",
    "chunkings",
    "contents",
    "conversations",
    "cookies",
    "cuts",
    "effects",
    "ends",
    "errors",
    "event_streams",
    "events",
    "failures",
    "headers",
    "image_payloads",
    "locations",
    "malformed_payloads",
    "mutated_challenges",
    "pages",
    "part_payloads",
    "payload_events",
    "payloads",
    "pieces",
    "questions",
    "reasoning_payloads",
    "refusal_payloads",
    "reply_parts",
    "responses",
    "scripts",
    "snippets",
    "source_payloads",
    "texts",
    "tokens",
    "tool_payloads",
    "unknown_payloads",
    "words",
]

Draw = Callable[[SearchStrategy[Any]], Any]

# Texts, questions, conversations

_PLAIN = "Hi"
_ODD_TEXTS = (
    "\n",
    " ",
    "\u2028",
    "\x85",
    "\x00",
    "\ufeff",
    "data: x\n\n",
    "[DONE]",
    "☃",
    "\U0001f986",
    '"\\/',
    "</div>",
)


def texts(*, min_size: int = 0) -> SearchStrategy[str]:
    """Generate texts that can be sent: words, line ends of every kind, look-alikes of protocol, rare characters.

    Args:
        min_size: the minimum number of characters.
    """
    pieces = st.sampled_from((_PLAIN, " there", *_ODD_TEXTS)) | st.text(
        st.characters(exclude_categories=["Cs"]), max_size=8
    )
    return st.lists(pieces, max_size=4).map("".join).filter(lambda text: len(text) >= min_size)


def attachments() -> SearchStrategy[Image | File]:
    """Generate images and PDF files. They have a few bytes, which no viewer could show."""
    data = st.binary(min_size=1, max_size=9)
    images = st.builds(Image, data, st.sampled_from(["image/png", "image/jpeg", "image/webp"]))
    return images | st.builds(File, data, st.just("application/pdf"), st.sampled_from(["a.pdf", "ä b.pdf"]))


def contents() -> SearchStrategy[str | tuple[Part, ...]]:
    """Generate the content of questions: a text, or parts with images and files."""
    attached = st.lists(attachments(), min_size=1, max_size=3).map(tuple)
    said = texts().filter(lambda text: bool(text.strip()))
    return said | attached | st.tuples(said, attached).map(lambda found: (Text(found[0]), *found[1]))


def reply_parts() -> SearchStrategy[tuple[str, ...]]:
    """Generate values of `Message.parts`: what a reply has besides its text."""
    kinds = st.sampled_from(["reasoning", "source", "generated-image", "tool-call", "unknown"])
    part = st.builds(lambda kind, text: msgspec.json.encode({"type": kind, "value": text}).decode(), kinds, texts())
    return st.lists(part, max_size=2).map(tuple)


def questions() -> SearchStrategy[str | list[dict[str, Any]]]:
    """Generate arguments of `Session.ask`: a text, or messages ending in the user's, with contents of either form.

    The text and the last message are not blank; other messages may be.
    """
    asked = texts().filter(lambda text: bool(text.strip()))
    contents = texts() | st.lists(texts().map(_part), max_size=2)
    before = st.builds(_message, st.sampled_from(["system", "user", "assistant"]), contents)
    parts = st.tuples(st.lists(texts().map(_part), max_size=1), asked.map(_part)).map(
        lambda found: [*found[0], found[1]]
    )
    last = st.builds(_message, st.just("user"), asked | parts)
    return asked | st.tuples(st.lists(before, max_size=3), last).map(lambda found: [*found[0], found[1]])


def _part(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _message(role: str, content: object) -> dict[str, Any]:
    return {"role": role, "content": content}


def tokens() -> SearchStrategy[str]:
    """Generate tokens as the service issues them, and other values that can be sent back."""
    return st.integers(1, 10**9).map(lambda number: f"4-{number:039d}") | _visible()


def _visible(*, min_size: int = 1) -> SearchStrategy[str]:
    return st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=min_size, max_size=40)


def cookies() -> SearchStrategy[Cookie]:
    """Generate cookies of the service's hosts."""
    return st.builds(
        Cookie,
        name=st.sampled_from(["dcm", "dcs", "5", "ah", "x-1"]),
        value=st.sampled_from(["", "1", "wt-wt", "a=b", "two words"]),
        domain=st.sampled_from(["duckduckgo.com", "start.duckduckgo.com", "duck.ai"]),
        path=st.sampled_from(["/", "/duckchat", "/duckchat/v1"]),
        host_only=st.booleans(),
        secure=st.booleans(),
        expires=st.none() | st.floats(0, 1e10),
    )


@st.composite
def conversations(draw: Draw, *, attached: bool = False) -> Conversation:
    """Generate conversations: new or after some turns, with or without tokens, cookies, title and limit.

    Args:
        draw: Hypothesis' own.
        attached: whether questions may have images and files, which the service of April 2025 doesn't take.
    """
    asked = contents() if attached else texts(min_size=1)
    turns = draw(st.lists(st.tuples(asked, texts(min_size=1), reply_parts()), max_size=3))
    history = tuple(
        message
        for question, said, parts in turns
        for message in (Message("user", question), Message("assistant", said, parts))
    )
    vqd = draw(st.just("") | tokens())
    return Conversation(
        model=draw(st.sampled_from([model.id for model in DUCKDUCKGO_2025_04.models])),
        vqd=vqd,
        vqd_hash_1=draw(st.just("") | challenges().map(lambda found: encoded(found[0]))) if vqd else "",
        message_history=history,
        cookies=tuple(draw(st.lists(cookies(), max_size=3, unique_by=lambda c: (c.domain, c.path, c.name)))),
        fe_version=draw(st.sampled_from(["", "serp_20250401_100419_ET-19d438eb199b2bf7c300"])),
        title=draw(st.none() | texts()),
        limit_reached=draw(st.booleans()),
        answers_wanted=draw(st.booleans()),
    )


# Payloads of the reply's stream (PROTOCOL.md section 6), one strategy for each row of its table


PLAIN_PIECE = b'{"action":"success","message":"Hi"}'


def pieces() -> SearchStrategy[bytes]:
    """Generate payloads that carry text, possibly empty; escaped or not, halves of surrogate pairs included."""
    said = texts() | st.sampled_from(["", "\ud83e", "\udd86", "a\ud83e"])
    extra: SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
        {},
        optional={
            "role": st.sampled_from(["assistant", None]),
            "created": st.sampled_from([1745000000, 1745000000000]),
            "id": st.just("chatcmpl-1"),
            "model": st.sampled_from(["gpt-4o-mini-2024-07-18", "", None, 7]),
            "unknown": st.sampled_from([None, "", [], {}]),
        },
    )
    made = st.builds(lambda text, more: {"action": "success", "message": text, **more}, said, extra)
    return st.just(PLAIN_PIECE) | st.builds(_as_json, made, st.booleans())


def _as_json(value: object, compact: bool) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":") if compact else None)
    return text.encode(errors="backslashreplace")  # a half of a surrogate pair becomes \ud83e, as JSON escapes it


def words() -> SearchStrategy[bytes]:
    """Generate known words other than the end: ``[PING]``, titles, limits, stop reasons, and two of them at once."""
    value = st.sampled_from(["About the sky", "", "a]b", "[x][y", "ü"])
    word = (
        st.just("[PING]")
        | value.map(lambda text: f"[CHAT_TITLE:{text}]")
        | st.sampled_from(["CONVERSATION", "ENTITY", "ACCOUNT", "INPUT", "OUTPUT", "IMAGE_GENERATIONS", "NEW"]).map(
            lambda name: f"[LIMIT_{name}]"
        )
        | value.map(lambda text: f"[STOP_REASON:{text}]")
    )
    return st.lists(word, min_size=1, max_size=2).map("".join).map(str.encode)


def ends() -> SearchStrategy[bytes]:
    """Generate the payloads that complete a reply: ``[DONE]``, alone or with another word."""
    others = st.sampled_from(["", "[LIMIT_CONVERSATION]", "[LIMIT_ENTITY]", "[LIMIT_OUTPUT]", "[STOP_REASON:x]", " "])
    return others.map(lambda other: f"[DONE]{other}".encode())


def _with_members(*kinds: dict[str, Any], **more: SearchStrategy[Any]) -> SearchStrategy[bytes]:
    """Generate payloads of some kinds with the members that any may have, and with others that only some have."""
    usual = {"action": st.just("success"), "id": st.just("msg_1"), "created": st.just(1791118980177)}
    members = st.fixed_dictionaries({}, optional={**usual, "model": st.just("gpt-5.6-luna"), **more})
    return st.builds(lambda kind, more: _as_json({**more, **kind}, True), st.sampled_from(kinds), members)


def reasoning_payloads() -> SearchStrategy[bytes]:
    """Generate payloads of reasoning: a piece, or summaries."""
    piece = texts().map(lambda text: _as_json({"role": "reasoning", "state": "text-delta", "text": text}, True))
    summaries = st.lists(texts(), max_size=2)
    return piece | _with_members({"role": "reasoning"}, summaryText=summaries, new=st.sampled_from(["", "x"]))


def tool_payloads() -> SearchStrategy[bytes]:
    """Generate payloads of a tool that the service begins to use, or has used."""
    return _with_members(
        *({"role": "tool-invocation", "state": state, "toolName": "WebSearch"} for state in ("call", "result", "x")),
        {"action": "success", "state": "result", "result": "It failed."},
        toolCallId=st.just("c1"),
        toolArguments=st.sampled_from(['{"query":"x"}', {"query": "x"}, "", None]),
        result=st.sampled_from(["https://example.com/", "", None, {"x": 1}]),
    )


def source_payloads() -> SearchStrategy[bytes]:
    """Generate payloads of sources: one, a list of them, or something in their place."""
    optional = {"title": texts(), "site": st.sampled_from(["Example", "", None, 7]), "new": st.just(1)}
    source = st.fixed_dictionaries({"url": st.sampled_from(["https://example.com/", "", 7])}, optional=optional)
    return _with_members({"role": "source"}, {"role": "assistant"}, {}, source=source, sources=st.lists(source))


def image_payloads() -> SearchStrategy[bytes]:
    """Generate payloads of images in every form: drafts, finished and failed ones; some are not base64."""
    image = st.sampled_from(["AQID", "AQI", "A", "/9j/FINAL", "\u00fc", ""])
    facts = {"format": st.sampled_from(["png", "jpeg", "new"]), "width": st.sampled_from([2, 0, -1, 1.5, 2**40, "2"])}
    status = {"status": st.sampled_from(["partial", "success", "error", "new"]), "type": st.just("image-partial")}
    reason = {"error": st.just("content_policy"), "message": texts(), "b64Image": image}
    data = st.fixed_dictionaries({}, optional={**facts, **status, **reason})
    parts = st.lists(image.map(lambda text: {"type": "generated-image", "result": text}), min_size=1, max_size=2)
    return st.one_of(
        _with_members({"role": "partial-image"}, {"role": "generated-image"}, result=image, **facts),
        _with_members(
            {"role": "ui-component", "name": "generate-image", "state": "data"},
            {"role": "ui-component", "toolName": "GenerateImage"},
            {"toolName": "GenerateImage"},
            data=data,
            toolCallId=st.just("c1"),
        ),
        _with_members({"role": "assistant"}, {}, message=texts(), parts=parts),
    )


def part_payloads() -> SearchStrategy[bytes]:
    """Generate payloads with parts that are kept for the history."""
    part: SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
        {"type": st.sampled_from(["reasoning", "text", "new", ""])},
        optional={"id": st.just("r1"), "encryptedText": texts(), "summaryText": st.lists(texts(), max_size=1)},
    )
    return _with_members({"role": "assistant"}, {}, message=texts(), parts=st.lists(part, max_size=2))


def refusal_payloads() -> SearchStrategy[bytes]:
    """Generate payloads by which the model refuses to answer."""
    return _with_members({"role": "refusal"}, detectedBy=st.sampled_from(["model", "", None, 7]))


def payload_events() -> SearchStrategy[PayloadEvent]:
    """Generate the events of payloads without text, for the responder of a `service.Service`."""
    text, some = texts(min_size=1), st.just("") | texts()
    size = st.none() | st.integers(0, 4096)
    image = st.sampled_from(["AQID", "AQI", "A", "/9j/FINAL"]), st.sampled_from(["", "png"]), size, size, some
    json_parts = st.fixed_dictionaries({"type": text}, optional={"id": some, "x": st.lists(st.integers(), max_size=1)})
    return st.one_of(
        st.builds(Source, text, some, some),
        st.builds(ReasoningDelta, text),
        st.builds(ReasoningSummary, text),
        st.builds(ToolStarted, text, some, some),
        st.builds(ToolFinished, some, some, st.none() | text),
        st.builds(ImageDraft, *image),
        st.builds(GeneratedImage, *image),
        st.builds(ImageFailed, some, some, some),
        st.builds(ModelRefusal, some),
        json_parts.map(lambda part: PartReceived(json.dumps(part, ensure_ascii=False, separators=(",", ":")))),
    )


def unknown_payloads() -> SearchStrategy[bytes]:
    """Generate payloads that no event holds: new roles, actions and members, with or without text, and new words."""
    base = st.fixed_dictionaries(
        {},
        optional={"message": texts(), "action": st.just("success"), "model": st.just("gpt-5.4-nano")},
    )
    kinds: list[dict[str, Any]] = [
        {"role": "image-validated", "tokens": ["TOKEN"]},
        {"role": "ui-component", "name": "weather-card"},
        {"role": "source", "source": {"url": "https://example.com/", "new": 1}},
        {"action": "keepalive"},
        {"source": {}},
        {"x": [1]},
        {"action": "success", "message": "", "reasoning": "Since the sky"},
        {"action": "success", "data": {"a": "b"}},
    ]
    new_words = st.sampled_from(
        (
            *(b"[UNKNOWN]", b"[V2_WORD:x]", b"[LIMIT_]", b'[ADS:[{"x":"][PING]"}]]', b"[WARN_CONVERSATION_LIMIT:2]"),
            *(b"[FIXED_COST_WINDOW_USAGE:x]", b'[SUMMARY_REFRESH_HINT:{"windowID":"w1"}]', b"[SUMMARY_INVALID]"),
            *(b"[]", b"7", b"null", b'"text"', b'["DONE"]'),
        )
    )
    return st.builds(lambda more, kind: _as_json({**more, **kind}, True), base, st.sampled_from(kinds)) | new_words


ERRORS: tuple[tuple[int, str], ...] = (
    (418, "ERR_CHALLENGE"),
    (418, "ERR_BN_LIMIT"),
    (429, "ERR_CONVERSATION_LIMIT"),
    (429, "ERR_INPUT_LIMIT"),
    (429, "ERR_USER_LIMIT"),
    (429, "ERR_RATE_LIMIT"),
    (429, "ERR_SERVICE_UNAVAILABLE"),
    (429, ""),
    (400, "ERR_INVALID_VQD"),
    (400, "ERR_EXPIRED_VQD"),
    (404, "ERR_MODEL_UNAVAILABLE"),
    (404, "ERR_MODEL_RESTRICTED"),
    (401, ""),
    (402, ""),
    (403, ""),
    (500, ""),
    (502, ""),
    (503, ""),
    (504, ""),
    (520, ""),
    (526, ""),
    (409, "ERR_NEW"),
    (400, "ERR_BAD_REQUEST"),
    (410, "ERR_ENDPOINT_DEPRECATED"),
    (429, "ERR_OUTPUT_LIMIT"),
    (429, "ERR_IMAGE_GENERATION_LIMIT"),
    (500, "ERR_UPSTREAM"),
)
"""Each row of the table in PROTOCOL.md section 7: its status, and its type or an empty string."""


def errors() -> SearchStrategy[bytes]:
    """Generate error bodies, which are also error payloads: every row of section 7, with or without ``action``."""

    def made(error: tuple[int, str], bare: bool, more: dict[str, Any]) -> bytes:
        status, kind = error
        said = {**({"type": kind} if kind else {}), **more}
        return _as_json(said if bare and kind else {"action": "error", "status": status, **said}, True)

    resets = {"fixedCostWindowUsage": {"windows": [{"isBlocked": True, "resetAt": "2025-04-02T00:00:00Z"}]}}
    check = {"cd": {"p": "1-2"}, "overrideCode": "5b5b", "r": "x"}
    return st.builds(
        made, st.sampled_from(ERRORS), st.booleans(), st.sampled_from([{}, resets, check, {"extra": None}])
    )


def malformed_payloads() -> SearchStrategy[bytes]:
    """Generate payloads that are neither JSON nor a word: cut, misshapen, not UTF-8, too deep; or that look so."""
    return st.sampled_from(
        (
            *(b"not JSON", b"{", b'{"action":"success","message":"cut', b"NaN", b"[done]", b"[UNKNOWN", b"[DONE]x"),
            *(b'{"message":"x"', b"\xff\xfe", b'{"message":"\xff"}', b"[" * 2000),
        )
    ) | st.binary(max_size=12).filter(lambda data: not set(data) & set(b"\r\n"))


@cache  # it is large, and made for each stream
def payloads() -> SearchStrategy[bytes]:
    """Generate any payload but the ends: every row of PROTOCOL.md section 6, text first."""
    return st.one_of(
        *(st.just(PLAIN_PIECE), pieces(), words(), reasoning_payloads(), tool_payloads(), source_payloads()),
        *(image_payloads(), part_payloads(), refusal_payloads(), unknown_payloads(), malformed_payloads(), errors()),
    )


# Event streams (section 9)


def framed(payload: bytes, *, end: bytes = b"\n", lines: Sequence[bytes] = (), space: bytes = b" ") -> bytes:
    """Frame a payload as an event.

    Args:
        payload: the payload, without line ends.
        end: the line end.
        lines: other lines of the event, before its data.
        space: the bytes after the colon.
    """
    return b"".join(line + end for line in (*lines, b"data:" + space + payload, b""))


@cache
def events() -> SearchStrategy[bytes]:
    """Generate single events with one payload each: in the usual form, with any line end, comments, other fields."""
    lines = st.sampled_from([b": comment", b"event: other", b"id: 7", b"id: a\0b", b"retry: 10", b"unknown", b"data"])
    usual = payloads().map(framed)
    odd = st.builds(
        lambda payload, end, before, space: framed(payload, end=end, lines=before, space=space),
        payloads(),
        st.sampled_from([b"\r\n", b"\r", b"\n"]),
        st.lists(lines, max_size=2),
        st.sampled_from([b"", b" ", b"  "]),
    )
    return usual | odd


@st.composite
def event_streams(draw: Draw, *, complete: bool = False) -> bytes:  # noqa: D417 - callers pass no draw
    """Generate the bodies of replies: any events, with or without an end and more after it, or cut short anywhere.

    Args:
        complete: whether to generate only complete replies, with at least one text.
    """
    if complete:
        first = framed(_as_json({"action": "success", "message": draw(texts(min_size=1))}, True))
        return b"".join([first, *draw(st.lists((pieces() | words()).map(framed), max_size=3)), framed(b"[DONE]")])
    body: bytes = b"".join(draw(st.lists(events(), max_size=5)))
    body += draw(st.just(b"") | ends().map(framed))
    body = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + body + draw(st.just(b"") | events())
    return body[: len(body) - draw(st.just(0) | st.integers(0, len(body)))]


# Chunkings


def chunkings() -> SearchStrategy[Chunking]:
    """Generate chunkings: none, chunks of one size, byte by byte, or splits at a few places."""
    places = st.lists(st.integers(0, 300), max_size=6, unique=True).map(sorted)
    return st.just(whole) | st.integers(1, 40).map(every) | places.map(lambda found: split_at(*found))


# Challenges (section 5)

BRANDS = (
    "navigator.userAgent + (navigator.userAgentData ? navigator.userAgentData.brands.map(brand => "
    """`"${brand.brand}";v="${brand.version}"`).join(', ') : '')"""
)


def encoded(script: str) -> str:
    """Encode a script as the value of ``x-vqd-hash-1``."""
    return base64.b64encode(script.encode()).decode()


def snippets() -> SearchStrategy[str]:
    """Generate HTML as challenges assign it: unclosed, misnested or cut tags, entities, comments, text."""
    tags = ["div", "p", "br", "li", "ul", "b", "i", "a", "h1", "hr", "span", "dl", "dt"]
    part = (
        st.sampled_from(tags).map(lambda tag: f"<{tag}>")
        | st.sampled_from(tags).map(lambda tag: f"</{tag}>")
        | st.sampled_from(
            ["</div", "<br/>", "text", "&amp;", "&lt", "<!-- c -->", "1 < 2", "'\\", "ü", "\U0001f986", "\n"]
        )
    )
    return st.lists(part, max_size=6).map("".join)


@st.composite
def challenges(draw: Draw) -> tuple[str, Challenge]:
    """Generate challenge scripts that can be read, each with its meaning; layout, escapes and names vary."""
    count = draw(st.just(2) | st.integers(0, 4))
    hashes = tuple(_hash(draw(st.integers(0, 9999))) for _ in range(count))
    html, offset = draw(snippets()), draw(st.integers(0, 9999) | st.sampled_from([2**31, 2**53 - 1]))
    name = draw(st.sampled_from(["e", "$", "_x1", "element"]))
    keyword = draw(st.sampled_from(["const", "let", "var"]))
    gap = draw(st.sampled_from(["", " ", "\n\t", "/* } */", "// )\n"]))
    total = draw(st.sampled_from(["{offset} + {name}.innerHTML.length", "{name}.innerHTML.length + {offset}"]))
    close = draw(st.sampled_from(["})()", "}())"]))
    element = (
        f"(function(){{{gap}{keyword} {name} = document.createElement('div');{gap}{name}.innerHTML = "
        f"{_literal(html, draw(st.sampled_from(['plain', 'hex', 'unicode'])))};"
        f"return String({total.format(offset=_number(offset, draw(st.booleans())), name=name)});{close}"
    )
    members = [
        f"server_hashes: [{', '.join(f'{chr(34)}{each}{chr(34)}' for each in hashes)}]",
        f"client_hashes: [{BRANDS},{gap}{element}]",
        "signals: {}",
    ]
    body = f",{gap}".join(draw(st.permutations(members)) if draw(st.booleans()) else members)
    return f"(function () {{{gap}return {{{gap}{body}{gap}}};{gap}{close}", Challenge(hashes, html, offset)


def _hash(number: int) -> str:
    return base64.b64encode(hashlib.sha256(str(number).encode()).digest()).decode()


def _number(number: int, hexadecimal: bool) -> str:
    return hex(number) if hexadecimal else str(number)


def _literal(text: str, style: str) -> str:
    """Return a single-quoted literal in a style: plain, hex or unicode."""
    data = text.encode("utf-16-be")
    written = []
    for index in range(0, len(data), 2):
        unit = int.from_bytes(data[index : index + 2], "big")
        plain = 32 <= unit < 127 and unit not in (39, 92)
        if plain and style == "plain":
            written.append(chr(unit))
        elif style == "hex" and unit < 256:
            written.append(f"\\x{unit:02x}")
        else:
            written.append(f"\\u{unit:04x}")
    return f"'{''.join(written)}'"


@st.composite
def mutated_challenges(draw: Draw) -> str:
    """Generate challenge scripts that an insertion, a removal or a replacement has changed."""
    script, _ = draw(challenges())
    at = draw(st.integers(0, len(script)))
    length = draw(st.integers(0, 12))
    foreign = st.sampled_from(["", ";", "}", ")", "'", "`", "return\n", "eval(1)", "0x", "\u2028", "_0x1f", "String"])
    return f"{script[:at]}{draw(foreign)}{script[at + length :]}"


# Responses


class Response(msgspec.Struct, frozen=True):
    """A whole response.

    Attributes:
        status: the HTTP status.
        headers: in order.
        body: as it is on the wire, coded if the headers say so.
    """

    status: int
    headers: Headers
    body: bytes


def headers() -> SearchStrategy[Headers]:
    """Generate additional fields of a response: cookies, tokens, lengths, times, valid and invalid."""
    field = st.sampled_from(
        [
            ("date", "Tue, 01 Apr 2025 12:00:00 GMT"),
            ("set-cookie", "seen=1; path=/"),
            ("Set-Cookie", "lang=en; Path=/; Max-Age=60; Secure; HttpOnly"),
            ("set-cookie", "evil=1; domain=evil.example"),
            ("set-cookie", "broken"),
            ("retry-after", "3"),
            ("retry-after", "Tue, 01 Apr 2025 12:00:07 GMT"),
            ("retry-after", "86400"),
            ("retry-after", "soon"),
            ("content-length", "5"),
            ("content-length", "99999"),
            ("content-length", "-1"),
            ("content-encoding", "br"),
            ("content-type", "text/html"),
            ("x-vqd-4", "4-bad\r\nevil: 1"),
            ("x-vqd-4", "4-" + "0" * 70_000),
            ("x-vqd-hash-1", "!"),
            ("location", "/elsewhere"),
            ("x-noise", "\xe9" * 300),
        ]
    )
    token = tokens().map(lambda token: ("x-vqd-4", token))
    challenge = challenges().map(lambda found: ("x-vqd-hash-1", encoded(found[0])))
    return st.lists(st.one_of(token, challenge, field), max_size=4).map(tuple)


#: In place of an error body.
_PAGES_FOR_PEOPLE = [b"<html>Just a moment...", b""]
_PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": partial(gzip.compress, mtime=0),
    "deflate": zlib.compress,
}


@st.composite
def responses(draw: Draw) -> Response:
    """Generate responses to any request: replies, refusals, redirects, pages, empty ones; plain or compressed."""
    more: Headers = draw(headers())
    status, fields, body = draw(
        # The first is that of the fewest choices, so that every failing case can shrink to it.
        st.tuples(st.sampled_from([200, 204, 304, 599]), st.just(()), st.just(b""))
        | st.tuples(st.just(200), st.just((("content-type", "text/event-stream"),)), event_streams())
        | st.tuples(st.just(200), st.just(()), pages())
        | st.tuples(
            st.sampled_from([301, 302, 303, 307, 308]),
            st.tuples(st.tuples(st.just("location"), locations())),
            st.just(b""),
        )
        | st.tuples(
            st.sampled_from(ERRORS).map(itemgetter(0)), st.just(()), errors() | st.sampled_from(_PAGES_FOR_PEOPLE)
        )
    )
    coding = draw(st.sampled_from(["", "", "gzip", "deflate"]))
    coded = (("content-encoding", coding),) if coding else ()
    return Response(status, (*fields, *more, *coded), _PACK[coding](body))


def locations() -> SearchStrategy[str]:
    """Generate ``location`` values: allowed and other hosts, plain http, relative, malformed."""
    return st.sampled_from(
        [
            *(
                "/elsewhere",
                "https://duckduckgo.com/",
                "https://start.duckduckgo.com/x?y",
                "https://duck.ai/chat",
                "?q",
            ),
            *("https://evil.example/", "https://duckduckgo.com.evil.example/", "http://duckduckgo.com/", "//duck.ai"),
            *("https://user@duckduckgo.com/", "https://duckduckgo.com:0/", "https://[", "", "java script:", "\\\\evil"),
        ]
    )


def pages() -> SearchStrategy[bytes]:
    """Generate front-end pages: with both markers, one or none, with an empty or an overlong version."""
    first = st.sampled_from(["serp_20250401_100419_ET", "", "a b", "x" * 600])
    second = st.sampled_from(["19d438eb199b2bf7c300", "0" * 40, "é"])
    whole_page = st.builds(
        lambda a, b: f'<script>__DDG_BE_VERSION__="{a}";x;__DDG_FE_CHAT_HASH__="{b}";</script>'.encode(), first, second
    )
    return whole_page | st.sampled_from([b"", b"<html>", b'__DDG_BE_VERSION__="serp', b'__DDG_FE_CHAT_HASH__="1"'])


# Failures and faults


def failures() -> SearchStrategy[Failure]:
    """Generate failures of every kind, as a driver may report them."""
    return st.builds(Failure, st.sampled_from(FailureKind), st.sampled_from(["it broke", "", "\udce9\n\x1b[31m"]))


def cuts(*, responses: int = 6, length: int = 2000) -> SearchStrategy[Cut]:
    """Generate breaks of the network in a `Run`.

    Args:
        responses: the number of responses it can break in.
        length: their maximum length in bytes.
    """
    return st.builds(Cut, st.integers(0, responses - 1), st.integers(0, length), st.booleans())


def _refusal(error: tuple[int, str], retry_after: int | str, tokens: bool) -> faults.Refuse:
    return faults.Refuse(*error, retry_after=retry_after, tokens=tokens)


def effects() -> SearchStrategy[faults.Effect]:
    """Generate every effect of `service.faults`, bounded in its cost."""
    of = st.sampled_from(["body", "wire"])
    small, status = st.integers(0, 400), st.sampled_from(ERRORS)
    made: Iterable[SearchStrategy[faults.Effect]] = (
        st.builds(_refusal, status, st.sampled_from(["", 2, "x"]), st.booleans()),
        st.builds(faults.Redirect, locations(), st.sampled_from([301, 302, 303, 307, 308])),
        st.builds(
            faults.Header, st.sampled_from(["x-vqd-4", "content-type", "x-new"]), st.none() | st.just("a\r\nb: c")
        ),
        st.builds(faults.Body, st.sampled_from(["", "<html>", "data: [DONE]\n\n"])),
        st.builds(
            faults.Event, st.sampled_from(["[PING]", "{oh", '{"action":"error","status":429}']), st.integers(0, 5)
        ),
        st.builds(faults.Done, st.sampled_from(["", "[DONE][LIMIT_CONVERSATION]", "[DONE][LIMIT_OUTPUT]"])),
        st.builds(faults.Insert, st.sampled_from(["\n", "garbage", "\udcff"]), small, of),
        st.builds(faults.Coding, st.sampled_from(["gzip", "deflate"])),
        st.builds(faults.Split, st.lists(st.integers(1, 50), min_size=1, max_size=3).map(tuple), of),
        st.builds(faults.Drip, st.sampled_from([0.0, 0.5, 31.0]), of),
        st.builds(faults.Cut, small, st.sampled_from(["close", "reset", "hang"]), of),
        st.builds(faults.Cut, small, st.just("end")),
        st.builds(faults.Endless, st.sampled_from(["\0", ": comment\n"])),
    )
    return st.one_of(*made)


def scripts() -> SearchStrategy[list[faults.Fault]]:
    """Generate scripts for a `service.Service`: up to three faults, at any endpoint, once or for good."""
    fault = st.builds(
        Fault,
        st.sampled_from(["chat", "status", "landing", "front_end"]),
        st.lists(effects(), min_size=1, max_size=2).map(tuple),
        st.integers(1, 3),
        st.just(1) | st.none(),
    )
    return st.lists(fault, max_size=3)
