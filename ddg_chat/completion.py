"""``ddg-chat completion``: write the shell's completion script."""

from __future__ import annotations

import argparse

from ._errors import CommandError

EPILOG = """\
Write the script to a file that new shells read:

  bash   ~/.local/share/bash-completion/completions/ddg-chat
  zsh    _ddg-chat in one of the folders of $fpath
  fish   ~/.config/fish/completions/ddg-chat.fish

examples:
  ddg-chat completion fish > ~/.config/fish/completions/ddg-chat.fish
  . <(ddg-chat completion bash)   for this shell only
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell; its script goes to standard output")


def run(args: argparse.Namespace) -> int:
    """Write the script."""
    try:
        import shtab
    except ModuleNotFoundError:
        raise CommandError("completion needs shtab: pip install shtab") from None
    from ddg_protocol.revisions import REVISIONS

    from .main import COMMANDS, make_parser

    parser = make_parser(COMMANDS)
    known = [model for profile in REVISIONS.values() for model in profile.models]
    models = list(dict.fromkeys(name for model in known for name in (model.id, *model.aliases)))
    for action in _actions(parser):
        if action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.dest == "model":
            action.choices = models
    print(shtab.complete(parser, shell=args.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the actions of a parser and its subparsers."""
    found = list(parser._actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                found += _actions(below)
    return found
