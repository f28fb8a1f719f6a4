"""What comes before the first question of a conversation: instructions, and messages of another conversation.

The service has no role for instructions. So the first question is a text that has it all, a line for each message: that
is what `Session.ask` makes of a list (PROTOCOL.md section 6).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ddg_protocol import Conversation, ConversationFormatError, LocalProtocolError
from ddg_protocol.chat import read_messages
from ddg_protocol.conversation import Messages
from ddg_protocol.parts import Part

from ._errors import CommandError
from ._input import read_text
from ._text import one_line

_FIRST_LINE = re.compile(r"(?:System|Developer|User|Assistant): ")


class Opening(NamedTuple):
    """What comes before a question.

    Attributes:
        system: the instructions; empty if there are none.
        messages: the messages before the question, with roles and contents.
        conversation: the conversation that the question continues.
    """

    system: str = ""
    messages: tuple[Mapping[str, Any], ...] = ()
    conversation: Conversation = Conversation()

    @property
    def asks(self) -> bool:
        """Whether its last message is a question."""
        return bool(self.messages) and self.messages[-1].get("role") == "user"

    def before(self, question: str | Sequence[Part] | None) -> Messages:
        """Return what to ask at the beginning of a conversation. One that has begun takes no instructions any more.

        Args:
            question: the question; None asks the last of the messages.
        """
        system = [{"role": "system", "content": self.system}] if self.system else []
        if question is not None and (self.conversation.message_history or not (system or self.messages)):
            return question
        asked = [] if question is None else [{"role": "user", "content": question}]
        return [*system, *self.messages, *asked]


NOTHING_BEFORE = Opening()
"""What comes before the first question of most conversations."""


def read_opening(path: Path) -> Opening:
    """Read the messages of a file.

    Args:
        path: a JSON file, or - for standard input: a list of objects with ``role`` and ``content``, an object with such
            a list as its ``messages``, or a conversation as `Conversation.to_json` writes it.

    Returns:
        The messages, or the conversation.

    Raises:
        CommandError: the file has something else.
        OSError: it can't be read.
    """
    from_stdin = str(path) == "-"
    name = "standard input" if from_stdin else one_line(str(path))
    text = sys.stdin.read() if from_stdin else read_text(path)
    try:
        found = json.loads(text)
        if isinstance(found, dict) and "conversation" in found:
            return Opening(conversation=Conversation.from_json(text))
        messages = found.get("messages") if isinstance(found, dict) else found
        if not isinstance(messages, list):
            raise CommandError(
                f"{name} has no messages: what is read is a JSON list of objects with a role and a content, or an "
                "object with such a list as its messages, or a conversation of this program's",
                65,
            )
        messages = [_with_images(message) for message in messages]
        read_messages(messages)
    except RecursionError:
        raise CommandError(f"{name} is nested too deeply", 65) from None
    except (ConversationFormatError, LocalProtocolError) as error:
        raise CommandError(f"{name}: {error}", 65) from None
    except ValueError as error:
        raise CommandError(f"{name} is not JSON: {error}", 65) from None
    return Opening(messages=tuple(messages))


def _with_images(message: Any) -> Any:
    """Return a message with its images in the service's form, where it has them in OpenAI's."""
    match message:
        case {"content": [*parts]}:
            return {**message, "content": [_as_ours(part) for part in parts]}
    return message


def _as_ours(part: Any) -> Any:
    match part:
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            if not url.startswith("data:"):
                raise LocalProtocolError(
                    f"the image {one_line(url, 60)} is not in the file; put it there as a data: URL"
                )
            return {"type": "image", "mimeType": url.removeprefix("data:").partition(";")[0], "image": url}
    return part


def typed_in(question: str) -> str:
    """Return what a person typed of a first question, which may have been sent with messages before it.

    Args:
        question: the question, as it is in the history.
    """
    if not (_FIRST_LINE.match(question) and question.endswith("\nAssistant:")):
        return question
    _, mark, last = f"\n{question.removesuffix(chr(10) + 'Assistant:')}".rpartition("\nUser: ")
    return last if mark else question
