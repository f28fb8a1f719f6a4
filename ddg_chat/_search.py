"""Find a text in the kept conversations."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ddg_protocol import Conversation

from ._export import heading
from ._store import Store
from ._text import one_line

_SHOWN = 3  # places of one conversation
_BEFORE, _AFTER = 20, 40  # characters around a place


def found_in(store: Store, text: str) -> Iterator[str]:
    """Yield lines about each conversation that has a text, most recently changed first.

    Args:
        store: the conversations.
        text: what to look for, in titles, questions and replies; upper and lower case are the same, and so is all
            white space.

    Yields:
        The name and the heading of a conversation, then the first places, indented.
    """
    pattern = re.compile(re.escape(one_line(text)), re.IGNORECASE)
    for name, _, conversation in store.entries():
        if conversation is None:
            continue
        places = list(_places(conversation, pattern))
        if places or pattern.search(one_line(conversation.title or "")):
            yield f"{name}  {heading(conversation)}"
            yield from (f"  {place}" for place in places[:_SHOWN])
            if len(places) > _SHOWN:
                yield f"  and {len(places) - _SHOWN} more"


def _places(conversation: Conversation, pattern: re.Pattern[str]) -> Iterator[str]:
    """Yield what is around the first place in each message."""
    turn = 0
    for message in conversation.message_history:
        turn += message.role == "user"
        text = one_line(message.text)
        if found := pattern.search(text):
            start, end = max(0, found.start() - _BEFORE), min(len(text), found.end() + _AFTER)
            begin, rest = "…" if start else "", "…" if end < len(text) else ""
            who = "question" if message.role == "user" else "reply"
            yield f"{who} {turn}: {begin}{text[start:end]}{rest}"
