"""Images in the terminal: drawn only where the environment says how, and never by what an image itself says."""

from __future__ import annotations

import base64
import io
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddg_chat._below import show_below
from ddg_chat._inline import MOST_PIXELS, Protocol, drawer, protocol_of, sequence_for, size_of
from ddg_protocol import TurnFinished
from ddg_protocol.events import GeneratedImage


def png(width: int = 2, height: int = 1, more: bytes = b"") -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + more


def jpeg(width: int = 2, height: int = 1, before: bytes = b"\xff\xe0\0\x04ab") -> bytes:
    return b"\xff\xd8" + before + b"\xff\xc0\0\x11\x08" + struct.pack(">HH", height, width) + b"\x03"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"LC_TERMINAL": "iTerm2"}, "iterm2"),
        ({"TERM": "xterm-256color"}, None),
        ({}, None),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/x"}, None),
        ({"TERM": "screen.xterm-256color", "KITTY_WINDOW_ID": "1"}, None),
        ({"TERM_PROGRAM": "iTerm.app", "STY": "1.x"}, None),
    ],
)
def test_the_environment_says_how_a_terminal_draws(environment: dict[str, str], protocol: Protocol | None) -> None:
    assert protocol_of(environment) == protocol


def test_an_image_is_drawn_in_the_terminal_s_protocol() -> None:
    encoded = base64.b64encode(png()).decode()
    assert sequence_for(png(), "iterm2") == f"\x1b]1337;File=inline=1;size=24:{encoded}\a"
    assert sequence_for(png(), "kitty") == f"\x1b_Ga=T,f=100,q=2,m=0;{encoded}\x1b\\"
    assert sequence_for(jpeg(), "iterm2").startswith("\x1b]1337;File=inline=1;size=")
    assert sequence_for(jpeg(), "kitty") == ""


def test_a_long_image_goes_to_kitty_in_pieces() -> None:
    data = png(more=bytes(range(256)) * 40)
    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", sequence_for(data, "kitty"))
    assert [keys for keys, _ in pieces] == ["a=T,f=100,q=2,m=1", "m=1", "m=1", "m=0"]
    assert max(len(piece) for _, piece in pieces) == 4096
    assert base64.b64decode("".join(piece for _, piece in pieces)) == data


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (png(3, 4), (3, 4)),
        (jpeg(3, 4), (3, 4)),
        (jpeg(3, 4, before=b"\xff\xff\xff\xd0\xff\x01"), (3, 4)),
        (jpeg(3, 4, before=b"\xff\xc4\0\x02"), (3, 4)),
        (png()[:20], None),
        (jpeg()[:9], None),
        (b"\xff\xd8\xff\xe0\0\0", None),
        (b"GIF89a", None),
        (b"", None),
    ],
)
def test_an_image_says_its_size(data: bytes, size: tuple[int, int] | None) -> None:
    assert size_of(data) == size


@pytest.mark.parametrize(
    "data", [png(0, 1), png(MOST_PIXELS + 1), png(1, 2**31), jpeg(1, 65535), b"GIF89a", b"\x1b[2J"]
)
@pytest.mark.parametrize("protocol", ["kitty", "iterm2"])
def test_an_image_that_is_none_or_claims_too_much_is_not_drawn(data: bytes, protocol: Protocol) -> None:
    assert sequence_for(data, protocol) == ""


@given(
    st.sampled_from([png(), jpeg(), b"\xff\xd8\xff", b""]),
    st.binary(max_size=300),
    st.sampled_from(["kitty", "iterm2"]),
)
def test_nothing_of_an_image_is_written_but_base64(begin: bytes, rest: bytes, protocol: Protocol) -> None:
    written = sequence_for(begin + rest, protocol)
    ours = r"\x1b\]1337;File=inline=1;size=\d+:[\w+/=]+\x07|(?:\x1b_G[A-Za-z0-9=,]+;[\w+/=]+\x1b\\)+|"
    assert re.fullmatch(ours, written, re.ASCII)


def test_an_image_is_drawn_above_the_name_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-kitty")
    for name in ("TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    terminal = Terminal()
    turn = TurnFinished("", "stop", "m", images=(GeneratedImage(base64.b64encode(png()).decode()), GeneratedImage("?")))
    show_below(turn, lambda line: print(line, file=terminal), tmp_path, draw=drawer(terminal))
    drawn, saved, lost = terminal.getvalue().splitlines()
    assert drawn == sequence_for(png(), "kitty")
    assert saved.startswith("an image is saved as ")
    assert lost.startswith("an image came that can't be read")


def test_nothing_is_drawn_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-kitty")
    monkeypatch.delenv("TMUX", raising=False)
    assert drawer(io.StringIO()) is None
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("KITTY_WINDOW_ID", "1")
    assert drawer(Terminal()) is None
