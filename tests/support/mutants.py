"""Mutants of the core: the same code with one operator, constant, condition or statement changed."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from typing import Any, NamedTuple

from support.paths import ROOT, TESTS

COMPARED = {"Lt": ("LtE", "GtE"), "LtE": ("Lt", "Gt"), "Gt": ("GtE", "LtE"), "GtE": ("Gt", "Lt"), "Eq": ("NotEq",)}
COMPARED |= {"NotEq": ("Eq",), "Is": ("IsNot",), "IsNot": ("Is",), "In": ("NotIn",), "NotIn": ("In",)}
CALCULATED = {
    "Add": "Sub",
    "Sub": "Add",
    "Mult": "FloorDiv",
    "FloorDiv": "Mult",
    "Div": "Mult",
    "Mod": "Mult",
    "Pow": "Mult",
}
CALCULATED |= {"BitOr": "BitAnd", "BitAnd": "BitOr", "LShift": "RShift", "RShift": "LShift", "BitXor": "BitOr"}
BESIDE = tuple(f"ddg_protocol/{name}/" for name in ("service", "testing", "transcript"))
NOT_RUN = ("annotation", "returns", "decorator_list", "bases", "type_params")


class Mutant(NamedTuple):
    """One change of a file: it replaces the text between two offsets."""

    file: str
    line: int
    last: int
    start: int
    end: int
    text: str
    key: tuple[str, str, str, str]  # file, function, and the line before and after: its name in equivalent.toml


def mutants_of(file: str) -> Iterator[Mutant]:
    """Yield every mutant of a file."""
    source = (ROOT / file).read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node, text, place in _changes(ast.parse(source), ""):
        first, last = node.lineno, node.end_lineno
        start, end = starts[first - 1] + node.col_offset, starts[last - 1] + node.end_col_offset
        lines = source[starts[first - 1] : starts[last]]
        changed = source[starts[first - 1] : start] + text.encode() + source[end : starts[last]]
        was, becomes = (" ".join(each.decode().split()) for each in (lines, changed))
        yield Mutant(file, first, last, start, end, text, (file, place, was, becomes))


def _changes(node: Any, place: str) -> Iterator[tuple[Any, str, str]]:
    """Walk the code that runs, and yield each node with a text that may replace it."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        place = f"{place}.{node.name}".lstrip(".")
    if isinstance(node, ast.keyword) and node.arg == "gc":
        return  # it only affects garbage collection
    for field, value in ast.iter_fields(node):
        children = [child for child in (value if isinstance(value, list) else [value]) if isinstance(child, ast.AST)]
        if field == "test" and not isinstance(node, ast.While) and ast.unparse(value) != "TYPE_CHECKING":
            # An assert always holds: without it the code behaves as with it.
            texts = ("False",) if isinstance(node, ast.Assert) else ("True", "False")
            yield from ((value, text, place) for text in texts)
        for child in children if field not in NOT_RUN else ():
            if not isinstance(child, ast.JoinedStr):  # Python 3.11 has no positions of its parts
                yield from ((child, text, place) for text in _texts(child, field, within=place))
                yield from _changes(child, place)


def _texts(node: Any, field: str, *, within: str) -> Iterator[str]:
    """Yield the texts that may replace a node."""
    match node:
        case ast.Compare(left, ops, right):
            for index, op in enumerate(ops):
                for other in COMPARED[type(op).__name__]:
                    others = [*ops[:index], getattr(ast, other)(), *ops[index + 1 :]]
                    yield f"({ast.unparse(ast.Compare(left, others, right))})"
        case ast.BinOp(left, op, right) if within or not isinstance(op, ast.BitOr):  # outside it is a union of types
            yield f"({ast.unparse(ast.BinOp(left, getattr(ast, CALCULATED[type(op).__name__])(), right))})"
        case ast.BoolOp(op, values):
            yield f"({ast.unparse(ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values))})"
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield f"({ast.unparse(operand)})"
        case ast.Constant(bool() | int() | float() as value):
            yield str(not value if isinstance(value, bool) else value + 1)
        case ast.Assign([ast.Name(name)], value) if within and ast.unparse(value) != "None":
            yield f"{name} = None"
        case ast.Assign() | ast.AugAssign() | ast.Raise() | ast.Delete() | ast.Expr(ast.Call()) if within:
            yield "pass"
        case ast.Return(ast.expr() as value) if ast.unparse(value) not in ("None", "False"):
            yield "return None"
        case ast.Break() | ast.Continue():
            yield "continue" if isinstance(node, ast.Break) else "break"
    if field in ("lower", "upper") and not isinstance(node, ast.Constant):
        yield f"({ast.unparse(node)}) + 1"


def core() -> list[Mutant]:
    """Return every mutant of the core: what a client runs, without the service's side, the test kit and transcripts."""
    names = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("ddg_protocol/**/*.py"))
    return [mutant for name in names if not name.startswith(BESIDE) for mutant in mutants_of(name)]


def equivalents() -> dict[tuple[str, ...], str]:
    """Return the reason for each mutant that behaves as the original does."""
    listed = tomllib.loads((TESTS / "equivalent.toml").read_text(encoding="utf-8")).get("mutant", ())
    return {tuple(each[name] for name in ("file", "place", "was", "becomes")): each["reason"] for each in listed}
