"""How a session goes by a shared engine: its conversation's key, the lease, the window, and what a busy one means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import msgspec

from ..policy import MAX_SECONDS
from ..text import encodable, shown
from .calls import MAX_KEY_CHARS, MAX_WINDOW

OnBusy = Literal["refuse", "wait", "take_over"]
"""What a turn does whose conversation has another turn under way."""


def check_key(what: str, key: object) -> None:
    """Check that a key is text that every store can hold.

    Raises:
        ValueError: it is empty, too long, no text, or has half of a surrogate pair in it.
    """
    if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY_CHARS:
        raise ValueError(f"{what} must be text of 1 to {MAX_KEY_CHARS} characters")
    if not encodable(key):
        raise ValueError(f"{what} has half of a surrogate pair in it, which can't be stored as UTF-8")


class Coordination(msgspec.Struct, frozen=True, kw_only=True):
    """Makes a session go by an engine that other processes share: `Session` takes one as ``coordination``.

    Attributes:
        key: names the conversation for all who share the engine; None shares the pace alone, and the conversation stays
            in this session. The conversation that is stored under the key takes the place of the session's own.
        lease: for how many seconds a turn has its conversation after each call to the engine. When a worker dies in the
            middle of a turn, others can go on after that time. It is renewed after a third of it; so it should be 1.5
            times as long as the longest wait for a response that the policy allows, which is 50 s by default.
        window: for how many seconds a slot may be used, at most 1. A request that comes too late for its slot asks for
            one with a wider window. The engine leaves ``interval + window`` between slots.
        on_busy: what happens while another turn has the conversation: ``"refuse"`` raises `ConversationBusy`,
            ``"wait"`` asks again every second or sooner, and ``"take_over"`` takes it: the other turn ends with
            `TurnSuperseded`.
        max_wait: the most seconds that a turn waits for a slot, and with ``"wait"`` for its conversation; None waits
            for as long as `Policy.turn_timeout` allows.
        seal: encrypts what is stored of a conversation; without it, it is stored as it is, with its tokens and cookies.
        unseal: decrypts what ``seal`` has encrypted. What it can't decrypt is a `ConversationFormatError`.

    Raises:
        ValueError: one of them is out of its range, or only one of ``seal`` and ``unseal`` is given.
    """

    key: str | None = None
    lease: float = 90.0
    window: float = 0.05
    on_busy: OnBusy = "refuse"
    max_wait: float | None = None
    seal: Callable[[bytes], bytes] = bytes
    unseal: Callable[[bytes], bytes] = bytes

    def __post_init__(self) -> None:
        """Check every member."""
        if self.key is not None:
            check_key("the conversation's key", self.key)
        for name, most in ("lease", MAX_SECONDS), ("window", MAX_WINDOW), ("max_wait", MAX_SECONDS):
            value = getattr(self, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (is_number and 0 < value <= most) and (name != "max_wait" or value is not None):
                raise ValueError(f"Coordination.{name} must be more than 0 and at most {most} s, not {shown(value)}")
        if self.on_busy not in get_args(OnBusy):
            choices = ", ".join(get_args(OnBusy))
            raise ValueError(f"Coordination.on_busy must be one of {choices}, not {shown(self.on_busy)}")
        if (self.seal is bytes) is not (self.unseal is bytes):
            raise ValueError("Coordination.seal and Coordination.unseal go together")

    def __repr__(self) -> str:
        key = "None" if self.key is None else f"<{len(self.key)} characters>"
        return (
            f"Coordination(key={key}, lease={self.lease!r}, window={self.window!r}, on_busy={self.on_busy!r}, "
            f"max_wait={self.max_wait!r}, sealed={self.seal is not bytes})"
        )
