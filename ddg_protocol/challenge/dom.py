"""The DOM fingerprint: how long ``div.innerHTML`` is after it was assigned a text (PROTOCOL.md section 5)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from bs4.element import Comment, PageElement, ProcessingInstruction

from ..errors import UnsupportedChallenge
from .html import Rules, parse_in_div
from .tree import MATHML, SVG, Element

MAX_CHARACTERS = 1024
"""The longest snippet that is parsed (PROTOCOL.md section 8)."""

_CHROME_133 = Rules(
    mixed_select=False,
    unbounded_adoption=False,
    processing_instructions=False,
    waits_for=frozenset(("doctype", "[CDATA[", "public", "system")),
    cdata_at_integration_points=False,
    formats_with_is=True,
)
_CHROME_156 = Rules(
    mixed_select=True,
    unbounded_adoption=True,
    processing_instructions=True,
    waits_for=frozenset(),
    cdata_at_integration_points=True,
    formats_with_is=False,
)
# Chrome 133 is verified to wait for "doctype". The other rules named here come from the source of Chrome 132, and no
# vector shows them in 133: a snippet is answered only if they make no difference to it.
_DOUBTED_133 = _CHROME_133._replace(
    waits_for=frozenset(("doctype",)), cdata_at_integration_points=True, formats_with_is=False
)
_IN_DOUBT = re.compile(r"<!\[|<!doctype|\bis\b", re.IGNORECASE)
"""What a snippet contains if those rules can make a difference to it."""

_VOID = frozenset(
    ("area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input", "keygen", "link")
) | frozenset(("meta", "param", "source", "track", "wbr"))
_RAW_TEXT = frozenset(("iframe", "noembed", "noframes", "plaintext", "script", "style", "xmp"))


class Reading(NamedTuple):
    """A snippet as a browser understands it.

    Attributes:
        root: the ``div`` that it was assigned to.
        inner_html: what reading it back gives.
    """

    root: Element
    inner_html: str


def inner_html_length(html: str, *, chrome: int | None = 133) -> int:
    """Give the length of ``div.innerHTML`` after an assignment; see `ddg_protocol.challenge.inner_html_length`."""
    return utf16_length(read_snippet(html, chrome=chrome).inner_html)


def utf16_length(text: str) -> int:
    """Count UTF-16 code units, as ``length`` of an ECMAScript string does."""
    return len(text) + sum(character > "\uffff" for character in text)


def read_snippet(html: str, *, chrome: int | None) -> Reading:
    """Assign a text to a ``div``'s ``innerHTML`` and read it back.

    Args:
        html: what is assigned; at most `MAX_CHARACTERS`.
        chrome: the major version of the browser to answer as; None when it isn't known.

    Returns:
        The tree, and its serialisation.

    Raises:
        UnsupportedChallenge: it is too long or too deep, or what that browser would say is not known: the verified
            versions before and after it don't agree.
    """
    if len(html) > MAX_CHARACTERS:
        raise UnsupportedChallenge(
            f"the HTML snippet has {len(html)} characters, more than {MAX_CHARACTERS}",
            expected=f"an HTML snippet of at most {MAX_CHARACTERS} characters",
        )
    verified = {133: [_CHROME_133, _DOUBTED_133] if _IN_DOUBT.search(html) else [_CHROME_133], 156: [_CHROME_156]}
    readings = [
        Reading(root, serialise(root, escape_angle_brackets=escaped))
        for rules in verified.get(chrome or 0, verified[133] + verified[156])
        for root in parse_in_div(html, rules)
        for escaped in _angle_brackets_escaped(chrome)
    ]
    if len({utf16_length(reading.inner_html) for reading in readings}) > 1:
        version = "an unknown browser" if chrome is None else f"Chrome {chrome}"
        raise UnsupportedChallenge(
            f"what {version} makes of the HTML snippet is not known: verified versions or parsers differ on it",
            expected="an HTML snippet on which they agree",
        )
    return readings[0]


def _angle_brackets_escaped(chrome: int | None) -> list[bool]:
    """Tell whether ``<`` and ``>`` are escaped in attributes: not up to 137, yes from 153 on."""
    if chrome is not None and chrome <= 137:
        return [False]
    if chrome is not None and chrome >= 153:
        return [True]
    return [False, True]


def serialise(root: Element, *, escape_angle_brackets: bool) -> str:
    """Write an element's content as the HTML fragment serialisation algorithm does (HTML standard, 13.3).

    Args:
        root: the element whose content is meant.
        escape_angle_brackets: whether ``<`` and ``>`` are escaped in attribute values.

    Returns:
        What ``innerHTML`` gives.
    """
    pieces: list[str] = []
    open_elements = [(root, iter(root.contents))]
    while open_elements:
        parent, children = open_elements[-1]
        node = next(children, None)
        if node is None:
            open_elements.pop()
            if open_elements:
                pieces.append(f"</{parent.nameTuple[1]}>")
        elif isinstance(node, Element):
            pieces.append(_start_tag(node, escape_angle_brackets))
            if node.name not in _VOID:
                open_elements.append((node, iter(node.contents)))
        elif isinstance(node, Comment):
            pieces.append(f"<!--{node}-->")
        elif isinstance(node, ProcessingInstruction):
            pieces.append(f"<?{node}>")
        elif parent.name in _RAW_TEXT or (parent.name == "noscript" and not _in_template(open_elements)):
            pieces.append(str(node))
        else:
            pieces.append(_escape(str(node)).replace("<", "&lt;").replace(">", "&gt;"))
    return "".join(pieces)


def outline(root: Element) -> Iterator[tuple[int, str]]:
    """Write an element's content as lines: an element's start tag, a comment, or a text in quotes.

    Args:
        root: the element whose content is meant.

    Yields:
        How deep the node is, 1 for a child of the root, and the line. Text and attribute values are as they came from
        the snippet: whoever shows them escapes control characters.
    """
    open_elements = [iter(root.contents)]
    while open_elements:
        node = next(open_elements[-1], None)
        depth = len(open_elements)
        if node is None:
            open_elements.pop()
        elif isinstance(node, Element):
            namespace = {SVG: "svg ", MATHML: "math "}.get(node.namespace or "", "")
            yield depth, _start_tag(node, escape_angle_brackets=False).replace("<", f"<{namespace}", 1)
            open_elements.append(iter(node.contents))
        elif isinstance(node, Comment | ProcessingInstruction):
            yield depth, f"<!--{node}-->" if isinstance(node, Comment) else f"<?{node}>"
        else:
            yield depth, f'"{node}"'


def _in_template(open_elements: list[tuple[Element, Iterator[PageElement]]]) -> bool:
    """Tell whether the innermost element belongs to a template's document, in which no script runs."""
    return any(element.name == "template" for element, _ in open_elements)


def _attribute_name(name: str | tuple[str | None, str, str]) -> str:
    """Give an attribute's qualified name; html5lib has prefix, name and namespace for the foreign ones."""
    return name if isinstance(name, str) else ":".join(filter(None, name[:2]))


def _start_tag(element: Element, escape_angle_brackets: bool) -> str:
    pieces = [f"<{element.nameTuple[1]}"]
    for name, value in element.attributes.items():
        value = _escape(value).replace('"', "&quot;")
        if escape_angle_brackets:
            value = value.replace("<", "&lt;").replace(">", "&gt;")
        pieces.append(f' {_attribute_name(name)}="{value}"')
    return "".join(pieces) + ">"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("\xa0", "&nbsp;")
