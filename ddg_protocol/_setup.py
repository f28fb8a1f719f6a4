"""What a session is given once and never changes: its profile, policy, shared state, jitter, and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

from .cookies import Cookie, CookieJar
from .pace import ClientState
from .policy import Policy
from .profile import ServiceProfile

AnswerChallenge = Literal["on_demand", "always", "never"]
"""When challenges are answered (PROTOCOL.md section 5)."""
Solver = Literal["none", "embedder"]
"""Who answers them: this package, or the embedder by a `SolveChallenge`."""


class Setup(msgspec.Struct):
    """The fixed surroundings of a session.

    Attributes:
        profile: the facts about the service.
        policy: tries, times, and bounds.
        shared: what the sessions of one client have in common.
        jitter: returns a number in [0, 1) for each backoff.
        answer_challenge: when challenges are answered.
        solver: who answers them.
        supplied: the embedder's own cookies; None if the landing page is visited for some.
    """

    profile: ServiceProfile
    policy: Policy
    shared: ClientState
    jitter: Callable[[], float]
    answer_challenge: AnswerChallenge
    solver: Solver
    supplied: tuple[Cookie, ...] | None

    def own_cookies(self) -> tuple[Cookie, ...]:
        """Return the cookies that the client always sets (PROTOCOL.md section 1)."""
        return named_cookies(self.profile, dict(self.profile.cookies))

    def fresh_jar(self) -> CookieJar:
        """Return a jar without cookies from the service: the client's own, and those that the embedder supplied."""
        return CookieJar((*self.own_cookies(), *(self.supplied or ())))


def named_cookies(profile: ServiceProfile, cookies: Mapping[str, str] | Iterable[Cookie]) -> tuple[Cookie, ...]:
    """Return names and values as cookies of the service, and cookies as they are.

    Raises:
        ValueError: one of them is not a cookie, or can't be sent.
    """
    if isinstance(cookies, Mapping):
        return tuple(Cookie(name=name, value=value, domain=profile.host) for name, value in cookies.items())
    found = tuple(cookies)
    for cookie in found:
        if not isinstance(cookie, Cookie):
            kind = type(cookie).__name__
            raise ValueError(f"cookies must be a mapping of names to values, or Cookie values, not {kind}")
    return found
