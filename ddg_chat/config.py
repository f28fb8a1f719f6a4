"""``ddg-chat config``: show the options that are set for every command, and where."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from . import _settings, _shared
from ._settings import Setting, name_of, variable_of
from ._text import columns, escaped

EPILOG = """\
Options that you would give each time can stand in a TOML file, by their names:

  model = "o3-mini"
  timeout = 120
  color = false
  system = "Answer in one sentence."

A variable such as DDG_CHAT_MODEL or DDG_CHAT_COLOR goes over the file, and an
option of the command line, such as --model or --no-color, over both. What this
command prints can be stored as such a file: what is not set is a comment.

examples:
  ddg-chat config
  DDG_CHAT_MODEL=o3-mini ddg-chat config
  ddg-chat config --json
"""

_PASSWORD = re.compile(r"(?<=//)[^/@]*@")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print each option that can be set, its value, and where it comes from."""
    path, settable = _settings.config_path(), _settings.known()
    found = _settings.read(settable)
    if args.json:
        values = {
            name_of(action): {"value": _shown(action, setting), "source": setting.source}
            for action in settable
            if (setting := found.get(action.dest))
        }
        print(json.dumps({"file": None if path is None else str(path), "settings": values}, indent=1))
    else:
        print("\n".join(_lines(path, settable, found)))
    return 0


def _lines(path: Path | None, settable: tuple[argparse.Action, ...], found: Mapping[str, Setting]) -> Iterator[str]:
    if path is None:
        yield "# no file is read: that needs platformdirs (pip install platformdirs)"
    else:
        yield f"# {escaped(str(path))}{'' if path.exists() else ', which is not there yet'}"
    rows = []
    for action in settable:
        setting = found.get(action.dest)
        if setting is None:
            rows.append((f"# {name_of(action)} =", variable_of(action)))
        else:
            source = variable_of(action) if setting.source == variable_of(action) else "the file"
            rows.append((f"{name_of(action)} = {json.dumps(_shown(action, setting), ensure_ascii=False)}", source))
    width = min(40, max(columns(left) for left, _ in rows))
    for left, source in rows:
        yield f"{left}{' ' * (width - columns(left))}  # {source}"
    for complaint in _settings.unknown_variables():
        yield f"# {complaint}"


def _shown(action: argparse.Action, setting: Setting) -> str | bool | int | float:
    """Return a value as JSON and TOML write it, without the password of a proxy or an engine."""
    if isinstance(setting.value, bool | int | float):
        return setting.value
    if action.dest == "shared":
        return _shared.shown(setting.text)
    return _PASSWORD.sub("***@", setting.text)
