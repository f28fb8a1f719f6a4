"""A client as a beginner writes it, over `http.client`: it is right in most scenarios, and wrong by a named defect."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import sys
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urljoin, urlsplit

Say = Callable[[str], object]
BOUND = 1024 * 1024


class Broken(Exception):
    """A reply isn't whole."""


class Refused(Broken):
    """The service said no."""


class Beginner:
    """The client.

    Args:
        defect: the one thing that it gets wrong; empty for none. `BROKEN_BY` has them all.
    """

    def __init__(self, defect: str) -> None:
        self.defect = defect
        self._cookies = {"dcs": "1", "dcm": "3"}
        self._messages: list[dict[str, str]] = []
        self._token = ""
        self._is_full = self._must_wait = False
        self._opened: list[tuple[http.client.HTTPConnection, http.client.HTTPResponse | None]] = []

    def is_(self, *defects: str) -> bool:
        return self.defect in defects

    # A conversation

    def converse(self, url: str, questions: Sequence[str], say: Say) -> None:
        try:
            self._converse(url, questions, say)
        finally:
            for connection, response in self._opened:
                if response is not None:
                    response.close()
                connection.close()

    def _converse(self, url: str, questions: Sequence[str], say: Say) -> None:
        self.url = url
        failure: Exception | None = None
        for question in questions:
            try:
                self._turn(question, say)
            except (Broken, OSError, http.client.HTTPException, ValueError, KeyError) as error:
                if self.is_("exits without a word"):
                    sys.exit(1)
                failure = error
        if failure is not None and not self.is_("takes every end for a good one"):
            raise failure

    def _turn(self, question: str, say: Say) -> None:
        if (self._is_full or self._must_wait) and not self.is_("forgets limits"):
            raise Refused("the service said to wait, or the conversation is full")
        tries = 8 if self.is_("tries again and again") else 2 if self.is_("tries again at once") else 1
        for left in reversed(range(tries)):
            try:
                reply = self._try(question, say)
                break
            except (Broken, OSError, http.client.HTTPException, ValueError):
                self._token = ""
                if not left:
                    if self.is_("keeps a failed turn"):
                        self._messages.append({"role": "user", "content": question})
                    raise
        self._messages += [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]
        if self.is_("asks twice in its history"):
            self._messages += self._messages[-2:]
        if self.is_("forgets its history"):
            self._messages.clear()

    def _try(self, question: str, say: Say) -> str:
        if not self._token:
            self._handshake()
        body = json.dumps(
            {"model": "gpt-4o-mini", "messages": [*self._messages, {"role": "user", "content": question}]}
        )
        headers = self._headers() | {
            "x-vqd-4": self._token,
            "x-vqd-hash-1": "eA==" if self.is_("guesses an answer") else "",
            "x-fe-version": self._version,
        }
        self._token = ""
        response = self._open("POST", "/duckchat/v1/chat", headers, body.encode())
        if response.status != 200:
            wait = response.getheader("retry-after")
            self._must_wait = wait is not None
            raise Refused(f"{response.status}: {self._all(response)[:200]!r}")
        self._token = response.getheader("x-vqd-4") or ""
        if response.getheader("content-type") != "text/event-stream":
            raise Broken("not a reply")
        return self._read(response, say)

    # The handshake

    def _handshake(self) -> None:
        pages = ("/?q=DuckDuckGo+AI+Chat&ia=chat&duckai=1", "/aichat")
        if self.is_("asks for all at once"):
            threads = [threading.Thread(target=self._page, args=(path,)) for path in pages]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        page = self._page(pages[0])
        self._page(pages[1])
        halves = [re.search(f'{mark}="([^"]*)"', page) for mark in ("__DDG_BE_VERSION__", "__DDG_FE_CHAT_HASH__")]
        self._version = "-".join(half[1] if half else "" for half in halves)
        if "\n" in self._version or self._version == "-":
            if self.is_("exits without a word"):
                sys.exit(1)
            self._version = self._version if self.is_("copies what a page says") else ""
        status = self._open("GET", "/duckchat/v1/status", self._headers() | {"x-vqd-accept": "1"})
        self._all(status)
        self._token = status.getheader("x-vqd-4") or ""
        if status.status != 200 or not re.fullmatch("[!-~]+", self._token):
            self._must_wait = status.getheader("retry-after") is not None
            if not self.is_("copies what a page says", "tries again and again"):
                raise Refused(f"no token: {status.status}")

    def _page(self, path: str) -> str:
        with contextlib.suppress(Broken) if not self.is_("exits without a word") else contextlib.nullcontext():
            response = self._open("GET", path, self._headers("text/html"))
            page = self._all(response).decode("latin-1")
            if response.status == 200:
                return page
            raise Refused(f"{response.status} {path}")
        return ""

    # HTTP

    def _headers(self, accept: str = "text/event-stream") -> dict[str, str]:
        return {
            "user-agent": "beginner/1",
            "accept-language": "en",
            "accept": accept,
            "accept-encoding": "gzip, deflate",
            "cache-control": "no-cache",
            "pragma": "no-cache",
            "content-type": "application/json",
            "origin": self.url,
            "referer": f"{self.url}/",
            "sec-ch-ua": "",
            "cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()),
        }

    def _open(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> http.client.HTTPResponse:
        url = urljoin(self.url, path)
        for _ in range(200 if self.is_("follows for ever") else 11):
            place = urlsplit(url)
            patience = None if self.is_("has no timeout") else 0.4
            connection = http.client.HTTPConnection(place.netloc, timeout=patience)
            connection.putrequest(method, url.removeprefix(f"http://{place.netloc}"), skip_accept_encoding=True)
            for name, value in headers.items():
                first, *more = value.split("\r\n")
                connection.putheader(name, first.encode("latin-1"))
                for line in more:
                    connection.putheader(*line.split(": "))
            if body:
                connection.putheader("content-length", str(len(body)))
            self._opened.append((connection, None))
            try:
                connection.endheaders(body or None)
                response = connection.getresponse()
                self._opened[-1] = connection, response
            except OSError as error:
                raise Broken(f"no response: {error}") from None
            for cookie in response.headers.get_all("set-cookie", []):
                name, _, value = cookie.partition(";")[0].partition("=")
                if "Domain" not in cookie or self.is_("keeps every cookie"):
                    self._cookies[name] = value
            if response.status not in (301, 302, 303, 307, 308):
                return response
            url = urljoin(url, response.getheader("location") or "")
            if self.is_("exits without a word"):
                sys.exit(1)
            if urlsplit(url).netloc != place.netloc and not self.is_("follows anywhere"):
                break
            if response.status < 307:
                method, body = "GET", b""
        raise Refused("too many redirects, or a strange one")

    def _all(self, response: http.client.HTTPResponse) -> bytes:
        found = bytearray()
        for data in self._chunks(response):
            found += data
            if len(found) > BOUND and not self.is_("has no bound"):
                raise Broken("too long")
        return bytes(found)

    def _chunks(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        coding = response.getheader("content-encoding")
        if coding and self.is_("exits without a word"):
            sys.exit(1)
        inflate = zlib.decompressobj(wbits=47) if coding else None
        try:
            while data := response.read1(65536):
                yield inflate.decompress(data) if inflate else data
        except (OSError, http.client.HTTPException) as error:
            if not self.is_("takes every end for a good one"):
                raise Broken(f"cut: {error}") from None
        if response.length and not self.is_("takes every end for a good one"):
            raise Broken("cut")

    # The stream

    def _read(self, response: http.client.HTTPResponse, say: Say) -> str:
        reply: list[str] = []

        def tell(text: str) -> None:
            text = text.strip() if self.is_("strips each piece") else text
            text = re.sub("<[^>]*>", "", text) if self.is_("takes markup off") else text
            reply.append(text)
            for _ in range(2 if self.is_("says each piece twice") else 1):
                if not self.is_("prints at the end"):
                    say(text)

        is_done = False
        for data in self._events(response):
            if is_done:
                if self.is_("goes on after the end") and data.startswith("{"):
                    tell(json.loads(data)["message"])
                continue
            if data.startswith("[DONE]"):
                is_done = True
                self._is_full = "LIMIT" in data
                if self._is_full and self.is_("needs its own end"):
                    tell(data)
                if not self.is_("goes on after the end", "reads to the end of the body", "tries again and again"):
                    break
            elif (text := self._text_of(data)) or not reply or not self.is_("ends at an empty piece"):
                tell(text)
            else:
                break
        if self.is_("prints at the end") and is_done:
            say("".join(reply))
        if not "".join(reply):
            raise Broken("no reply")
        return "".join(reply)

    def _text_of(self, data: str) -> str:
        try:
            payload = json.loads(data)
        except ValueError:
            if self.is_("knows no words"):
                raise
            return data if self.is_("prints what it can't read") else ""
        if payload.get("action") == "error":
            raise Refused(data)
        if self.is_("knows its members alone"):
            if set(payload) - {"action", "message", "created", "id", "model", "role"}:
                raise Broken(f"what is this: {data}")
            return str(payload["message"])
        if payload.get("role") in (None, "assistant") or self.is_("takes every role for the assistant"):
            text = payload.get("message") or payload.get("text") or ""
            return re.sub("[\ud800-\udfff]", "\ufffd", text) if self.is_("knows no surrogates") else self._joined(text)
        return ""

    _half = ""

    def _joined(self, text: str) -> str:
        text, self._half = self._half + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _events(self, response: http.client.HTTPResponse) -> Iterator[str]:
        if self.is_("takes a chunk for events"):
            for chunk in self._chunks(response):
                for line in chunk.decode("utf-8", "replace").split("\n"):
                    with contextlib.suppress(ValueError):
                        if line.startswith("data: ") and (line[6:] == "[DONE]" or json.loads(line[6:])):
                            yield line[6:]
            return
        if self.is_("splits at data:"):
            for part in b"".join(self._chunks(response)).decode().split("data:")[1:]:
                yield part.strip()
            return
        lines: list[str] = []
        for line in self._lines(response):
            if line:
                lines.append(line)
                if not self.is_("takes a line for an event"):
                    continue
            data = [self._data(each) for each in lines]
            found = [each for each in data if each is not None]
            lines = []
            if found:
                yield "\n".join(found)
                if self.is_("reads an event a chunk"):
                    return
        if lines and not self.is_("takes every end for a good one"):
            raise Broken("the reply ends in an event")

    def _data(self, line: str) -> str | None:
        if self.is_("needs a space"):
            return line[6:] if line.startswith("data: ") else None
        if self.is_("takes every field for data"):
            return line.partition(":")[2].strip()
        name, _, value = line.partition(":")
        return value.removeprefix(" ") if name == "data" else None

    def _lines(self, response: http.client.HTTPResponse) -> Iterator[str]:
        end = rb"\r\n|\r|\n" if self.is_("ends a line at a chunk's CR") else rb"\r\n|\r(?!\Z)|\n"
        ends = re.compile(rb"\n" if self.is_("knows LF alone") else end)
        rest, is_first, taken = b"", True, 0
        for chunk in self._chunks(response):
            if self.is_("decodes each chunk"):
                chunk = chunk.decode("utf-8", "replace").encode()
            *lines, rest = ends.split(rest + chunk)
            for line in lines:
                text = line.decode("latin-1" if self.is_("decodes as Latin-1") else "utf-8", "replace")
                if is_first and not self.is_("keeps the byte order mark"):
                    text = text.removeprefix("\ufeff")
                is_first = False
                if self.is_("splits lines as Python does") and text:
                    yield from text.splitlines()
                else:
                    yield text
            taken += len(chunk)
            if taken > BOUND and not self.is_("has no bound"):
                raise Broken("too long a reply")
        if rest and not self.is_("knows LF alone"):
            yield from (line.decode("utf-8", "replace") for line in re.split(rb"\r", rest))


_SWALLOWS = "takes every end for a good one"
_SILENT = "exits without a word"
_AGAIN = "tries again and again"
_AT_ONCE = "tries again at once"

#: The defect that makes the client wrong in each scenario.
BROKEN_BY = {
    "plain/one-piece": "says each piece twice",
    "plain/many-pieces": "reads an event a chunk",
    "plain/languages": "decodes as Latin-1",
    "plain/white-space": "strips each piece",
    "plain/looks-like-framing": "splits at data:",
    "plain/long": "reads an event a chunk",
    "chunking/byte-by-byte": "decodes each chunk",
    "chunking/each-byte-sent-by-itself": "takes a chunk for events",
    "chunking/cut-in-a-character": "decodes each chunk",
    "chunking/cut-in-a-field-name": "takes a chunk for events",
    "chunking/cut-in-the-JSON": "takes a chunk for events",
    "chunking/cut-in-a-line-end": "ends a line at a chunk's CR",
    "chunking/all-at-once": "reads an event a chunk",
    "chunking/slow": "takes a chunk for events",
    "syntax/cr-alone": "knows LF alone",
    "syntax/cr-lf": "knows LF alone",
    "syntax/mixed-line-ends": "knows LF alone",
    "syntax/comments": "takes every field for data",
    "syntax/byte-order-mark": "keeps the byte order mark",
    "syntax/no-space": "needs a space",
    "syntax/several-data-lines": "takes a line for an event",
    "syntax/other-fields": "takes every field for data",
    "syntax/event-without-data": "takes every field for data",
    "syntax/characters-that-end-lines-elsewhere": "splits lines as Python does",
    "payloads/empty-pieces": "ends at an empty piece",
    "payloads/split-surrogates": "knows no surrogates",
    "payloads/unknown-members": "knows its members alone",
    "payloads/few-members": "knows its members alone",
    "payloads/null-message": "knows its members alone",
    "payloads/other-roles": "takes every role for the assistant",
    "payloads/ping": "knows no words",
    "payloads/title": "knows no words",
    "payloads/unknown-words": "knows no words",
    "payloads/unknown-action": "knows its members alone",
    "payloads/not-JSON": "prints what it can't read",
    "payloads/limit-with-the-reply": "needs its own end",
    "payloads/text-after-the-end": "goes on after the end",
    "ends/no-done": "prints at the end",
    "ends/neither-done-nor-stop-marker": "prints at the end",
    "ends/silence-after-done": "reads to the end of the body",
    "ends/reset-after-done": _AGAIN,
    "ends/cut-in-a-word": _SWALLOWS,
    "ends/cut-between-two-events": _SWALLOWS,
    "ends/cut-before-the-announced-length": _SWALLOWS,
    "ends/reset": _SWALLOWS,
    "ends/end-in-an-event": _SWALLOWS,
    "ends/silence-in-the-reply": "has no timeout",
    "ends/silence-after-the-question": "has no timeout",
    "ends/closed-after-the-question": _AGAIN,
    "ends/empty": _SWALLOWS,
    "ends/nothing-but-the-end": _SWALLOWS,
    "ends/not-a-stream": _SWALLOWS,
    "refusals/conversation-limit": _AGAIN,
    "refusals/input-limit": _AGAIN,
    "refusals/user-limit": _AGAIN,
    "refusals/blocked": _AGAIN,
    "refusals/bad-request": _AGAIN,
    "refusals/model-unavailable": _AGAIN,
    "refusals/given-up": _SILENT,
    "refusals/bad-token": _AGAIN,
    "refusals/rate-limit": _AGAIN,
    "refusals/maker-down": _AGAIN,
    "refusals/access-denied": _SILENT,
    "refusals/down": _AT_ONCE,
    "refusals/token-expired-once": _SWALLOWS,
    "refusals/refused-without-a-body": _SWALLOWS,
    "refusals/refused-with-garbage": _SWALLOWS,
    "refusals/error-in-the-stream": _SWALLOWS,
    "refusals/error-after-some-text": _AGAIN,
    "refusals/limit-in-place-of-a-reply": _SWALLOWS,
    "refusals/status-refused": _AGAIN,
    "handshake/no-version": _SILENT,
    "handshake/front-end-page-down": _SILENT,
    "handshake/front-end-page-silent": "has no timeout",
    "handshake/landing-page-down": _SILENT,
    "handshake/no-token": _AGAIN,
    "handshake/unknown-token": _SWALLOWS,
    "handshake/status-cut": _SWALLOWS,
    "handshake/good-redirect": _SILENT,
    "handshake/question-redirected": _SILENT,
    "handshake/redirect-loop": "follows for ever",
    "handshake/redirect-to-a-stranger": "follows anywhere",
    "handshake/question-to-a-stranger": "follows anywhere",
    "handshake/question-made-a-get": _SWALLOWS,
    "handshake/gzip": _SILENT,
    "handshake/compressed-reply": _SILENT,
    "challenge/no-answer-wanted": "guesses an answer",
    "challenge/asked": _SWALLOWS,
    "challenge/asked-in-the-second-turn": _SWALLOWS,
    "challenge/asked-for-ever": _AGAIN,
    "challenge/unreadable": _SILENT,
    "challenge/for-a-person": _AGAIN,
    "conversation/two-turns": "forgets its history",
    "conversation/five-turns": "asks twice in its history",
    "conversation/after-a-refused-turn": "keeps a failed turn",
    "conversation/after-a-cut-turn": "keeps a failed turn",
    "conversation/after-the-limit": "forgets limits",
    "pace/interval": "asks for all at once",
    "pace/retry-after": _AT_ONCE,
    "pace/retry-after-of-the-status": _AT_ONCE,
    "pace/retry-after-an-hour": _AT_ONCE,
    "pace/retry-after-a-date": _AT_ONCE,
    "pace/no-doubled-question": _AT_ONCE,
    "pace/limit-of-a-conversation-of-two": "forgets limits",
    "hostile/endless-line": "has no bound",
    "hostile/endless-reply": "has no bound",
    "hostile/bomb": _SWALLOWS,
    "hostile/endless-page": "has no bound",
    "hostile/endless-refusal": "has no bound",
    "hostile/huge-head": _SILENT,
    "hostile/header-injected-by-a-page": "copies what a page says",
    "hostile/token-with-odd-bytes": "copies what a page says",
    "hostile/cookie-for-another-host": "keeps every cookie",
    "hostile/not-HTTP": _SWALLOWS,
    "hostile/markup": "takes markup off",
}
