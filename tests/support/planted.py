"""Secrets planted in a service's responses, and checks that nothing shows them."""

from __future__ import annotations

import base64
import json
import re
import string
import traceback
from collections.abc import Callable, Iterator
from urllib.parse import quote

from hypothesis import strategies as st

from ddg_protocol import (
    NEED_DATA,
    PAUSED,
    ClientState,
    DuckChatError,
    Policy,
    SendRequest,
    Session,
    SolveChallenge,
    Wait,
)
from ddg_protocol.redaction import redacted
from ddg_protocol.tap import DrivenSession
from ddg_protocol.wire import Close, Connect, Send, WireSession

# Stand-ins are made of x, r and numbers, so secrets are made of other characters.
_LETTERS = "".join(sorted(set(string.ascii_letters) - set("xrXR")))
_VISIBLE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "xrXR;,")
_FOREIGN = st.characters(min_codepoint=0xA1, exclude_categories=["Cs", "Cn", "Z", "C"])


def _is_secret(text: str) -> bool:
    return len(set(text)) >= 6 and (not text.isascii() or bool(re.search(r"[A-Za-z]{4}", text)))


_MARK = "Qz7"
"""The beginning of every secret, so that none is a word that a transcript contains anyway."""


def words() -> st.SearchStrategy[str]:
    """Generate secrets of letters and digits, which are valid anywhere."""
    return st.text(_LETTERS + string.digits, min_size=9, max_size=21).filter(_is_secret).map(_MARK.__add__)


def planted() -> st.SearchStrategy[str]:
    """Generate secrets of visible ASCII or other characters."""
    visible = st.text(_VISIBLE, min_size=9, max_size=21).filter(_is_secret).map(_MARK.__add__)
    return words() | visible | st.text(_FOREIGN, min_size=9, max_size=21).filter(_is_secret).map(_MARK.__add__)


def wire_text(secret: str) -> str:
    """Return a secret as in header fields: UTF-8 that is read as latin-1."""
    return secret.encode().decode("latin-1")


def leaks(secret: str, text: str) -> str:
    """Return the part of a text that shows a secret in any form; empty if none does."""
    wire = wire_text(secret)
    forms = {secret, wire, secret.lower(), wire.lower(), quote(secret), repr(wire)[1:-1], repr(secret.encode())[2:-1]}
    forms |= {json.dumps(form)[1:-1] for form in (secret, wire)}
    forms |= {json.dumps(form, ensure_ascii=False)[1:-1] for form in (secret, wire)}
    for where in (text, *_decoded(text)):
        for form in forms:
            at = where.find(form)
            if at >= 0:
                return where[max(0, at - 60) : at + 60]
    return ""


def _decoded(text: str) -> Iterator[str]:
    for found in re.findall(r"[A-Za-z0-9+/]{12,}", text):
        data = base64.b64decode(found[: len(found) // 4 * 4])
        yield data.decode("utf-8", "replace")
        yield data.decode("latin-1")


Plant = Callable[[str], tuple[str, str]]

FIELDS: dict[str, Plant] = {
    "token": lambda s: ("x-vqd-4", s),
    "challenge": lambda s: ("x-vqd-hash-1", s),
    "challenge in base64": lambda s: ("x-vqd-hash-1", base64.b64encode(s.encode("latin-1")).decode()),
    "challenge of another form": lambda s: (
        "x-vqd-hash-1",
        _challenge(f"(()=>{{const _0xab='{s}';meta={{v:'4'}}}})()"),
    ),
    "challenge with a comment": lambda s: ("x-vqd-hash-1", _challenge(f"// {s}\n{SCRIPT % ('abc', '<p>')}")),
    "short hash": lambda s: ("x-vqd-hash-1", _challenge(SCRIPT % (_quoted(s), "<p>"))),
    "snippet": lambda s: ("x-vqd-hash-1", _challenge(SCRIPT % ("abc", f"<p>{_quoted(s)}</p>"))),
    "cookie": lambda s: ("set-cookie", f"user={s}"),
    "cookie with attributes": lambda s: ("set-cookie", f"user={s}; Path=/; Secure; HttpOnly; SameSite=Lax"),
    "cookie's name": lambda s: ("set-cookie", f"{s}=1"),
    "cookie without a value": lambda s: ("set-cookie", s),
    "cookie's path": lambda s: ("set-cookie", f"a=1; path=/duckchat/{s}/"),
    "cookie's domain": lambda s: ("set-cookie", f"a=1; domain=.{s}.example"),
    "cookie's expires": lambda s: ("set-cookie", f"a=1; expires=Wed, 01 Jan 2070 10:00:00 GMT {s}"),
    "cookie's max-age": lambda s: ("set-cookie", f"a=1; max-age={s}"),
    "cookie's same-site": lambda s: ("set-cookie", f"a=1; samesite={s}"),
    "cookie's attribute": lambda s: ("set-cookie", f"a=1; {s}"),
    "cookie's comment": lambda s: ("set-cookie", f"a=1; comment={s}; secure"),
    "old cookie": lambda s: ("set-cookie2", f"a={s}"),
    "authenticate": lambda s: ("www-authenticate", f'Bearer realm="{s}"'),
    "proxy authenticate": lambda s: ("proxy-authenticate", f'Digest nonce="{s}"'),
    "location": lambda s: ("location", s),
    "location's path": lambda s: ("location", f"/a/{s}/../{s}"),
    "location's query": lambda s: ("location", f"https://duckduckgo.com/aichat?token={s}"),
    "location's fragment": lambda s: ("location", f"/aichat#{s}"),
    "location's user": lambda s: ("location", f"https://{s}@duckduckgo.com/"),
    "location's host": lambda s: ("location", f"https://{s}_.example/"),
    "location's port": lambda s: ("location", f"https://duckduckgo.com:{s}/"),
    "location's scheme": lambda s: ("location", f"{s}://duckduckgo.com/"),
    "content-type": lambda s: ("content-type", f"text/event-stream; charset={s}"),
    "another content-type": lambda s: ("content-type", f"text/{s}"),
    "content-encoding": lambda s: ("content-encoding", s * 3),
    "content-length": lambda s: ("content-length", s),
    "retry-after": lambda s: ("retry-after", s),
    "retry-after as a date": lambda s: ("retry-after", f"Wed, 01 Jan 2070 10:00:00 GMT {s}"),
    "date": lambda s: ("date", f"{s} 1 jan 2025 1:02:03"),
    "server": lambda s: ("server", s),
    "etag": lambda s: ("etag", f'"{s}"'),
    "unknown": lambda s: ("x-whatever", s),
}
"""Header fields with a secret, by the name of its place."""

SCRIPT = """(function () { return { server_hashes: ["%s"],
client_hashes: [navigator.userAgent + (navigator.userAgentData ?
navigator.userAgentData.brands.map(brand => `"${brand.brand}";v="${brand.version}"`).join(', ') : ''),(function(){
const e = document.createElement('div');e.innerHTML = "%s";return String(17 + e.innerHTML.length);})()], signals: {} };
})()"""


def _challenge(script: str) -> str:
    return base64.b64encode(script.encode("latin-1")).decode()


def _quoted(secret: str) -> str:
    return secret.replace("\\", "\\\\").replace('"', '\\"')


HEADS: dict[str, Callable[[bytes], bytes]] = {
    "blank before the colon": lambda s: b"HTTP/1.1 200 OK\r\nx-vqd-4 : " + s + b"\r\n\r\n",
    "NUL in a token": lambda s: b"HTTP/1.1 200 OK\r\nx-vqd-4: a\0" + s + b"\r\n\r\n",
    "NUL in a cookie": lambda s: b"HTTP/1.1 200 OK\r\nset-cookie: a=" + s + b"\0; path=/\r\n\r\n",
    "bad set-cookie": lambda s: b"HTTP/1.1 200 OK\r\nset-cookie : a=" + s + b"\r\n\r\n",
    "no colon": lambda s: b"HTTP/1.1 200 OK\r\nx-vqd-4 " + s + b"\r\n\r\n",
    "continuation first": lambda s: b"HTTP/1.1 200 OK\r\n " + s + b": 1\r\n\r\n",
    "status line": lambda s: b"HTTP/1.1 2OO " + s + b"\r\n\r\n",
    "no HTTP": lambda s: b"SSH-2.0-" + s + b"\r\n\r\n",
    "content-length": lambda s: b"HTTP/1.1 200 OK\r\ncontent-length: " + s + b"\r\n\r\n",
    "transfer-encoding": lambda s: b"HTTP/1.1 200 OK\r\ntransfer-encoding: " + s + b"\r\n\r\n",
    "chunk's size": lambda s: b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + s + b"\r\n\r\n",
    "trailer": lambda s: b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nset-cookie : " + s + b"\r\n\r\n",
    "reason": lambda s: b"HTTP/1.1 401 " + s + b"\r\ncontent-length: 0\r\n\r\n",
    "interim": lambda s: b"HTTP/1.1 103 " + s + b"\r\nlink : " + s + b"\r\n\r\n",
}
"""Raw responses with a secret in a line that can't be parsed, by what is wrong."""


BODIES: dict[str, Callable[[str], str]] = {
    "page": lambda s: f"<!doctype html><title>{s}</title><p id='{s}'>{s}</p><script>{s}</script><!-- {s} -->",
    "version": lambda s: f'__DDG_BE_VERSION__="{s}" __DDG_FE_CHAT_HASH__="{s}"',
    "text": lambda s: s,
    "text in json": lambda s: json.dumps({"action": "error", "status": 429, "type": "ERR_USER_LIMIT", "message": s}),
    "member": lambda s: json.dumps({"action": "error", "status": 503, s: {s: [s]}}),
    "type": lambda s: json.dumps({"action": "error", "status": 418, "type": s}),
    "own type": lambda s: json.dumps({"action": "error", "type": f"ERR_{s}"}, ensure_ascii=False),
    "action": lambda s: json.dumps({"action": s, "status": s, "type": s, "role": s, "model": s}),
    "status": lambda s: json.dumps({"status": s}),
    "reset": lambda s: json.dumps(
        {"status": 429, "type": "ERR_USER_LIMIT", "fixedCostWindowUsage": {"windows": [{"resetAt": s}]}}
    ),
    "before json": lambda s: s + '{"action":"error","type":"ERR_BN_LIMIT"}',
    "after a word": lambda s: f"error {s} status {s}",
    "events": lambda s: f": {s}\nevent: {s}\nid: {s}\nretry: {s}\n{s}: {s}\n{s}\ndata: {s}\n\n",
    "event": lambda s: f"data: {json.dumps({'role': s, 'message': s, 'model': s, 'type': s, s: s})}\n\n",
    "other event": lambda s: f"data: {json.dumps({'action': 'success', 'id': s, 'parts': [s, {s: s}]})}\n\n",
    "failed event": lambda s: f"data: {json.dumps({'action': 'error', 'type': 'ERR_' + s, 'status': 429})}\n\n",
    "words": lambda s: f"data: [CHAT_TITLE:{s}][STOP_REASON:{s}][PING][{s}]\n\ndata: [DONE]{s}\n\n",
    "stray word": lambda s: f"data: [SECRET_{re.sub('[^A-Z]', 'A', s.upper())}:{s}]\n\n",
}
"""Bodies with a secret, by its place."""


def session(**settings: object) -> Session:
    """Return a session that goes straight to the status request, and fails there at once."""
    shared = ClientState()
    shared.fe_version = "known"
    settings = {"cookies": {}, "policy": Policy(max_retries=0), "answer_challenge": "always", **settings}
    return Session(shared=shared, **settings)  # type: ignore[arg-type]


def shown_by(error: BaseException) -> list[str]:
    """Return all that an exception shows: its text, its repr, its traceback."""
    return [str(error), repr(error), *traceback.format_exception(error)]


def drive(driven: DrivenSession, status: int, fields: tuple[tuple[str, str], ...], body: bytes = b"") -> list[str]:
    """Respond to each request of a turn in the same way, and return all that was shown."""
    shown = [repr(redacted(fields))]
    now, sent = 0.0, None
    driven.ask("Why?", now=now)
    for _ in range(200):
        try:
            action = driven.next_action(now=now)
        except DuckChatError as error:
            return [*shown, *shown_by(error), repr(driven)]
        shown.append(repr(action))
        if isinstance(action, SendRequest):
            sent = action
            driven.receive_head(action, status, fields, now=now)
            driven.receive_data(action, body)
            driven.receive_eof(action)
        elif isinstance(action, Wait):
            now = max(now, action.until)
            driven.wait_elapsed(action)
        elif isinstance(action, SolveChallenge):
            driven.challenge_failed(action, "no")
        elif action is NEED_DATA:
            assert sent is not None
            now += 100.0
        elif action is PAUSED:
            return [*shown, repr(driven)]
    raise AssertionError("the turn doesn't end")


def drive_wire(driven: DrivenSession, raw: bytes) -> list[str]:
    """Respond to each request of a turn with the same bytes and the end, and return all that was shown."""
    wire = WireSession(driven)
    shown: list[str] = []
    now = 0.0
    connect: Connect | None = None
    wire.ask("Why?", now=now)
    unread = False
    for _ in range(200):
        try:
            action = wire.next_action(now=now)
        except DuckChatError as error:
            return [*shown, *shown_by(error), repr(wire)]
        shown.append(repr(action))
        match action:
            case Connect():
                connect = action
                wire.connected(action)
            case Send():
                wire.sent(action)
                unread = True
            case Close():
                wire.closed(action)
            case Wait():
                now = max(now, action.until)
                wire.wait_elapsed(action)
            case _ if action is NEED_DATA and connect is not None:
                if unread:
                    wire.receive_bytes(connect, raw)
                else:
                    wire.receive_eof(connect)
                unread = False
            case _ if action is PAUSED:
                return [*shown, repr(wire)]
    raise AssertionError("the turn doesn't end")
