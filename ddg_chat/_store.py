"""Conversations as files: one each, under the platform's data directory.

What is stored is what was said, with the model and the title, and nothing that lets anybody in: no token, no challenge
and no cookie. A conversation that goes on asks for new ones, as one that begins does.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from ddg_protocol import Conversation, ConversationFormatError

from ._errors import CommandError

_NAME = re.compile(r"\w[\w.-]{0,99}")
_SUFFIX = ".json"


def data_folder() -> Path:
    """Give the folder for what is kept, as the platform has it; it need not be there."""
    from platformdirs import user_data_path

    return user_data_path("ddg-chat", appauthor=False)


class Entry(NamedTuple):
    """A stored conversation.

    Attributes:
        name: what it is called.
        changed: when its last turn was done, in local time.
        conversation: itself; None where its file can't be read.
    """

    name: str
    changed: datetime
    conversation: Conversation | None


class Store:
    """A folder of conversations.

    Args:
        folder: where they are; made when the first one is stored.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, name: str, conversation: Conversation) -> None:
        """Store a conversation, in place of one that has the name. Whoever reads the file finds one or the other.

        Args:
            name: what it is called.
            conversation: itself, as of its last turn.

        Raises:
            CommandError: the name can't be one.
            OSError: the file can't be written.
        """
        path = self._path(name)
        kept = msgspec.structs.replace(conversation, vqd="", vqd_hash_1="", cookies=(), fe_version="")
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(prefix=".", dir=self.folder)  # for nobody else to read
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(kept.to_json())
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def load(self, name: str) -> Conversation:
        """Read a conversation.

        Args:
            name: what it is called.

        Returns:
            The conversation.

        Raises:
            CommandError: there is none, or its file can't be read.
        """
        path = self._path(name)
        try:
            return Conversation.from_json(path.read_bytes())
        except FileNotFoundError:
            raise _unknown(name) from None
        except ConversationFormatError as error:
            raise CommandError(f"{path} can't be read, and is left as it is: {error}", 74) from None

    def rename(self, name: str | None, new: str) -> None:
        """Give a conversation another name.

        Args:
            name: what it is called; None, or any name, for one that isn't stored yet.
            new: what it shall be called.

        Raises:
            CommandError: the new name is taken, or can't be one.
        """
        if new == name:
            return
        if new in self:
            raise CommandError(
                f"there is a conversation that is called {new!r}; choose another name, or remove it first: "
                f"ddg-chat conversations rm {new}",
                74,
            )
        if name is not None:
            with suppress(FileNotFoundError):
                self._path(name).rename(self._path(new))

    def remove(self, name: str) -> None:
        """Remove a conversation.

        Args:
            name: what it is called.

        Raises:
            CommandError: there is none.
        """
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            raise _unknown(name) from None

    def names(self) -> list[str]:
        """List the names, the conversation that was changed last first."""
        found: list[tuple[float, str]] = []
        for path in self.folder.glob(f"*{_SUFFIX}"):
            name = path.name.removesuffix(_SUFFIX)
            if _NAME.fullmatch(name):
                with suppress(FileNotFoundError):  # removed in the meantime
                    found.append((path.stat().st_mtime, name))
        return [name for _, name in sorted(found, reverse=True)]

    def entries(self) -> Iterator[Entry]:
        """Read all there are, the conversation that was changed last first."""
        for name in self.names():
            with suppress(FileNotFoundError):  # removed in the meantime
                changed = datetime.fromtimestamp(self._path(name).stat().st_mtime)
                try:
                    conversation = Conversation.from_json(self._path(name).read_bytes())
                except (ConversationFormatError, PermissionError, IsADirectoryError):
                    conversation = None
                yield Entry(name, changed, conversation)

    def new_name(self, question: str, today: date) -> str:
        """Find a name for a conversation that has none, from the day and its first question.

        Args:
            question: what it begins with.
            today: the day.

        Returns:
            A name that is free.
        """
        words = "-".join(re.findall(r"[^\W_]+", question.lower()))[:40].strip("-")
        base = "-".join(filter(None, (today.isoformat(), words)))
        name, number = base, 1
        while name in self:
            number += 1
            name = f"{base}-{number}"
        return name

    def __contains__(self, name: str) -> bool:
        return self._path(name).exists()

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise CommandError(
                f"{name[:40]!r} can't be the name of a conversation: letters, digits, and - . _ after the first"
            )
        return self.folder / f"{name}{_SUFFIX}"


def _unknown(name: str) -> CommandError:
    return CommandError(f"no conversation is called {name!r}; ddg-chat conversations lists those there are", 74)
