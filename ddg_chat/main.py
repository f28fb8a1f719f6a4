"""``ddg-chat``: finds the command, runs it, and says in one sentence what went wrong.

Only the module of the command that was chosen is imported: help must not wait for what it doesn't use.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence

#: Each command's module and help. A module has ``configure(parser)`` and ``run(args) -> int``.
COMMANDS = {
    "ask": ("ddg_chat.ask", "ask a question and stream the reply"),
    "models": ("ddg_chat.models", "list the models and their other names"),
    "emulate": ("ddg_chat.emulate", "serve the service's side of the protocol on a loopback port"),
    "replay": ("ddg_chat.replay", "do a recorded run again and say whether it is still the same"),
    "explain": ("ddg_chat.explain", "take a challenge apart"),
}

EXIT_CODES = """\
exit codes:
  0    done
  1    the service refused for a reason of its own
  2    the command line can't be understood, or names a model there isn't
  65   the question can't be taken: empty, too long, not text, or the conversation is
       full; explain: the challenge isn't of a form that is read
  69   the service can't be reached or isn't available
  74   a file can't be used
  75   too much for now: a rate or allowance, or a time that ran out; try again later
  76   the service broke the protocol
  77   the service denies access, or its challenge can't be answered
  130  interrupted
  141  whoever read the output has gone
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: the arguments; None takes the process's own.

    Returns:
        The exit code, as `EXIT_CODES` has it.

    Raises:
        SystemExit: help was asked for, or the arguments can't be understood.
    """
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
        code = _code_of(error)
        print(f"ddg-chat: {error}", file=sys.stderr)
    return code


def _run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="ddg-chat",
        description="DuckDuckGo AI Chat as of spring 2025: the protocol's command line.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = None
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if arguments[:1] == [name]:
            chosen = importlib.import_module(module)
            chosen.configure(command)
    args = parser.parse_args(arguments)
    if chosen is None:
        parser.error("the command comes first")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a character that the terminal lacks must not end the reply
    code: int = chosen.run(args)
    return code


def _code_of(error: Exception) -> int:
    """Find the exit code for an exception; one that isn't foreseen goes on as it is."""
    from ddg_protocol import errors

    for kinds, code in (
        ((errors.ModelNotSupportedError,), 2),
        ((errors.InputLimitError, errors.ConversationLimitError, errors.ConversationFormatError), 65),
        ((errors.LocalProtocolError, UnicodeError), 65),
        ((errors.RateLimitError, errors.UserLimitError, errors.TokenError, errors.ChatTimeoutError), 75),
        ((errors.AccessDeniedError, errors.BlockedError), 77),
        ((errors.ChallengeError, errors.UnsupportedChallenge), 77),
        ((errors.ServiceUnavailableError, errors.ModelUnavailableError), 69),
        ((errors.TransportError, errors.HandshakeError), 69),
        ((errors.RemoteProtocolError,), 76),
        ((errors.DuckChatError,), 1),
        ((OSError,), 74),
    ):
        if isinstance(error, kinds):
            return code
    raise error
