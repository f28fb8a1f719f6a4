"""What a session is given once and never changes: its profile, policy, shared state, chance, and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from .cookies import Cookie, CookieJar
from .pace import ClientState
from .policy import Policy
from .profile import ServiceProfile

AnswerChallenge = Literal["on_demand", "always", "never"]
"""When challenges are answered (PROTOCOL.md section 5)."""
Solver = Literal["none", "embedder"]
"""Who answers them: this package, or the embedder by a `SolveChallenge`."""


class Setup:
    """The surroundings of a session.

    Attributes:
        profile: the facts about the service.
        policy: tries, times, and bounds.
        shared: what the sessions of one client have in common.
        jitter: returns a number in [0, 1) for each backoff.
        answer_challenge: when challenges are answered.
        solver: who answers them.
        supplied: the embedder's own cookies; None where the landing page is visited for some.
    """

    __slots__ = ("answer_challenge", "jitter", "policy", "profile", "shared", "solver", "supplied")

    def __init__(
        self,
        profile: ServiceProfile,
        policy: Policy,
        shared: ClientState,
        jitter: Callable[[], float],
        answer_challenge: AnswerChallenge,
        solver: Solver,
        cookies: Mapping[str, str] | Iterable[Cookie] | None,
    ) -> None:
        self.profile = profile
        self.policy = policy
        self.shared = shared
        self.jitter = jitter
        self.answer_challenge = answer_challenge
        self.solver = solver
        if isinstance(cookies, Mapping):
            cookies = self._own(cookies)
        self.supplied = None if cookies is None else tuple(map(_cookie, cookies))

    def own_cookies(self) -> tuple[Cookie, ...]:
        """Return the cookies that the client itself always sets (PROTOCOL.md section 1)."""
        return self._own(dict(self.profile.cookies))

    def fresh_jar(self) -> CookieJar:
        """Return a jar with no cookies of the service: the client's own, and those that the embedder supplied."""
        return CookieJar((*self.own_cookies(), *(self.supplied or ())))

    def _own(self, cookies: Mapping[str, str]) -> tuple[Cookie, ...]:
        return tuple(Cookie(name=name, value=value, domain=self.profile.host) for name, value in cookies.items())


def _cookie(cookie: object) -> Cookie:
    if not isinstance(cookie, Cookie):
        kind = type(cookie).__name__
        raise ValueError(f"cookies must be a mapping of names to values, or Cookie values, not {kind}")
    return cookie
