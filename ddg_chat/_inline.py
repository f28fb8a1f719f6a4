"""Images drawn in the terminal, where its environment says that it can: kitty's protocol and iTerm2's.

Sixel isn't spoken: no variable says that a terminal has it, and it would need a decoder of images.
"""

from __future__ import annotations

import os
import struct
import sys
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Literal, TextIO

from ._screen import takes_escapes

Protocol = Literal["kitty", "iterm2"]

MOST_PIXELS = 4096
"""The largest width and height that is drawn: a small file can claim a size that fills the terminal's memory."""
_CHUNK = 4096  # of base64, at most, in one of kitty's sequences
_STAND_ALONE = {0x01, *range(0xD0, 0xD8)}  # JPEG's markers without a segment
#: JPEG's markers of a frame, whose segment has the size.
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def protocol_of(environment: Mapping[str, str]) -> Protocol | None:
    """Return the protocol for images that the environment shows the terminal to have; None if it shows none.

    Args:
        environment: its variables. Within tmux and screen they are about another terminal than the one that is
            written to, so there is no protocol.
    """
    term = environment.get("TERM", "")
    if "TMUX" in environment or "STY" in environment or term.startswith(("screen", "tmux")):
        return None
    if term == "xterm-kitty" or "KITTY_WINDOW_ID" in environment:
        return "kitty"
    if environment.get("TERM_PROGRAM") in ("iTerm.app", "WezTerm") or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    return None


def size_of(data: bytes) -> tuple[int, int] | None:
    """Return the width and height that a PNG or JPEG says it has; None if it is neither, or doesn't say."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR" and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    if data[:3] != b"\xff\xd8\xff":
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        if marker == 0xFF:
            at += 1  # a fill byte
        elif marker in _STAND_ALONE:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def sequence_for(data: bytes, protocol: Protocol) -> str:
    """Return the escape sequences that draw an image.

    Args:
        data: the image, from anywhere.
        protocol: the terminal's.

    Returns:
        The sequences. They hold the image as base64, so that nothing in it can act on the terminal. Empty if the
        terminal can't draw it, or if it isn't a PNG or JPEG of a moderate size.
    """
    size = size_of(data)
    if size is None or not all(0 < pixels <= MOST_PIXELS for pixels in size):
        return ""
    text = b64encode(data).decode()
    if protocol == "iterm2":
        return f"\x1b]1337;File=inline=1;size={len(data)}:{text}\a"
    if not data.startswith(b"\x89PNG"):
        return ""
    pieces = [text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK)]
    begin = "a=T,f=100,q=2,"  # draw, a PNG, and answer nothing
    return "".join(
        f"\x1b_G{'' if number else begin}m={int(number < len(pieces) - 1)};{piece}\x1b\\"
        for number, piece in enumerate(pieces)
    )


def drawer(stream: TextIO | None = None) -> Callable[[bytes], None] | None:
    """Return a function that draws an image on a terminal; None where the terminal can't.

    Args:
        stream: where to draw; None means standard error.
    """
    where = stream or sys.stderr
    protocol = protocol_of(os.environ)
    if protocol is None or not takes_escapes(where):
        return None

    def draw(data: bytes) -> None:
        if sequence := sequence_for(data, protocol):
            print(sequence, file=where, flush=True)

    return draw
