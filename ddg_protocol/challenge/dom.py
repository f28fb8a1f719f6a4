"""The DOM fingerprint: ``div.innerHTML`` as it reads after a text was assigned to it (PROTOCOL.md section 5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bs4.element import Comment, PageElement, ProcessingInstruction

from ..errors import UnsupportedChallenge
from .doubts import refuse
from .html import parse_in_div
from .rules import possible_escapes, possible_rules
from .tree import MATHML, SVG, Element, words

MAX_CHARACTERS = 1024
"""The longest snippet that is parsed (PROTOCOL.md section 8)."""

_VOID = words("area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr")
_RAW_TEXT = words("iframe noembed noframes plaintext script style xmp")


class Reading(NamedTuple):
    """A snippet as a browser understands it.

    Attributes:
        root: the ``div`` that the snippet was assigned to.
        inner_html: its ``innerHTML`` after that.
    """

    root: Element
    inner_html: str


def utf16_length(text: str) -> int:
    """Count UTF-16 code units, as ``length`` of an ECMAScript string does."""
    return len(text) + sum(character > "\uffff" for character in text)


def read_snippet(html: str, *, chrome: int | None) -> Reading:
    """Assign a text to a ``div``'s ``innerHTML`` and read it back.

    Args:
        html: the text that is assigned; at most `MAX_CHARACTERS`.
        chrome: the major version of the browser to answer as; None when it isn't known.

    Returns:
        The tree and its serialisation.

    Raises:
        UnsupportedChallenge: the text is too long or nests too deep, or the length that this browser gives it is not
            known, because the verified versions or Chrome's two parsers don't agree.
    """
    if len(html) > MAX_CHARACTERS:
        refuse(f"{len(html)} characters, more than {MAX_CHARACTERS}", expected=f"at most {MAX_CHARACTERS} characters")
    readings = [
        Reading(root, serialise(root, escape_angle_brackets=escaped))
        for rules in possible_rules(html, chrome)
        for root in parse_in_div(html, rules)
        for escaped in possible_escapes(chrome)
    ]
    if len({utf16_length(reading.inner_html) for reading in readings}) > 1:
        version = "an unknown browser" if chrome is None else f"Chrome {chrome}"
        raise UnsupportedChallenge(
            f"the length that {version} gives the HTML snippet is not known: verified versions or parsers differ on it",
            expected="an HTML snippet on which they agree",
        )
    return readings[0]


def serialise(root: Element, *, escape_angle_brackets: bool) -> str:
    """Write an element's content by the HTML fragment serialisation algorithm (HTML standard, 13.3).

    Args:
        root: the element whose content is written.
        escape_angle_brackets: whether ``<`` and ``>`` are escaped in attribute values.

    Returns:
        The text that a browser gives as its ``innerHTML``.
    """
    pieces: list[str] = []
    open_elements = [root]
    for node in root.descendants:
        while open_elements[-1] is not node.parent:
            pieces.append(f"</{open_elements.pop().nameTuple[1]}>")
        if isinstance(node, Element):
            pieces.append(_start_tag(node, escape_angle_brackets))
            if node.name not in _VOID:
                open_elements.append(node)
        else:
            pieces.append(_comment(node) or _text(str(node), [element.name for element in open_elements]))
    pieces += (f"</{element.nameTuple[1]}>" for element in reversed(open_elements[1:]))
    return "".join(pieces)


def outline(root: Element) -> Iterator[tuple[int, str]]:
    """Write an element's content as lines: an element's start tag, a comment, or a text in quotes.

    Args:
        root: the element whose content is written.

    Yields:
        The depth of the node, 1 for a child of the root, and the line. Text and attribute values are as they came from
        the snippet: escape control characters before you show them.
    """
    for node in root.descendants:
        depth = sum(1 for _ in node.parents)
        if isinstance(node, Element):
            namespace = {SVG: "svg ", MATHML: "math "}.get(node.namespace or "", "")
            yield depth, _start_tag(node, escape_angle_brackets=False).replace("<", f"<{namespace}", 1)
        else:
            yield depth, _comment(node) or f'"{node}"'


def _comment(node: PageElement) -> str:
    """Write a comment or processing instruction; return an empty text for other nodes."""
    if isinstance(node, Comment):
        return f"<!--{node}-->"
    return f"<?{node}>" if isinstance(node, ProcessingInstruction) else ""


def _text(text: str, inside: list[str]) -> str:
    """Write a text, escaped unless the innermost of the elements that it is inside holds raw text."""
    raw = inside[-1] in _RAW_TEXT or (inside[-1] == "noscript" and "template" not in inside)  # no script runs in those
    return text if raw else _escape_angle_brackets(_escape(text))


def _start_tag(element: Element, escape_angle_brackets: bool) -> str:
    pieces = [f"<{element.nameTuple[1]}"]
    for name, value in element.attributes.items():
        value = _escape(value).replace('"', "&quot;")
        if escape_angle_brackets:
            value = _escape_angle_brackets(value)
        pieces.append(f' {name}="{value}"')
    return "".join(pieces) + ">"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("\xa0", "&nbsp;")


def _escape_angle_brackets(text: str) -> str:
    return text.replace("<", "&lt;").replace(">", "&gt;")
