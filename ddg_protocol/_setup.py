"""What a session is given when it is made (profile, policy, shared state, settings), and what follows from that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

import msgspec

from .conversation import Conversation
from .cookies import Cookie, CookieJar, named_cookies
from .pace import ClientState
from .policy import Policy
from .profile import IdRule, ServiceProfile

if TYPE_CHECKING:
    from .coordination import Coordination

AnswerChallenge = Literal["on_demand", "always", "never"]
"""When challenges are answered (PROTOCOL.md section 5)."""
Solver = Literal["none", "embedder"]
"""Who answers them: this package, or the embedder by a `SolveChallenge`."""
NO_KEY = "a turn's key needs that of its conversation: Coordination(key=...)"
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
        coordination: how the session goes by a shared engine; None if there is none.
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
    coordination: Coordination | None = None

    def answers_at_once(self, conversation: Conversation) -> bool:
        """Return whether the first chat request of a turn carries an answer, before the service has asked for one."""
        is_wanted = conversation.answers_wanted or self.profile.challenge_form == "opaque"
        return self.answer_challenge == "always" or (self.answer_challenge == "on_demand" and is_wanted)

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
            kept: the ids of the conversation; gets those of them that are made now.
        """
        made: dict[str, str] = {}
        for name, rule in self.profile.ids.items():
            known = {"session": self.ids, "conversation": kept}.get(rule.new, made)
            if name not in known:
                known[name] = _made_id(rule, self.random_bytes(16))
            made[name] = known[name]
        return made

    def kept_ids(self, new: Literal["session", "conversation"], stored: Mapping[str, str]) -> dict[str, str]:
        """Return those of the stored ids that the profile has, too. An id of another revision is dropped.

        Args:
            new: which of them: those that each session makes anew, or each conversation.
            stored: all ids, of a conversation or a snapshot.
        """
        own = {name: rule for name, rule in self.profile.ids.items() if rule.new == new and name in stored}
        return {name: stored[name] for name, rule in own.items() if len(stored[name]) == _ID_CHARS[rule.form]}

    def own_cookies(self) -> tuple[Cookie, ...]:
        """Return the cookies that the client always sets (PROTOCOL.md section 1)."""
        return named_cookies(dict(self.profile.cookies), domain=self.profile.host)

    def jar_for_turn(self, jar: CookieJar) -> CookieJar:
        """Return a copy of the session's jar, which a turn can change; a fresh one in place of an empty one."""
        return jar.copy() if jar.cookies else self.fresh_jar()

    def fresh_jar(self) -> CookieJar:
        """Return a jar without cookies from the service: the client's own, and those that the embedder supplied."""
        return CookieJar((*self.own_cookies(), *(self.supplied or ())))


def _made_id(rule: IdRule, data: bytes) -> str:
    if rule.form == "hex":
        return f"{int.from_bytes(data):032x}"
    number = int.from_bytes(data) & ~(0xF << 76) & ~(0x3 << 62) | 4 << 76 | 2 << 62  # RFC 9562 section 5.4
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
