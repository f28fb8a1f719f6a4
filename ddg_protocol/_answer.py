"""Checks of the answer that an embedder's solver gives."""

from __future__ import annotations

import msgspec

from ._template import name_in_field, read_members
from .conversation import Tokens
from .errors import InvalidToken
from .grammar import FIELD_VALUE, TOKEN
from .headers import Headers
from .intents import ChallengeAnswer
from .profile import BY_DRIVER, ServiceProfile
from .text import printable, shown

MAX_FIELDS = 32
MAX_BYTES = 64 * 1024
"""The most bytes of an answer's value, of its header fields together, and of its members of the body together."""


def read_answer(answer: str | ChallengeAnswer, profile: ServiceProfile) -> ChallengeAnswer:
    """Check that an answer can be sent.

    Args:
        answer: what the solver gave.
        profile: says which header fields an answer may not bring.

    Returns:
        A copy, which the solver can't change any more.

    Raises:
        ValueError: it has another form, or can't be sent; the message says why.
    """
    found = _as_answer(answer)
    try:
        Tokens(found.value)
    except InvalidToken:
        raise ValueError("the answer must be visible ASCII and at most 64 KiB, to be sent in a header") from None
    _check_headers(found.headers, profile)
    body = read_members("the answer's members", found.body)
    if len(msgspec.json.encode(body)) > MAX_BYTES:
        raise ValueError("the answer's members must be at most 64 KiB in total")
    return ChallengeAnswer(found.value, found.headers, body)


def _as_answer(answer: str | ChallengeAnswer) -> ChallengeAnswer:
    """Return an answer of which each part is of its kind."""
    if isinstance(answer, str):
        return ChallengeAnswer(answer)
    if not isinstance(answer, ChallengeAnswer):
        raise ValueError(f"answer must be text or a ChallengeAnswer, not {type(answer).__name__}")
    try:
        return msgspec.convert(msgspec.structs.asdict(answer), ChallengeAnswer)
    except msgspec.ValidationError as error:
        raise ValueError(f"a part of the answer has the wrong type: {printable(str(error), 300)}") from None


def _check_headers(headers: Headers, profile: ServiceProfile) -> None:
    if len(headers) > MAX_FIELDS or sum(len(name) + len(value) for name, value in headers) > MAX_BYTES:
        raise ValueError(f"the answer's headers must be at most {MAX_FIELDS}, and at most 64 KiB in total")
    taken = {name for name, value in profile.chat_headers if name_in_field(value) != "solver"}
    taken |= BY_DRIVER | {"cookie"}
    names: set[str] = set()
    for name, value in headers:
        if not TOKEN.fullmatch(name) or name != name.lower():
            raise ValueError(f"the answer's header {shown(name)} is not a header name in lower case")
        if not FIELD_VALUE.fullmatch(value) or not value.isascii():
            raise ValueError(f"the answer's header {name} has a value that is not ASCII text")
        if name in taken:
            raise ValueError(f"the answer's header {name} is not a solver's to give: the profile or the session has it")
        if name in names:
            raise ValueError(f"the answer's header {name} is there twice")
        names.add(name)
