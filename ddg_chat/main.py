"""``ddg-chat``: finds the command, runs it, and says in one sentence what went wrong.

Only the module of the command that was chosen is imported: help must not wait for what it doesn't use.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import signal
import sys
from collections.abc import Iterable, Sequence

#: Each command's module and help. A module has ``configure(parser)`` and ``run(args) -> int``.
COMMANDS = {
    "ask": ("ddg_chat.ask", "ask a question and stream the reply"),
    "chat": ("ddg_chat.chat", "hold a conversation, with commands; it is kept"),
    "conversations": ("ddg_chat.conversations", "list, export or remove the conversations that are kept"),
    "models": ("ddg_chat.models", "list the models and their other names"),
    "emulate": ("ddg_chat.emulate", "serve the service's side of the protocol on a loopback port"),
    "replay": ("ddg_chat.replay", "do a recorded run again and say whether it is still the same"),
    "inspect": ("ddg_chat.inspect", "show what happened in a recorded run, as a diagram or as a page"),
    "explain": ("ddg_chat.explain", "take a challenge apart"),
    "completion": ("ddg_chat.completion", "write a script that makes a shell complete the command line"),
}

EXIT_CODES = """\
exit codes:
  0    done
  1    the service refused for a reason of its own
  2    the command line can't be understood, names a model there isn't, or asks
       for what isn't installed
  65   the input can't be taken: a question that is empty, too long or no text,
       a conversation that is full, a transcript or challenge that can't be read
  69   the service can't be reached or isn't available
  74   a file can't be used, or a conversation isn't there
  75   too much for now: a rate or allowance, or a time that ran out; try later
  76   the service broke the protocol
  77   the service denies access, or its challenge can't be answered
  130  interrupted
  141  whoever read the output has gone
  143  terminated
"""

EPILOG = f"""\
examples:
  ddg-chat ask Why is the sky blue?  the reply streams to the terminal
  ddg-chat chat                      a conversation, kept; /help in it says more
  ddg-chat ask --emulator "Why?"     without the network: an emulator answers
  ddg-chat COMMAND --help            what a command takes

{EXIT_CODES}"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: the arguments; None takes the process's own.

    Returns:
        The exit code, as `EXIT_CODES` has it.

    Raises:
        SystemExit: help was asked for, the arguments can't be understood, or the process was terminated.
    """
    _open_what_is_closed()
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Python flushes once more when it exits; that must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        from ._errors import exit_code, sentence

        code = exit_code(error)
        print(f"ddg-chat: {sentence(error)}", file=sys.stderr)
    finally:
        signal.signal(signal.SIGTERM, before)
    return code


def make_parser(configured: Iterable[str]) -> argparse.ArgumentParser:
    """Make the parser of the whole command line.

    Args:
        configured: the commands that declare their arguments, and whose modules are imported for it.

    Returns:
        The parser; of the other commands it knows the name and the summary.
    """
    parser = argparse.ArgumentParser(
        prog="ddg-chat",
        description="DuckDuckGo AI Chat as of spring 2025: the protocol's command line.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    configured = set(configured)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name in configured:
            importlib.import_module(module).configure(command)
    return parser


def _terminate(*_: object) -> None:
    """Leave as for an error, so that the terminal has its cursor and its echo again."""
    sys.exit(143)


def _open_what_is_closed() -> None:
    """Make standard streams that the process was started without empty ones; a socket must not get their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _run(arguments: list[str]) -> int:
    command = arguments[0] if arguments and arguments[0] in COMMANDS else None
    parser = make_parser([command] if command else [])
    args = parser.parse_args(arguments)
    if command is None:
        parser.error("the command comes first")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a character that the terminal lacks must not end the reply
    code: int = importlib.import_module(COMMANDS[command][0]).run(args)
    return code
