"""Writes the tables of all messages of exceptions into docs/messages.md: ``python docs/messages.py``.

They are read from the code: the texts that exceptions are made with, what is filled in as an ellipsis.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from ddg_protocol import errors

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "messages.md"
PACKAGES = (ROOT / "ddg_protocol", ROOT / "transports" / "ddg_transports", ROOT / "ddg_chat")
_PLACE = re.compile(r"(?<=<!-- messages -->\n).*?(?=<!-- end -->)", re.DOTALL)

OTHERS = {
    "Failure": "The text of a `Failure`, and so of the `TransportError` or `ChatTimeoutError` that follows",
    "CommandError": "What `ddg-chat` says before it leaves with exit code 2",
    "ArgumentTypeError": "What `ddg-chat` says of an option",
    "ValueError": "An argument, a setting or a file that can't be meant",
}
KINDS = (*errors.__all__, *OTHERS)

Messages = dict[str, dict[str, set[str]]]
"""The messages of each kind, with the modules that say them."""


def messages() -> Messages:
    """Return every message in the code of the three packages."""
    found: Messages = defaultdict(lambda: defaultdict(set))
    for package in PACKAGES:
        for path in sorted(package.rglob("*.py")):
            module = path.relative_to(package.parent).with_suffix("").as_posix().replace("/", ".")
            for kind, text in _of_module(ast.parse(path.read_text(encoding="utf-8"))):
                if re.search(r"\w+ \w+", text):
                    found[kind][text].add(module.removesuffix(".__init__"))
    return found


def _of_module(tree: ast.Module) -> Iterator[tuple[str, str]]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    makers = {function.name: _name(function.returns) for function in functions}
    for scope in (tree, *functions):
        known = [node for node in ast.walk(scope) if isinstance(node, ast.Assign | ast.AnnAssign)]
        for node in ast.walk(scope):
            if isinstance(node, ast.Call) and (kind := makers.get(_name(node.func)) or _name(node.func)) in KINDS:
                for argument in node.args:
                    yield from ((kind, text) for text in _texts(argument, known))
            elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and (kind := _name(node.elts[0])) in KINDS:
                yield from ((kind, text) for text in _texts(node.elts[1], known))


def _name(node: ast.expr | None) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _texts(node: ast.expr | None, known: list[ast.Assign | ast.AnnAssign]) -> Iterator[str]:
    """Yield the texts that an expression may be."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)
        case ast.BinOp(left=left, op=ast.Add()):
            yield from (f"{text}…" for text in _texts(left, known))
        case ast.IfExp(body=one, orelse=other):
            yield from _texts(one, known)
            yield from _texts(other, known)
        case ast.Name(id=name):
            for assigned in known:
                targets = assigned.targets if isinstance(assigned, ast.Assign) else [assigned.target]
                if any(_name(target) == name for target in targets) and not isinstance(assigned.value, ast.Name):
                    yield from _texts(assigned.value, known)


def tables(found: Messages) -> Iterator[str]:
    """Yield a table for each kind."""
    for kind in KINDS:
        if kind in found:
            about = OTHERS.get(kind)
            yield f"\n## `{kind}`\n\n" + (f"{about}.\n\n" if about else "")
            yield "| message | said by |\n|---|---|\n"
            for text, modules in sorted(found[kind].items()):
                shown = re.sub(r"\s+", " ", text).replace("|", "\\|").replace("`", "'").strip()
                yield f"| `{shown}` | {', '.join(f'`{module}`' for module in sorted(modules))} |\n"
    yield "\n"


def written(page: str, found: Messages) -> str:
    """Return the page with the tables of some messages."""
    return _PLACE.sub(lambda _: "".join(tables(found)), page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), messages()), encoding="utf-8")
