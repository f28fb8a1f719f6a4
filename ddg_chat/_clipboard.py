"""Text for the clipboard, through the terminal: the control sequence OSC 52."""

from __future__ import annotations

import sys
from base64 import b64encode

from ._errors import CommandError
from ._screen import takes_escapes
from ._text import harmless

MAX_BYTES = 74_994 // 4 * 3
"""The longest text: terminals take about as much base64 in a sequence."""


def copy(text: str) -> None:
    """Ask the terminal on standard error to put a text into the clipboard. No terminal says whether it does.

    Args:
        text: the text. What could act on a program that it is pasted into is replaced.

    Raises:
        CommandError: there is no terminal, or the text is too long for one.
    """
    if not takes_escapes(sys.stderr):
        raise CommandError("nothing can be copied: standard error is no terminal; /export writes a file")
    data = harmless(text).encode()
    if len(data) > MAX_BYTES:
        raise CommandError(
            f"the reply has {len(data):,} bytes, and terminals copy at most {MAX_BYTES:,}; /export writes it to a file"
        )
    sys.stderr.write(f"\x1b]52;c;{b64encode(data).decode()}\a")
    sys.stderr.flush()
