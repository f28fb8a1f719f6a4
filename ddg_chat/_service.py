"""The options of the commands that reach the service: which service, how to reach it, and what to record."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO
from urllib.parse import urlsplit

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    ChallengeAnswer,
    Conversation,
    Policy,
    ServiceProfile,
    Session,
    SolveChallenge,
)
from ddg_protocol.conversation import Messages
from ddg_protocol.errors import ModelNotSupportedError
from ddg_protocol.models import ModelList
from ddg_protocol.tap import DrivenSession
from ddg_transports.blocking import Chat, Client, Reply, Trace

from . import _shared
from ._errors import CommandError
from ._files import create
from ._input import read_toml, text_or_file
from ._opening import NOTHING_BEFORE, Opening, read_opening
from ._say import say
from ._screen import is_dumb
from ._settings import declare
from ._text import harmless
from ._waiting import Waiting

if TYPE_CHECKING:
    from ddg_protocol.service import Fault
    from ddg_protocol.transcript import Recording
    from ddg_transports.transport import Transport

REVISIONS = ("2025-04", "2025-07", "2026-10")
"""The names of `ddg_protocol.revisions.REVISIONS`, which is imported where one is needed."""
_A_DAY = 86_400  # seconds; clocks and sockets can't count without end

EPILOG = """\
environment:
  DDG_CHAT_MODEL and so on  options for every command (see: ddg-chat config)
  NO_COLOR                  no colours, like --no-color
  SSL_CERT_FILE             certificates to trust instead of the system's
"""


def configure(parser: argparse.ArgumentParser, *, asks: bool = True) -> None:
    """Declare the common options, group by group.

    Args:
        parser: the command's.
        asks: whether the command asks questions, and has the options for these.
    """
    if asks:
        _declare_question(parser)
    _declare_service(parser, asks=asks)
    _declare_connection(parser, asks=asks)
    _shared.configure(parser)
    _declare_output(parser, asks=asks)
    if not asks:
        parser.set_defaults(
            challenge=False, solver=None, strict=False, record=None, blank_texts=False, output=None, stream=None
        )


def _declare_question(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("question")
    declare(
        parser,
        group.add_argument("--model", metavar="NAME", help="a model's id or alias (see: ddg-chat models)"),
        group.add_argument(
            "--system",
            metavar="TEXT|@FILE",
            help="instructions that go with the first question of a conversation; @ reads them from a file",
        ),
    )
    group.add_argument(
        "--messages",
        type=Path,
        metavar="FILE",
        help="messages that come before the question: a JSON list with roles and contents, as OpenAI's, or a "
        "conversation of this program's; - reads standard input",
    )


def configure_profile(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `profile_of` alone, for a command that doesn't reach the service."""
    group = parser.add_argument_group("service")
    _declare_profile(parser, group, group)


class _Group(Protocol):
    """A group of arguments of a parser."""

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        """Declare an argument."""


def _declare_profile(parser: argparse.ArgumentParser, where: _Group, group: _Group) -> None:
    declare(
        parser,
        where.add_argument(
            "--base-url",
            type=_base_url,
            metavar="URL",
            help="the service's address: https://HOST[:PORT], or http for a loopback address",
        ),
        group.add_argument("--revision", choices=REVISIONS, help="the service's revision (default: 2025-04)"),
        group.add_argument(
            "--profile",
            metavar="FILE",
            help="changes to the service's profile, in TOML: attributes of ddg_protocol.ServiceProfile",
        ),
    )


def _declare_service(parser: argparse.ArgumentParser, *, asks: bool) -> None:
    group = parser.add_argument_group("service")
    where = group.add_mutually_exclusive_group()
    where.add_argument("--emulator", action="store_true", help="start an emulator of the service for this command")
    _declare_profile(parser, where, group)
    if asks:
        solver = group.add_argument(
            "--solver",
            type=_solver,
            metavar="CMD",
            help="a command that answers challenges: JSON in, JSON out, 30 s (see docs/revisions.md)",
        )
        declare(parser, solver)
    group.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="FAULT",
        help="with --emulator: a fault, such as chat:429 (see: ddg-chat emulate --help); may be repeated",
    )
    if asks:
        group.add_argument(
            "--challenge", action="store_true", help="with --emulator: ask for the answer to a challenge (418)"
        )


def _declare_connection(parser: argparse.ArgumentParser, *, asks: bool) -> None:
    group = parser.add_argument_group("connection")
    declare(
        parser,
        group.add_argument(
            "--proxy",
            type=_proxy,
            metavar="URL",
            help="use a proxy: http://, https:// or socks5://[USER:PASSWORD@]HOST:PORT",
        ),
        group.add_argument(
            "--transport",
            choices=("sockets", "httpcore", "http2"),
            help="how to send requests: sockets (default), httpcore (default with --proxy), http2 (httpcore with "
            "HTTP/2)",
        ),
        group.add_argument(
            "--timeout",
            type=seconds,
            metavar="SECONDS",
            help="how long a request may take, including its reply (default: 60 s, and 30 s without data)",
        ),
        group.add_argument(
            "--retries",
            type=_count,
            metavar="N",
            help="how often to retry a failed request, each time after a longer wait (default: 3, or 1 if the service "
            "does not respond)",
        ),
    )
    if asks:
        declare(parser, _flag(group.add_argument, "--strict", "treat malformed reply data as an error"))


def _declare_output(parser: argparse.ArgumentParser, *, asks: bool) -> None:
    group = parser.add_argument_group("output")
    declare(
        parser,
        _flag(group.add_argument, "--quiet", "show no status messages"),
        _flag(group.add_argument, "--color", "use colours (default: on a terminal)"),
    )
    if not asks:
        return
    declare(
        parser,
        _flag(group.add_argument, "--stream", "show the reply while it arrives (default), or once it is complete"),
    )
    group.add_argument(
        "--output", type=Path, metavar="FILE", help="write the reply to a new file as well, as it came: Markdown"
    )
    group.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="write a transcript of all conversations to a new file, without tokens and cookies (see: ddg-chat replay)",
    )
    group.add_argument(
        "--blank-texts",
        action="store_true",
        help="with --record: omit questions and body texts from the transcript",
    )


def _flag(add_argument: Callable[..., argparse.Action], name: str, help: str) -> argparse.Action:
    """Declare an option that can be turned on and off; it is None where nobody does."""
    return add_argument(name, action=argparse.BooleanOptionalAction, help=help)


def opening_of(args: argparse.Namespace) -> Opening:
    """Return what comes before the first question, as the options say.

    Raises:
        CommandError: a file has something else.
        OSError: a file can't be read.
    """
    opening = NOTHING_BEFORE if args.messages is None else read_opening(args.messages)
    system = text_or_file(args.system).strip() if args.system else ""
    if system and opening.conversation.message_history and not args.quiet:
        say("ddg-chat: the instructions are left out: they go with a first question, and this conversation has begun")
    return opening._replace(system=system)


class Asking:
    """A client with the command line's options, within a block; see `opened`.

    Args:
        client: the client.
        waiting: shows the status of waits; None shows none.
        transcripts: records the conversations; None records nothing.
        output: gets the replies too; None if nothing does.
        streams: whether a reply is shown while it arrives.
    """

    def __init__(
        self,
        client: Client,
        waiting: Waiting | None,
        transcripts: Transcripts | None,
        output: TextIO | None,
        *,
        streams: bool,
    ) -> None:
        self.client = client
        self.streams = streams
        self._waiting = waiting
        self._transcripts = transcripts
        self._output = output
        self._has_written = False

    def chat(self, *, model: str | None = None, conversation: Conversation | None = None) -> Chat:
        """Start a conversation, or continue one."""
        return self.client.chat(model=model, conversation=conversation, wrap=self._transcripts)

    def models(self) -> ModelList:
        """Ask the service for its models; waits show their status."""
        with self._waiting or nullcontext():
            return self.client.models()

    @contextmanager
    def stream(
        self, chat: Chat, question: Messages, *, model: str | None = None, effort: str | None = None, about: str = ""
    ) -> Iterator[Reply]:
        """Ask, and yield the reply; within the block, waits show their status.

        Args:
            chat: the conversation.
            question: what to ask.
            model: the model; None uses the conversation's own.
            effort: how hard it reasons; None leaves that to the model.
            about: which turn it is, for the status.
        """
        if self._waiting is not None:
            self._waiting.about = about
        with self._waiting or nullcontext(), chat.stream(question, model=model, effort=effort) as reply:
            try:
                yield reply
            finally:
                if self._output is not None and reply.text and (self.streams or reply.finished is not None):
                    self._append(self._output, reply.text)

    def _append(self, file: TextIO, reply: str) -> None:
        """Write a reply to the file of the replies; an empty line is between two."""
        file.write("\n" if self._has_written else "")
        file.write(harmless(reply) if reply.endswith("\n") else f"{harmless(reply)}\n")
        file.flush()
        self._has_written = True


class Transcripts:
    """Records conversations in a new file, which is made when the first of them begins.

    Args:
        path: the file.
        redact_texts: whether to omit texts.
        stack: closes the file.
    """

    def __init__(self, path: Path, *, redact_texts: bool, stack: ExitStack) -> None:
        self._path = path
        self._redact_texts = redact_texts
        self._stack = stack
        self._recording: Recording | None = None

    def __call__(self, session: Session) -> DrivenSession:
        """Return a session that records this one, to be driven in its place."""
        if self._recording is None:
            from ddg_protocol.transcript import Recording

            # By line, so that the file is complete up to now even if this process is killed.
            file = self._stack.enter_context(create(self._path, by_line=True))
            self._recording = Recording(file.write, redact_texts=self._redact_texts)
        return self._recording.record(session)


@contextmanager
def opened(args: argparse.Namespace, *, on_action: Callable[[Trace], object] | None = None) -> Iterator[Asking]:
    """Make a client with the command line's options, and everything it needs.

    Args:
        args: the options that `configure` declares.
        on_action: gets the traces of the client's chats, in place of the status line.

    Yields:
        The client; the end of the block closes it.

    Raises:
        CommandError: the options contradict each other, or a file or a library is missing.
        EngineUnavailable: the engine that keeps the pace can't be used.
    """
    if args.blank_texts and args.record is None:
        raise CommandError("--blank-texts needs a transcript; add --record FILE")
    if args.fault and not args.emulator:
        raise CommandError("--fault needs the emulator; add --emulator")
    if args.challenge and not args.emulator:
        raise CommandError("--challenge needs the emulator; add --emulator")
    if args.proxy and args.transport == "sockets":
        raise CommandError("--transport sockets doesn't support proxies; leave it out, or use httpcore")
    with ExitStack() as stack:
        profile = profile_of(args)
        _check_model(args, profile)
        if args.emulator:
            profile = profile.at(stack.enter_context(emulator(profile, args.fault, challenge=args.challenge)))
        waiting = _waiting(args, profile)
        transcripts = None
        if args.record is not None:
            # Closed after the client: closing its conversations writes their last lines.
            files = stack.enter_context(ExitStack())
            transcripts = Transcripts(args.record, redact_texts=args.blank_texts, stack=files)
        output = None if args.output is None else stack.enter_context(create(args.output))
        where = _shared.engine_for(args.shared, profile, emulates=args.emulator)
        engine = None if where is None else _shared.open_engine(where)
        if engine is not None:
            stack.callback(engine.close)
        client = Client(
            profile,
            policy=_policy(args),
            transport=_transport(args, stack),
            solver=args.solver or _stand_in(args, profile),
            on_action=on_action or waiting,
            shared=engine,
        )
        streams = args.stream is not False
        yield Asking(stack.enter_context(client), waiting, transcripts, output, streams=streams)


def _check_model(args: argparse.Namespace, profile: ServiceProfile) -> None:
    """Say where the model stands if it isn't one and the command line doesn't name it."""
    if source := getattr(args, "sources", {}).get("model"):
        try:
            profile.validate_model(args.model)
        except ModelNotSupportedError as error:
            raise ModelNotSupportedError(f"{source}: {error}") from None


def revision(name: str | None) -> ServiceProfile:
    """Return the profile of a revision, one of `REVISIONS`; None means April 2025."""
    if name in (None, REVISIONS[0]):
        return DUCKDUCKGO_2025_04
    from ddg_protocol import revisions  # seldom needed

    return revisions.REVISIONS[name]


def _stand_in(args: argparse.Namespace, profile: ServiceProfile) -> Callable[[SolveChallenge], str] | None:
    """Return the solver for the emulator's stand-in challenges, if the command will get these."""
    if not args.emulator or profile.challenge_form == "script":
        return None
    from ddg_protocol.testing import stand_in_answer

    return stand_in_answer


def profile_of(args: argparse.Namespace) -> ServiceProfile:
    """Return the profile that the command line's options describe.

    Raises:
        CommandError: its file can't be read.
    """
    profile = revision(args.revision)
    if args.profile is not None:
        try:
            profile = profile.updated(read_toml(Path(args.profile)))
        except ValueError as error:
            raise CommandError(f"{args.profile}: {error}", 74) from None
    return profile if args.base_url is None else profile.at(args.base_url)


@contextmanager
def emulator(profile: ServiceProfile, faults: list[Fault], *, challenge: bool) -> Iterator[str]:
    """Emulate a service within a block, and yield its address."""
    from ddg_protocol.service import Service
    from ddg_transports.emulator import Emulator

    with Emulator(Service(profile, script=faults, challenge=challenge)) as running:
        yield running.url


def _policy(args: argparse.Namespace) -> Policy:
    policy = Policy()
    given: dict[str, Any] = {}
    if args.timeout is not None:
        # One value for all timeouts: a longer one is for a slow model, a shorter one for an early failure.
        given = {"total_timeout": args.timeout, "read_timeout": args.timeout}
        given |= {name: min(getattr(policy, name), args.timeout) for name in ("connect_timeout", "write_timeout")}
    # A busy service may soon be free; a wrong address stays wrong.
    given |= {"max_unanswered_retries": 1} if args.retries is None else {"max_retries": args.retries}
    return Policy(strict=bool(args.strict), **given)


def _transport(args: argparse.Namespace, stack: ExitStack) -> Transport | None:
    if args.proxy is None and args.transport in (None, "sockets"):
        return None
    try:
        from ddg_transports.httpcore import HttpcoreTransport

        return stack.enter_context(HttpcoreTransport(proxy=args.proxy, http2=args.transport == "http2"))
    except ModuleNotFoundError as error:  # its message says what to install
        raise CommandError(str(error)) from None


def _waiting(args: argparse.Namespace, profile: ServiceProfile) -> Waiting | None:
    if args.quiet or not sys.stderr.isatty():
        return None
    can_move = not is_dumb()
    may_dim = can_move and args.color is not False and not os.environ.get("NO_COLOR")
    return Waiting(sys.stderr, profile, moving=can_move, dim=may_dim, streams=args.stream is not False)


def _base_url(text: str) -> str:
    try:
        return DUCKDUCKGO_2025_04.at(text).origin
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _solver(text: str) -> Callable[[SolveChallenge], ChallengeAnswer]:
    from ._solver import solver_of

    try:
        return solver_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _proxy(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https", "socks5") and parts.hostname and parts.port != 0
        whole = text.isascii() and parts.netloc.count("@") < 2 and parts.path in ("", "/")
        good = good and whole and not (parts.query or parts.fragment)
    except ValueError:
        good = False
    if not good:
        raise argparse.ArgumentTypeError(
            "a proxy is http://, https:// or socks5:// with [USER:PASSWORD@]HOST:PORT, in ASCII; " + _shared.AS_ESCAPES
        )
    return text


def _fault(text: str) -> Fault:
    from ddg_protocol.service.script import fault_from_text

    try:
        return fault_from_text(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def seconds(text: str) -> float:
    """Parse an option's number of seconds."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= _A_DAY:
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0 and at most {_A_DAY}, not {text[:20]!r}")
    return number


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 5):
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 9999, not {text[:20]!r}")
    return int(text)
