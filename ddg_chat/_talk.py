"""The chat's conversation and its commands: what each line does. It knows nothing of the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date

from ddg_protocol import Conversation
from ddg_protocol.parts import File, Image, Part, Text, text_of
from ddg_transports.blocking import Chat

from ._attach import described, read_attachment
from ._below import show_below
from ._errors import CommandError
from ._export import heading, write_markdown
from ._files import expanded
from ._input import checked, text_or_file
from ._opening import NOTHING_BEFORE, Opening, typed_in
from ._say import table, width_of
from ._search import found_in
from ._service import Asking
from ._store import Store, name_for, words_of
from ._text import one_line

HELP = (
    ("/model [NAME]", "show the model, or switch to another"),
    ("/effort [NAME]", "show how hard the model reasons, or change it"),
    ("/attach [FILE]", "attach an image or a file to the next question, or drop what is attached"),
    ("/system [TEXT]", "show the instructions of new conversations, or change them; - removes them"),
    ("/retry", "ask the last question again; the new reply replaces the old"),
    ("/undo", "take back the last question and its reply"),
    ("/copy", "put the last reply into the clipboard; needs --clipboard"),
    ("/new", "start a new conversation"),
    ("/save [NAME]", "show the conversation's name, or rename it; every turn is saved in any case"),
    ("/load [NAME]", "list the saved conversations, or continue one"),
    ("/search TEXT", "find the saved conversations that have a text"),
    ("/export [FILE]", "write the conversation to a new file, as Markdown"),
    ("/help", "show this help"),
    ("/quit", "leave; so does Ctrl-D"),
)
NOTES = """
  A line that ends in \\ continues on the next, and Ctrl-C stops a reply.
  To ask a question that begins with /, put a space before it."""


class Talk:
    """Handles lines: asks the questions, and carries out the commands.

    Args:
        asking: makes conversations.
        store: stores them.
        write: writes a reply, delta by delta as it arrives.
        say: shows lines to the user.
        draw: draws an image; None if the terminal can't.
        copy: puts a text into the clipboard; None if the user hasn't allowed that.
        model: the model of the next turns; None uses the conversation's own.
        opening: what comes before the first question. Its instructions hold for every new conversation.
        waits: whether to wait while another process asks in the same conversation; if not, a question is refused.
    """

    def __init__(
        self,
        asking: Asking,
        store: Store,
        *,
        write: Callable[[Iterable[str]], None],
        say: Callable[[str], None],
        draw: Callable[[bytes], None] | None = None,
        copy: Callable[[str], None] | None = None,
        model: str | None = None,
        opening: Opening = NOTHING_BEFORE,
        waits: bool = False,
    ) -> None:
        self._asking = asking
        self._store = store
        self._write = write
        self._say = say
        self._draw = draw
        self._copy_text = copy
        self._opening = opening
        self._waits = waits
        self._profile = asking.client.profile
        self._model = self._profile.validate_model(model) if model else None
        self._conversation = opening.conversation
        self._chat: Chat | None = None  # of this conversation, once it has a question
        self._name: str | None = None
        self._stored: Conversation | None = None  # the version last stored under that name by this object
        # A question, and whether it replaces the last one.
        self._unanswered: tuple[str | tuple[Part, ...], bool] | None = None
        self._effort: str | None = None
        self._attached: list[Image | File] = []  # to the next question
        self._commands: dict[str, Callable[[str], None]] = {
            "/model": self._set_model,
            "/effort": self._set_effort,
            "/attach": self._attach,
            "/system": self._set_system,
            "/retry": self._retry,
            "/undo": self._undo,
            "/copy": self._copy,
            "/new": self._begin_anew,
            "/save": self._save,
            "/load": self._load,
            "/search": self._search,
            "/export": self._export,
            "/help": self._help,
        }

    @property
    def conversation(self) -> Conversation:
        """The conversation after its last completed turn."""
        return self._conversation

    @property
    def model(self) -> str:
        """The model id for the next turn."""
        return self._model or self._conversation.model or self._profile.validate_model()

    @property
    def name(self) -> str | None:
        """The conversation's name in the store, now or once it is stored; None until it has one."""
        return self._name

    def status(self) -> str:
        """Return the model, the number of turns and the name, for the line below the prompt."""
        attached = f"{len(self._attached)} attached" if self._attached else ""
        return " · ".join(filter(None, (self.model, _turns(self._conversation), self._name, attached)))

    def take(self, line: str) -> bool:
        """Handle a line of input.

        Args:
            line: a question or a command; it may contain line feeds.

        Returns:
            Whether the chat continues.

        Raises:
            CommandError: the command is unknown, or can't be carried out.
            DuckChatError: the question was refused, or the reply broke; the conversation is as it was before.
            OSError: a file can't be used.
        """
        if not checked(line, "the line").startswith("/"):
            if line.strip():
                attached, self._attached = tuple(self._attached), []
                self._ask((Text(line.strip()), *attached) if attached else line.strip())
            return True
        command, _, argument = line.strip().partition(" ")
        if command == "/quit":
            return False
        if command not in self._commands:
            raise CommandError(
                f"there is no command {one_line(command, 40)}; /help lists the commands. To ask a question that begins "
                "with /, put a space before it"
            )
        self._commands[command](argument.strip())
        return True

    def resume(self, name: str = "") -> None:
        """Continue a saved conversation.

        Args:
            name: its name; empty for the one that changed last.

        Raises:
            CommandError: there is none.
        """
        if not name:
            names = self._store.names()
            if not names:
                raise CommandError("there is no saved conversation yet; leave out --resume to begin one", 74)
            name = names[0]
        self._go_on(name, self._store.load(name))

    def completions(self, line: str) -> Iterator[str]:
        """List the possible completions of a line's last word.

        Args:
            line: the line up to the cursor.

        Yields:
            Complete words.
        """
        command, space, word = line.partition(" ")
        if not space:
            words = [*self._commands, "/quit"] if line.startswith("/") else []
            word = line
        elif command == "/model":
            words = [name for model in self._profile.models for name in (model.id, *model.aliases)]
        elif command == "/effort":
            words = list(self._efforts())
        else:
            words = self._store.names() if command == "/load" else []
        return (candidate for candidate in words if candidate.startswith(word))

    # The turn

    def _ask(self, question: str | tuple[Part, ...], *, again: bool = False) -> None:
        """Ask a question; if it is asked again, it replaces the last one."""
        self._unanswered = question, again
        with self._alone_in_it():
            if self._catch_up() and again:
                self._unanswered = None
                raise CommandError("the question is not asked again, since it is no longer the last one")
            self._ask_now(question, again=again)

    def _ask_now(self, question: str | tuple[Part, ...], *, again: bool) -> None:
        if again:
            chat = self._asking.chat(conversation=self._conversation.rewound())
        else:
            chat = self._chat = self._chat or self._asking.chat(conversation=self._conversation)
        before = len(chat.conversation.message_history)
        # A question that is asked again has in it what came before it the first time.
        asked = question if again or before else self._opening.before(question)
        turn = 1 + sum(message.role == "user" for message in chat.conversation.message_history)
        about = f"{self.model} · turn {turn}"
        try:
            with self._asking.stream(chat, asked, model=self._model, effort=self._effort, about=about) as reply:
                self._write(reply if self._asking.streams else list(reply))
            if reply.finished is not None:
                show_below(reply.finished, self._say, draw=self._draw)
        finally:
            # The history shows whether the turn is done: an interrupt can come after the turn, too.
            if len(chat.conversation.message_history) > before:
                self._take_on(chat)
                self._keep()
            elif again:
                chat.close()

    @contextmanager
    def _alone_in_it(self) -> Iterator[None]:
        """Keep other processes from asking in this conversation, if it has a name."""
        if self._name is None:
            yield
            return
        wait = (lambda turn: self._say(f"waiting: {turn}")) if self._waits else None
        with self._store.turn(self._name, wait=wait):
            yield

    def _catch_up(self) -> bool:
        """Continue with what another process has stored of this conversation, and return whether there is anything.

        What this process could not store yet is kept: it gets a name of its own when it is stored.
        """
        if self._name is None or self._stored is None or self._stored is not self._conversation:
            return False
        newer = self._store.newer(self._name, self._stored)
        if newer is None:
            return False
        if self._chat is not None:
            self._chat.close()
        self._conversation, self._stored, self._chat = newer, newer, None
        last = one_line(typed_in(text_of(newer.last_question or "")), 70)
        self._say(f"another process has changed {self._name}: it has {_turns(newer)} now, the last is {last!r}")
        return True

    def _take_on(self, chat: Chat) -> None:
        """Continue with the chat's conversation."""
        self._conversation, self._unanswered = chat.conversation, None
        if self._chat is not None and self._chat is not chat:
            self._chat.close()
        self._chat = chat

    def _change_to(self, conversation: Conversation, name: str | None) -> None:
        """Switch to another conversation."""
        if self._chat is not None:
            self._chat.close()
        self._conversation, self._chat, self._name, self._unanswered = conversation, None, name, None
        self._stored = conversation if name else None
        self._drop_unknown_effort()

    def _go_on(self, name: str, conversation: Conversation) -> None:
        self._change_to(conversation, name)
        self._say(f"{name}: {heading(conversation)} ({_turns(conversation)} so far, with {self.model})")

    def _keep(self) -> None:
        name = self._name or self._usual_name()
        kept_as = self._store.save(name, self._conversation, seen=self._stored)
        if self._name is not None and kept_as != name:
            self._say(f"another process has changed {name}; this conversation is saved as {kept_as}")
        self._name, self._stored = kept_as, self._conversation

    def _usual_name(self) -> str:
        return name_for(typed_in(text_of(self._conversation.last_question or "")), date.today())

    def _discard(self, question: str) -> None:
        """Keep nothing of a conversation whose only question is taken back; its words were to be in the name, too."""
        if self._name is not None:
            self._store.discard(self._name, self._stored)
            if words_of(question) in self._name:
                self._name = None
        self._stored = None

    # The commands

    def _help(self, _: str) -> None:
        self._say(f"{table(HELP, width_of(sys.stderr))}\n{NOTES}")

    def _set_model(self, name: str) -> None:
        if name:
            self._model = self._profile.validate_model(name)
            self._drop_unknown_effort()
        self._say(f"the model is {self.model}")

    def _efforts(self) -> tuple[str, ...]:
        return self._profile.model(self.model).efforts

    def _drop_unknown_effort(self) -> None:
        """Go back to the model's default if the model has changed to one without the chosen effort."""
        if self._effort not in self._efforts():
            self._effort = None

    def _set_effort(self, name: str) -> None:
        efforts = self._efforts()
        if not efforts:
            raise CommandError(f"{self.model} has no efforts to choose from; /model NAME switches to another model")
        if name and name not in efforts:
            raise CommandError(f"{self.model} has no effort {one_line(name, 40)}; it has {', '.join(efforts)}")
        self._effort = name or self._effort
        self._say(f"the effort is {self._effort or self._profile.model(self.model).default_effort}")

    def _attach(self, file: str) -> None:
        if file:
            self._attached.append(read_attachment(expanded(file)))
            self._say(f"attached to the next question: {', '.join(map(described, self._attached))}")
        elif self._attached:
            self._attached = []
            self._say("nothing is attached any more")
        else:
            self._say("nothing is attached; /attach FILE attaches an image or a file")

    def _retry(self, _: str) -> None:
        question, again = self._unanswered or (self._conversation.last_question, True)
        if question is None:
            raise CommandError("there is no question to ask again yet")
        self._ask(question, again=again)

    def _undo(self, _: str) -> None:
        with self._alone_in_it():
            if self._catch_up():
                raise CommandError("nothing is taken back, since the question is no longer the last one")
            question = self._conversation.last_question
            if question is None:
                raise CommandError("there is no question to take back")
            if self._chat is not None:
                self._chat.close()
            self._chat, self._unanswered = None, None
            self._conversation = self._conversation.rewound()
            typed = typed_in(text_of(question))
            if self._conversation.message_history:
                self._keep()
            else:
                self._discard(typed)
        self._say(f"taken back: {one_line(typed, 70)} ({_turns(self._conversation)} left)")

    def _set_system(self, text: str) -> None:
        if text:
            self._opening = self._opening._replace(system="" if text == "-" else text_or_file(text).strip())
        if not self._opening.system:
            self._say("new conversations have no instructions")
            return
        self._say(f"the instructions are: {one_line(self._opening.system, 300)}")
        if text and self._conversation.message_history:
            self._say("this conversation has begun without them; /new begins one with them")

    def _copy(self, _: str) -> None:
        if self._copy_text is None:
            raise CommandError("copying is off; start with --clipboard, or set clipboard = true (see ddg-chat config)")
        reply = next((each.text for each in reversed(self._conversation.message_history) if each.role != "user"), None)
        if reply is None:
            raise CommandError("there is no reply to copy yet")
        self._copy_text(reply)
        self._say(f"the terminal was asked to copy the last reply ({len(reply):,} characters)")

    def _search(self, text: str) -> None:
        if not text:
            raise CommandError("say what to look for: /search TEXT")
        self._say("\n".join(found_in(self._store, text)) or f"no saved conversation has {one_line(text, 40)!r}")

    def _begin_anew(self, _: str) -> None:
        self._model = self.model
        self._opening = self._opening._replace(messages=())
        self._change_to(Conversation(), None)
        self._say(f"a new conversation, with {self.model}")

    def _save(self, name: str) -> None:
        if name:
            self._store.rename(self._name, name)
            self._name = name
        if self._stored is None:
            self._say(f"nothing to save yet; the name will be {name}" if name else "nothing to save yet")
        else:
            self._say(f"saved as {self._name}, in {self._store.folder}")

    def _load(self, name: str) -> None:
        if name:
            if name not in self._store.names():
                raise CommandError(
                    f"there is no saved conversation called {one_line(name, 40)!r}; /load lists them", 74
                )
            conversation = self._store.load(name)
            self._model = None
            self._opening = self._opening._replace(messages=())
            self._go_on(name, conversation)
        else:
            self._say("\n".join(listed(self._store)) or "there is no saved conversation yet")

    def _export(self, file: str) -> None:
        if not self._conversation.message_history:
            raise CommandError("there is nothing to export yet")
        path = expanded(file or f"{self._name or self._usual_name()}.md")
        write_markdown(self._conversation, path)
        self._say(f"written to {path}")


def listed(store: Store) -> Iterator[str]:
    """Yield a line for each saved conversation, most recently changed first.

    Args:
        store: the conversations.

    Yields:
        Name, time of the last turn, number of turns and heading; or a note that the file is damaged.
    """
    entries = list(store.entries())
    width = max((len(entry.name) for entry in entries), default=0)
    for name, changed, conversation in entries:
        what = f"{_turns(conversation):>8}  {heading(conversation)}" if conversation else " damaged"
        yield f"{name:<{width}}  {changed:%Y-%m-%d %H:%M} {what}"


def _turns(conversation: Conversation) -> str:
    count = sum(message.role == "user" for message in conversation.message_history)
    return f"{count} turn{'' if count == 1 else 's'}"
