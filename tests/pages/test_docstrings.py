"""Every public name has a docstring that says what each parameter and each attribute is."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import msgspec
from support import public

import ddg_protocol

OBJECTS = {
    f"{obj.__module__}.{obj.__qualname__}": obj
    for _, _, obj in public.names()
    if (inspect.isclass(obj) or inspect.isroutine(obj)) and obj.__module__.startswith("ddg_")
}
CLASSES = {name: obj for name, obj in OBJECTS.items() if inspect.isclass(obj)}


def routines() -> Iterator[tuple[str, Any]]:
    for name, obj in OBJECTS.items():
        if not inspect.isclass(obj):
            yield name, obj
            continue
        for base in obj.__mro__:
            for member, value in vars(base).items() if base.__module__.startswith("ddg_") else ():
                value = value.__func__ if isinstance(value, classmethod | staticmethod) else value
                if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                    yield f"{base.__module__}.{base.__qualname__}.{member}", value


def section(doc: str, title: str) -> str:
    found = re.search(rf"^ *{title}:\n(.*?)(?=^\S|^ *[A-Z][a-z]+:\n|\Z)", inspect.cleandoc(doc), re.M | re.S)
    return found[1] if found else ""


def undescribed(described: str, wanted: Iterable[str]) -> set[str]:
    return {name for name in wanted if not re.search(rf"^ +\**{name}(, \**\w+)*: \S", described, re.MULTILINE)}


def parameters(routine: Any) -> list[str]:
    return [name for name in inspect.signature(routine).parameters if name not in ("self", "cls")]


def is_protocol(cls: type) -> bool:
    return Protocol in cls.__bases__


def test_there_are_public_names() -> None:
    assert len(OBJECTS) > 120
    assert "ddg_protocol.session.Session" in OBJECTS
    assert "ddg_transports.anyio.AsyncClient" in OBJECTS


def missing_in_class(cls: type) -> set[str]:
    doc = vars(cls).get("__doc__") or ""
    if not re.match(r"\S.*\.", doc, re.DOTALL):
        return {"a docstring"}
    bases = [base.__doc__ or "" for base in cls.__mro__ if base.__module__.startswith("ddg_")]
    described = "\n".join(section(text, "Attributes") for text in bases)
    fields: Iterable[str] = ()
    if issubclass(cls, msgspec.Struct):
        # A transcript's line that names a call of the session has that call's arguments.
        fields = () if re.match(r"`Session\.\w+`\.", doc) else cls.__struct_fields__
    elif dataclasses.is_dataclass(cls):
        fields = [field.name for field in dataclasses.fields(cls)]
    elif not issubclass(cls, Exception | enum.Enum) and not is_protocol(cls) and "Made by `" not in doc:
        return undescribed(section(doc, "Args"), parameters(cls.__init__) if "__init__" in vars(cls) else ())
    elif issubclass(cls, ddg_protocol.DuckChatError) and "__init__" in vars(cls):
        fields = [name for name in parameters(vars(cls)["__init__"]) if name != "message"]
    return undescribed(described, [name for name in fields if not name.startswith("_")])


def test_each_class_says_what_it_is_and_what_its_attributes_and_arguments_are() -> None:
    missing = {name: missing_in_class(cls) for name, cls in CLASSES.items()}
    assert {name: those for name, those in missing.items() if those} == {}


def missing_in_routine(routine: Any) -> set[str]:
    doc = routine.__doc__ or ""
    if not re.match(r"\S.*", doc):
        return {"a docstring"}
    if isinstance(routine, property) or re.search(r"[Ss]ee `[\w.]+`", doc):
        return set()
    first = doc.partition("\n")[0]
    # A word in the first line does for a method of one parameter whose name is what it says.
    wanted = parameters(routine)
    missing = undescribed(section(doc, "Args"), wanted)
    return set() if len(wanted) == 1 and wanted[0].rstrip("s") in first.lower() else missing


def test_each_routine_says_what_it_does_and_what_its_parameters_are() -> None:
    missing = {name: missing_in_routine(routine) for name, routine in routines()}
    assert len(missing) > 200
    assert {name: those for name, those in missing.items() if those} == {}
