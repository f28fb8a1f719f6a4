"""What the package offers by name: at the top what every embedder needs, the rest where it lives."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import tomllib
import typing
from types import ModuleType

import msgspec
import pytest
from support import public
from support.paths import ROOT

import ddg_chat
import ddg_protocol
import ddg_transports
from ddg_protocol import DuckChatError, errors, events


def test_each_public_name_is_there_and_listed() -> None:
    names = list(public.names())
    assert len(names) > 200
    for module, name, _ in names:
        assert getattr(sys.modules[module], name) is not None, (module, name)
        assert name in dir(sys.modules[module]), (module, name)


def test_values_can_not_be_changed() -> None:
    structs = {obj for _, _, obj in public.names() if isinstance(obj, type) and issubclass(obj, msgspec.Struct)}
    assert len(structs) > 30
    # A log of exchanges grows as they go on.
    assert {struct.__name__ for struct in structs if not struct.__struct_config__.frozen} == {"Exchange", "Recorded"}


def test_the_top_has_at_most_forty_names_and_no_others() -> None:
    there = {name for name, value in vars(ddg_protocol).items() if not inspect.ismodule(value)}
    assert {name for name in there if not name.startswith("_")} == set(ddg_protocol.__all__)
    assert len(ddg_protocol.__all__) <= 40


def test_the_top_has_the_root_of_the_exceptions_and_its_branches() -> None:
    branches = {name for name in errors.__all__ if DuckChatError in getattr(errors, name).__bases__}
    at_the_top = set(ddg_protocol.__all__) & set(errors.__all__)
    assert at_the_top == branches | {"DuckChatError", "RateLimitError"}


def test_every_exception_is_public_in_errors_and_every_event_in_events() -> None:
    classes = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    assert set(errors.__all__) - {"UsageWindow"} == classes  # a part of `UserLimitError`
    assert {event.__name__ for event in typing.get_args(events.Event)} <= set(events.__all__)


@pytest.mark.parametrize("package", [ddg_protocol, ddg_transports, ddg_chat])
def test_another_name_is_an_attribute_error(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match="no attribute 'Session2'"):
        package.Session2  # noqa: B018


def test_the_packages_have_the_version_of_their_distribution() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", ddg_protocol.__version__)
    assert ddg_transports.__version__ == ddg_chat.__version__ == ddg_protocol.__version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "ddg_protocol/__init__.py"
    assert f"\n## {ddg_protocol.__version__} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {ddg_protocol.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_each_name_at_the_top_of_the_drivers_is_the_one_that_a_type_checker_sees() -> None:
    tree = ast.parse((ROOT / "transports/ddg_transports/__init__.py").read_text(encoding="utf-8"))
    (typed,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {
        alias.name: ("ddg_transports." if node.level else "") + (node.module or "")
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == ddg_transports._MODULES
    assert set(imported) == set(ddg_transports.__all__)
