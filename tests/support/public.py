"""The public names: those in `__all__` of each module whose name has no leading underscore."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import ddg_protocol
import ddg_transports


def modules() -> Iterator[ModuleType]:
    for package in (ddg_protocol, ddg_transports):
        yield package
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not any(part.startswith("_") for part in found.name.split(".")):
                yield importlib.import_module(found.name)


def names() -> Iterator[tuple[str, str, object]]:
    """Yield each public name: its module, the name, the object."""
    for module in modules():
        for name in getattr(module, "__all__", ()):
            yield module.__name__, name, getattr(module, name)
