"""What a session is given once and never changes: its profile, policy, shared state, jitter, and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

from .conversation import Conversation
from .cookies import Cookie, CookieJar
from .pace import ClientState
from .policy import Policy
from .profile import IdRule, ServiceProfile

AnswerChallenge = Literal["on_demand", "always", "never"]
"""When challenges are answered (PROTOCOL.md section 5)."""
Solver = Literal["none", "embedder"]
"""Who answers them: this package, or the embedder by a `SolveChallenge`."""
_ID_CHARS = {"hex": 32, "uuid": 36}


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
        random_bytes: returns random bytes, for ids.
        ids: those that stay the same in the session, as far as they have been made.
    """

    profile: ServiceProfile
    policy: Policy
    shared: ClientState
    jitter: Callable[[], float]
    answer_challenge: AnswerChallenge
    solver: Solver
    supplied: tuple[Cookie, ...] | None
    random_bytes: Callable[[int], bytes]
    ids: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def lands(self) -> bool:
        """Whether a turn without cookies visits the landing page for some."""
        return self.supplied is None and self.profile.landing_path != ""

    def fe_version(self, conversation: Conversation) -> str:
        """Return the front-end version; empty if neither the client nor the conversation has it."""
        return self.shared.fe_version or conversation.fe_version

    def make_ids(self, kept: dict[str, str]) -> dict[str, str]:
        """Return the ids of a request.

        Args:
            kept: those of the conversation; gets the ones that are new with it.
        """
        made: dict[str, str] = {}
        for name, rule in self.profile.ids.items():
            known = {"session": self.ids, "conversation": kept}.get(rule.new, made)
            if name not in known:
                known[name] = _made_id(rule, self.random_bytes(16))
            made[name] = known[name]
        return made

    def kept_ids(self, new: Literal["session", "conversation"], stored: Mapping[str, str]) -> dict[str, str]:
        """Return the stored ids that the profile still has. Those of another revision are not its own.

        Args:
            new: with what they are made anew.
            stored: all ids, of a conversation or a snapshot.
        """
        own = {name: rule for name, rule in self.profile.ids.items() if rule.new == new and name in stored}
        return {name: stored[name] for name, rule in own.items() if len(stored[name]) == _ID_CHARS[rule.form]}

    def own_cookies(self) -> tuple[Cookie, ...]:
        """Return the cookies that the client always sets (PROTOCOL.md section 1)."""
        return named_cookies(self.profile, dict(self.profile.cookies))

    def fresh_jar(self) -> CookieJar:
        """Return a jar without cookies from the service: the client's own, and those that the embedder supplied."""
        return CookieJar((*self.own_cookies(), *(self.supplied or ())))


def _made_id(rule: IdRule, data: bytes) -> str:
    if rule.form == "hex":
        return f"{int.from_bytes(data):032x}"
    number = int.from_bytes(data) & ~(0xF << 76) & ~(0x3 << 62) | 4 << 76 | 2 << 62  # RFC 9562 section 5.4
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


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
