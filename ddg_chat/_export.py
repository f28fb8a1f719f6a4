"""A conversation as Markdown, for people to read."""

from __future__ import annotations

import re

from ddg_protocol import Conversation

from ._text import harmless, one_line

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


def as_markdown(conversation: Conversation) -> str:
    """Convert a conversation to Markdown: its title, then each question as a quotation and its reply as it came.

    Args:
        conversation: the conversation.

    Returns:
        The text, safe for a terminal, with a line feed at its end.
    """
    parts = [f"# {heading(conversation)}", f"*{one_line(conversation.model)}*"]
    for message in conversation.message_history:
        text = harmless(message.text).strip("\n")
        parts.append(_quoted(text) if message.role == "user" else _closed(text))
    return "\n\n".join(parts) + "\n"


def heading(conversation: Conversation) -> str:
    """Return a conversation's title, or else its first question, in one line."""
    first = conversation.message_history[0].text if conversation.message_history else "Nothing yet"
    return one_line(conversation.title or first, 70)


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def _closed(text: str) -> str:
    """Close a code block that the reply left open, so that it doesn't swallow the following text (CommonMark, 4.5)."""
    fence = ""
    for line in text.split("\n"):
        if found := _FENCE.fullmatch(line):
            mark, rest = found.groups()
            if not fence:
                fence = "" if mark[0] == "`" and "`" in rest else mark
            elif mark.startswith(fence) and not rest.strip():
                fence = ""
    return f"{text}\n{fence}" if fence else text
