"""A conversation as Markdown, for people to read. Sources are links, and images are files next to it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ddg_protocol import Conversation, Message
from ddg_protocol.events import GeneratedImage
from ddg_protocol.parts import File, Image, attachments

from ._below import save_image, titles_of
from ._files import create
from ._opening import typed_in
from ._text import harmless, one_line

SaveImage = Callable[[bytes], str]

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")

#: The characters that a backslash makes plain text (CommonMark, 2.4).
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
#: The characters to escape in a link's address in angle brackets.
_NOT_IN_ADDRESS = re.compile(r"[^!-;=?-\[\]-~]")


def as_markdown(conversation: Conversation, save_image: SaveImage | None = None) -> str:
    """Convert a conversation to Markdown: its title, then each question as a quotation and its reply as it came.

    Args:
        conversation: the conversation.
        save_image: saves an image, and returns the name of its file, relative to that of the text. Without it, only
            the size of an image is told.

    Returns:
        The text, safe for a terminal, with a line feed at its end.
    """
    parts = [f"# {heading(conversation)}", f"*{one_line(conversation.model)}*"]
    for message in conversation.message_history:
        text = harmless(message.text).strip("\n")
        shown = [text] if text else []
        if message.role == "user":
            attached = () if isinstance(message.content, str) else attachments(message.content)
            parts.append(_quoted("\n\n".join((*shown, *(_attached(part, save_image) for part in attached)))))
        else:
            parts += [*map(_closed, shown), *_besides(message, save_image)]
    return "\n\n".join(parts) + "\n"


def write_markdown(conversation: Conversation, path: Path) -> None:
    """Write a conversation to a new file, as Markdown, and its images to files next to it.

    Args:
        conversation: the conversation.
        path: the file.

    Raises:
        CommandError: the file is there already, or no file can have this name.
        OSError: it can't be written.
    """
    with create(path) as file:
        save = partial(save_image, folder=path.parent, name=path.stem)
        file.write(as_markdown(conversation, lambda image: save(image).name))


def _attached(part: Image | File, save_image: SaveImage | None) -> str:
    if isinstance(part, Image):
        return _picture(part.data, save_image)
    return f"*{_escaped(part.name)} ({len(part.data):,} bytes)*"


def _besides(message: Message, save_image: SaveImage | None) -> Iterator[str]:
    """Yield the images of a reply, then its sources as a numbered list."""
    parts = [_read(part) for part in message.parts]
    for part in parts:
        match part:
            case {"type": "generated-image", "result": str(text)} if data := GeneratedImage(text).data:
                yield _picture(data, save_image)
    if titles := titles_of(_sources(parts)):
        yield "\n".join(f"{number}. {_link(url, title)}" for number, (url, title) in enumerate(titles.items(), 1))


def _sources(parts: list[Any]) -> Iterator[tuple[str, str]]:
    """Yield the address and the title of each source."""
    for part in parts:
        match part:
            case {"type": "source", "source": {"url": str(url)} as source} if url:
                named = (source.get("title"), source.get("site"))
                yield url, next((text for text in named if isinstance(text, str) and text), "")


def _read(part: str) -> Any:
    try:
        return json.loads(part)
    except (ValueError, RecursionError):
        return None


def _picture(data: bytes, save_image: SaveImage | None) -> str:
    if save_image is None:
        return f"*an image ({len(data):,} bytes)*"
    return f"![image](<{_address(save_image(data))}>)"


def _link(url: str, title: str) -> str:
    """Return a link to a page. An address that isn't http is shown as text."""
    shown = _escaped(title or url)
    if url.lower().startswith(("http://", "https://")):
        return f"[{shown}](<{_address(url)}>)"
    return f"{shown} ({_escaped(url)})" if title else shown


def _address(url: str) -> str:
    return _NOT_IN_ADDRESS.sub(
        lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "replace")), url
    )


def _escaped(text: str) -> str:
    return _PUNCTUATION.sub(r"\\\g<0>", one_line(text))


def heading(conversation: Conversation) -> str:
    """Return a conversation's title, or else its first question, in one line."""
    first = typed_in(conversation.message_history[0].text) if conversation.message_history else "Nothing yet"
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
