"""The engine through which commands keep the service's pace together: this machine's, or the one of ``--shared``."""

from __future__ import annotations

import argparse
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ddg_protocol import ServiceProfile

from ._errors import CommandError
from ._settings import declare

if TYPE_CHECKING:
    from ddg_transports.engines.sqlite import SqliteEngine
    from ddg_transports.engines.valkey import ValkeyEngine

ALONE = "none"
"""The value of ``--shared`` that shares nothing."""
_NOW = 0.05  # seconds; less is shown as nothing
_SERVERS = ("redis", "rediss", "valkey", "valkeys", "unix")
AS_ESCAPES = "in a password, write / as %2F, # as %23, ? as %3F and @ as %40"
_FORMS = "sqlite:///FOLDER, redis://HOST:PORT, valkey://HOST:PORT (rediss:// and valkeys:// for TLS) or none"


def configure(parser: argparse.ArgumentParser, *, may_be_alone: bool = True) -> None:
    """Declare the options.

    Args:
        parser: the command's.
        may_be_alone: whether there is something to do without an engine.
    """
    group = parser.add_argument_group("pace")
    where = group.add_mutually_exclusive_group() if may_be_alone else group
    shared = where.add_argument(
        "--shared",
        type=address,
        metavar="URL",
        help="keep the service's pace together with all that name the same engine: sqlite:///FOLDER for this machine, "
        "redis://HOST or valkey://HOST for several (default: with every ddg-chat of this user on this machine)",
    )
    declare(parser, shared)
    if may_be_alone:
        where.add_argument(
            "--alone",
            action="store_const",
            dest="shared",
            const=ALONE,
            help="keep the pace in this command alone, like --shared none",
        )


def address(text: str) -> str:
    """Check the value of ``--shared``.

    Raises:
        argparse.ArgumentTypeError: it can't be one. The message has nothing of it, since a password may be in it.
    """
    if text == ALONE:
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"an engine is {_FORMS}") from None
    try:
        rest = f"{parts.path}?{parts.query}#{parts.fragment}"
        good = parts.port != 0 and (parts.scheme == "unix" or (parts.hostname is not None and "@" not in rest))
    except ValueError:
        good = False
    if parts.scheme == "sqlite":
        is_path = parts.path.startswith("/") and "\0" not in unquote(parts.path)
        if parts.netloc or not is_path or parts.query or parts.fragment:
            raise argparse.ArgumentTypeError("the folder is named by its whole path: sqlite:///var/lib/assistant")
    elif parts.scheme not in _SERVERS or "://" not in text:
        raise argparse.ArgumentTypeError(f"an engine is {_FORMS}")
    elif not good:
        raise argparse.ArgumentTypeError(f"the URL's host and port can't be read; {AS_ESCAPES}")
    return text


def shown(text: str) -> str:
    """Return a value of ``--shared`` for a person to read: without user, password and options."""
    parts = urlsplit(text)
    if parts.scheme not in _SERVERS:
        return text
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def engine_for(shared: str | None, profile: ServiceProfile, *, emulates: bool) -> Path | str | None:
    """Return where the engine is that a command goes by.

    Args:
        shared: the value of ``--shared``; None if nothing is said.
        profile: the service's. Each address has a pace of its own. One that has no minimum interval, such as a plain
            http address of this machine, needs none.
        emulates: whether the command starts the service itself.

    Returns:
        The folder or the URL; None if the command goes alone.
    """
    if shared == ALONE:
        return None
    if shared is not None:
        parts = urlsplit(shared)
        if parts.scheme in _SERVERS:
            return shared
        from urllib.request import url2pathname  # which imports a lot

        return Path(url2pathname(f"/{parts.path.lstrip('/')}"))
    if emulates or not profile.interval or not has_folder():
        return None
    from ._store import data_folder

    return data_folder() / "shared" / re.sub(r"[^\w.-]", "_", profile.origin.replace("://", "-"))


def has_folder() -> bool:
    """Return whether there is a data folder, in which conversations and the pace of this machine are kept."""
    return find_spec("platformdirs") is not None


def why_alone(shared: str | None, profile: ServiceProfile, *, emulates: bool) -> str:
    """Return why there is no engine for a command; for the arguments see `engine_for`."""
    if shared == ALONE:
        return "so it is set (--alone, --shared none)"
    if emulates:
        return "an emulator of its own needs none"
    if not profile.interval:
        return f"{profile.origin} has no minimum interval"
    return "a common one needs platformdirs (pip install platformdirs), or --shared URL"


def is_used(where: Path | str) -> bool:
    """Return whether an engine may hold something. A folder without its files doesn't; a look needn't make them."""
    return not isinstance(where, Path) or (where / "pace.db").exists()


def when(seconds: float) -> str:
    """Return in words when something happens, in a number of seconds."""
    return f"in {seconds:.1f} s" if seconds >= _NOW else "now"


def open_engine(where: Path | str) -> SqliteEngine | ValkeyEngine:
    """Open an engine; see `engine_for`.

    Raises:
        CommandError: a library is missing, or doesn't take the URL.
        EngineUnavailable: the files can't be made or used.
    """
    if isinstance(where, Path):
        from ddg_transports.engines.sqlite import SqliteEngine

        return SqliteEngine(where)
    from ddg_transports.engines.valkey import ValkeyEngine

    try:
        return ValkeyEngine(where)
    except ModuleNotFoundError:
        raise CommandError(f"{shown(where)} needs a client library: pip install valkey") from None
    except (TypeError, ValueError):  # their texts may have what was in it
        raise CommandError(f"{shown(where)}: the library doesn't take this URL; leave out what follows ?") from None
