"""``ddg-chat``: find the command, run it, and report an error in one sentence.

Only the module of the chosen command is imported, so that help is fast.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import re
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from ._say import folded, say

#: Each command's module and help. A module has ``configure(parser)`` and ``run(args) -> int``.
COMMANDS = {
    "ask": ("ddg_chat.ask", "ask a question and stream the reply"),
    "chat": ("ddg_chat.chat", "hold a conversation, with commands, and save it"),
    "conversations": ("ddg_chat.conversations", "list, find, export, rename or delete the saved conversations"),
    "pace": ("ddg_chat.pace", "show what a next request waits for, and who asks in which conversation"),
    "models": ("ddg_chat.models", "list the models, as built in or as the service says"),
    "check": ("ddg_chat.check", "hold a client program against what a service can do"),
    "emulate": ("ddg_chat.emulate", "emulate the service on a loopback port"),
    "replay": ("ddg_chat.replay", "repeat a recorded run and compare the results"),
    "inspect": ("ddg_chat.inspect", "show what happened in a recorded run, or what differs between two"),
    "explain": ("ddg_chat.explain", "show the parts of a challenge"),
    "config": ("ddg_chat.config", "show the options that are set for every command"),
    "doctor": ("ddg_chat.doctor", "say what is installed, and what answers at an address"),
    "completion": ("ddg_chat.completion", "write a shell's completion script"),
}

EXIT_CODES = """\
exit codes:
  0    done
  1    the service refused for another reason
  2    the command line is invalid, names an unknown model, or needs something
       that isn't installed
  65   the input is refused: a question that is empty, too long or not text, a
       conversation that is full, a transcript or challenge that can't be read
  69   the service can't be reached or isn't available
  74   a file can't be used, or a conversation doesn't exist
  75   a temporary failure: a rate or usage limit, or a timeout; try later
  76   the service broke the protocol
  77   the service denies access, or its challenge can't be answered
  130  interrupted
  141  the reader of the output is gone
  143  terminated
"""

EPILOG = f"""\
examples:
  ddg-chat ask Why is the sky blue?  the reply streams to the terminal
  ddg-chat chat                      a saved conversation; /help in it says more
  ddg-chat ask --emulator "Why?"     no network: an emulator replies
  ddg-chat doctor                    what is installed, and what is missing
  ddg-chat COMMAND --help            the arguments of a command

{EXIT_CODES}"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: the arguments; None takes the process's own.

    Returns:
        The exit code, one of `EXIT_CODES`.

    Raises:
        SystemExit: help was requested, the arguments are invalid, or the process was terminated.
    """
    _open_what_is_closed()
    before = signal.signal(signal.SIGTERM, _terminate)
    args = argparse.Namespace()
    try:
        args = _parsed(list(sys.argv[1:] if argv is None else argv))
        if "settable" in args:
            from ._settings import fill

            fill(args)
        code: int = importlib.import_module(COMMANDS[args.command][0]).run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        from ._errors import exit_code, is_lost_reader

        if is_lost_reader(error):
            code = 141
        else:
            code = exit_code(error)
            _report(error, as_json=getattr(args, "json", None) is True, command=getattr(args, "command", ""))
        try:
            sys.stdout.flush()
        except OSError:
            # Python flushes once more when it exits; that must not fail again, and change the exit code.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        signal.signal(signal.SIGTERM, before)
    return code


def make_parser(configured: Iterable[str]) -> argparse.ArgumentParser:
    """Make the parser of the whole command line.

    Args:
        configured: the commands whose modules are imported to declare their arguments.

    Returns:
        The parser; it knows only the names and summaries of the other commands.
    """
    parser = _Parser(
        prog="ddg-chat",
        description="Chat with DuckDuckGo AI Chat, emulate it for tests of clients, and see what happened in a run.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="show the version, and exit")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    configured = set(configured)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name in configured:
            importlib.import_module(module).configure(command)
    return parser


class UsageError(Exception):
    """The arguments can't be understood.

    Args:
        parser: the parser of the command.
        message: what is wrong.
    """

    def __init__(self, parser: argparse.ArgumentParser, message: str) -> None:
        super().__init__(message)
        self.parser = parser


class _Parser(argparse.ArgumentParser):
    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": _Help, **options})

    def error(self, message: str) -> NoReturn:
        raise UsageError(self, message)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse the arguments of a command, which knows its options better than the parser above it does."""
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(self._unknown(unknown))
        return parsed, unknown

    def _unknown(self, arguments: list[str]) -> str:
        usage = self.format_usage()
        option = next((each.partition("=")[0] for each in arguments if each.startswith("-")), None)
        if option is None:
            among = "; options come before or after the question" if "QUESTION" in usage else ""
            return f"unexpected arguments: {' '.join(arguments)}{among}"
        from difflib import get_close_matches

        near = get_close_matches(option, re.findall(r"--[a-z-]+", usage), n=1)
        return f"there is no option {option}" + (f"; did you mean {near[0]}?" if near else "")


class _Help(argparse.HelpFormatter):
    """Breaks lines between words alone. argparse also breaks them at hyphens, as in ``ddg-chat``, and long words.

    These are the methods that argparse's own formatters override.
    """

    def _split_lines(self, text: str, width: int) -> list[str]:
        return folded(text, width).split("\n")

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return folded(text, width + 2).rstrip("\n")  # argparse leaves two columns free


class _ShowVersion(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from . import __version__

        print(f"ddg-chat {__version__}")
        parser.exit()


def _terminate(*_: object) -> None:
    """Exit as for an error, so that the terminal gets its cursor and echo back."""
    sys.exit(143)


def _open_what_is_closed() -> None:
    """Replace missing standard streams with empty ones, so that a socket doesn't get their file descriptors."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _parsed(arguments: list[str]) -> argparse.Namespace:
    """Parse the arguments, and prepare the standard streams."""
    command = arguments[0] if arguments and arguments[0] in COMMANDS else None
    parser = make_parser([command] if command else [])
    try:
        if command is None and any(each in COMMANDS for each in arguments):
            parser.error("the command must come first")
        args = parser.parse_args(arguments)
    except UsageError as error:
        options = arguments[: arguments.index("--")] if "--" in arguments else arguments
        as_json = "--json" in options and error.parser.get_default("json") is False
        _report(error, as_json=as_json, command=command or "")
        if not as_json:
            say(f"{error.parser.prog} --help says what it takes")
        sys.exit(2)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="strict")  # what isn't text is an error here, and not in the middle of a turn
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a character that the terminal lacks must not end the reply
    return args


def _report(error: Exception, *, as_json: bool, command: str) -> None:
    """Say what went wrong: in a sentence on standard error, or as one JSON object where the output is JSON."""
    from ._errors import as_object, sentence

    if as_json:
        import json

        # The first line of `emulate` on standard output is its address, and its JSON goes to standard error.
        stream = sys.stderr if command == "emulate" else sys.stdout
        print(json.dumps({"error": as_object(error)}), file=stream, flush=True)
    else:
        who = f"{error.parser.prog}: error" if isinstance(error, UsageError) else "ddg-chat"
        say(f"{who}: {sentence(error)}")
