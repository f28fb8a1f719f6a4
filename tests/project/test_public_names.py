"""What the package offers by name: at the top what every embedder needs, the rest where it lives."""

from __future__ import annotations

import inspect
import sys
import typing

import msgspec
import pytest
from support import public

import ddg_protocol
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
    assert set(errors.__all__) == classes
    assert {event.__name__ for event in typing.get_args(events.Event)} <= set(events.__all__)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Client'"):
        getattr(ddg_protocol, "Client")  # noqa: B009 - a type checker knows that it isn't there
