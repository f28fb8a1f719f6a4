"""Inputs of each target that get far, as Hypothesis strategies; made of the project's own public ones.

`seeds` draws the corpus from them, and the engine that has no other feedback draws from them all along.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ddg_protocol import DUCKDUCKGO_2025_04, Policy, Session, TurnFinished
from ddg_protocol.coordination._documents import write_conversation, write_reply
from ddg_protocol.coordination._rows import carry_out
from ddg_protocol.errors import EngineUnavailable
from ddg_protocol.events import Source
from ddg_protocol.service import Fault, Service, faults
from ddg_protocol.testing import Run, byte_by_byte, strategies
from ddg_protocol.transcript import Recording

from .hostile import CALLS
from .parsers import CUT
from .screens import WORD
from .sessions import TOKENS, SessionSteps, begun
from .shared import CALLS as ENGINE_CALLS
from .shared import good_results

Inputs = SearchStrategy[bytes]
Draw = Callable[[SearchStrategy[Any]], Any]

TOKEN = b"x-vqd-4: 4-1"
DATE = b"date: Tue, 01 Apr 2025 12:00:00 GMT"


def utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@st.composite
def cut(draw: Draw, whole: Inputs) -> bytes:
    """Give inputs with a few cuts in them."""
    data: bytes = draw(whole).replace(CUT, b"\xfe")
    for at in sorted(draw(st.lists(st.integers(0, 120), max_size=3)), reverse=True):
        data = data[:at] + CUT + data[at:] if at <= len(data) else data
    return data


def lines(*kinds: SearchStrategy[bytes], least: int = 1) -> Inputs:
    return st.lists(st.one_of(*kinds), min_size=least, max_size=4).map(b"\n".join)


def of(*examples: bytes) -> Inputs:
    return st.sampled_from(examples)


# Parsers

event_streams = cut(
    strategies.event_streams()
    | of(b"\xef\xbb\xbfdata\ndata:x\r\rid: 1\0\nid:2\nevent: e\nretry: 007\n\ndata", b"data: " + b"x" * 40 + b"\n\n")
)
replies = cut(strategies.event_streams() | strategies.event_streams(complete=True))
pages = strategies.pages() | of(b'{"status":"0"}', b'{"status":"1"}', b'{"status":"2","x":[1]}')
heads = lines(
    strategies.headers().map(lambda fields: b"\n".join(_field(*field) for field in fields)),
    strategies.tokens().map(lambda token: _field("x-vqd-4", token)),
    of(b"x-vqd-4: 4-424938472984729384729384729384000000001", b"x-vqd-hash-1: eyJzZXJ2ZXJfaGFzaGVzIjpbXX0="),
)


def _field(name: str, value: str) -> bytes:
    escaped = value.replace("\r", "\\r").replace("\n", "\\n")
    return f"{name}: {escaped[:200]}".encode("latin-1")


literals = of(
    b"'<div><div></div'",
    rb"'\'\n\x3c\u003c\u{1F600}\ud83e\udd86'",
    rb'"\74\0\8"',
    b"`a${b}`",
    rb"`\0\r\n`",
    "'a\\\u2028b\\\r\nc'".encode(),
    b"''",
    rb"'\u{110000}'",
    rb"'\xg'",
    b"'",
    "'\u2028'".encode(),
)
scripts = strategies.challenges().map(lambda found: utf8(found[0])) | strategies.mutated_challenges().map(utf8)
#: Streams, heads and challenges, whose texts and secrets are replaced in transcripts.
redacted = (
    replies
    | heads
    | scripts
    | of(
        "set-cookie: user=\u00c3\u00a9; comment=\u00e9; path=/a;b".encode("latin-1"),
        b"set-cookie2: a=b\nwww-authenticate: Digest nonce=",
        b"location: https://a@duckduckgo.com:8443/duckchat/../x?y#z\nlocation: http:x",
        b"date: 1 jan 2025 1:02:03 and\nretry-after: 99999999999999",
        b"content-type: text/event-stream; charset=\ncontent-length: 1, 12345678901",
        b"function(){ const _0xab = `${b.brand}`; /* */ return 'a' // b",
    )
)
snippets = strategies.snippets().map(utf8) | of(
    b"<table><tr><td><select><option>a<table><b>",
    b"<b><i><p></b>x</i>",
    b"<svg><desc><p></svg><math><mi><b>",
    b"<template><td></template><form><form>",
    b"<textarea>\n</textarea><pre>\n</pre>",
    b"<!doctype a><?x y?><![CDATA[",
    b"<a><a><button><button>",
    b"<ruby><rb><rt><rtc><rp>",
    b"&#x41;&notin;&lt &#0;",
    b"<script><!--</script>",
)
challenges = (
    strategies.challenges().map(lambda found: strategies.encoded(found[0]).encode())
    | scripts.map(lambda script: b"Mozilla/5.0 Chrome/133.0.0.0" + CUT + b'"Chromium";v="133"' + CUT + script)
    | of(b"!", b"PGh0bWw+", b"", b"Chrome/140" + CUT + CUT + b"var _0x1f = { meta: { v: '4' } }")
)
set_cookies = cut(
    lines(
        of(
            b"set-cookie: a=b",
            b"set-cookie: a=; Max-Age=0",
            b"set-cookie: c=d; Domain=.duckduckgo.com; Path=/",
            b"set-cookie: e=f; domain=com; secure",
            b"set-cookie: g=h; Max-Age=99999999999999; HttpOnly",
            DATE,
            b"set-cookie: i=j; Expires=Wed, 02 Apr 2025 00:00:00 GMT; path=/duckchat",
            b"set-cookie: =k",
            b"date: 1",
        ),
        of(b"set-cookie: sub=1; domain=start.duckduckgo.com", b"set-cookie: __Secure-x=1; Secure; path=x"),
    )
)
locations = strategies.locations().map(lambda text: text.encode("latin-1")) | of(
    b"https://duckduckgo.com",
    b"https://DUCK.ai:8443/x?y#z",
    b"../x",
    b"///evil.example",
    b"https:x",
    b"http:",
    b"https://duckduckgo.com:443:1/",
    b"http://127.0.0.1:8001/",
    b"http://[::1]/",
    b"https://duck.ai\\@evil.example/",
    b"https://duckduckgo.com%2eevil.example/",
    b"/\\evil.example",
    b"//duck.ai/\xe9",
    b"?",
    b"#",
    b";x",
)
dates = lines(
    of(b"retry-after: 3", b"retry-after: 99999999999", b"retry-after: -1", b"retry-after: 1.5", b"retry-after: soon"),
    of(b"retry-after: Tue, 01 Apr 2025 12:00:07 GMT", b"retry-after: Sunday, 06-Nov-94 08:49:37 GMT", DATE),
    of(b"Sun Nov  6 08:49:37 1994", b"31 dec 9999 23:59:59", b"29 feb 2024 1:2:3", b"1 jan 1601 0:0:0"),
)
_CHUNKED = b"HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n"
http = cut(
    st.builds(
        lambda start, head, chunks, end: start + head + b"".join(chunks) + end,
        of(b"", b"="),
        of(_CHUNKED, _CHUNKED, b"HTTP/1.1 100 \r\n\r\n" + _CHUNKED, b"HTTP/1.1 204 \r\n\r\n", b"HTTP/1.0 200 \n\n"),
        st.lists(of(b"5\r\nhello\r\n", b"0A\r\n0123456789\r\n", b"1;a=b\r\nx\r\n", b"3\r\nabcd\r\n"), max_size=4),
        of(b"0\r\n\r\n", b"00\r\na: b\r\n\r\n", b"0\r\n\r\nHTTP/1.1 200 \r\n\r\n", b""),
    )
    | of(b"HTTP/1.1 200 \r\ncontent-length: 3\r\n\r\nabc", b"=HTTP/1.1 200 \r\ncontent-length: 3\r\n\r\nab")
)
codings = st.builds(
    lambda kind, body: kind + body, of(*(letter.encode() for letter in "gdriGDRIx")), strategies.event_streams()
) | of(
    b"g" + gzip.compress(b"data: x\n\n", mtime=0),
    b"g" + gzip.compress(b"a", mtime=0) + gzip.compress(bytes(100_000), mtime=0),
    b"d" + gzip.zlib.compress(bytes(200_000)),  # type: ignore[attr-defined]
)
refusals = st.builds(
    lambda status, body: b"%d" % status + body,
    st.sampled_from([200, *(status for status, _ in strategies.ERRORS)]),
    strategies.errors()
    | of(b"", b"<html>Just a moment...", b'\x1f\x8bgarbage {"action":"error","type":"ERR_CHALLENGE"}'),
)
_limits = st.integers(-1, 2**53)
model_lists = st.builds(
    lambda models, limits: json.dumps({"models": models, "attachmentLimits": limits}).encode(),
    st.lists(
        st.fixed_dictionaries(
            {"id": st.text("ab/-", min_size=1)},
            optional={
                "name": st.text() | st.none(),
                "supportsImageUpload": st.booleans(),
                "supportedTools": st.lists(st.text("ab")),
                "supportedReasoningEffort": st.lists(st.sampled_from(("none", "low"))),
                "supportedFileTypes": st.just(["application/pdf"]),
                "reasoningEffortAccess": st.lists(
                    st.fixed_dictionaries({"id": st.text("ab")}, optional={"accessTier": st.just(["plus"])})
                ),
                "accessTier": st.lists(st.sampled_from(("free", "pro"))),
                "entityHasAccess": st.booleans() | st.none() | st.integers(),
            },
        ),
        max_size=4,
    ),
    st.dictionaries(
        st.sampled_from(("free", "pro")),
        st.fixed_dictionaries(
            {
                "files": st.dictionaries(st.sampled_from(("maxFileSizeMB", "maxPerConversation")), _limits),
                "images": st.dictionaries(st.just("maxPerTurn"), _limits),
            }
        ),
    )
    | st.none(),
)
#: What a number or a nested value of a file can be made to be; JSON and TOML both read the most of it.
ODD = of(
    *(b"1e308", b"-1.7e308", b"8.9e307", b"5e-324", b"1e13", b"1000000000001", b"18446744073709551616", b"-1", b"0"),
    *(b"1" + b"0" * 5000, b"NaN", b"Infinity", b"inf", b"nan", b"null", b"true", b'"x "', b'"\\ud800"', b'"\\u0000"'),
    *(
        b"[" * 3000 + b"]" * 3000,
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b"{a=" * 2000 + b"1" + b"}" * 2000,
        b"[]",
        b"{}",
    ),
)
_VALUE = re.compile(rb'-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|"[^"\\\\]*"(?=[,\]}])|null|true|false')


@st.composite
def odd(draw: Draw, whole: Inputs) -> bytes:
    """Give files with one or two of their values exchanged for odd ones."""
    data: bytes = draw(whole)
    for _ in range(draw(st.integers(1, 2))):
        places = [found.span() for found in islice(_VALUE.finditer(data), 400)]
        if places:
            begin, end = draw(st.sampled_from(places))
            data = data[:begin] + draw(ODD) + data[end:]
    return data


conversations = strategies.conversations().map(lambda found: found.to_json().encode()) | of(
    b'{"format_version":2}',
    b'{"format_version":1,"conversation":{"cookies":[{"name":"a","value":"b","domain":"c.d"}]}}',
)
conversations |= odd(conversations)
profiles = of(
    b"{}",
    msgspec.json.encode(DUCKDUCKGO_2025_04),
    msgspec.json.encode(Policy()),
    b"https://duckduckgo.com:8443",
    b"http://127.0.0.1:8000/",
    b"http://[::1]",
    b"https://[::ffff:1.2.3.4]:1",
    b'{"max_retries":0,"strict":true}',
    b'{"origin":"https://x.y","allowed_hosts":[".y"],"minimum_interval":0}',
    b'{"models":[{"id":"a","aliases":["b"]}]}',
    b'{"extra_body":{"a":18446744073709551616}}',
    b'{"label":"\\ud800","minimum_interval":1e300}',
)
profiles |= odd(profiles)
messages = strategies.questions().map(lambda said: json.dumps(said).encode()) | of(
    b"gpt-4",
    b"[]",
    b'[{"role":"user"}]',
    b'[{"role":"x","content":[{"type":"image"}]}]',
    b'[{"role":"user","content":" "}]',
)
texts = strategies.texts().map(utf8) | of(b"\x1b[31m\x07", "\u202e\u200b\x85\u2028".encode())


# Screens

LANGUAGES = ("python", "c", "sql", "html", "css", "autoit", "bash", "Rust", "")
#: What a lexer or a layout is slow with, or would take for something else.
WRITTEN = (
    *(
        " ",
        "\t",
        "\n",
        "\n\n",
        "# ",
        "* ",
        "1. ",
        "> ",
        "    ",
        "---\n",
        "===\n",
        "a | b\n--|--\n",
        "|",
        "word ",
        "x" * 60,
    ),
    *(
        "```",
        "~~~\n",
        "`",
        "*",
        "**",
        "_",
        "~~",
        "[x](",
        "![i](u)",
        "[r]: u\n",
        "<b>",
        "<!--",
        "-->",
        "&#27;[2J",
        "&amp;",
    ),
    *("'", '"', "\\", '"""', "'''", "/*", "*/", "//", "#", "--", "0x1f", "if (", "f(x)", "\r", "\x1b[2J", "\x9b5A"),
    *("\u2028", "\u202e", "\u65e5", "e\u0301", "\u200d", "\x00", "\ud7ff"),
)
written = st.lists(
    st.builds(str.__mul__, st.sampled_from(WRITTEN), st.sampled_from([1, 1, 1, 3, 50])), max_size=12
).map(lambda found: utf8("".join(found)[:2000]))
codes = st.builds(lambda language, code: language.encode() + b"\n" + code, st.sampled_from(LANGUAGES), written)


@st.composite
def markdowns(draw: Draw) -> bytes:
    """Give Markdown with words that must be seen, and with cuts."""
    code = st.builds(lambda code: b"```" + code + b"\n```\n", codes)
    parts = draw(st.lists(written | code, min_size=1, max_size=4))
    return b"".join(part + draw(of(b"", WORD, CUT, CUT + WORD)) for part in parts)


# Hostile services and drivers

_STREAM_HEAD = b"200 content-type: text/event-stream\n" + TOKEN + b"\n\n"
_WIRE_HEAD = b"HTTP/1.1 200 \r\ncontent-type: text/event-stream\r\nx-vqd-4: 4-1\r\n"
#: What means nothing, or little, and can be said without end; by what comes before it.
_WITHOUT_END = {
    _STREAM_HEAD: (
        *(b": c\n", b":\n\n", b"data:\n\n", b"data: [PING]\n\n", b"id: 1\n", b"retry: 9999999999\n", b"\n", b"x: y\n"),
        *(
            b'data:{"message":"ab"}\n\n',
            b'data: {"message":""}\n\n',
            b"data: a\n",
            b"data: {oh\n\n",
            b"data",
            b"\xf0\x9f\x98\x80",
        ),
        *(
            b'data: {"sources":[1]}\n\n',
            b"data: [ADS:1]\n\n",
            b"data: [DONE][PING]\n\n",
            b"\r",
            b'data: {"action":"success",',
        ),
    ),
    b"200 x: y\n\n": (b"x", b'__DDG_BE_VERSION__="', b"\x00", b"\n"),
    b"429 retry-after: 99999999999\n\n": (b"x", b'{"action":"error",', b"["),
    b"200 ": (b"set-cookie: a=b; path=/x\n", b"x-vqd-4: 4-1\n"),
}
_WITHOUT_END_ON_THE_WIRE = {
    b"": (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 \r\nlink: x\r\n\r\n", b"\r\n", b"x", b"\x00"),
    b"HTTP/1.1 200 \r\n": (b"a: b\r\n", b"set-cookie: a=b\r\n", b" folded\r\n", b"x", b"x-vqd-4: 4-1\r\n"),
    _WIRE_HEAD + b"\r\n": _WITHOUT_END[_STREAM_HEAD],
    _WIRE_HEAD + b"content-length: 9999999\r\n\r\n": _WITHOUT_END[_STREAM_HEAD],
    _WIRE_HEAD + b"transfer-encoding: chunked\r\n\r\n": (
        *(b"1\r\n\n\r\n", b"1;a=b\r\nx\r\n", b"0000001\r\n:\r\n", b"6\r\ndata:\n\r\n", b"1;", b"0", b"f"),
    ),
    _WIRE_HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\n": (b"a: b\r\n", b"x"),
}


_SIZES = tuple(b"%d" % number for number in range(6))


@st.composite
def floods(draw: Draw) -> bytes:
    """Give floods of what means nothing, in pieces of every size."""
    wire = draw(st.booleans())
    starts = _WITHOUT_END_ON_THE_WIRE if wire else _WITHOUT_END
    start = draw(st.sampled_from(list(starts)))
    unit = draw(st.sampled_from(starts[start]))
    how = (b"w" if wire else draw(of(b"", b"", b"g"))) + draw(of(b"", b"", b"t", b"p", b"l", b"s")) + draw(of(*_SIZES))
    return CUT.join([how, start, unit * draw(st.sampled_from([1, 1, 20])), draw(of(b"", b"data: [DONE]\n\n", b"\r\n"))])


_PLANTED = (
    *(
        b"x-vqd-4 : {}",
        b"x-vqd-4: {}\x00",
        b"set-cookie: user={}; path=/{}; comment={}",
        b"set-cookie2: {}",
        b" {}",
        b"{}",
    ),
    *(
        b"www-authenticate: Digest nonce={}",
        b"location: /{}?{}#{}",
        b"location: https://{}@x.y/",
        b"x-{}: {}",
        b"{}: x",
    ),
    *(
        b"content-type: text/{}",
        b"content-encoding: {}",
        b"content-length: {}",
        b"transfer-encoding: {}",
        b"retry-after: {}",
    ),
    *(
        b"x-vqd-4: {}",
        b"x-vqd-hash-1: {}",
        b"date: {}",
        b"location: {}:",
        b"x: y\r{}",
        b"\xff{}: {}",
        b"content-length: 1, {}",
    ),
)
_STATUS_LINES = (
    b"HTTP/1.1 200 {}",
    b"HTTP/1.1 429 {}",
    b"HTTP/1.1 2OO {}",
    b"{}",
    b"HTTP/1.1 302 ",
    b"HTTP/{} 200 ",
    b"HTTP/1.1 103 {}",
)
planted = st.builds(
    lambda line, planted: b"wr"[: len(planted)] + CUT + b"\r\n".join([line, *planted, b"", b""]),
    of(*_STATUS_LINES),
    st.lists(of(*_PLANTED), min_size=1, max_size=4),
) | st.builds(
    lambda status, planted, how: how + CUT + status + b"\n".join(planted),
    of(b"200 ", b"302 ", b"401 ", b"429 ", b"418 ", b"503 "),
    st.lists(of(*_PLANTED), min_size=1, max_size=4),
    of(b"", b"r"),
)

_ODD_NAMES = (
    "nan",
    "inf",
    "huge",
    "long",
    "half",
    "bytes",
    "object",
    "type",
    "tuple",
    "fields",
    "euro",
    "failure",
    "wait",
    "head",
)
odd_values: SearchStrategy[Any] = st.recursive(
    st.sampled_from([{"": name} for name in _ODD_NAMES])
    | st.sampled_from(
        ["$", "$", "$", None, True, 0, -1, 200, 10**30, 1e308, 5e-324, "", "x", "a\r\nb", "\u20ac", "user"]
    ),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.fixed_dictionaries({"role": inner, "content": inner})
        | st.dictionaries(st.sampled_from(["a", "text", "now", "model"]), inner, max_size=2)
    ),
    max_leaves=4,
)
_NAMED = {
    "Policy": list(Policy.__struct_fields__),
    "Cookie": ["name", "value", "domain", "path", "expires", "secure", "host_only"],
    "Conversation": [
        "model",
        "vqd",
        "vqd_hash_1",
        "fe_version",
        "title",
        "cookies",
        "message_history",
        "limit_reached",
    ],
    "Session": ["model", "cookies", "answer_challenge", "solver"],
    "ask": ["model", "effort", "tools", "extra", "now"],
}


@st.composite
def calls(draw: Draw) -> bytes:
    """Give calls of a session, some of them as a driver makes them, and values made of anything."""
    found: list[list[Any]] = [["ask", "Why?"]] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from([*_NAMED, *sorted(CALLS)]))
        given = draw(st.lists(odd_values, max_size=3))
        if name in _NAMED:
            keys = draw(st.lists(st.sampled_from(_NAMED[name]), max_size=2, unique=True))
            given = [*given[:1] * (name == "ask"), {key: draw(odd_values) for key in keys}]
        found.append([name, *given])
        if draw(st.booleans()):
            found += [
                ["receive_head", "$", 200, [["x-vqd-4", "4-1"]]],
                ["receive_data", "$", {"": "bytes"}],
                ["receive_eof", "$"],
            ]
    floor: bytes = draw(of(b"", b"w"))
    return floor + json.dumps(found).encode()


# Steps


@st.composite
def responses(draw: Draw, *, good: bool = True) -> list[bytes]:
    """Give the steps of one response; a good one, or any."""
    said = draw(strategies.responses())
    head = b"%d %s" % (said.status, b"\n".join(_field(*field) for field in said.headers))
    body = said.body.replace(CUT, b"\xfe")
    if draw(st.booleans()):
        return [b"R" + head + b"\n\n" + body]
    at = draw(st.integers(0, len(body)))
    end = draw(of(b"E", b"F1", b"F2late", b"S", b"C", b"T61"))
    return [b"H" + head, b"D" + body[:at], *draw(st.sampled_from([[], [b"S"], [b"O1x"]])), b"D" + body[at:], end]


@st.composite
def replied(draw: Draw) -> list[bytes]:
    """Give the steps of a reply that may be good."""
    body: bytes = draw(strategies.event_streams(complete=draw(st.booleans())))
    chunks = [b"D" + body, b"E"]
    if draw(st.booleans()):
        chunks = [draw(of(b"Z", b"Z", b"M")) + body, b"E"]
    coding = b"" if chunks[0][:1] == b"D" else b"content-encoding: gzip\n"
    return [b"H200 content-type: text/event-stream\n" + coding + TOKEN, *chunks]


GOOD = {
    "page": b'R200 content-type: text/html\n\n__DDG_BE_VERSION__="s_1_ET";__DDG_FE_CHAT_HASH__="0a";',
    "landing": b"R200 set-cookie: 5=1; Path=/\n" + DATE + b"\n\n<html>",
    "status": b"R200 " + TOKEN + b'\nx-vqd-hash-1: eA==\n\n{"status":"0"}',
}


@st.composite
def steps(draw: Draw) -> bytes:
    """Give sessions: a few turns, each of responses that are good or any."""
    options = draw(st.lists(of(*(bytes([letter]) for letter in b"thjlpbseano")), max_size=4, unique=True))
    found: list[bytes] = []
    for number in range(draw(st.integers(1, 2))):
        found.append(b"?" + utf8(json.dumps(draw(strategies.questions())) if draw(st.booleans()) else "Why?"))
        if b"t" not in options and number == 0:
            for good in GOOD.values():
                found += draw(st.just([good]) | st.just([good]) | responses())
        found += draw(replied() | responses())
        found += draw(st.sampled_from([[], [b"S"], [b"W", b"S"], [b"C"], [b"A" + b"eA=="], [b"T5"]]))
    return CUT.join([b"".join(options), *found])


@st.composite
def wire_steps(draw: Draw) -> bytes:
    """Give wire sessions: the peer says HTTP, whole or cut."""
    options = draw(st.lists(of(*(bytes([letter]) for letter in b"thjlpbseano")), max_size=3, unique=True))
    said = []
    if b"t" not in options:
        said = [_http(good[1:]) for good in GOOD.values()]
    body = draw(strategies.event_streams(complete=draw(st.booleans()))).replace(CUT, b"\xfe")
    said.append(_http(b"200 content-type: text/event-stream\n" + TOKEN + b"\n\n" + body))
    at, where = draw(st.integers(0, len(said) - 1)), draw(st.integers(0, 200))
    middle = draw(st.sampled_from([[], [b"E"], [b"F1"], [b"C"], [b"T31"], [b"F0"], [b"B HTTP/1.1 100 \r\n\r\n"]]))
    found = [b"?" + draw(of(b"Why?", b"@o3-mini x", b'[{"role":"user","content":"a"}]'))]
    for number, each in enumerate(said):
        found += [b"B" + each] if number != at else [b"B" + each[:where], *middle, b"B" + each[where:]]
    return CUT.join([b"".join(options), *found, *draw(st.sampled_from([[], [b"E"], [b"?And?", b"F0"], [b"X"]]))])


def _http(response: bytes) -> bytes:
    head, _, body = response.partition(b"\n\n")
    fields = head.replace(b"\n", b"\r\n").replace(b" ", b" \r\n", 1)
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (fields, len(body), body)


@st.composite
def snapshots(draw: Draw) -> bytes:
    """Give stored sessions, at any step of one, and what comes after."""
    options, *all_steps = draw(steps()).split(CUT)
    at = draw(st.integers(0, len(all_steps)))
    session = begun(options.replace(b"l", b""))
    driven = SessionSteps(session, session.profile, 10_000)
    for step in all_steps[:at]:
        driven._answer_waiting(step[:1])
        driven.left += 40
        try:
            driven.step(step[:1], step[1:])
        except Exception:  # only what it comes to counts
            break
        driven.pull()
    stored = driven.session.snapshot(now=driven.now)
    return CUT.join([json.dumps(stored, separators=(",", ":")).encode(), *all_steps[at:]])


@st.composite
def transcripts(draw: Draw) -> bytes:
    """Give recordings of short runs of one or two chats against a service with faults."""
    written: list[str] = []
    recording = Recording(written.append, redact_texts=draw(st.booleans()))
    script = [fault for fault in draw(strategies.scripts()) if "endless" not in repr(fault).lower()]
    small = Fault("front_end", [faults.Body("<html>" * draw(st.sampled_from([1, 1000])))])
    service = Service(responder=lambda question: "a b", script=[small, *script])
    for _ in range(draw(st.sampled_from([1, 1, 2]))):
        beginning = Session(conversation=draw(st.just(TOKENS) | st.just(None)), policy=Policy(max_retries=1))
        run = Run(recording.record(beginning), service)
        if draw(st.integers(0, 5)) == 0:
            run.chunks = byte_by_byte
        with suppress(Exception):  # what was written until then is a transcript as well
            run.ask("Why?")
    return "".join(written).encode()


FAULTS = (
    b"chat:429,times=1",
    b"status:redirect=/x,status=302",
    b"front_end:header=set-cookie,value=a%0D%0Ab",
    b"chat:hang",
    b"chat:cut=10,then=reset,of=wire",
    b"landing:coding=gzip,split=1+2,drip=0.5",
    b"chat:done=[DONE][LIMIT_OUTPUT]",
    b"chat:endless,text=x",
    b"chat:event=[PING],after=1,first=2",
    b"chat:insert=%ff,at=3",
    b"status:body=<html>",
)
fault_scripts = lines(of(*FAULTS)) | of(
    b'[[fault]]\non = "chat"\ntimes = 1\neffects = [{ do = "refuse", status = 429, retry-after = 2 }]',
    b'[[fault]]\non = "chat"\neffects = [{ do = "split", sizes = [1] }, { do = "cut", at = 9, then = "hang" }]',
)
fault_scripts |= odd(fault_scripts)

_FIELDS = (
    b"user-agent: x\naccept: text/event-stream\norigin: https://duckduckgo.com\nreferer: https://duckduckgo.com/\n"
)
_STATUS = b"GET /duckchat/v1/status\n" + _FIELDS + b"cache-control: no-cache\npragma: no-cache\n"
_ASKED = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Why?"}]}'
REQUESTS = (
    b"GET /aichat\nuser-agent: x\naccept: */*",
    b"/?q=DuckDuckGo+AI+Chat&ia=chat&duckai=1\nuser-agent: x\naccept: text/html",
    _STATUS + b"content-type: application/json\nx-vqd-accept: 1",
    b"PUT /duckchat/v1/chat",
    b"HEAD /aichat\nuser-agent: x ",
    b"POST /duckchat/v1/chat\n" + _FIELDS + b"content-type: application/json\nx-fe-version: \nx-vqd-4: {token}\n"
    b"x-vqd-hash-1: \n\n" + _ASKED,
)
requests = st.builds(
    lambda faults, asked: CUT.join([b"\n".join(faults), *asked]),
    st.lists(of(*FAULTS, b"!"), max_size=1),
    st.lists(of(*REQUESTS), min_size=1, max_size=3).map(lambda asked: [REQUESTS[2], *asked, REQUESTS[-1]]),
)


# What a shared engine holds and says


@st.composite
def shared_stored(draw: Draw) -> bytes:
    """Give documents, replies of turns, and rows of an engine's store."""
    kind = draw(st.integers(0, 2))
    if kind == 0:
        return write_conversation(draw(strategies.conversations(attached=True)))
    if kind == 1:
        return write_reply(TurnFinished(draw(strategies.texts()), "stop", "o3-mini", sources=(Source("https://x/"),)))
    row = None
    for letter in draw(st.lists(of(*ENGINE_CALLS), min_size=1, max_size=4)):
        with suppress(EngineUnavailable):  # a row is of one kind
            row, _ = carry_out(row, ENGINE_CALLS[letter], now=1.0, epoch="e")
    return row or b""


_REPLIES = {
    b"R": [b"slot 20000 1 7 epoch 0 ", b"slot 4500000 0 7 epoch 3 serp_1_ET-0a", b"refused 99000000"],
    b"H": [b"held"],
    b"C": [b"claimed 7 3 {} 1", b"busy 9000000", b"done {} 3 {}", b"lost", b"evicts allkeys-lru"],
    b"M": [b"marked", b"lost"],
    b"S": [b"committed 4", b"lost"],
    b"F": [b"released", b"lost"],
}


@st.composite
def shared_replies(draw: Draw) -> bytes:
    """Give replies of a server, as one string or as a list; some to another call."""
    letter = draw(of(*_REPLIES))
    reply = draw(of(*_REPLIES[letter if draw(st.integers(0, 3)) else draw(of(*_REPLIES))]))
    found: bytes = letter + (reply if draw(st.booleans()) else reply.replace(b" ", CUT))
    return found


@st.composite
def shared_results(draw: Draw) -> bytes:
    """Give results of an engine, some of which fit, with the time that passes; some are missing."""
    line = st.sampled_from([*good_results(), b"F no answer", b"", b"{}"])
    said = draw(st.lists(line, min_size=1, max_size=12))
    return b"\n".join(b"%d" % draw(st.sampled_from([0, 0, 0, 1, 9])) + each for each in said)
