"""Text from outside, made safe to show: on a terminal, in a diagram, on a page."""

from __future__ import annotations

import unicodedata

#: Characters that a terminal could obey: C0 (except tab and line feed), DEL and C1.
_CONTROLS = (*(code for code in range(0x20) if code not in (0x09, 0x0A)), *range(0x7F, 0xA0))
#: Characters that reorder text: the embeddings, overrides and isolates of the bidirectional algorithm (UAX 9). Its
#: marks and the joiners stay: Arabic, Hebrew and emoji need them, and they move no other text.
_REORDERING = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
#: Characters that only some programs treat as line ends.
_SEPARATORS = (0x2028, 0x2029)

#: Not printable by Unicode's definition, but part of what people write: the joiners of Persian, Hindi and emoji, the
#: marks of direction of Hebrew and Arabic, the signs of Arabic numbers, and the spaces of French and Japanese.
_WRITTEN = frozenset(
    "\u200c\u200d\u200e\u200f\u061c\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u08e2\u00a0\u202f\u2009\u3000"
)

_HARMFUL = dict.fromkeys((*_CONTROLS, *_REORDERING, *_SEPARATORS), "\N{REPLACEMENT CHARACTER}")


def harmless(text: str) -> str:
    """Make text safe for a terminal.

    Args:
        text: any text from the service, a file or an error.

    Returns:
        The text, with U+FFFD for each character that could move the cursor, change the terminal or reorder the text.
        Its length, tabs and line feeds stay.
    """
    return text.translate(_HARMFUL)


def escaped(text: str) -> str:
    r"""Return a complete text in one line, as text in every script that people write.

    Args:
        text: as for `harmless`.

    Returns:
        The text, with an escape such as ``\x1b`` for each control character, each character that reorders or hides
        text, and each line end.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _WRITTEN else c.encode("unicode_escape").decode("ascii") for c in text)


def visible(text: str) -> str:
    """Return a text as `escaped` does, but keep its lines and tabs; CR LF becomes LF."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(escaped, line.split("\t"))) for line in lines)


def one_line(text: str, limit: int = 0) -> str:
    """Make text safe to write within one line.

    Args:
        text: as for `harmless`.
        limit: the maximum number of characters; 0 for no limit.

    Returns:
        The text, harmless, with single spaces for all white space, cut at the limit with an ellipsis.
    """
    shown = " ".join(harmless(text).split())
    return shown if not limit or len(shown) <= limit else shown[: limit - 1] + "…"


def columns(text: str) -> int:
    """Return the number of terminal columns of a text."""
    return len(text) if text.isascii() else sum(map(columns_of, text))


def columns_of(character: str) -> int:
    """Return the number of terminal columns of a character."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):  # accents, vowel signs, joiners
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def first(text: str, width: int) -> str:
    """Return the beginning of a text that fits into ``width`` columns."""
    taken = 0
    for index, character in enumerate(text):
        taken += columns_of(character)
        if taken > width:
            return text[:index]
    return text
