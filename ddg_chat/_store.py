"""Conversations as files: one each, under the platform's data directory.

What is stored is what was said, with the model and the title, and nothing that lets anybody in: no token, no challenge
and no cookie. A conversation that goes on asks for new ones, as one that begins does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from ddg_protocol import Conversation, ConversationFormatError

from ._errors import CommandError
from ._files import lock, private

_NAME = re.compile(r"\w[\w.-]{0,99}")
_SUFFIX = ".json"
_LOCK = ".lock"
_TEMPORARY = ".new"


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

    def save(self, name: str, conversation: Conversation, *, seen: Conversation | None = None) -> str:
        """Store a conversation. Whoever reads the file finds the old one or the new one.

        Nothing of another process is replaced: if it stored something else by that name, this one gets a new name.

        Args:
            name: what it is called.
            conversation: as of its last turn.
            seen: what is stored by that name as far as the caller knows; None for nothing.

        Returns:
            The name that it has now: the one given, perhaps with a number behind it.

        Raises:
            CommandError: the name can't be one.
            OSError: the file can't be written.
        """
        path = self._path(name)
        with self._locked():
            if not self._holds(path, seen):
                base, number = name[:90], 2  # the longest name is of 100 characters
                while (path := self._path(name := f"{base}-{number}")).exists():
                    number += 1
            # Nobody else writes to it. What a process that was killed left there is overwritten.
            temporary = self.folder / _TEMPORARY
            try:
                with open(temporary, "w", encoding="utf-8", opener=private) as file:
                    file.write(_kept(conversation).to_json())
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(temporary, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary)
                raise
        return name

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
        path = self._path(new)
        with self._locked():
            if path.exists():
                raise CommandError(
                    f"there is a conversation that is called {new!r}; choose another name, or remove it first: "
                    f"ddg-chat conversations rm {new}",
                    74,
                )
            if name is not None:
                with suppress(FileNotFoundError):
                    self._path(name).rename(path)

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

    def _holds(self, path: Path, seen: Conversation | None) -> bool:
        """Tell whether a file can be replaced by one who knows what it held: it still does, or it isn't there."""
        try:
            there = Conversation.from_json(path.read_bytes())
        except FileNotFoundError:
            return True
        except (ConversationFormatError, PermissionError, IsADirectoryError):
            return False
        return seen is not None and there == _kept(seen)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from changing the folder. A process that ends, or is killed, lets go of it."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(self.folder / _LOCK, "ab", opener=private) as file:
            lock(file.fileno())
            yield

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise CommandError(
                f"{name[:40]!r} can't be the name of a conversation: letters, digits, and - . _ after the first"
            )
        return self.folder / f"{name}{_SUFFIX}"


def name_for(question: str, today: date) -> str:
    """Make a name for a conversation that has none.

    Args:
        question: its first.
        today: the day.

    Returns:
        The day and the first words of the question.
    """
    words = "-".join(re.findall(r"[^\W_]+", question.lower()))[:40].strip("-")
    return "-".join(filter(None, (today.isoformat(), words)))


def _kept(conversation: Conversation) -> Conversation:
    """Leave out what lets anybody in."""
    return msgspec.structs.replace(conversation, vqd="", vqd_hash_1="", cookies=(), fe_version="")


def _unknown(name: str) -> CommandError:
    return CommandError(f"no conversation is called {name!r}; ddg-chat conversations lists those there are", 74)
