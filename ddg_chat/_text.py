"""Text from outside, made safe for a terminal, here and nowhere else."""

from __future__ import annotations

#: Characters that a terminal could obey: C0 (except tab and line feed), DEL and C1.
_CONTROLS = (*(code for code in range(0x20) if code not in (0x09, 0x0A)), *range(0x7F, 0xA0))
#: Characters that reorder text: the embeddings, overrides and isolates of the bidirectional algorithm (UAX 9). Its
#: marks and the joiners stay: Arabic, Hebrew and emoji need them, and they move no other text.
_REORDERING = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
#: Characters that only some programs treat as line ends.
_SEPARATORS = (0x2028, 0x2029)

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
