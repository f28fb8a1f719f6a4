"""What the package offers by name."""

from __future__ import annotations

import pytest

import ddg_protocol


@pytest.mark.parametrize("name", ddg_protocol.__all__)
def test_each_public_name_is_there_and_listed(name: str) -> None:
    assert getattr(ddg_protocol, name) is not None
    assert name in dir(ddg_protocol)


def test_another_name_is_an_attribute_error_as_of_any_module() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Client'"):
        getattr(ddg_protocol, "Client")  # noqa: B009 - a type checker knows that it isn't there
