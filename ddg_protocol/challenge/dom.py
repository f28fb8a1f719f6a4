"""The DOM fingerprint: how long ``div.innerHTML`` is after it was assigned a text (PROTOCOL.md section 5).

bs4's tree, built by html5lib's parser as a fragment inside a ``div``, is written back as the WHATWG's HTML fragment
serialisation says (HTML standard, 13.3).
"""

from __future__ import annotations

from typing import Any

from bs4 import BeautifulSoup
from bs4.builder._html5lib import HTML5TreeBuilder
from bs4.element import Comment, NavigableString, PageElement, Tag
from html5lib import HTMLParser
from html5lib.constants import namespaces
from html5lib.treebuilders import base

from ..errors import UnsupportedChallenge

MAX_CHARACTERS = 1024
MAX_DEPTH = 500

_HTML = namespaces["html"]
_VOID = frozenset(
    "area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr".split()
)
_RAW_TEXT = frozenset("iframe noembed noframes noscript plaintext script style xmp".split())


class _Element(Tag):
    """An element of bs4's tree that html5lib can build with, by bs4's public operations only.

    bs4 ships handles for that purpose. They never find the attributes of two elements equal, so that the limit of three
    equal formatting elements ("Noah's Ark") does not hold, and forget to tell a moved element's new parent.
    """

    def __init__(self, name: str, namespace: str | None = None) -> None:
        super().__init__(name=name, namespace=namespace)
        self.nameTuple = (namespace, name)

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other  # html5lib means the node, bs4 would compare the markup

    @property
    def attributes(self) -> dict[Any, Any]:
        return self.attrs

    @attributes.setter
    def attributes(self, attributes: dict[Any, Any]) -> None:
        self.attrs = attributes

    def appendChild(self, node: PageElement) -> None:
        self.append(node)

    def insertBefore(self, node: PageElement, refNode: PageElement) -> None:
        refNode.insert_before(node)

    def insertText(self, data: str, insertBefore: PageElement | None = None) -> None:
        index = self.index(insertBefore) if insertBefore else len(self.contents)
        before = self.contents[index - 1] if index else None
        if type(before) is NavigableString:
            before.replace_with(NavigableString(before + data))
        else:
            self.insert(index, NavigableString(data))

    def removeChild(self, node: PageElement) -> None:
        node.extract()

    def reparentChildren(self, newParent: _Element) -> None:
        newParent.extend(list(self.contents))

    def cloneNode(self) -> _Element:
        clone = _Element(self.name, self.namespace)
        clone.attrs = dict(self.attrs)
        return clone

    def hasContent(self) -> bool:
        return bool(self.contents)


class _Tree(base.TreeBuilder):
    elementClass = _Element
    commentClass = Comment

    def documentClass(self) -> _Element:
        return _Element("document")

    def fragmentClass(self) -> _Element:
        return _Element("div")


def inner_html_length(html: str, *, chrome: int | None = 133) -> int:
    if len(html) > MAX_CHARACTERS:
        raise UnsupportedChallenge(
            f"the HTML snippet has {len(html)} characters, more than {MAX_CHARACTERS}", expected="a shorter snippet"
        )
    return sum(2 if c > "\uffff" else 1 for c in serialise(parse(html), escape_angle_brackets=chrome == 156))


def parse(html):
    parser = HTMLParser(tree=_Tree)
    return parser.parseFragment(html, container="div", scripting=True)


def serialise(root: Tag, *, escape_angle_brackets: bool) -> str:
    pieces = []
    stack = [iter(root.contents)]
    ends = [""]
    raw = [False]
    while stack:
        node = next(stack[-1], None)
        if node is None:
            stack.pop()
            raw.pop()
            pieces.append(ends.pop())
        elif isinstance(node, Comment):
            pieces.append(f"<!--{node}-->")
        elif isinstance(node, Tag):
            pieces.append(f"<{node.name}")
            for name, value in node.attrs.items():
                if isinstance(name, tuple):
                    name = ":".join(filter(None, name[:2]))
                value = value.replace("&", "&amp;").replace("\xa0", "&nbsp;").replace('"', "&quot;")
                if escape_angle_brackets:
                    value = value.replace("<", "&lt;").replace(">", "&gt;")
                pieces.append(f' {name}="{value}"')
            pieces.append(">")
            html = node.namespace == _HTML
            if not (html and node.name in _VOID):
                stack.append(iter(node.contents))
                ends.append(f"</{node.name}>")
                raw.append(html and node.name in _RAW_TEXT)
        elif raw[-1]:
            pieces.append(node)
        else:
            pieces.append(
                node.replace("&", "&amp;").replace("\xa0", "&nbsp;").replace("<", "&lt;").replace(">", "&gt;")
            )
    return "".join(pieces)
