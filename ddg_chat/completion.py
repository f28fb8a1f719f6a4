"""``ddg-chat completion``: what makes a shell complete the rest of the command line."""

from __future__ import annotations

import argparse

from ._errors import CommandError

EPILOG = """\
The script goes into a file, and a new shell has it:

  bash   ~/.local/share/bash-completion/completions/ddg-chat
  zsh    _ddg-chat in one of the folders of $fpath
  fish   ~/.config/fish/completions/ddg-chat.fish

examples:
  ddg-chat completion fish > ~/.config/fish/completions/ddg-chat.fish
  . <(ddg-chat completion bash)   for this shell alone
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="whose script to write to standard output")


def run(args: argparse.Namespace) -> int:
    """Write the script."""
    try:
        import shtab
    except ModuleNotFoundError:
        raise CommandError("completion needs shtab: pip install 'ddg-protocol[cli]'") from None
    from ddg_protocol import DUCKDUCKGO_2025_04

    from .main import COMMANDS, make_parser

    parser = make_parser(COMMANDS)
    models = [name for model in DUCKDUCKGO_2025_04.models for name in (model.id, *model.aliases)]
    for action in _actions(parser):
        if action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.dest == "model":
            action.choices = models
    print(shtab.complete(parser, shell=args.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """List the actions of a parser and of the parsers below it."""
    found = list(parser._actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                found += _actions(below)
    return found
