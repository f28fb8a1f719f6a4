"""The tree of bs4's nodes that html5lib builds, and its stack of open elements with the scopes of today's standard.

Names in camel case are html5lib's.
"""
# ruff: noqa: D102, N802, N803, N815

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from bs4.element import Comment, NavigableString, PageElement, ProcessingInstruction, Tag
from html5lib.constants import namespaces
from html5lib.treebuilders import base

HTML, MATHML, SVG = namespaces["html"], namespaces["mathml"], namespaces["svg"]

_Name = tuple[str | None, str]


def words(text: str) -> frozenset[str]:
    """Return the words of a text, which blanks separate."""
    return frozenset(text.split())


def _names(namespace: str, names: str) -> frozenset[_Name]:
    return frozenset((namespace, name) for name in words(names))


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
    "select": frozenset(),  # html5lib asks in the mode "in select" only, and nothing that is open there bounds it
}
"""The elements that bound each of the standard's scopes (13.2.4.2); None is the plain one."""

_IMPLIED_END_TAGS = words("dd dt li optgroup option p rb rp rt rtc")


class Element(Tag):
    """An element of bs4's tree with the methods that html5lib builds with.

    bs4 has wrappers for that purpose, which don't serve here: the attributes of two of them are never equal, so that
    the limit of three equal formatting elements ("Noah's Ark") does not hold, and a moved element keeps its old parent.

    Attributes:
        name: as html5lib compares it, without the namespace; a foreign element's has a space in front, so that it isn't
            taken for the HTML element.
        nameTuple: the namespace and the real name.
        attributes: by their qualified names; bs4's ``attrs`` stays empty.
    """

    def __init__(self, name: str, namespace: str | None = HTML) -> None:
        super().__init__(name=name if namespace == HTML else f" {name}", namespace=namespace)
        self.nameTuple = (namespace, name)
        self.attributes: dict[str, str] = {}

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other  # html5lib means the node, where bs4 compares the markup

    appendChild = Tag.append

    def insertBefore(self, node: PageElement, refNode: PageElement | None) -> None:
        self.insert(self._index_before(refNode), node)

    def _index_before(self, node: PageElement | None) -> int:
        return len(self.contents) if node is None else self.index(node)

    def insertText(self, data: str, insertBefore: PageElement | None = None) -> None:
        index = self._index_before(insertBefore)
        before = self.contents[index - 1] if index else None
        if type(before) is NavigableString:
            before.replace_with(NavigableString(before + data))
        else:
            self.insert(index, NavigableString(data))

    def reparentChildren(self, newParent: Element) -> None:
        newParent.extend(list(self.contents))

    def cloneNode(self) -> Element:
        clone = Element(self.nameTuple[1], self.namespace)
        clone.attributes = dict(self.attributes)
        return clone


class Tree(base.TreeBuilder):
    """Makes the nodes, and knows the stack of open elements and its scopes."""

    elementClass = Element
    scopes: ClassVar[Mapping[str | None, frozenset[_Name]]] = _SCOPES
    _form: Element | None

    @property
    def formPointer(self) -> Element | None:
        """The form element pointer: inside a template there is none, and none is kept."""
        return None if self.has_open("template") else self._form

    @formPointer.setter
    def formPointer(self, form: Element | None) -> None:
        if not self.has_open("template"):
            self._form = form

    def documentClass(self) -> Element:
        return Element("document")

    def commentClass(self, data: str) -> Comment | ProcessingInstruction:
        return data if isinstance(data, ProcessingInstruction) else Comment(data)

    def elementInScope(self, target: str | Element, variant: str | None = None) -> bool:
        bounds = self.scopes[variant]
        node = next(n for n in reversed(self.openElements) if n is target or n.name == target or n.nameTuple in bounds)
        return node is target or node.name == target

    def has_open(self, name: str) -> bool:
        return any(node.name == name for node in self.openElements)

    def innermost(self, *names: str) -> str:
        """Return the name of the innermost open element that has one of these names; empty if there is none."""
        return next((node.name for node in reversed(self.openElements) if node.name in names), "")

    def pop_until(self, name: str) -> None:
        while self.openElements.pop().name != name:
            pass

    def close(self, *names: str, bounds: frozenset[_Name] | None = None) -> bool:
        """Pop up to the innermost element that has one of these names, if no bound is inside it.

        Args:
            names: names of HTML elements.
            bounds: the elements that hide what is around them; None means the bounds of the plain scope.

        Returns:
            Whether there was such an element.
        """
        bounds = self.scopes[None] if bounds is None else bounds
        node = next(node for node in reversed(self.openElements) if node.name in names or node.nameTuple in bounds)
        found = node.name in names
        if found:
            self.pop_until(node.name)
        return found

    def clear_back_to(self, *names: str) -> None:
        """Pop elements up to one of these, the root or a template, which is left open."""
        while self.openElements[-1].name not in (*names, "html", "template"):
            self.openElements.pop()

    def generateImpliedEndTags(self, exclude: str | None = None) -> None:
        while self.openElements[-1].name in _IMPLIED_END_TAGS and self.openElements[-1].name != exclude:
            self.openElements.pop()

    def getTableMisnestedNodePosition(self) -> tuple[Element, Element | None]:
        """Return the foster parent, and its child to insert before (13.2.6.1); None means at its end."""
        node = next(node for node in reversed(self.openElements) if node.name in ("table", "template"))
        return (node, None) if node.name == "template" else (node.parent, node)


class TreeOfMixedSelect(Tree):
    """The same where ``select`` bounds all scopes but that of tables (Chrome 156)."""

    scopes: ClassVar = {
        scope: bounds if scope == "table" else bounds | _names(HTML, "select") for scope, bounds in _SCOPES.items()
    }
