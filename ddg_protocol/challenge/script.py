"""Reading the challenge script: from its text to a `Challenge`, without running any of it (PROTOCOL.md section 5).

The form is fixed, so the reader is one method per construct, over the tokens of ECMAScript. What could make the same
tokens mean something else in a browser is refused: a line end after ``return``, a name that hides ``String``.
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

import msgspec

from ..errors import UnsupportedChallenge
from .literals import LITERAL, decode_string_literal

_LINE_END = "\n\r\u2028\u2029"
_SPACE = "\t\v\f \u00a0\ufeff\u1680\u2000-\u200a\u202f\u205f\u3000"
_LINE_END_WITHIN = re.compile(f"[{_LINE_END}]")
_TRIVIA = re.compile(rf"(?:[{_SPACE}{_LINE_END}]++|//[^{_LINE_END}]*+|/\*.*?\*/)*+", re.DOTALL)
_TOKEN = re.compile(
    rf"""(?P<name>[A-Za-z_$][A-Za-z0-9_$]*+)
       | (?P<number>[0-9][A-Za-z0-9_$.]*+)
       | (?P<string>{LITERAL.pattern})
       | (?P<mark>=>|\+\+|--|[(){{}}\[\],;:.?=+-])""",
    re.VERBOSE | re.DOTALL,
)
_INTEGER = re.compile(r"0|[1-9][0-9]*|0[xX][0-9A-Fa-f]+|0[oO][0-7]+|0[bB][01]+")
MAX_SAFE_INTEGER = 2**53 - 1

_NOT_A_NAME = re.compile(
    r"""String|document|navigator|await|break|case|catch|class|const|continue|debugger|default|delete|do|else|enum|export
    |extends|false|finally|for|function|if|implements|import|in|instanceof|interface|let|new|null|package|private|protected
    |public|return|static|super|switch|this|throw|true|try|typeof|var|void|while|with|yield""",
    re.VERBOSE,
)
"""What a script must not call its own: the three globals that it needs, and ECMAScript's reserved words."""


class Challenge(msgspec.Struct, frozen=True):
    """What a challenge script says.

    Attributes:
        server_hashes: to be echoed, in order.
        html: the snippet that is assigned to a ``div``'s ``innerHTML``, decoded.
        offset: the number that its length is added to.
    """

    server_hashes: tuple[str, ...]
    html: str
    offset: int


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    after_line_end: bool


class _Reader:
    def __init__(self, script: str) -> None:
        self._script = script
        self._position = 0
        self._next = self._scan()

    # Tokens

    def _scan(self) -> _Token:
        trivia = _TRIVIA.match(self._script, self._position)
        start = trivia.end() if trivia else self._position
        after_line_end = bool(_LINE_END_WITHIN.search(self._script, self._position, start))
        token = _TOKEN.match(self._script, start)
        if token:
            self._position = token.end()
            return _Token(token.lastgroup or "", token[0], start, after_line_end)
        self._position = start
        return _Token("end" if start == len(self._script) else "unknown", "", start, after_line_end)

    def _take(self) -> _Token:
        token, self._next = self._next, self._scan()
        return token

    def _at(self, *texts: str) -> bool:
        return self._next.text in texts

    def _skip(self, *texts: str) -> bool:
        if self._at(*texts):
            self._take()
            return True
        return False

    def _expect(self, *texts: str) -> None:
        for text in texts:
            if not self._skip(text):
                self._refuse(f"`{text}`")

    def _expect_own(self, name: str) -> None:
        """Expect a name that the script made up; a script's own words are never quoted."""
        if not self._skip(name):
            self._refuse("the name of the `div`")

    def _expect_kind(self, kind: str, expected: str) -> _Token:
        if self._next.kind != kind:
            self._refuse(expected)
        return self._take()

    def _refuse(self, expected: str, position: int | None = None) -> NoReturn:
        position = self._next.start if position is None else position
        line = self._script.count("\n", 0, position) + 1
        column = position - self._script.rfind("\n", 0, position)
        form = describe_form(self._script)
        raise UnsupportedChallenge(
            f"the challenge can't be read at line {line}, column {column}: expected {expected}, "
            f"found {_kind_at(self._script, position)}" + (f"; it looks like {form}" if form else ""),
            position=position,
            expected=expected,
            form=form,
        )

    # What the constructs have in common

    def _name(self) -> str:
        if _NOT_A_NAME.fullmatch(self._next.text):
            self._refuse("a name of the script's own")
        return self._expect_kind("name", "a name").text

    def _declared_name(self) -> str:
        if not self._skip("const", "let", "var"):
            self._refuse("`const`")
        name = self._name()
        self._expect("=")
        return name

    def _string(self) -> str:
        token = self._expect_kind("string", "a string literal")
        try:
            return decode_string_literal(token.text)
        except UnsupportedChallenge as error:
            self._refuse(error.expected, token.start + (error.position or 0))

    def _expect_string(self, value: str) -> None:
        start = self._next.start
        if self._string() != value:
            self._refuse(f"`'{value}'`", start)

    def _open_function(self) -> None:
        self._expect("(", "function")
        if not self._at("("):
            self._name()
        self._expect("(", ")", "{")

    def _return(self) -> None:
        self._expect("return")
        if self._next.after_line_end:  # a browser returns undefined here
            self._refuse("a value on the line of `return`")

    def _end_of_statement(self) -> None:
        if not (self._at("}") or self._next.after_line_end):
            self._expect(";")
        while self._skip(";"):
            pass

    def _close_function(self) -> None:
        """Close and call it: ``})()`` or ``}())``."""
        self._end_of_statement()
        self._expect("}")
        if self._skip(")"):
            self._expect("(", ")")
        else:
            self._expect("(", ")", ")")

    # The form

    def read(self) -> Challenge:
        if self._at("const", "let", "var"):
            self._declared_name()
        self._open_function()
        self._return()
        challenge = self._members()
        self._close_function()
        while self._skip(";"):
            pass
        self._expect_kind("end", "the end of the script")
        return challenge

    def _members(self) -> Challenge:
        server_hashes: tuple[str, ...] = ()
        html, offset = "", 0
        missing = {"server_hashes", "client_hashes", "signals"}
        self._expect("{")
        while missing and not self._at("}"):
            start = self._next.start
            key = self._string() if self._next.kind == "string" else self._expect_kind("name", "a member's name").text
            if key not in missing:
                self._refuse(" or ".join(f"`{name}`" for name in sorted(missing)), start)
            missing.remove(key)
            self._expect(":")
            if key == "server_hashes":
                server_hashes = self._server_hashes()
            elif key == "client_hashes":
                html, offset = self._client_hashes()
            else:
                self._expect("{", "}")
            if not self._skip(","):
                break
        if missing:
            self._refuse(" and ".join(f"`{name}`" for name in sorted(missing)))
        self._expect("}")
        return Challenge(server_hashes, html, offset)

    def _server_hashes(self) -> tuple[str, ...]:
        hashes: list[str] = []
        self._expect("[")
        while not self._at("]"):
            start = self._next.start
            text = self._string()
            if not (text.isascii() and text.isprintable()):
                self._refuse("a hash in base64", start)
            hashes.append(text)
            if not self._skip(","):
                break
        self._expect("]")
        return tuple(hashes)

    def _client_hashes(self) -> tuple[str, int]:
        self._expect("[")
        self._user_agent_and_brands()
        self._expect(",")
        found = self._dom_fingerprint()
        self._skip(",")
        self._expect("]")
        return found

    def _user_agent_and_brands(self) -> None:
        self._expect("navigator", ".", "userAgent", "+", "(", "navigator", ".", "userAgentData", "?")
        self._expect("navigator", ".", "userAgentData", ".", "brands", ".", "map", "(")
        bracketed = self._skip("(")
        brand = self._name()
        if bracketed:
            self._expect(")")
        if self._next.after_line_end:
            self._refuse("`=>` on the same line")
        self._expect("=>")
        b = re.escape(brand)
        if not re.fullmatch(rf'`"\$\{{ *{b}\.brand *\}}";v="\$\{{ *{b}\.version *\}}"`', self._next.text):
            self._refuse('`"${b.brand}";v="${b.version}"` as a template, with the name before `=>` for b')
        self._take()
        self._expect(")", ".", "join", "(")
        self._expect_string(", ")
        self._expect(")", ":")
        self._expect_string("")
        self._expect(")")

    def _dom_fingerprint(self) -> tuple[str, int]:
        self._open_function()
        element = self._declared_name()
        self._expect("document", ".", "createElement", "(")
        self._expect_string("div")
        self._expect(")")
        self._end_of_statement()
        self._expect_own(element)
        self._expect(".", "innerHTML", "=")
        html = self._string()
        self._end_of_statement()
        self._return()
        self._expect("String", "(")
        offset = self._offset_and_length(element)
        self._expect(")")
        self._close_function()
        return html, offset

    def _offset_and_length(self, element: str) -> int:
        length = (".", "innerHTML", ".", "length")
        if not self._at(element):
            offset = self._integer()
            self._expect("+")
            self._expect_own(element)
            self._expect(*length)
            return offset
        self._expect_own(element)
        self._expect(*length)
        if self._skip("-"):
            return -self._integer()
        self._expect("+")
        return self._integer()

    def _integer(self) -> int:
        sign = -1 if self._at("-") else 1
        self._skip("-", "+")
        token = self._next
        if len(token.text) > 60 or not _INTEGER.fullmatch(token.text) or int(token.text, 0) > MAX_SAFE_INTEGER:
            self._refuse("an integer up to 2^53 - 1")
        self._take()
        return sign * int(token.text, 0)


def _kind_at(script: str, position: int) -> str:
    """Say what stands at a position. A script can hold secrets, so only marks and known words are quoted."""
    token = _TOKEN.match(script, position)
    if token is None:
        return "its end" if position == len(script) else "a character that begins nothing"
    match token.lastgroup:
        case "string":
            return f"a string of {len(token[0]) - 2} characters"
        case "number":
            return f"a number of {len(token[0])} characters"
        case "name" if not _NOT_A_NAME.fullmatch(token[0]):
            return "a name"
    return f"`{token[0]}`"


def read_script(script: str) -> Challenge:
    """Read a challenge script of the form in PROTOCOL.md section 5, in time linear in its length.

    Args:
        script: ECMAScript source text.

    Returns:
        What it says.

    Raises:
        UnsupportedChallenge: it is of another form; with the position, what was expected there, and what the whole
            looks like where that is known.
    """
    return _Reader(script).read()


_META_VERSION = re.compile(r"""\bmeta["']?\s{0,9}:\s{0,9}\{[^{}]{0,500}?\bv["']?\s{0,9}:\s{0,9}["']?([0-9]{1,3})\b""")


def describe_form(text: str) -> str:
    """Say what a text looks like that is not the challenge that was expected.

    Args:
        text: what stands in the challenge's place.

    Returns:
        A few words such as ``"an obfuscated script, meta.v 4"``; empty for a script of no known form.
    """
    start = text[:1024].lstrip(_LINE_END + "\t\v\f \ufeff")
    if re.match(r"<(?:!doctype|!--|html|head|body|script)\b|<!--", start, re.IGNORECASE):
        return "an HTML page"
    if re.match(r"""\{\s*(?:"|\})|\[\s*(?:["\[{\]0-9])|(?:null|true|false)\s*$""", start):
        return "a JSON answer"
    if not start:
        return "nothing"
    version = _META_VERSION.search(text)
    if version or re.search(r"\b_0x[0-9a-f]{2,}", text):
        return "an obfuscated script" + (f", meta.v {version[1]}" if version else "")
    return ""
