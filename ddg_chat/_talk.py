"""A conversation that is held with commands: what each line does to it. The terminal is another's business."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path

from ddg_protocol import Conversation
from ddg_transports.blocking import Chat

from ._errors import CommandError
from ._export import as_markdown, heading
from ._files import private
from ._service import Asking
from ._store import Store, name_for
from ._text import one_line

HELP = """\
  /model [NAME]    say which model is asked, or ask another from now on
  /retry           ask the last question again; the new reply replaces the old
  /new             begin a new conversation
  /save [NAME]     say what the conversation is called, or call it NAME; it is
                   kept anyway, turn by turn
  /load [NAME]     list the conversations that are kept, or go on with one
  /export [FILE]   write the conversation to a new file, as Markdown
  /help            this
  /quit            leave; so does Ctrl-D

  A line that ends in \\ goes on with the next, and Ctrl-C stops a reply.
  A question that begins with / is asked with a blank before it.
"""


class Talk:
    """Takes lines: a question is asked, a command carried out.

    Args:
        asking: makes conversations.
        store: keeps them.
        write: writes a reply, piece by piece as it comes.
        say: writes lines to the person.
        model: of the next turns; None for the conversation's own.
    """

    def __init__(
        self,
        asking: Asking,
        store: Store,
        *,
        write: Callable[[Iterable[str]], None],
        say: Callable[[str], None],
        model: str | None = None,
    ) -> None:
        self._asking = asking
        self._store = store
        self._write = write
        self._say = say
        self._profile = asking.client.profile
        self._model = self._profile.validate_model(model) if model else None
        self._conversation = Conversation()
        self._chat: Chat | None = None  # that holds it, from its first question on
        self._name: str | None = None
        self._stored: Conversation | None = None  # by that name, as far as is known here
        self._unanswered: tuple[str, bool] | None = None  # a question, and whether it is asked in place of the last
        self._commands: dict[str, Callable[[str], None]] = {
            "/model": self._set_model,
            "/retry": self._retry,
            "/new": self._begin_anew,
            "/save": self._save,
            "/load": self._load,
            "/export": self._export,
            "/help": lambda _: self._say(HELP),
        }

    @property
    def conversation(self) -> Conversation:
        """The conversation as of its last turn."""
        return self._conversation

    @property
    def model(self) -> str:
        """The id of the model of the next turn."""
        return self._model or self._conversation.model or self._profile.validate_model()

    @property
    def name(self) -> str | None:
        """What the conversation is called in the store, or will be; None where that isn't said yet."""
        return self._name

    def take(self, line: str) -> bool:
        """Do what a line says.

        Args:
            line: of what the person writes; it may have several lines itself.

        Returns:
            Whether the talk goes on.

        Raises:
            CommandError: the command isn't one, or can't be carried out.
            DuckChatError: the question was refused, or the reply broke; the conversation is as it was before.
            OSError: a file can't be used.
        """
        if not line.startswith("/"):
            if line.strip():
                self._ask(line.strip())
            return True
        command, _, argument = line.strip().partition(" ")
        if command == "/quit":
            return False
        if command not in self._commands:
            raise CommandError(
                f"no command is called {one_line(command, 40)}; /help lists them, and a question that begins with / "
                "is asked with a blank before it"
            )
        self._commands[command](argument.strip())
        return True

    def resume(self, name: str = "") -> None:
        """Go on with a conversation that is kept.

        Args:
            name: what it is called; the one that was changed last, if not said.

        Raises:
            CommandError: there is none.
        """
        if not name:
            names = self._store.names()
            if not names:
                raise CommandError("no conversation is kept yet", 74)
            name = names[0]
        self._go_on(name, self._store.load(name))

    def completions(self, line: str) -> Iterator[str]:
        """List what the last word of a line could become.

        Args:
            line: as far as it is written.

        Yields:
            Whole words.
        """
        command, space, word = line.partition(" ")
        if not space:
            words = [*self._commands, "/quit"] if line.startswith("/") else []
            word = line
        elif command == "/model":
            words = [name for model in self._profile.models for name in (model.id, *model.aliases)]
        else:
            words = self._store.names() if command == "/load" else []
        return (candidate for candidate in words if candidate.startswith(word))

    # The turn

    def _ask(self, question: str, *, again: bool = False) -> None:
        """Ask a question, in place of the last one if it is asked again."""
        if again:
            chat = self._asking.chat(conversation=self._conversation.rewound())
        else:
            chat = self._chat = self._chat or self._asking.chat(conversation=self._conversation)
        before = len(chat.conversation.message_history)
        self._unanswered = question, again
        try:
            with self._asking.stream(chat, question, model=self._model) as reply:
                self._write(reply)
        finally:
            # The session says whether the turn is done, however this ends: an interrupt can come after that, too.
            if len(chat.conversation.message_history) > before:
                self._take_on(chat)
                self._keep()
            elif again:
                chat.close()

    def _take_on(self, chat: Chat) -> None:
        """Go on with what a chat has come to."""
        self._conversation, self._unanswered = chat.conversation, None
        if self._chat is not None and self._chat is not chat:
            self._chat.close()
        self._chat = chat

    def _change_to(self, conversation: Conversation, name: str | None) -> None:
        """Leave the conversation for another."""
        if self._chat is not None:
            self._chat.close()
        self._conversation, self._chat, self._name, self._unanswered = conversation, None, name, None
        self._stored = conversation if name else None

    def _go_on(self, name: str, conversation: Conversation) -> None:
        self._change_to(conversation, name)
        self._say(f"{name}: {heading(conversation)} ({_turns(conversation)} so far, with {self.model})")

    def _keep(self) -> None:
        name = self._name or name_for(self._conversation.last_question or "", date.today())
        kept_as = self._store.save(name, self._conversation, seen=self._stored)
        if self._name is not None and kept_as != name:
            self._say(f"another process has changed {name}; this conversation is kept as {kept_as}")
        self._name, self._stored = kept_as, self._conversation

    # The commands

    def _set_model(self, name: str) -> None:
        if name:
            self._model = self._profile.validate_model(name)
        self._say(f"{self.model} is asked")

    def _retry(self, _: str) -> None:
        question, again = self._unanswered or (self._conversation.last_question, True)
        if question is None:
            raise CommandError("nothing was asked yet")
        self._ask(question, again=again)

    def _begin_anew(self, _: str) -> None:
        self._model = self.model
        self._change_to(Conversation(), None)
        self._say(f"a new conversation, with {self.model}")

    def _save(self, name: str) -> None:
        if name:
            self._store.rename(self._name, name)
            self._name = name
        if not self._conversation.message_history:
            self._say(f"nothing to keep yet; it will be called {name}" if name else "nothing to keep yet")
        else:
            self._say(f"kept as {self._name}, in {self._store.folder}")

    def _load(self, name: str) -> None:
        if name:
            conversation = self._store.load(name)
            self._model = None
            self._go_on(name, conversation)
        else:
            self._say("\n".join(listed(self._store)) or "no conversation is kept yet")

    def _export(self, file: str) -> None:
        if not self._conversation.message_history:
            raise CommandError("there is nothing to export yet")
        path = Path(os.path.expanduser(file or f"{self._name}.md"))
        try:
            with open(path, "x", encoding="utf-8", newline="\n", opener=private) as written:
                written.write(as_markdown(self._conversation))
        except FileExistsError:
            raise CommandError(f"{path} is there already; name another file: /export FILE", 74) from None
        except ValueError:  # a NUL
            raise CommandError(f"{one_line(file, 40)} can't be the name of a file", 74) from None
        self._say(f"written to {path}")


def listed(store: Store) -> Iterator[str]:
    """Give a line for each conversation that is kept, the one that was changed last first.

    Args:
        store: keeps them.

    Yields:
        Name, time of the last turn, number of turns and what it is about; or that it can't be read.
    """
    entries = list(store.entries())
    width = max((len(entry.name) for entry in entries), default=0)
    for name, changed, conversation in entries:
        what = f"{_turns(conversation):>8}  {heading(conversation)}" if conversation else " damaged"
        yield f"{name:<{width}}  {changed:%Y-%m-%d %H:%M} {what}"


def _turns(conversation: Conversation) -> str:
    count = sum(message.role == "user" for message in conversation.message_history)
    return f"{count} turn{'' if count == 1 else 's'}"
