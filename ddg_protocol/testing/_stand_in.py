"""The solver for the emulator's stand-in challenges."""

from __future__ import annotations

import base64

from ..errors import UnsupportedChallenge
from ..intents import SolveChallenge

_BEGINNING = b"stand-in challenge of the emulator of ddg-protocol"


def stand_in_answer(solve: SolveChallenge) -> str:
    """Answer the stand-in for a challenge that a `Service` of a later revision gives.

    Args:
        solve: the session's request for an answer.

    Returns:
        The value of the ``x-vqd-hash-1`` header.

    Raises:
        UnsupportedChallenge: the challenge is another one.
    """
    try:
        text = base64.b64decode(solve.challenge, validate=True)
    except ValueError:  # it is not base64, or not even ASCII
        text = b""
    _, number, name = text.rpartition(b"Number ")
    if not text.startswith(_BEGINNING) or not number:
        raise UnsupportedChallenge("this is no stand-in challenge of the emulator, and the test kit answers no other")
    answer = b"stand-in answer to number " + name + b" for " + solve.identity.user_agent.encode("latin-1")
    return base64.b64encode(answer).decode()
