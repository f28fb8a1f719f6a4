"""Errors as one sentence that says what to do, and as an exit code."""

from __future__ import annotations

import errno
import re
import sys
from typing import Any

from ddg_protocol import FailureKind, errors

from ._text import one_line
from .main import UsageError


class CommandError(Exception):
    """A command fails because of its arguments or a file.

    Args:
        message: what is wrong, and how to correct it.
        code: the exit code: 2 for the command line, 74 for a file.
    """

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


#: What the library says to programs, and what the command line says instead.
_WORDS = (
    (", or set Policy.max_prompt_chars", ""),
    ("pass a solver of your own (solver=, or --solver)", "name a program that can, with --solver CMD"),
)

#: Names of the library, which the command line leaves out.
_NAMES = re.compile(r" \((?:see answer_challenge|\w+_timeout|connect, write and read timeouts)\)")

#: Exceptions with their exit codes, and advice where the error itself has none. The first match counts;
#: `main.EXIT_CODES` documents the codes.
_TABLE: tuple[tuple[tuple[type[Exception], ...], int, str], ...] = (
    ((UsageError,), 2, ""),
    ((errors.ModelNotSupportedError,), 2, ""),
    ((errors.InputLimitError, errors.OutputLimitError, errors.ConversationLimitError), 65, ""),
    ((errors.LocalProtocolError,), 65, ""),
    ((errors.ConversationFormatError,), 65, ""),
    ((UnicodeError,), 65, "convert the input to UTF-8, for example with iconv -f LATIN1 -t UTF-8"),
    ((errors.RateLimitError, errors.UserLimitError), 75, ""),
    ((errors.TokenError,), 75, ""),
    ((errors.ChatTimeoutError,), 75, "try again, or allow more time with --timeout"),
    ((errors.AccessDeniedError, errors.BlockedError), 77, ""),
    ((errors.ChallengeError,), 77, "try again later"),
    ((errors.UnsupportedChallenge,), 77, "only challenges of spring 2025 are answered (see ddg-chat explain)"),
    ((errors.ServiceUnavailableError,), 69, ""),
    ((errors.BadRequestError,), 1, "ddg-chat models lists the models"),
    ((errors.ModelUnavailableError,), 69, "ddg-chat models lists the models"),
    ((errors.TransportError,), 69, "check the address, the network and the proxy"),
    ((errors.HandshakeError,), 69, "try again later"),
    ((errors.EngineUnavailable,), 69, "--shared URL names another engine, and --alone does without one"),
    ((errors.ConversationBusy, errors.PaceRefused, errors.TurnSuperseded), 75, ""),
    ((errors.TurnNotStored,), 69, ""),
    ((errors.IncompleteStream, errors.EmptyResponseError), 76, "ask again"),
    ((errors.TurnAborted,), 130, ""),
    ((errors.RemoteProtocolError,), 76, "--record FILE records what the service sent"),
    ((errors.ServiceError,), 1, "--record FILE records what the service sent"),
    ((errors.DuckChatError,), 1, ""),
    ((OSError,), 74, ""),
)


def is_lost_reader(error: Exception) -> bool:
    """Return whether an exception says that nobody reads the output any more."""
    if isinstance(error, BrokenPipeError):
        return True
    # On Windows it is an invalid argument, and no file's (CPython's issue 79935).
    return (
        sys.platform == "win32" and isinstance(error, OSError) and (error.errno, error.filename) == (errno.EINVAL, None)
    )


def exit_code(error: Exception) -> int:
    """Return the exit code for an exception.

    Args:
        error: an exception that a command raised.

    Returns:
        The code, one of `main.EXIT_CODES`.

    Raises:
        Exception: the exception itself, if it is a bug.
    """
    return error.code if isinstance(error, CommandError) else _row(error)[0]


def sentence(error: Exception) -> str:
    """Return a sentence that says what went wrong and what to do about it.

    Args:
        error: as for `exit_code`.

    Returns:
        One line, safe for a terminal.

    Raises:
        Exception: as `exit_code` does.
    """
    advice = "" if isinstance(error, CommandError) else _row(error)[1]
    said = str(error)
    if isinstance(error, OSError) and error.filename and error.strerror:
        said = f"{error.filename}: {error.strerror}"
    elif isinstance(error, UnicodeDecodeError):
        said = f"the byte 0x{error.object[error.start]:02x} on standard input is not {error.encoding.upper()} text"
    for word, ours in _WORDS:
        said = said.replace(word, ours)
    said = _NAMES.sub("", said)
    return one_line(said if advice in said else f"{said}; {advice}")


def as_object(error: Exception) -> dict[str, Any]:
    """Return an error as JSON values, for programs that read ``--json``.

    Args:
        error: as for `exit_code`.

    Returns:
        Its ``kind``, which is the exception's name, its ``message``, as of `sentence`, and the ``exit_code``; of a
        refusal also the ``status``, and ``type`` and ``retry_after`` where the service has sent them.

    Raises:
        Exception: as `exit_code` does.
    """
    members: dict[str, Any] = {"kind": type(error).__name__, "message": sentence(error), "exit_code": exit_code(error)}
    if isinstance(error, errors.ServiceError):
        found = {"status": error.status, "type": error.type, "retry_after": error.retry_after}
        members |= {name: value for name, value in found.items() if value}
    return members


def _row(error: Exception) -> tuple[int, str]:
    for kinds, code, advice in _TABLE:
        if isinstance(error, kinds):
            if isinstance(error, errors.TransportError) and error.failure.kind is FailureKind.TLS:
                advice = "if you trust its authority, set SSL_CERT_FILE to the authority's certificate"
            if isinstance(error, errors.UnsupportedChallenge) and not error.expected:
                advice = ""  # a solver had none
            if isinstance(error, errors.ChallengeError) and not error.status:
                advice = ""  # there is no solver, and the message says what to do
            return code, advice
    raise error
