"""Conversations as files: one each, under the platform's data directory.

A file has the messages, the model and the title, and no secrets: no token, no challenge and no cookie. A resumed
conversation fetches new ones, like a new conversation.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from ddg_protocol import Conversation, ConversationFormatError

from ._errors import CommandError
from ._files import locked, private, replace
from ._turns import UnderWay, turn_in

_NAME = re.compile(r"\w[\w.-]{0,99}")
#: On Windows these are devices, with any suffix.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9\xb9\xb2\xb3]|lpt[0-9\xb9\xb2\xb3])(?:\..*)?", re.IGNORECASE)
_SUFFIX = ".json"
_LOCK = ".lock"
_TEMPORARY = ".new"


def data_folder() -> Path:
    """Return the platform's data folder for this program; it need not exist."""
    from platformdirs import user_data_path

    return user_data_path("ddg-chat", appauthor=False)


class Entry(NamedTuple):
    """A stored conversation.

    Attributes:
        name: its name.
        changed: the time of its last turn, in local time.
        conversation: the conversation; None if its file can't be read.
    """

    name: str
    changed: datetime
    conversation: Conversation | None


class Store:
    """A folder of conversations.

    Args:
        folder: the folder; storing the first conversation creates it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, name: str, conversation: Conversation, *, seen: Conversation | None = None) -> str:
        """Store a conversation atomically: a reader finds either the old version or the new one.

        It never replaces another process's work: if another process stored something else under the name, this
        conversation gets a new name.

        Args:
            name: the conversation's name.
            conversation: the conversation after its last turn.
            seen: the version stored under the name, as far as the caller knows; None if there is none.

        Returns:
            The name it is stored under: the given one, perhaps with a number appended.

        Raises:
            CommandError: the name isn't valid.
            OSError: the file can't be written.
        """
        path = self._path(name)
        with self._locked():
            if not self._holds(path, seen):
                base, number = name[:90], 2  # the longest name has 100 characters
                while (path := self._path(name := f"{base}-{number}")).exists():
                    number += 1
            # The lock keeps other processes from writing it. Leftovers of a killed process are overwritten.
            temporary = self.folder / _TEMPORARY
            try:
                with open(temporary, "w", encoding="utf-8", opener=private) as file:
                    file.write(_kept(conversation).to_json())
                    file.flush()
                    os.fsync(file.fileno())
                replace(temporary, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary)
                raise
        return name

    def load(self, name: str) -> Conversation:
        """Read a conversation.

        Args:
            name: the conversation's name.

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
            raise CommandError(f"{path} can't be read, and is left unchanged: {error}", 74) from None

    @contextmanager
    def turn(self, name: str, *, wait: Callable[[UnderWay], object] | None = None) -> Iterator[None]:
        """Keep other processes from asking in a conversation within the block.

        Args:
            name: the conversation's name.
            wait: is told who asks, before waiting for it; None refuses.

        Raises:
            CommandError: another process asks in it, or the name isn't valid.
        """
        self._path(name)
        with turn_in(self.folder, name, wait=wait):
            yield

    def newer(self, name: str, seen: Conversation) -> Conversation | None:
        """Return what another process has stored under a name since it was seen.

        Args:
            name: the conversation's name.
            seen: the version that was stored under the name, as far as the caller knows.

        Returns:
            The conversation; None if it is still the same, was removed, or can't be read.
        """
        try:
            there = Conversation.from_json(self._path(name).read_bytes())
        except (OSError, ConversationFormatError):
            return None
        return None if there == _kept(seen) else there

    def rename(self, name: str | None, new: str) -> None:
        """Rename a conversation.

        Args:
            name: the current name; None, or any name, for a conversation that isn't stored yet.
            new: the new name.

        Raises:
            CommandError: the new name is taken, or isn't valid, or another process asks in the conversation.
        """
        if new == name:
            return
        path = self._path(new)
        with self._locked(), nullcontext() if name is None else self.turn(name):
            if path.exists():
                raise CommandError(
                    f"there is already a conversation called {new!r}; choose another name, or remove it first: "
                    f"ddg-chat conversations delete {new}",
                    74,
                )
            if name is not None:
                with suppress(FileNotFoundError):
                    self._path(name).rename(path)

    def remove(self, name: str) -> None:
        """Remove a conversation.

        Args:
            name: the conversation's name.

        Raises:
            CommandError: there is none, or another process asks in it.
        """
        path = self._path(name)
        try:
            with self.turn(name):
                path.unlink()
        except FileNotFoundError:
            raise _unknown(name) from None

    def discard(self, name: str, seen: Conversation | None) -> None:
        """Remove a conversation, unless another process has stored something else under the name.

        Args:
            name: the conversation's name.
            seen: as for `save`.

        Raises:
            CommandError: the name isn't valid.
            OSError: the file can't be removed.
        """
        path = self._path(name)
        with self._locked():
            if self._holds(path, seen):
                path.unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Return the names of the conversations, most recently changed first."""
        found: list[tuple[float, str]] = []
        for path in self.folder.glob(f"*{_SUFFIX}"):
            name = path.name.removesuffix(_SUFFIX)
            if _NAME.fullmatch(name):
                with suppress(FileNotFoundError):  # removed in the meantime
                    found.append((path.stat().st_mtime, name))
        return [name for _, name in sorted(found, reverse=True)]

    def entries(self) -> Iterator[Entry]:
        """Read all conversations, most recently changed first."""
        for name in self.names():
            with suppress(FileNotFoundError):  # removed in the meantime
                changed = datetime.fromtimestamp(self._path(name).stat().st_mtime)
                try:
                    conversation = Conversation.from_json(self._path(name).read_bytes())
                except (ConversationFormatError, PermissionError, IsADirectoryError):
                    conversation = None
                yield Entry(name, changed, conversation)

    def _holds(self, path: Path, seen: Conversation | None) -> bool:
        """Return whether a file is missing, or still holds the version that the caller has seen."""
        try:
            there = Conversation.from_json(path.read_bytes())
        except FileNotFoundError:
            return True
        except (ConversationFormatError, PermissionError, IsADirectoryError):
            return False
        return seen is not None and there == _kept(seen)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from changing the folder. The lock ends with its process."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(self.folder / _LOCK, "ab", opener=private) as file, locked(file.fileno()):
            yield

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise CommandError(
                f"{name[:40]!r} isn't a valid name for a conversation: use letters, digits, and - . _ after the first"
            )
        if sys.platform == "win32" and _DEVICE.fullmatch(name):
            raise CommandError(f"{name!r} is the name of a device on Windows; choose another name")
        return self.folder / f"{name}{_SUFFIX}"


def name_for(question: str, today: date) -> str:
    """Make a name for a conversation that has none.

    Args:
        question: its first question.
        today: today's date.

    Returns:
        The date and the first words of the question.
    """
    return "-".join(filter(None, (today.isoformat(), words_of(question))))


def words_of(question: str) -> str:
    """Return the first words of a question, as a name has them."""
    return "-".join(re.findall(r"[^\W_]+", question.lower()))[:40].strip("-")


def _kept(conversation: Conversation) -> Conversation:
    """Return the conversation without secrets."""
    return msgspec.structs.replace(conversation, vqd="", vqd_hash_1="", cookies=(), fe_version="")


def _unknown(name: str) -> CommandError:
    return CommandError(f"there is no conversation called {name!r}; ddg-chat conversations lists them", 74)
