"""The project's own modules as syntax trees, each parsed once by each process."""

from __future__ import annotations

import ast
import functools

from support.paths import ROOT


@functools.cache
def tree_of(name: str) -> ast.Module:
    """Return the tree of the module at a path from the root; nobody changes it."""
    return ast.parse((ROOT / name).read_text(encoding="utf-8"))


@functools.cache
def nodes_of(name: str) -> tuple[ast.AST, ...]:
    """Return every node of a module, in the order of `ast.walk`."""
    return tuple(ast.walk(tree_of(name)))


@functools.cache
def modules_of(folder: str) -> tuple[str, ...]:
    """Return the modules in a folder, at any depth, by their paths from the root."""
    return tuple(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / folder).rglob("*.py")))
