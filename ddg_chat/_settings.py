"""Options that need not be given each time: from the environment, or else from the configuration file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ._errors import CommandError
from ._input import read_toml
from ._say import say
from ._text import one_line

PREFIX = "DDG_CHAT_"
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class Setting(NamedTuple):
    """An option's value that wasn't given on the command line.

    Attributes:
        text: the value as it is written there.
        value: the value as the option parses it.
        source: where it comes from: a variable's name, or the file's.
    """

    text: str
    value: Any
    source: str


def declare(parser: argparse.ArgumentParser, *actions: argparse.Action) -> None:
    """Let options of a parser be set by the environment and the file. Their defaults must be None.

    Args:
        parser: the command's.
        *actions: the options.
    """
    parser.set_defaults(settable=(*(parser.get_default("settable") or ()), *actions))


def fill(args: argparse.Namespace) -> None:
    """Set the options that the command line leaves open.

    Args:
        args: the parsed arguments. What nobody sets stays None. They get ``sources``, which says by ``dest`` where the
            others come from. Unless they are quiet, variables that set nothing are said.

    Raises:
        CommandError: the file can't be read or has an unknown key, or a value can't be understood.
    """
    settable: tuple[argparse.Action, ...] = getattr(args, "settable", ())
    if not settable:
        return
    found = read(settable)
    args.sources = {}
    for action in settable:
        if getattr(args, action.dest) is None and action.dest in found:
            setattr(args, action.dest, found[action.dest].value)
            args.sources[action.dest] = found[action.dest].source
    if not getattr(args, "quiet", None):
        for complaint in unknown_variables():
            say(f"ddg-chat: {complaint}")


def read(settable: tuple[argparse.Action, ...]) -> dict[str, Setting]:
    """Read the values that the environment and the file have.

    Args:
        settable: the options.

    Returns:
        What was found, by the options' ``dest``. The environment counts before the file.

    Raises:
        CommandError: as `fill` does.
    """
    path = config_path()
    written = _written(path)
    found: dict[str, Setting] = {}
    for action in settable:
        variable, name = variable_of(action), name_of(action)
        if text := os.environ.get(variable):
            found[action.dest] = _parsed(action, text, variable, 2)
        elif name in written:
            found[action.dest] = _parsed(action, _as_text(written[name]), f"{path}: {name}", 74)
    return found


def config_path() -> Path | None:
    """Return the path of the configuration file, which need not exist; None if platformdirs isn't installed."""
    try:
        from platformdirs import user_config_path
    except ModuleNotFoundError:
        return None
    return user_config_path("ddg-chat", appauthor=False) / "config.toml"


def name_of(action: argparse.Action) -> str:
    """Return the key of an option in the file."""
    return action.dest.replace("_", "-")


def variable_of(action: argparse.Action) -> str:
    """Return the environment variable of an option."""
    return PREFIX + action.dest.upper()


def known() -> tuple[argparse.Action, ...]:
    """Return all options that can be set, of whichever command, each once."""
    from . import ask, chat, models

    actions: dict[str, argparse.Action] = {}
    for configure in (chat.configure, ask.configure, models.configure):
        parser = argparse.ArgumentParser(add_help=False)
        configure(parser)
        for action in parser.get_default("settable") or ():
            actions.setdefault(action.dest, action)
    return tuple(actions.values())


def unknown_variables() -> Iterator[str]:
    """Yield a sentence for each variable that looks as if it set an option, and sets none."""
    named = sorted(name for name in os.environ if name.startswith(PREFIX))
    if not named:
        return  # and nothing is imported
    from difflib import get_close_matches

    variables = {action.dest.upper(): variable_of(action) for action in known()}
    for name in named:
        if name not in variables.values():
            near = get_close_matches(name.removeprefix(PREFIX), variables, n=1)
            advice = f"did you mean {variables[near[0]]}?" if near else "ddg-chat config lists the settings"
            yield f"{one_line(name, 40)} is in the environment, but there is no such setting; {advice}"


def _written(path: Path | None) -> Mapping[str, Any]:
    """Return what the file has, by key."""
    if path is None:
        return {}
    try:
        written = read_toml(path)
    except FileNotFoundError:
        return {}
    names = [name_of(action) for action in known()]
    for key in written:
        if key not in names:
            raise CommandError(f"{path}: there is no setting {one_line(key, 40)!r}; there are {', '.join(names)}", 74)
    return written


def _as_text(value: object) -> str:
    """Return a value of the file as it would be written on the command line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"


def _parsed(action: argparse.Action, text: str, source: str, code: int) -> Setting:
    value: Any = text
    try:
        if isinstance(action, argparse.BooleanOptionalAction):
            value = _flag(text)
        elif callable(action.type):
            value = action.type(text)
    except argparse.ArgumentTypeError as error:
        raise CommandError(f"{source}: {error}", code) from None
    if action.choices is not None and value not in action.choices:
        raise CommandError(f"{source}: {one_line(text, 40)!r} is none of {', '.join(action.choices)}", code)
    return Setting(text, value, source)


def _flag(text: str) -> bool:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise argparse.ArgumentTypeError(f"must be true or false, not {one_line(text, 40)!r}")
    return text.lower() in _TRUE
