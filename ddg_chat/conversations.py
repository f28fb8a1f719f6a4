"""``ddg-chat conversations``: list, export and remove saved conversations."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._export import as_markdown, write_markdown
from ._say import say
from ._store import Store, data_folder
from ._talk import listed
from .chat import require_extra

EPILOG = """\
examples:
  ddg-chat conversations
  ddg-chat conversations export 2025-04-01-why-is-the-sky-blue sky.md
  ddg-chat conversations rm 2025-04-01-why-is-the-sky-blue

They are files under the platform's data directory, readable only by you,
without tokens and cookies; ddg_protocol.Conversation.from_json reads them.
ddg-chat chat --resume NAME continues one.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", help="what to do with them (default: list)")
    actions.add_parser("list", help="print name, last turn, number of turns and title of each, newest first")
    export = actions.add_parser("export", help="write one as Markdown, with its sources and images")
    export.add_argument("name", metavar="NAME", help="the conversation's name")
    export.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        type=Path,
        help="a new file, with the images next to it; without one, the text goes to standard output, with the "
        "size in place of an image",
    )
    remove = actions.add_parser("rm", help="remove conversations permanently")
    remove.add_argument("name", metavar="NAME", nargs="+", help="the conversations' names")


def run(args: argparse.Namespace) -> int:
    """List, export or remove."""
    require_extra("conversations")
    store = Store(data_folder() / "conversations")
    match args.action:
        case "export":
            conversation = store.load(args.name)
            if args.file is None:
                print(as_markdown(conversation), end="")
            else:
                write_markdown(conversation, args.file)
        case "rm":
            for name in args.name:
                store.remove(name)
        case _:
            lines = list(listed(store))
            if not lines:
                say("there is no saved conversation yet")
            for line in lines:
                print(line)
    return 0
