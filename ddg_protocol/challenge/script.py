"""Reading the challenge script: from its text to a `Challenge`, without running any of it (PROTOCOL.md section 5).

The form is fixed: `_Reader` has a method for each construct, and `_Reader._expect` takes the parts that never change as
they stand in a script. What could make the same tokens mean something else in a browser is refused: a line end after
``return``, a name that hides ``String``.

To read one more spelling, change the method of its construct; a mark that no challenge had yet goes into `_TOKEN`. An
operator that adds to the length is one entry in `_SIGNS`. For any other, `Challenge` needs a second field next to
`offset`, and `answer.dom_fingerprint` the calculation.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import msgspec

from ..errors import UnsupportedChallenge
from .literals import HEX_DIGIT, LINE_END, LITERAL, decode_string_literal

_SPACE = "\t\v\f \u00a0\ufeff\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
"""ECMAScript's white space (ECMA-262, 12.2)."""

_LINE_END_WITHIN = re.compile(f"[{LINE_END}]")
_TOKEN = re.compile(
    rf"""(?P<gap>(?:[{_SPACE}{LINE_END}]++|//[^{LINE_END}]*+|/\*.*?\*/)*)
    (?: (?P<name>[A-Za-z_$][A-Za-z0-9_$]*+)
      | (?P<number>[0-9][A-Za-z0-9_$.]*+)
      | (?P<string>{LITERAL.pattern})
      | (?P<mark>=>|\+\+|--|[(){{}}\[\],;:.?=+-])
      | (?P<end>\Z)
      | (?P<unknown>)
    )""",
    re.VERBOSE | re.DOTALL,
)
"""A token of ECMAScript, as far as challenges have them, after the white space and comments before it.

What follows the gap always matches, so the gap is never given back. It isn't possessive: Python before 3.11.5 loses its
place where a possessive group is left in the middle (CPython's issue 106052).
"""

_INTEGER = re.compile(rf"0|[1-9][0-9]*|0[xX]{HEX_DIGIT}+|0[oO][0-7]+|0[bB][01]+")
MAX_SAFE_INTEGER = 2**53 - 1
_SIGNS = {"+": 1, "-": -1}
"""The signs of a number, alone or as the operator between the length and the number: by what it is multiplied."""

_NOT_A_NAME = re.compile(
    r"""String|document|navigator|await|break|case|catch|class|const|continue|debugger|default|delete|do|else|enum|export
    |extends|false|finally|for|function|if|implements|import|in|instanceof|interface|let|new|null|package|private|protected
    |public|return|static|super|switch|this|throw|true|try|typeof|var|void|while|with|yield""",
    re.VERBOSE,
)
"""What a script must not use as a name of its own: the three globals that it needs, and ECMAScript's reserved words."""


class Challenge(msgspec.Struct, frozen=True):
    """What a challenge script says.

    Attributes:
        server_hashes: the hashes that the answer repeats, in order.
        html: the snippet that is assigned to a ``div``'s ``innerHTML``, decoded.
        offset: the number that the length of ``innerHTML`` is added to.
    """

    server_hashes: tuple[str, ...]
    html: str
    offset: int


class _Token(NamedTuple):
    """A token; its kind is the name of its group in `_TOKEN`."""

    kind: str
    text: str
    start: int
    after_line_end: bool


def _token(found: re.Match[str]) -> _Token:
    kind = found.lastgroup or ""
    return _Token(kind, found[kind], found.start(kind), bool(_LINE_END_WITHIN.search(found["gap"])))


@functools.cache
def _fixed(part: str) -> tuple[_Token, ...]:
    """Return the tokens of a fixed part of the form, without its end."""
    return tuple(map(_token, _TOKEN.finditer(part)))[:-1]


class _Reader:
    """Reads a script from its first token to its last.

    A method moves past the construct that it is named after, and returns what that says. `_at` only looks.
    """

    def __init__(self, script: str) -> None:
        self._script = script
        self._tokens = map(_token, _TOKEN.finditer(script))
        self._next = next(self._tokens)

    # Tokens

    def _take(self) -> str:
        """Move to the next token, and return the text of this one."""
        text = self._next.text
        self._next = next(self._tokens, self._next)
        return text

    def _at(self, *texts: str) -> bool:
        return self._next.text in texts

    def _skip(self, *texts: str) -> bool:
        """Move past one of these tokens, if it is the next; return whether it is."""
        found = self._at(*texts)
        if found:
            self._take()
        return found

    def _expect(self, part: str) -> None:
        """Move past a fixed part of the form, whose strings may be quoted in any way."""
        for token in _fixed(part):
            start = self._next.start
            if token.kind == "string":
                matches = self._string() == decode_string_literal(token.text)
            else:
                matches = self._skip(token.text)
            if not matches:
                self._refuse(f"`{token.text}`", start)

    def _expect_own(self, name: str, part: str) -> None:
        """Move past a name of the script's own, which no message quotes, and a fixed part behind it."""
        if not self._skip(name):
            self._refuse("the name of the `div`")
        self._expect(part)

    def _expect_kind(self, kind: str, expected: str) -> str:
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
            f"found {_kind_at(self._script, position)}{looks_like(form)}",
            position=position,
            expected=expected,
            form=form,
        )

    # What the constructs have in common

    def _name(self) -> str:
        if _NOT_A_NAME.fullmatch(self._next.text):
            self._refuse("a name of the script's own")
        return self._expect_kind("name", "a name")

    def _declared_name(self) -> str:
        if not self._skip("const", "let", "var"):
            self._refuse("`const`")
        name = self._name()
        self._expect("=")
        return name

    def _string(self) -> str:
        start = self._next.start
        literal = self._expect_kind("string", "a string literal")
        try:
            return decode_string_literal(literal)
        except UnsupportedChallenge as error:
            self._refuse(error.expected, start + (error.position or 0))

    def _integer(self) -> int:
        sign = _SIGNS[self._take()] if self._at(*_SIGNS) else 1
        text = self._next.text
        if len(text) > 60 or not _INTEGER.fullmatch(text) or int(text, 0) > MAX_SAFE_INTEGER:
            self._refuse("an integer up to 2^53 - 1")
        return sign * int(self._take(), 0)

    def _open_function(self) -> None:
        self._expect("(function")
        if not self._at("("):
            self._name()
        self._expect("() {")

    def _return(self) -> None:
        self._expect("return")
        if self._next.after_line_end:  # a browser returns undefined here
            self._refuse("a value on the line of `return`")

    def _end_statement(self) -> None:
        if not (self._at("}") or self._next.after_line_end):
            self._expect(";")
        self._skip_semicolons()

    def _skip_semicolons(self) -> None:
        while self._skip(";"):
            pass

    def _close_function(self) -> None:
        """Move past the end of a function and its call: ``})()`` or ``}())``."""
        self._end_statement()
        self._expect("}")
        self._expect("()" if self._skip(")") else "())")

    # The form

    def read(self) -> Challenge:
        if self._at("const", "let", "var"):
            self._declared_name()
        self._open_function()
        self._return()
        challenge = self._members()
        self._close_function()
        self._skip_semicolons()
        self._expect_kind("end", "the end of the script")
        return challenge

    def _members(self) -> Challenge:
        missing: dict[str, Callable[[], Any]] = {
            "client_hashes": self._client_hashes,
            "server_hashes": self._server_hashes,
            "signals": lambda: self._expect("{}"),
        }
        found = {}
        self._expect("{")
        while missing and not self._at("}"):
            start = self._next.start
            key = self._string() if self._next.kind == "string" else self._expect_kind("name", "a member's name")
            if key not in missing:
                self._refuse(" or ".join(f"`{name}`" for name in missing), start)
            self._expect(":")
            found[key] = missing.pop(key)()
            if not self._skip(","):
                break
        if missing:
            self._refuse(" and ".join(f"`{name}`" for name in missing))
        self._expect("}")
        return Challenge(found["server_hashes"], *found["client_hashes"])

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
        html, offset = self._dom_fingerprint()
        self._skip(",")
        self._expect("]")
        return html, offset

    def _user_agent_and_brands(self) -> None:
        self._expect("navigator.userAgent + (navigator.userAgentData ? navigator.userAgentData.brands.map(")
        bracketed = self._skip("(")
        brand = re.escape(self._name())
        if bracketed:
            self._expect(")")
        if self._next.after_line_end:
            self._refuse("`=>` on the same line")
        self._expect("=>")
        if not re.fullmatch(rf'`"\$\{{ *{brand}\.brand *\}}";v="\$\{{ *{brand}\.version *\}}"`', self._next.text):
            self._refuse('`"${b.brand}";v="${b.version}"` as a template, with the name before `=>` for b')
        self._take()
        self._expect(").join(', ') : '')")

    def _dom_fingerprint(self) -> tuple[str, int]:
        self._open_function()
        element = self._declared_name()
        self._expect("document.createElement('div')")
        self._end_statement()
        self._expect_own(element, ".innerHTML =")
        html = self._string()
        self._end_statement()
        self._return()
        self._expect("String(")
        offset = self._offset_and_length(element)
        self._expect(")")
        self._close_function()
        return html, offset

    def _offset_and_length(self, element: str) -> int:
        if not self._at(element):
            offset = self._integer()
            self._expect("+")
            self._expect_own(element, ".innerHTML.length")
            return offset
        self._expect_own(element, ".innerHTML.length")
        if not self._at(*_SIGNS):
            self._refuse(" or ".join(f"`{sign}`" for sign in _SIGNS))
        return _SIGNS[self._take()] * self._integer()


def _kind_at(script: str, position: int) -> str:
    """Describe the token at a position. A script can hold secrets, so only marks and known words are quoted."""
    token = _token(next(_TOKEN.finditer(script, position)))
    size = len(token.text)
    kinds = {
        "end": "its end",
        "unknown": "a character that begins nothing",
        "string": f"a string of {size - 2} characters",
        "number": f"a number of {size} characters",
        "name": f"`{token.text}`" if _NOT_A_NAME.fullmatch(token.text) else "a name",
    }
    return kinds.get(token.kind, f"`{token.text}`")


def read_script(script: str) -> Challenge:
    """Read a challenge script of the form in PROTOCOL.md section 5, in time linear in its length.

    Args:
        script: ECMAScript source text.

    Returns:
        What the script says.

    Raises:
        UnsupportedChallenge: the script is of another form; with the position, what was expected there, and what the
            whole looks like where that is known.
    """
    return _Reader(script).read()


_FORMS = (
    (re.compile(r"<(?:!doctype|!--|html|head|body|script)\b|<!--", re.IGNORECASE), "an HTML page"),
    (re.compile(r"""\{\s*(?:"|\})|\[\s*(?:["\[{\]0-9])|(?:null|true|false)\s*$"""), "a JSON document"),
    (re.compile(r"\Z"), "nothing"),
)
"""Forms that are known by their beginning, without white space before it."""

_META_VERSION = re.compile(r"""\bmeta["']?\s{0,9}:\s{0,9}\{[^{}]{0,500}?\bv["']?\s{0,9}:\s{0,9}["']?([0-9]{1,3})\b""")


def describe_form(text: str) -> str:
    """Describe a text that is not the challenge that was expected.

    Args:
        text: the text in the challenge's place.

    Returns:
        A few words such as ``"an obfuscated script, meta.v 4"``; empty for a script of no known form.
    """
    start = text[:1024].lstrip(LINE_END + _SPACE)
    for pattern, form in _FORMS:
        if pattern.match(start):
            return form
    version = _META_VERSION.search(text)
    if version or re.search(r"\b_0x[0-9a-f]{2,}", text):
        return "an obfuscated script" + (f", meta.v {version[1]}" if version else "")
    return ""


def looks_like(form: str) -> str:
    """Return how a message goes on about a form of `describe_form`; empty if the form is."""
    return f"; it looks like {form}" if form else ""
