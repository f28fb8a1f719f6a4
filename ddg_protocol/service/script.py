"""Scripts of faults as text: a TOML document, or a line for each fault.

Both use the names of `ddg_protocol.service.faults`: those of effects in lower case, those of attributes with ``-`` for
``_``. In TOML::

    [[fault]]
    on = "chat"
    times = 1
    effects = [{ do = "refuse", status = 429, retry-after = 2 }]

As a line, ``ENDPOINT:WORD[,WORD]...``, the same is ``chat:refuse=429,retry-after=2,times=1``. A word is

* an effect, ``NAME`` or ``NAME=VALUE``, where the value is that of its first attribute; a status by itself, ``429``, is
  ``refuse=429``;
* an attribute of the effect before it, ``NAME=VALUE``; ``NAME`` alone sets a flag;
* ``first=N`` or ``times=N``.

In a value, ``%2C`` is a comma, and any byte can be percent-encoded; several numbers are joined by ``+``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from typing import Annotated, Literal, get_args, get_origin
from urllib.parse import unquote_to_bytes

import msgspec

from ..text import about_keys, printable
from ._pieces import Endpoint
from .faults import Effect, Fault

__all__ = ["fault_from_text", "script_from_toml"]

_FORM = "a fault is ENDPOINT:EFFECT[,...], such as chat:429,times=1"
_EFFECTS: dict[str, type[msgspec.Struct]] = {effect.__struct_config__.tag: effect for effect in get_args(Effect)}
_WHEN = ("first", "times")
#: The values of the attributes that allow only some, by name; no two have the same name.
_CHOICES: dict[str, tuple[object, ...]] = {"do": tuple(_EFFECTS)} | {
    field.encode_name: get_args(field.type)
    for struct in (*get_args(Effect), Fault)
    for field in msgspec.structs.fields(struct)
    if get_origin(field.type) is Literal
}
#: What msgspec says of a number that is none, too small or too large, and where.
_NOT_A_NUMBER = re.compile(r"Expected `(?:int|float)(?: \| null)?`[^`]*(?:`\w+`)? - at `(?:\$\.)?([^`]+)`")


def _kind_of_number(kind: object) -> str | None:
    """Return the numbers that a type allows, in words; None if it is no number's."""
    number, *notes = get_args(kind) or (kind,)
    if get_origin(kind) is Annotated and number in (int, float):
        (meta,) = notes
        words = "a whole number" if number is int else "a number"
        return f"{words}, {meta.ge} or more" if meta.le is None else f"{words} from {meta.ge} to {meta.le:,.0f}"
    return next((inner for each in get_args(kind) if (inner := _kind_of_number(each))), None)


#: The numbers that an attribute allows, by its name; no two of a name allow different ones.
_NUMBERS: dict[str, str] = {
    field.encode_name: kind
    for struct in (*get_args(Effect), Fault)
    for field in msgspec.structs.fields(struct)
    if (kind := _kind_of_number(field.type))
}


class _Script(msgspec.Struct, forbid_unknown_fields=True):
    fault: tuple[Fault, ...] = ()


def script_from_toml(text: str) -> tuple[Fault, ...]:
    """Parse a script.

    Args:
        text: a TOML document with a table ``[[fault]]`` for each fault.

    Returns:
        The faults, in order.

    Raises:
        ValueError: the text is not TOML, nested too deeply, or not a script; the message says where.
    """
    try:
        return msgspec.convert(tomllib.loads(text), _Script).fault
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise ValueError(_explained(str(error))) from None
    except ValueError as error:  # a number of too many digits is no TOMLDecodeError
        raise ValueError(f"not TOML: {printable(str(error))}") from None


def fault_from_text(text: str) -> Fault:
    """Parse one fault.

    Args:
        text: ``ENDPOINT:WORD[,WORD]...``, as described for this module.

    Returns:
        The fault.

    Raises:
        ValueError: the text is not a fault; the message names the word, and what is valid instead.
    """
    endpoint, colon, rest = text.partition(":")
    if endpoint not in get_args(Endpoint):
        there_are = ", ".join(get_args(Endpoint))
        raise ValueError(f"{_FORM}; {printable(endpoint, 40)!r} is no endpoint; there are {there_are}")
    if not colon or not rest:
        raise ValueError(f"{_FORM}; the effect at {endpoint} is missing")
    when: dict[str, str] = {}
    effects: list[dict[str, object]] = []
    for word in rest.split(","):
        name, equals, value = word.partition("=")
        if name.isascii() and name.isdecimal() and not equals:
            name, equals, value = "refuse", "=", name
        if name in _WHEN:
            when[name] = value
        elif name in _EFFECTS:
            effects.append({"do": name})
            if equals:
                first = msgspec.structs.fields(_EFFECTS[name])[0]
                effects[-1][first.encode_name] = _value(first, value)
        else:
            _set(effects[-1] if effects else {}, name, value if equals else "true")
    if not effects:
        raise ValueError(f"{_FORM}; the effect at {endpoint} is missing")
    try:
        return msgspec.convert({"on": endpoint, "effects": effects, **when}, Fault, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(_explained(str(error), effects)) from None


def _set(effect: dict[str, object], name: str, value: str) -> None:
    """Set an attribute of a line's last effect."""
    shown, effects = printable(name, 40), f"the effects are {', '.join(_EFFECTS)}, and a status such as 429"
    if not effect:
        raise ValueError(f"{shown!r} is no effect; {effects}")
    attributes = {field.encode_name: field for field in msgspec.structs.fields(_EFFECTS[str(effect["do"])])}
    if name not in attributes:
        has = ", ".join(attributes)
        raise ValueError(f"{shown!r} is neither an attribute of {effect['do']} ({has}) nor an effect; {effects}")
    effect[name] = _value(attributes[name], value)


def _value(attribute: msgspec.structs.FieldInfo, text: str) -> object:
    if attribute.name == "sizes":
        return text.split("+")
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def _explained(message: str, effects: Sequence[dict[str, object]] = ()) -> str:
    """Reword an error message of msgspec, and add the valid values."""
    for number, effect in enumerate(effects):
        message = message.replace(f"effects[{number}]", str(effect["do"]))
    *_, attribute = re.split(r"[.`]", message.rstrip("`"))
    if number_at := _NOT_A_NUMBER.fullmatch(message):
        name = attribute.partition("[")[0]
        return f"{printable(number_at[1], 300)} must be {_NUMBERS.get(name, 'a number')}"
    could = _CHOICES.get(attribute, ()) if message.startswith("Invalid") else ()
    there_are = f"; there are {', '.join(map(str, could))}" if could else ""
    return printable(about_keys(message.replace("`$.", "`")), 300) + there_are
