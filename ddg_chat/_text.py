"""Text from elsewhere, made fit for a terminal: the one place that does it."""

from __future__ import annotations

#: What a terminal could take for a command: C0 (but tab and line feed), DEL and C1.
_CONTROLS = (*(code for code in range(0x20) if code not in (0x09, 0x0A)), *range(0x7F, 0xA0))
#: What makes text read otherwise than it is: the embeddings, overrides and isolates of the bidirectional algorithm
#: (UAX 9). Its marks and the joiners stay: Arabic, Hebrew and emoji need them, and they move no other text.
_REORDERING = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
#: Line ends that are one to some and none to others.
_SEPARATORS = (0x2028, 0x2029)

_HARMFUL = dict.fromkeys((*_CONTROLS, *_REORDERING, *_SEPARATORS), "\N{REPLACEMENT CHARACTER}")


def harmless(text: str) -> str:
    """Make text fit to be written to a terminal.

    Args:
        text: anything that the service, a file or an error says.

    Returns:
        The text with U+FFFD for each character that could move the cursor, change the terminal, or reorder what is
        read. Its length, tabs and line feeds stay.
    """
    return text.translate(_HARMFUL)


def one_line(text: str, limit: int = 0) -> str:
    """Make text fit to be written as part of one line.

    Args:
        text: as for `harmless`.
        limit: the most characters; 0 for any number.

    Returns:
        The text, harmless, with single spaces for all white space, cut at the limit with an ellipsis.
    """
    shown = " ".join(harmless(text).split())
    return shown if not limit or len(shown) <= limit else shown[: limit - 1] + "…"
