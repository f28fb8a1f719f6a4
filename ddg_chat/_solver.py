"""A solver that is a program: JSON on its standard input, JSON on its standard output."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from typing import Any

import msgspec

from ddg_protocol import ChallengeAnswer, SolveChallenge, UnsupportedChallenge

from ._text import one_line

SECONDS = 30.0
"""How long a solver may take."""


class _Output(msgspec.Struct):
    """What a solver writes: an answer, or why there is none."""

    value: str = ""
    headers: dict[str, str] = {}
    body: dict[str, Any] = {}
    error: str = ""


def solver_of(command: str, *, seconds: float = SECONDS) -> Callable[[SolveChallenge], ChallengeAnswer]:
    """Return a solver that runs a command for each challenge.

    Args:
        command: split as a shell would split it, but run without a shell. What it writes to standard error is shown.
        seconds: how long it may take.

    Returns:
        A solver for a client. It raises `UnsupportedChallenge` if the command fails, says that it has no answer, or
        writes anything but an answer.

    Raises:
        ValueError: the command can't be split, or is empty.
    """
    arguments = shlex.split(command)
    if not arguments:
        raise ValueError("the command is empty")
    name = one_line(arguments[0])

    def solve(challenge: SolveChallenge) -> ChallengeAnswer:
        asked = {name: value for name, value in msgspec.structs.asdict(challenge).items() if name != "id"}
        try:
            ended = subprocess.run(
                arguments, input=msgspec.json.encode(asked), stdout=subprocess.PIPE, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise UnsupportedChallenge(f"{name} took longer than {seconds:g} s") from None
        except (OSError, ValueError) as error:  # ValueError: a null character
            raise UnsupportedChallenge(f"{name} can't be run: {getattr(error, 'strerror', None) or error}") from None
        if ended.returncode != 0:
            raise UnsupportedChallenge(f"{name} ended with exit code {ended.returncode}")
        return _answer(name, ended.stdout)

    return solve


def _answer(name: str, output: bytes) -> ChallengeAnswer:
    try:
        said = msgspec.json.decode(output, type=_Output)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        why = one_line(str(error))
        raise UnsupportedChallenge(f'{name} wrote something else than {{"value": "..."}}: {why}') from None
    if said.error or not said.value:
        raise UnsupportedChallenge(one_line(said.error) or f"{name} wrote neither a value nor an error")
    return ChallengeAnswer(said.value, tuple(said.headers.items()), said.body)
