"""``ddg-chat conversations``: list, find, export, rename and delete saved conversations."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ._errors import CommandError
from ._export import as_markdown, write_markdown
from ._say import say
from ._search import found_in
from ._store import Store, data_folder
from ._talk import listed
from ._text import one_line
from .chat import require_extra

EPILOG = """\
examples:
  ddg-chat conversations
  ddg-chat conversations search "blue sky"
  ddg-chat conversations rename 2025-04-01-why-is-the-sky-blue sky
  ddg-chat conversations export sky sky.md
  ddg-chat conversations export --all backup
  ddg-chat conversations delete sky

They are files under the platform's data directory, readable only by you,
without tokens and cookies; ddg_protocol.Conversation.from_json reads them.
ddg-chat chat --resume NAME continues one.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", help="what to do with them (default: list)")
    actions.add_parser("list", help="print name, last turn, number of turns and title of each, newest first")
    search = actions.add_parser("search", help="print those that have a text, with the places; exit code 1 if none has")
    search.add_argument("text", metavar="TEXT", help="what to look for; upper and lower case are the same")
    rename = actions.add_parser("rename", help="give one another name")
    rename.add_argument("name", metavar="NAME", help="the conversation's name")
    rename.add_argument("new", metavar="NEW", help="the new name: letters, digits, and - . _ after the first")
    export = actions.add_parser("export", help="write one or all as Markdown, with their sources and images")
    export.add_argument("name", metavar="NAME", nargs="?", help="the conversation's name")
    export.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        type=Path,
        help="a new file, with the images next to it; without one, the text goes to standard output, with the "
        "size in place of an image",
    )
    export.add_argument(
        "--all", type=Path, metavar="FOLDER", help="write each to a new file in this folder, which is made if need be"
    )
    delete = actions.add_parser("delete", aliases=["rm"], help="delete conversations permanently")
    delete.add_argument("name", metavar="NAME", nargs="+", help="the conversations' names")


def run(args: argparse.Namespace) -> int:
    """Do what the action says; without one, list."""
    require_extra("conversations")
    store = Store(data_folder() / "conversations")
    match args.action:
        case "search":
            return _search(store, args.text)
        case "rename":
            store.load(args.name)  # so that one that isn't there, or is damaged, is an error
            store.rename(args.name, args.new)
        case "export" if args.all is not None:
            if args.name is not None:
                raise CommandError("--all exports each conversation; leave out the name")
            return _export_all(store, args.all)
        case "export":
            if args.name is None:
                raise CommandError("name the conversation to export, or use --all FOLDER")
            _export(store, args.name, args.file)
        case "delete" | "rm":
            for name in args.name:
                store.remove(name)
        case _:
            lines = list(listed(store))
            if not lines:
                say("there is no saved conversation yet")
            for line in lines:
                say(line, sys.stdout)
    return 0


def _search(store: Store, text: str) -> int:
    lines = list(found_in(store, text))
    for line in lines:
        say(line, sys.stdout)
    if not lines:
        say(f"no saved conversation has {one_line(text, 40)!r}")
    return 0 if lines else 1


def _export(store: Store, name: str, file: Path | None) -> None:
    conversation = store.load(name)
    if file is None:
        print(as_markdown(conversation), end="")
    else:
        write_markdown(conversation, file)


def _export_all(store: Store, folder: Path) -> int:
    """Export each conversation that can be read, and return 74 if one can't."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    entries = list(store.entries())
    for entry in entries:
        if (path := folder / f"{entry.name}.md").exists():
            raise CommandError(f"{path} already exists; name another folder, or remove it first", 74)
    damaged = [entry.name for entry in entries if entry.conversation is None]
    for entry in entries:
        if entry.conversation is not None:
            write_markdown(entry.conversation, folder / f"{entry.name}.md")
    count = len(entries) - len(damaged)
    say(f"{count} {'conversation is' if count == 1 else 'conversations are'} written to {folder}")
    if damaged:
        say(f"damaged, and left out: {', '.join(damaged)}")
    return 74 if damaged else 0
