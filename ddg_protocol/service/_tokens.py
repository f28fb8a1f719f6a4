"""``x-vqd-4``: each token is valid for one chat request, with the challenge that was issued with it."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from ._challenge import Challenge
from ._draw import draw
from ._exchange import Refusal
from ._stand_in import StandIn

#: A token can be verified without being stored: 30 digits that only the seed gives, then its number.
_TOKEN = re.compile(r"4-[0-9]{30}([0-9]{9})")


class Pair(msgspec.Struct, frozen=True):
    """A token, and the challenge that a request with this token must answer; one response issues both.

    Attributes:
        token: the value of ``x-vqd-4``.
        challenge: the challenge in ``x-vqd-hash-1``.
    """

    token: str
    challenge: Challenge | StandIn


class Tokens:
    """The tokens of one service.

    Args:
        seed: the service's seed.
        limit: how many unspent tokens are valid. Beyond it, the oldest expires.
        form: the form of the challenges; see `ServiceProfile.challenge_form`.
        single_use: whether a token, or an answer where there are no tokens, is refused when it comes again.
    """

    def __init__(
        self, seed: str, *, limit: int, form: Literal["script", "opaque"] = "script", single_use: bool = True
    ) -> None:
        self._seed = seed
        self._challenge: type[Challenge] | type[StandIn] = Challenge if form == "script" else StandIn
        self._limit = limit
        self._single_use = single_use
        self._last = 0
        self._forgotten = 0  # every number up to this one was spent or has expired
        self._unspent: dict[int, None] = {}  # in the order of their numbers

    def issue(self) -> Pair:
        """Issue the next pair."""
        self._last += 1
        self._unspent[self._last] = None
        if len(self._unspent) > self._limit:
            self._forgotten = next(iter(self._unspent))
            del self._unspent[self._forgotten]
        return self._pair(self._last)

    def spend(self, token: str) -> Pair:
        """Spend a token.

        Args:
            token: the value of the request's ``x-vqd-4``.

        Returns:
            The pair that it was issued in.

        Raises:
            Refusal: the token is unknown, has expired, or was used before and is for single use.
        """
        match = _TOKEN.fullmatch(token)
        number = int(match[1]) if match else 0
        if not 1 <= number <= self._last or token != self._token(number):
            raise Refusal(400, "ERR_INVALID_VQD", "x-vqd-4 is not a token of this service")
        if number not in self._unspent:
            if number <= self._forgotten:
                raise Refusal(400, "ERR_EXPIRED_VQD", "x-vqd-4 is a token that has expired")
            if self._single_use:
                raise Refusal(400, "ERR_INVALID_VQD", "x-vqd-4 is a token that was used before")
        self._unspent.pop(number, None)
        return self._pair(number)

    def spend_answered(self, answer: str, *, user_agent: str, brands: str) -> bool:
        """Spend the challenge that an answer is for, where questions carry no token.

        Args:
            answer: the value of the request's ``x-vqd-hash-1``.
            user_agent: the request's ``user-agent``.
            brands: the request's ``sec-ch-ua``, empty if it has none.

        Returns:
            Whether there is such a challenge, unspent or for more than a single use.
        """
        for number in reversed(self._unspent):
            if self._pair(number).challenge.is_answered(answer, user_agent=user_agent, brands=brands):
                if self._single_use:
                    del self._unspent[number]
                return True
        return False

    def _pair(self, number: int) -> Pair:
        return Pair(self._token(number), self._challenge.drawn(self._seed, number))

    def _token(self, number: int) -> str:
        digits = int.from_bytes(draw(self._seed, "token", number), "big") % 10**30
        return f"4-{digits:030d}{number:09d}"
