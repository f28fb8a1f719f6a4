"""No code rests on a private name of somebody else's module: a release may change it without a word."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.paths import ROOT

FOLDERS = ("ddg_protocol", "transports", "ddg_chat", "tests", "benchmarks", "examples")
OURS = {"ddg_protocol", "ddg_transports", "ddg_chat", "support", "benchmarks", "transcripts"}
#: Documented in spite of the underscore.
PUBLIC = {"_asdict", "_fields", "_make", "_replace", "_exit"}
#: The exceptions: who has the name, and why there is no other way.
KNOWN = {
    ("ddg_protocol/challenge/_html5lib.py", "html5lib._tokenizer"): "html5lib 1.1 has no public tokenizer",
    ("ddg_protocol/challenge/_html5lib.py", "_bufferedCharacter"): "html5lib 1.1, likewise",
    ("ddg_protocol/content.py", "_Decompress"): "what typeshed calls a class that zlib has no name for",
    ("ddg_protocol/transcript/_record.py", "_Compress"): "what typeshed calls a class that zlib has no name for",
    ("ddg_chat/completion.py", "_SubParsersAction"): "argparse does not list the arguments of a parser",
    ("tests/project/test_platforms.py", "_obj"): "a stand-in for Windows writes where a byref() of ctypes points",
    ("benchmarks/clients.py", "_chat_messages"): "duckai 0.3.1 does not return the history",
}
#: Libraries whose private names may not stand in a string either, such as one that is patched.
WRITTEN = re.compile(
    r"(?<![\w./])(?:asyncio|anyio|trio|uvloop|httpcore2?|h11|h2|ssl|socket)\._[a-z]\w*|_asyncio_future\w*"
)


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def trees() -> dict[str, ast.Module]:
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def own_names(trees: dict[str, ast.Module]) -> set[str]:
    """Return every name that this project defines anywhere."""
    found = {part for path in trees for part in Path(path).with_suffix("").parts}
    for tree in trees.values():
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    found.add(node.name)
                case ast.Name(ctx=ast.Store()):
                    found.add(node.id)
                case ast.Attribute(value=ast.Name(id="self" | "cls"), ctx=ast.Store()):
                    found.add(node.attr)
    return found


def private_names(tree: ast.Module, own: set[str]) -> Iterator[str]:
    """Yield the private names that a module takes from elsewhere."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute() if is_private(node.attr) and node.attr not in own | PUBLIC:
                yield node.attr
            case ast.Import():
                modules = [alias.name for alias in node.names]
                yield from (name for name in modules if is_foreign(name))
            case ast.ImportFrom(level=0, module=str(module)):
                if is_foreign(module):
                    yield module
                else:
                    yield from (alias.name for alias in node.names if is_foreign(f"{module}.{alias.name}"))


def is_foreign(name: str) -> bool:
    first, *rest = name.split(".")
    return first not in OURS and any(map(is_private, rest))


def test_private_names_of_other_modules_are_not_used_but_for_those_with_a_reason() -> None:
    every = trees()
    own = own_names(every)
    found = {(path, name) for path, tree in every.items() for name in private_names(tree, own)}
    assert found == set(KNOWN)


@pytest.mark.parametrize(
    "code",
    [
        "import anyio._core",
        "from anyio import _core",
        "from h11._events import Data",
        "import h11; h11._util.x",
        "t._x",
    ],
)
def test_a_private_name_is_found_in_whatever_way_it_is_taken(code: str) -> None:
    assert list(private_names(ast.parse(code), {"_y"}))
    assert not list(private_names(ast.parse(code.replace("_", "y_")), {"_y"}))


def test_no_private_name_of_a_library_stands_in_a_string_or_a_comment() -> None:
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            if path != Path(__file__):
                assert not WRITTEN.findall(path.read_text(encoding="utf-8")), path
