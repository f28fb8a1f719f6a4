"""Checks of the answer that an embedder's solver gives."""

from __future__ import annotations

import msgspec

from ._template import name_in_field
from .conversation import Tokens
from .errors import InvalidToken
from .grammar import FIELD_VALUE, TOKEN
from .intents import ChallengeAnswer
from .profile import BY_DRIVER, ServiceProfile
from .text import shown

MAX_FIELDS = 32
MAX_BYTES = 64 * 1024
"""The most bytes of an answer's value, of its header fields together, and of its members of the body together."""


def check_answer(answer: ChallengeAnswer, profile: ServiceProfile) -> None:
    """Check that an answer can be sent.

    Args:
        answer: the answer.
        profile: says which header fields an answer may not bring.

    Raises:
        ValueError: it can't be sent; the message says why.
    """
    try:
        Tokens(answer.value)
    except InvalidToken:
        raise ValueError("the answer must be visible ASCII and at most 64 KiB, to be sent in a header") from None
    _check_headers(answer, profile)
    _check_body(answer)


def _check_headers(answer: ChallengeAnswer, profile: ServiceProfile) -> None:
    names = [name for name, _ in answer.headers]
    for name, value in answer.headers:
        if not TOKEN.fullmatch(name) or name != name.lower():
            raise ValueError(f"the answer's header {shown(name)} is not a header name in lower case")
        if not FIELD_VALUE.fullmatch(value) or not value.isascii():
            raise ValueError(f"the answer's header {name} has a value that is not ASCII text")
        if name in _written(profile):
            raise ValueError(f"the answer's header {name} is not a solver's to give: the profile or the session has it")
        if names.count(name) > 1:
            raise ValueError(f"the answer's header {name} is there twice")
    if len(names) > MAX_FIELDS or sum(len(name) + len(value) for name, value in answer.headers) > MAX_BYTES:
        raise ValueError(f"the answer's headers must be at most {MAX_FIELDS}, and at most 64 KiB in total")


def _written(profile: ServiceProfile) -> set[str]:
    own = {name for name, value in profile.chat_headers if name_in_field(value) != "solver"}
    return own | BY_DRIVER | {"cookie"}


def _check_body(answer: ChallengeAnswer) -> None:
    if not all(isinstance(name, str) for name in answer.body) or {"model", "messages"} & answer.body.keys():
        raise ValueError("the answer's members must have texts for names, and not model or messages")
    try:
        size = len(msgspec.json.encode(answer.body))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"the answer's members can't be written as JSON in UTF-8: {error}") from None
    if size > MAX_BYTES:
        raise ValueError("the answer's members must be at most 64 KiB in total")
