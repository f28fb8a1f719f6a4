"""No code rests on a private name of somebody else's module: a release may change it without a word."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from support.documents import read
from support.paths import ROOT
from support.sources import modules_of

PACKAGES = ("ddg_protocol", "transports", "ddg_chat")
FOLDERS = (*PACKAGES, "tests", "benchmarks", "examples")
OURS = {"ddg_protocol", "ddg_transports", "ddg_chat", "support", "benchmarks", "transcripts"}
#: Documented in spite of the underscore.
PUBLIC = {"_asdict", "_fields", "_make", "_replace", "_exit"}
#: The exceptions: who has the name, and why there is no other way.
KNOWN = {
    ("ddg_protocol/challenge/_html5lib.py", "html5lib._tokenizer"): "html5lib 1.1 has no public tokenizer",
    ("ddg_protocol/challenge/_html5lib.py", "_bufferedCharacter"): "html5lib 1.1, likewise",
    ("ddg_protocol/content.py", "_Decompress"): "what typeshed calls a class that zlib has no name for",
    ("ddg_protocol/transcript/_record.py", "_Compress"): "what typeshed calls a class that zlib has no name for",
    ("transports/ddg_transports/_client.py", "_getframe"): "documented; inspect.currentframe is it, and imports much",
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


def own_names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that a module defines."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id in {"self", "cls"}
        ):
            yield node.attr


def imported_names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the private names that a module imports from elsewhere."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if is_foreign(alias.name))
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            if is_foreign(node.module):
                yield node.module
            else:
                yield from (alias.name for alias in node.names if is_foreign(f"{node.module}.{alias.name}"))


def private_attributes(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the private names that a module takes from objects, its own or others'."""
    for node in nodes:
        if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in PUBLIC:
            yield node.attr


def is_foreign(name: str) -> bool:
    first, *rest = name.split(".")
    return first not in OURS and any(map(is_private, rest))


@pytest.mark.deep("all sources are parsed")
@pytest.mark.parametrize("folders", [PACKAGES, FOLDERS], ids=["packages", "all"])
def test_private_names_of_other_modules_are_not_used_but_for_those_with_a_reason(folders: tuple[str, ...]) -> None:
    own: set[str] = set()
    found: set[tuple[str, str]] = set()
    taken: set[tuple[str, str]] = set()
    for path in (path for folder in folders for path in modules_of(folder)):
        nodes = list(ast.walk(ast.parse(read(path))))
        own |= {*own_names(nodes), *Path(path).with_suffix("").parts}
        found |= {(path, name) for name in imported_names(nodes)}
        taken |= {(path, name) for name in private_attributes(nodes)}
    found |= {(path, name) for path, name in taken if name not in own}
    assert found == {(path, name) for path, name in KNOWN if path.startswith(folders)}


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
    def found(code: str) -> list[str]:
        nodes = list(ast.walk(ast.parse(code)))
        return [*imported_names(nodes), *private_attributes(nodes)]

    assert found(code)
    assert not found(code.replace("_", "y_"))


def test_no_private_name_of_a_library_stands_in_a_string_or_a_comment() -> None:
    for path in (path for folder in FOLDERS for path in modules_of(folder)):
        if ROOT / path != Path(__file__):
            assert not WRITTEN.findall(read(path)), path
