"""bs4's tree as html5lib builds it, with the scopes and the kinds of elements of today's HTML standard.

Names in camel case are html5lib's.
"""
# ruff: noqa: D102, N802, N803, N815

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bs4.element import Comment, NavigableString, PageElement, ProcessingInstruction, Tag
from html5lib.constants import namespaces
from html5lib.treebuilders import base

HTML, MATHML, SVG = namespaces["html"], namespaces["mathml"], namespaces["svg"]

_Name = tuple[str | None, str]


def _names(namespace: str, names: str) -> frozenset[_Name]:
    return frozenset((namespace, name) for name in names.split())


_FOREIGN = _names(MATHML, "annotation-xml mi mn mo ms mtext") | _names(SVG, "desc foreignObject title")

SPECIAL = _FOREIGN | _names(
    HTML,
    """address applet area article aside base basefont bgsound blockquote body br button caption center col colgroup dd
    details dir div dl dt embed fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header
    hgroup hr html iframe img input li link listing main marquee menu meta nav noembed noframes noscript object ol p
    param plaintext pre script section select source style summary table tbody td template textarea tfoot th thead title
    tr track ul wbr xmp""",
)
"""The standard's special elements as Chrome has them: without ``search`` and ``keygen``."""

_SCOPE = _FOREIGN | _names(HTML, "applet caption html marquee object table td template th")
_SCOPES: Mapping[str | None, frozenset[_Name]] = {
    None: _SCOPE,
    "button": _SCOPE | _names(HTML, "button"),
    "list": _SCOPE | _names(HTML, "ol ul"),
    "table": _names(HTML, "html table template"),
}
_IMPLIED_END_TAGS = ("dd", "dt", "li", "optgroup", "option", "p", "rb", "rp", "rt", "rtc")


class Element(Tag):
    """An element of bs4's tree that html5lib can build with, by bs4's public operations only.

    bs4 ships handles for that purpose. They never find the attributes of two elements equal, so that the limit of three
    equal formatting elements ("Noah's Ark") does not hold, and don't tell a moved element its new parent.

    The ``name`` of a foreign element has a space in front: html5lib compares names without their namespaces.
    """

    def __init__(self, name: str, namespace: str | None = HTML) -> None:
        super().__init__(name=name if namespace == HTML else f" {name}", namespace=namespace)
        self.nameTuple = (namespace, name)

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other  # html5lib means the node; bs4 would compare the markup

    @property
    def attributes(self) -> dict[Any, Any]:
        return self.attrs

    @attributes.setter
    def attributes(self, attributes: dict[Any, Any]) -> None:
        self.attrs = attributes

    def appendChild(self, node: PageElement) -> None:
        self.append(node)

    def insertBefore(self, node: PageElement, refNode: PageElement | None) -> None:
        if refNode is None:
            self.append(node)
        else:
            refNode.insert_before(node)

    def insertText(self, data: str, insertBefore: PageElement | None = None) -> None:
        index = len(self.contents) if insertBefore is None else self.index(insertBefore)
        before = self.contents[index - 1] if index else None
        if type(before) is NavigableString:
            before.replace_with(NavigableString(before + data))
        else:
            self.insert(index, NavigableString(data))

    def reparentChildren(self, newParent: Element) -> None:
        newParent.extend(list(self.contents))

    def cloneNode(self) -> Element:
        clone = Element(self.nameTuple[1], self.namespace)
        clone.attrs = dict(self.attrs)
        return clone


class Tree(base.TreeBuilder):
    """What html5lib builds with: makes the nodes, and knows the stack of open elements and its scopes."""

    elementClass = Element
    scopes: ClassVar[Mapping[str | None, frozenset[_Name]]] = _SCOPES

    def documentClass(self) -> Element:
        return Element("document")

    def fragmentClass(self) -> Element:
        return Element("div")

    def commentClass(self, data: str) -> Comment | ProcessingInstruction:
        return data if isinstance(data, ProcessingInstruction) else Comment(data)

    def elementInScope(self, target: str | Element, variant: str | None = None) -> bool:
        bounds = self.scopes[variant]
        node = next(n for n in reversed(self.openElements) if n is target or n.name == target or n.nameTuple in bounds)
        return node is target or node.name == target

    def has_open(self, name: str) -> bool:
        return any(node.name == name for node in self.openElements)

    def innermost(self, *names: str) -> str:
        """Return the name of the innermost open element among these, or an empty text."""
        return next((node.name for node in reversed(self.openElements) if node.name in names), "")

    def pop_until(self, *names: str) -> None:
        while self.openElements.pop().name not in names:
            pass

    def generateImpliedEndTags(self, exclude: str | None = None) -> None:
        while self.openElements[-1].name in _IMPLIED_END_TAGS and self.openElements[-1].name != exclude:
            self.openElements.pop()

    def getTableMisnestedNodePosition(self) -> tuple[Element, Element | None]:
        """Give the foster parent and the child to insert before ("appropriate place for inserting a node")."""
        node = next(node for node in reversed(self.openElements) if node.name in ("table", "template"))
        return (node, None) if node.name == "template" else (node.parent, node)


class TreeOfMixedSelect(Tree):
    """The same where ``select`` bounds scopes (Chrome 156)."""

    scopes: ClassVar = {
        variant: names if variant == "table" else names | _names(HTML, "select") for variant, names in _SCOPES.items()
    }
