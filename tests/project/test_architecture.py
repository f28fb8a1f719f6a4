"""The core is pure and the arrows point one way, read from the modules' own imports."""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from support.paths import ROOT
from support.sources import modules_of, nodes_of, tree_of

#: What touches the world, draws chance, runs at once, or logs: neither imported nor brought along.
IMPURE = {
    *("socket", "ssl", "select", "selectors", "asyncio", "concurrent.futures", "subprocess", "multiprocessing"),
    *("random", "secrets", "threading", "logging", "http.client", "urllib.request", "tempfile", "shutil"),
}
#: What half of the standard library loads for itself, so that only an import of our own counts.
NOT_OURS = {"time", "os", "io", "sys", "pathlib", "_thread", "contextvars", "signal"}
#: Builtins that reach out, or that run what they are given.
REACHING = {"open", "print", "input", "eval", "exec", "compile", "breakpoint", "__import__"}
#: Ways to the wall clock that need no forbidden import.
CLOCKS = {"now", "utcnow", "today"}
#: Dependencies, and the only rooms of the core that may use them.
ROOMS = {"h11": ("_http.py", "wire.py"), "bs4": ("challenge/",), "html5lib": ("challenge/",)}
EVERYWHERE = {"msgspec"}


def modules() -> list[str]:
    found = [path.removeprefix("ddg_protocol/") for path in modules_of("ddg_protocol")]
    assert len(found) > 50, "the core was not found"
    return found


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports_of(node: ast.AST, package: str, *, typing: bool = False) -> Iterator[str]:
    """Yield every module that the code imports, at any depth, absolute; with ``typing`` also those for types alone."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child) and not typing:
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - child.level + 1] if child.level else []
            prefix = ".".join([*base, *([child.module] if child.module else [])])
            yield prefix
            yield from (f"{prefix}.{alias.name}" for alias in child.names)
        else:
            yield from imports_of(child, package, typing=typing)


def package_of(module: str) -> str:
    return ".".join(["ddg_protocol", *Path(module).parent.parts])


@functools.cache
def brings_along(module: str) -> frozenset[str]:
    """What a standard library module loads beyond what a bare interpreter has loaded."""
    show = "import json; print(json.dumps(sorted(set(sys.modules) - had)))"
    code = f"import sys; had = set(sys.modules); import {module}; {show}"
    run = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    return frozenset(json.loads(run.stdout))


def test_no_core_module_imports_what_is_impure_nor_what_brings_it_along() -> None:
    for module in modules():
        check_imports(module)


def check_imports(module: str) -> None:
    for name in imports_of(tree_of(f"ddg_protocol/{module}"), package_of(module)):
        top = name.partition(".")[0]
        if top == "ddg_protocol":
            continue
        assert not {name, top} & (IMPURE | NOT_OURS), f"{module} imports {name}"
        if top in sys.stdlib_module_names:
            if _is_module(name):
                brought = brings_along(name) & IMPURE
                assert not brought, f"{module} imports {name}, which brings along {sorted(brought)}"
        elif module.startswith("testing/"):
            assert top in {"hypothesis", *EVERYWHERE}, f"{module} imports {name}"
        else:
            assert top in EVERYWHERE or module.startswith(ROOMS.get(top, ())), f"{module} imports {name}"


@functools.cache
def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is a module, and no package
        return False


def test_no_core_module_calls_what_reaches_out_or_runs_code() -> None:
    nodes = [(module, node) for module in modules() for node in nodes_of(f"ddg_protocol/{module}")]
    for module, node in nodes:
        if isinstance(node, ast.Name):
            assert node.id not in REACHING, f"{module}:{node.lineno} uses {node.id}"
        if isinstance(node, ast.Attribute):
            where = isinstance(node.value, ast.Name) and node.value.id in {"datetime", "date"}
            assert not (where and node.attr in CLOCKS), f"{module}:{node.lineno} reads the clock"


def test_a_forbidden_import_would_be_seen() -> None:
    seen = list(imports_of(ast.parse("def f():\n    from . import x\n    import http.cookiejar"), "ddg_protocol.a"))
    assert seen == ["ddg_protocol.a", "ddg_protocol.a.x", "http.cookiejar"]
    for_types = ast.parse("if TYPE_CHECKING:\n    from .b import y")
    assert list(imports_of(for_types, "ddg_protocol.a")) == []
    assert list(imports_of(for_types, "ddg_protocol.a", typing=True)) == ["ddg_protocol.a.b", "ddg_protocol.a.b.y"]
    assert "urllib.request" in brings_along("http.cookiejar")
    assert "random" in brings_along("statistics")


def test_no_import_circle_in_the_core_not_even_one_for_types() -> None:
    def name_of(module: str) -> str:
        return "ddg_protocol." + module.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    names = {name_of(module): module for module in modules() if module != "__init__.py"}
    graph = {}
    for name, module in names.items():
        found = set(imports_of(tree_of(f"ddg_protocol/{module}"), package_of(module), typing=True)) & names.keys()
        # A package's own rooms make it up; that they import one another is no arrow out of it.
        graph[name] = {other for other in found if other != name and not other.startswith(name + ".")}
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_each_refusal_of_section_7_is_named_in_one_place() -> None:
    section = (ROOT / "docs" / "PROTOCOL.md").read_text(encoding="utf-8").partition("## 7. ")[2].partition("\n## ")[0]
    rules = set(re.findall(r"`(ERR_\w+)`", section))
    assert len(rules) >= 9
    client = [module for module in modules() if not module.startswith(("service/", "testing/", "transcript/"))]
    named = [
        (node.value, module)
        for module in client
        for node in nodes_of(f"ddg_protocol/{module}")
        if isinstance(node, ast.Constant) and node.value in rules
    ]
    assert {module for _, module in named} == {"refusal.py"}
    assert len(named) == len(dict(named))


@pytest.mark.parametrize(
    ("package", "never"),
    [
        ("ddg_protocol", {"ddg_transports", "ddg_chat"}),
        ("transports/ddg_transports", {"ddg_chat"}),
    ],
)
def test_dependencies_point_one_way(package: str, never: set[str]) -> None:
    files = modules_of(package)
    assert files
    for path in files:
        tops = {name.partition(".")[0] for name in imports_of(tree_of(path), "x.y.z")}
        assert not tops & never, f"{path} imports {tops & never}"


def test_importing_the_core_loads_nothing_heavy_and_nothing_that_could_reach_out() -> None:
    code = "import sys, json, ddg_protocol; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(json.loads(run.stdout))
    assert "ddg_protocol.session" in loaded
    heavy = {"h11", "bs4", "html5lib", "anyio", "httpcore", "trio", "socket", "ssl", "asyncio", "ddg_transports"}
    assert not loaded & heavy


def test_the_blocking_driver_loads_nothing_of_the_async_ones() -> None:
    code = "import sys, json, ddg_transports.blocking; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(json.loads(run.stdout))
    assert "ddg_protocol.wire" in loaded
    assert not loaded & {"anyio", "asyncio", "httpcore", "trio", "bs4", "html5lib"}


@pytest.mark.parametrize(
    ("code", "loaded", "never"),
    [
        ("import ddg_transports, ddg_chat", set(), {"ddg_protocol", "socket", "ssl", "logging"}),
        ("from ddg_transports import Client, DuckChatError", {"ddg_transports.blocking"}, {"ddg_transports.anyio"}),
        ("from ddg_transports import AsyncClient", {"ddg_transports.anyio"}, {"ddg_transports.blocking", "trio"}),
        ("import ddg_transports; ddg_transports.__version__", {"ddg_protocol"}, {"ddg_transports.blocking"}),
    ],
)
def test_a_name_at_the_top_of_the_drivers_loads_what_it_needs_and_no_more(
    code: str, loaded: set[str], never: set[str]
) -> None:
    shown = f"{code}; import sys, json; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True, cwd=ROOT)
    modules = set(json.loads(run.stdout))
    if "AsyncClient" not in code:
        never = never | {"anyio", "asyncio"}
    assert modules >= loaded
    assert not modules & (never | {"httpcore", "bs4", "html5lib"})


def test_no_group_of_a_pattern_is_possessive() -> None:
    # Before Python 3.11.5 such a group may match too much (CPython's issue 106052); single characters are fine.
    for package in ("ddg_protocol", "transports/ddg_transports", "ddg_chat"):
        for path in (ROOT / package).rglob("*.py"):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                assert not re.search(r"[^\\]\)[*?+]\+|\(\?>|\)\{[0-9,]*\}\+", line), f"{path}:{number}: {line}"
