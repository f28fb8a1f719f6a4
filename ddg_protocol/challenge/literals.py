"""ECMAScript string literals: from the source text to the value (ECMA-262, 12.9.4, 12.9.6 and annex B.1.2)."""

from __future__ import annotations

import re
from typing import NoReturn

from ..errors import UnsupportedChallenge

LINE_END = "\n\r\u2028\u2029"
"""The characters that end a line."""

HEX_DIGIT = "[0-9A-Fa-f]"
"""A pattern for one hexadecimal digit."""

_ESCAPE = re.compile(
    rf"""\\(?:
        (?P<single>[bfnrtv]|0(?![0-9]))
      | x(?P<byte>{HEX_DIGIT}{{2}})
      | u(?P<unit>{HEX_DIGIT}{{4}})
      | u\{{(?P<point>{HEX_DIGIT}+)\}}
      | (?P<octal>[0-3][0-7]{{0,2}}|[4-7][0-7]?)
      | (?P<continuation>\r\n|[{LINE_END}])
      | (?P<bad>[xu])
      | (?P<itself>.)
    )""",
    re.VERBOSE | re.DOTALL,
)
_SINGLE = {"0": "\0", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

_QUOTED = r"{0}[^{0}\\\r\n]*+(?:\\(?:\r\n|.)[^{0}\\\r\n]*+)*{0}"  # no possessive group: see script._TOKEN
LITERAL = re.compile(rf"""{_QUOTED.format("'")}|{_QUOTED.format('"')}|`[^`\\]*+(?:\\.[^`\\]*+)*`""", re.DOTALL)
"""Where a literal begins and ends. A template that holds a template ends too early; it is no literal either."""


def decode_string_literal(source: str) -> str:
    r"""Return the value of a string literal, or of a template literal without substitutions.

    Legacy octal escapes (``'\74'``) mean what they mean in code that is not strict; templates never have them.

    Args:
        source: the literal with its quotes, and nothing else.

    Returns:
        The value. Two surrogate escapes that make a pair are one character; a lone one stays as it is.

    Raises:
        UnsupportedChallenge: the text is not a literal; ``position`` counts from the opening quote.
    """
    if not LITERAL.fullmatch(source):
        raise UnsupportedChallenge("not a string literal", position=0, expected="a string literal, closed")
    template = source[0] == "`"
    body = source[1:-1]
    if template:
        if substitution := re.search(r"(?<!\\)(?:\\\\)*\$\{", body):
            _refuse(substitution.end() - 1, "a template without substitutions")
        body = re.sub(r"\r\n?", "\n", body)

    def value(escape: re.Match[str]) -> str:
        kind, text = escape.lastgroup, escape[escape.lastgroup or 0]
        at = escape.start() + 1
        if kind in ("byte", "unit", "point"):
            if int(text, 16) > 0x10FFFF:
                _refuse(at, "a code point up to 10FFFF")
            return chr(int(text, 16))
        if kind == "bad" or (template and (kind == "octal" or text in "89")):
            _refuse(at, "a whole escape sequence")
        if kind == "octal":
            return chr(int(text, 8))
        if kind == "single":
            return _SINGLE[text]
        return "" if kind == "continuation" else text

    decoded = _ESCAPE.sub(value, body)
    return decoded.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _refuse(position: int, expected: str) -> NoReturn:
    raise UnsupportedChallenge(f"not a string literal: expected {expected}", position=position, expected=expected)
