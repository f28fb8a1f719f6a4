"""``ddg-chat chat``: a saved conversation, with commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from . import _service
from ._errors import CommandError, is_lost_reader, sentence
from ._say import folded, say, width_of
from ._settings import declare

if TYPE_CHECKING:
    from ._talk import Talk

EPILOG = """\
keys:
  Enter                send; after a backslash at the end, a new line
  Alt+Enter            a new line
  Tab                  complete a command, a model, a name
  Up, Down, Ctrl-R     earlier inputs
  Ctrl-C               stop the reply; the conversation is as it was before it
  Ctrl-D               leave

Each conversation is saved, turn by turn, in the platform's data directory,
without tokens and cookies; ddg-chat conversations lists them. In the chat,
/help lists the commands. The replies go to standard output, everything else to
standard error: the model's reasoning, dimmed on a terminal, sources as numbered
links, and the names of the files that images are saved to. Terminals that speak
the protocol of kitty or iTerm2 show the images, too. Below the prompt is the
model, the number of turns and the conversation's name; --quiet leaves that out.
Without a terminal, each line of standard input is a question or a command, and
the first that fails ends the chat.

examples:
  ddg-chat chat --emulator
  ddg-chat chat --resume
  ddg-chat chat --system "Answer in one sentence."
  ddg-chat chat --proxy socks5://127.0.0.1:9050 --model o3-mini
  printf '%s\\n' "Name a colour." "Why that one?" | ddg-chat chat --emulator

"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG + _service.EPILOG
    parser.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="NAME",
        help="continue a saved conversation; without a name, the last one",
    )
    parser.add_argument(
        "--wait",
        action="store_true",
        help="wait while another process asks in the same conversation (default: refuse the question, and say which)",
    )
    copying = parser.add_argument(
        "--clipboard",
        action=argparse.BooleanOptionalAction,
        help="let /copy use the terminal's clipboard (OSC 52; default: off, as not every terminal asks you)",
    )
    _service.configure(parser)
    declare(parser, copying)


def run(args: argparse.Namespace) -> int:
    """Chat until the user leaves."""
    require_extra("chat")
    from ._clipboard import copy
    from ._inline import drawer
    from ._screen import writer
    from ._store import Store, data_folder
    from ._talk import Talk

    folder = data_folder()
    opening = _service.opening_of(args)
    color = args.color is not False
    with _service.opened(args) as asking:
        talk = Talk(
            asking,
            Store(folder / "conversations"),
            write=writer(color=color, set_off=True),
            say=say,
            draw=drawer(),
            copy=copy if args.clipboard else None,
            model=args.model,
            opening=opening,
            waits=args.wait,
        )
        interactive = sys.stdin.isatty()
        if interactive and not args.quiet:
            say(f"{talk.model} at {asking.client.profile.origin}; /help lists the commands, Ctrl-D leaves")
        if args.resume is not None:
            talk.resume(args.resume)
        if interactive:
            status = None if args.quiet else lambda: folded(talk.status(), width_of(sys.stderr))
            _converse(talk, folder / "questions", status=status, color=color)
        else:
            _read_on(talk, plain_lines(sys.stdin))
    return 0


def require_extra(command: str) -> None:
    """Raise a `CommandError` that says what to install, if something is missing."""
    needed = {"platformdirs": "platformdirs", "prompt_toolkit": "prompt-toolkit", "rich": "rich"}
    missing = [package for module, package in needed.items() if find_spec(module) is None]
    if missing:
        raise CommandError(f"{command} needs {', '.join(missing)}: pip install {' '.join(missing)}")


def plain_lines(lines: Iterable[str]) -> Callable[[], str]:
    """Read inputs from a pipe or a file. A line that ends in a backslash continues on the next line.

    Args:
        lines: the lines, with their ends.

    Returns:
        A function that reads the next input; it raises EOFError at the end.
    """
    rest = iter(lines)

    def read() -> str:
        read_so_far: list[str] = []
        for line in rest:
            line = line.rstrip("\r\n")
            read_so_far.append(line.removesuffix("\\"))
            if not line.endswith("\\"):
                break
        if not read_so_far:
            raise EOFError
        return "\n".join(read_so_far)

    return read


def _converse(talk: Talk, history: Path, *, status: Callable[[], str] | None, color: bool) -> None:
    """Handle inputs from a terminal until the user leaves. Errors are shown, and don't end the chat."""
    from ._prompt import echo_off, line_editor

    read = line_editor(history, talk.completions, status=status, color=color)
    with echo_off():
        goes_on = True
        while goes_on:
            try:
                line = read()
            except KeyboardInterrupt:
                continue  # discard the line
            except EOFError:
                return
            try:
                goes_on = talk.take(line)
            except KeyboardInterrupt:
                say("stopped; the conversation is as it was before, and /retry asks again")
            except Exception as error:
                if is_lost_reader(error):
                    raise
                say(f"ddg-chat: {sentence(error)}")


def _read_on(talk: Talk, read: Callable[[], str]) -> None:
    """Handle inputs from a pipe or a file, until its end."""
    goes_on = True
    while goes_on:
        try:
            line = read()
        except EOFError:
            return
        goes_on = talk.take(line)
