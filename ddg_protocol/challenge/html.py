"""html5lib's fragment parser, brought from the HTML standard of 2020 to what Chrome does, on bs4's tree.

html5lib 1.1 knows no ``template``, ``dialog`` or ``search``, checks element names without their namespace, and has slips
in rare corners (whitespace in table cells, ``<button>`` twice in a table, ...). Each correction names the insertion mode
of the HTML standard (13.2.6.4) that it follows; `Rules` has what differs between the verified versions of Chrome.
Names in camel case are html5lib's.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, NamedTuple, TypeAlias

from bs4.element import Comment, NavigableString, PageElement, ProcessingInstruction, Tag
from html5lib import HTMLParser
from html5lib._tokenizer import HTMLTokenizer
from html5lib._utils import MethodDispatcher
from html5lib.constants import namespaces, tokenTypes
from html5lib.html5parser import getPhases, impliedTagToken
from html5lib.treebuilders import base

from ..errors import UnsupportedChallenge

MAX_DEPTH = 500
"""Elements inside each other; Chrome flattens what goes deeper than 512."""

HTML, MATHML, SVG = namespaces["html"], namespaces["mathml"], namespaces["svg"]

_Token: TypeAlias = dict[str, Any]

_FOREIGN_SPECIAL = frozenset(
    {(MATHML, name) for name in ("annotation-xml", "mi", "mn", "mo", "ms", "mtext")}
    | {(SVG, name) for name in ("desc", "foreignObject", "title")}
)
_SPECIAL = _FOREIGN_SPECIAL | {
    (HTML, name)
    for name in """address applet area article aside base basefont bgsound blockquote body br button caption center col
        colgroup dd details dir div dl dt embed fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6
        head header hgroup hr html iframe img input li link listing main marquee menu meta nav noembed noframes noscript
        object ol p param plaintext pre script search section select source style summary table tbody td template
        textarea tfoot th thead title tr track ul wbr xmp""".split()
}
_SCOPE = _FOREIGN_SPECIAL | {
    (HTML, name) for name in "applet caption html marquee object table td template th".split()
}
_SCOPES = {
    None: _SCOPE,
    "button": _SCOPE | {(HTML, "button")},
    "list": _SCOPE | {(HTML, "ol"), (HTML, "ul")},
    "table": frozenset({(HTML, "html"), (HTML, "table"), (HTML, "template")}),
}
_IMPLIED_END_TAGS = frozenset("dd dt li optgroup option p rb rp rt rtc".split())
_TABLE_PARTS = frozenset("table tbody template tfoot thead tr".split())


class Rules(NamedTuple):
    """How one version of Chrome parses, where verified versions differ.

    Attributes:
        mixed_select: ``select`` may hold any element, and is no insertion mode of its own.
        unbounded_adoption: the adoption agency's inner loop has no limit, as in the standard.
        processing_instructions: ``<?x y?>`` is a node of its own, not a comment.
        waits_for_doctype: ``<!d`` less than seven characters from the end is waited on forever, and lost.
    """

    mixed_select: bool
    unbounded_adoption: bool
    processing_instructions: bool
    waits_for_doctype: bool


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

    def appendChild(self, node: PageElement) -> None:  # noqa: N802
        self.append(node)

    def insertBefore(self, node: PageElement, refNode: PageElement | None) -> None:  # noqa: N802, N803
        if refNode is None:
            self.append(node)
        else:
            refNode.insert_before(node)

    def insertText(self, data: str, insertBefore: PageElement | None = None) -> None:  # noqa: N802, N803
        index = len(self.contents) if insertBefore is None else self.index(insertBefore)
        before = self.contents[index - 1] if index else None
        if type(before) is NavigableString:
            before.replace_with(NavigableString(before + data))
        else:
            self.insert(index, NavigableString(data))

    def removeChild(self, node: PageElement) -> None:  # noqa: N802
        node.extract()

    def reparentChildren(self, newParent: Element) -> None:  # noqa: N802, N803
        newParent.extend(list(self.contents))

    def cloneNode(self) -> Element:  # noqa: N802
        clone = Element(self.nameTuple[1], self.namespace)
        clone.attrs = dict(self.attrs)
        return clone


class _Tree(base.TreeBuilder):
    elementClass = Element
    scopes: ClassVar[dict[str | None, frozenset[tuple[str | None, str]]]] = _SCOPES

    def documentClass(self) -> Element:  # noqa: N802
        return Element("document")

    def fragmentClass(self) -> Element:  # noqa: N802
        return Element("div")

    def commentClass(self, data: str) -> Comment | ProcessingInstruction:  # noqa: N802
        return data if isinstance(data, ProcessingInstruction) else Comment(data)

    def elementInScope(self, target: str | Element, variant: str | None = None) -> bool:  # noqa: N802
        for node in reversed(self.openElements):
            if node is target or node.name == target:
                return True
            if node.nameTuple in self.scopes[variant]:
                return False
        return False

    def has_open(self, name: str) -> bool:
        return any(node.name == name for node in self.openElements)

    def pop_until(self, *names: str) -> None:
        while self.openElements.pop().name not in names:
            pass

    def generateImpliedEndTags(self, exclude: str | None = None) -> None:  # noqa: N802
        while self.openElements[-1].name in _IMPLIED_END_TAGS and self.openElements[-1].name != exclude:
            self.openElements.pop()

    def getTableMisnestedNodePosition(self) -> tuple[Element, Element | None]:  # noqa: N802
        """Give the foster parent and the child to insert before ("appropriate place for inserting a node")."""
        for index in range(len(self.openElements) - 1, 0, -1):
            node = self.openElements[index]
            if node.name == "template":
                return node, None
            if node.name == "table":
                return (node.parent, node) if node.parent else (self.openElements[index - 1], None)
        return self.openElements[0], None


class _TreeOfMixedSelect(_Tree):
    scopes: ClassVar = {
        name: names if name == "table" else names | {(HTML, "select")} for name, names in _SCOPES.items()
    }


class _Tokenizer(HTMLTokenizer):
    parser: _Parser

    def _rest(self) -> str:
        return self.stream.chunk[self.stream.chunkOffset :]

    def consumeEntity(self, allowedChar: str | None = None, fromAttribute: bool = False) -> None:  # noqa: N802, N803
        if not fromAttribute and self._rest()[:3].lower() == "#x;":
            # Chrome's fast path for simple snippets makes U+FFFD of it, its full parser leaves it as it is.
            raise UnsupportedChallenge("`&#x;` in the HTML snippet", expected="a character reference with digits")
        super().consumeEntity(allowedChar, fromAttribute)

    def tagOpenState(self) -> bool:  # noqa: N802
        rest = self._rest()
        if rest.startswith("\0"):  # ignored in text, but this is not text yet
            self.stream.char()
            self.tokenQueue.append({"type": tokenTypes["Characters"], "data": "<\ufffd"})
            self.state = self.dataState
            return True
        if rest.startswith("?") and self.parser.rules.processing_instructions:
            return self._processing_instruction(rest)
        return super().tagOpenState()

    def _processing_instruction(self, rest: str) -> bool:
        found = re.match(r"\?(?:([A-Za-z_][A-Za-z0-9_-]*+)(?![^ \t\n\f?>])|\Z)([^>]*)(>?)", rest)
        if not found:
            return super().tagOpenState()
        target, data, end = found.groups()
        if target and target.lower() in ("xml", "xml-stylesheet") and (end or data):
            if not end:
                raise UnsupportedChallenge("an XML declaration without an end in the HTML snippet", expected="`>`")
            return super().tagOpenState()
        self.stream.chunkOffset += found.end()
        self.state = self.dataState
        if end:
            data = data.lstrip(" \t\n\f").removesuffix("?").replace("\0", "\ufffd")
            self.tokenQueue.append(
                {"type": tokenTypes["Comment"], "data": ProcessingInstruction(f"{target} {data}?")}
            )
        return True

    def markupDeclarationOpenState(self) -> bool:  # noqa: N802
        rest = self._rest()
        if self.parser.rules.waits_for_doctype and len(rest) < 7 and rest[:1] in tuple("dD["):
            raise UnsupportedChallenge("`<!` too near to the end of the HTML snippet", expected="a whole declaration")
        return super().markupDeclarationOpenState()


class _Corrected:
    """Makes a phase of html5lib one whose handlers can be overridden by name."""

    start: ClassVar[dict[str, str]] = {}
    end: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls) -> None:
        for attribute, changes in ("startTagHandler", cls.start), ("endTagHandler", cls.end):
            inherited = next(vars(c)[attribute] for c in cls.__mro__ if attribute in vars(c))
            names = {tag: handler.__name__ for tag, handler in inherited.items()}
            for tags, name in changes.items():
                names |= dict.fromkeys(tags.split(), name)
            table = MethodDispatcher([(tag, getattr(cls, name)) for tag, name in names.items()])
            table.default = getattr(cls, inherited.default.__name__)
            setattr(cls, attribute, table)


_html5lib: Any = getPhases(False)


class _InBody(_Corrected, _html5lib["inBody"]):  # type: ignore[misc]
    start: ClassVar = {
        "dialog search": "startTagCloseP",
        "isindex command": "startTagOther",
        "keygen": "startTagVoidFormatting",
        "rb rtc": "startTagRbRtc",
        "option": "startTagOption",
        "optgroup": "startTagOptgroup",
        "template": "startTagProcessInHead",
    }
    end: ClassVar = {"search": "endTagBlock", "select": "endTagSelect", "template": "endTagTemplate"}

    def processSpaceCharactersNonPre(self, token: _Token) -> None:  # noqa: N802
        self.tree.reconstructActiveFormattingElements()
        self.tree.insertText(token["data"])

    def startTagHtml(self, token: _Token) -> None:  # noqa: N802
        pass  # its attributes would go to an element outside the fragment

    startTagBody = startTagFrameset = startTagHtml  # noqa: N815

    def endTagBody(self, token: _Token) -> None:  # noqa: N802
        pass

    endTagHtml = endTagBody  # noqa: N815

    def endTagTemplate(self, token: _Token) -> None:  # noqa: N802
        self.parser.phases["inHead"].endTagTemplate(token)

    def startTagPreListing(self, token: _Token) -> None:  # noqa: N802
        self.startTagCloseP(token)
        self.parser.skip_line_feed = True

    def startTagTextarea(self, token: _Token) -> None:  # noqa: N802
        self.parser.parseRCDataRawtext(token, "RCDATA")
        self.parser.skip_line_feed = True

    def startTagForm(self, token: _Token) -> None:  # noqa: N802
        in_template = self.tree.has_open("template")
        if self.tree.formPointer is None or in_template:
            self.startTagCloseP(token)
            if not in_template:
                self.tree.formPointer = self.tree.openElements[-1]

    def endTagForm(self, token: _Token) -> None:  # noqa: N802
        if self.tree.has_open("template"):
            if self.tree.elementInScope("form"):
                self.tree.pop_until("form")
            return
        form, self.tree.formPointer = self.tree.formPointer, None
        if form is not None and self.tree.elementInScope(form):
            self.tree.generateImpliedEndTags()
            self.tree.openElements.remove(form)

    def startTagListItem(self, token: _Token) -> None:  # noqa: N802
        names = ("li",) if token["name"] == "li" else ("dd", "dt")
        for node in reversed(self.tree.openElements):
            if node.name in names:
                self.tree.generateImpliedEndTags(node.name)
                self.tree.pop_until(node.name)
                break
            if node.nameTuple in _SPECIAL and node.name not in ("address", "div", "p"):
                break
        self.startTagCloseP(token)

    def startTagButton(self, token: _Token) -> None:  # noqa: N802
        if self.tree.elementInScope("button"):
            self.tree.generateImpliedEndTags()
            self.tree.pop_until("button")
        self.startTagOther(token)

    def startTagTable(self, token: _Token) -> None:  # noqa: N802
        self.startTagCloseP(token)
        self.parser.phase = self.parser.phases["inTable"]

    def startTagRpRt(self, token: _Token) -> None:  # noqa: N802
        if self.tree.elementInScope("ruby"):
            self.tree.generateImpliedEndTags("rtc")
        self.tree.insertElement(token)

    def startTagRbRtc(self, token: _Token) -> None:  # noqa: N802
        if self.tree.elementInScope("ruby"):
            self.tree.generateImpliedEndTags()
        self.tree.insertElement(token)

    def startTagOption(self, token: _Token) -> None:  # noqa: N802
        if self.tree.openElements[-1].name == "option":
            self.tree.openElements.pop()
        self.startTagOther(token)

    startTagOptgroup = startTagOption  # noqa: N815

    def endTagSelect(self, token: _Token) -> None:  # noqa: N802
        self.endTagOther(token)

    def endTagFormatting(self, token: _Token) -> None:  # noqa: N802
        """Run the adoption agency algorithm (13.2.6.4.7)."""
        tree, name = self.tree, token["name"]
        stack, formatting = tree.openElements, tree.activeFormattingElements
        if stack[-1].name == name and stack[-1] not in formatting:
            stack.pop()
            return
        for _ in range(8):
            element = tree.elementInActiveFormattingElements(name)
            if not element:
                self.endTagOther(token)
                return
            if element not in stack:
                formatting.remove(element)
                return
            if not tree.elementInScope(element):
                return
            at = stack.index(element)
            block = next((node for node in stack[at + 1 :] if node.nameTuple in _SPECIAL), None)
            if block is None:
                del stack[at:]
                formatting.remove(element)
                return
            self._adopt(element, block)

    def _adopt(self, element: Element, block: Element) -> None:
        stack, formatting = self.tree.openElements, self.tree.activeFormattingElements
        ancestor = stack[stack.index(element) - 1]
        above = list(reversed(stack[stack.index(element) + 1 : stack.index(block)]))
        after, last = element, block
        for count, node in enumerate(above, 1):
            if count > 3:
                if not self.parser.rules.unbounded_adoption:
                    break
                if node in formatting:
                    formatting.remove(node)
            if node not in formatting:
                stack.remove(node)
                continue
            clone = node.cloneNode()
            formatting[formatting.index(node)] = stack[stack.index(node)] = clone
            if last is block:
                after = clone
            clone.appendChild(last)
            last = clone
        if ancestor.name in _TABLE_PARTS - {"template"}:
            parent, before = self.tree.getTableMisnestedNodePosition()
            parent.insertBefore(last, before)
        else:
            ancestor.appendChild(last)
        clone = element.cloneNode()
        block.reparentChildren(clone)
        block.appendChild(clone)
        formatting.insert(formatting.index(after) + 1, clone)
        formatting.remove(element)
        stack.remove(element)
        stack.insert(stack.index(block) + 1, clone)

    def endTagOther(self, token: _Token) -> None:  # noqa: N802
        for node in reversed(self.tree.openElements):
            if node.name == token["name"]:
                self.tree.generateImpliedEndTags(node.name)
                while self.tree.openElements.pop() is not node:
                    pass
                return
            if node.nameTuple in _SPECIAL:
                return


class _InBodyOfMixedSelect(_InBody):
    """``select`` as of Chrome 156, where it is an element like others with an eye on its options."""

    def _close_select(self) -> bool:
        if not self.tree.has_open("select") or not self.tree.elementInScope("select"):
            return False
        self.tree.pop_until("select")
        return True

    def startTagSelect(self, token: _Token) -> None:  # noqa: N802
        if not self._close_select():
            self.startTagOther(token)

    def startTagInput(self, token: _Token) -> None:  # noqa: N802
        self._close_select()
        self.startTagVoidFormatting(token)

    def startTagHr(self, token: _Token) -> None:  # noqa: N802
        if self.tree.elementInScope("p", variant="button"):
            self.endTagP(impliedTagToken("p"))
        if self.tree.elementInScope("select"):
            self.tree.generateImpliedEndTags()
        self.startTagParamSource(token)

    def startTagOption(self, token: _Token) -> None:  # noqa: N802
        if self.tree.elementInScope("select"):
            self.tree.generateImpliedEndTags("optgroup")
        elif self.tree.openElements[-1].name == "option":
            self.tree.openElements.pop()
        self.startTagOther(token)

    def startTagOptgroup(self, token: _Token) -> None:  # noqa: N802
        if self.tree.elementInScope("select"):
            self.tree.generateImpliedEndTags()
        elif self.tree.openElements[-1].name == "option":
            self.tree.openElements.pop()
        self.startTagOther(token)

    def startTagOther(self, token: _Token) -> None:  # noqa: N802
        if token["name"] == "selectedcontent":
            raise UnsupportedChallenge("`selectedcontent` in the HTML snippet", expected="an element that stays as it is")
        super().startTagOther(token)

    def endTagSelect(self, token: _Token) -> None:  # noqa: N802
        self.endTagBlock(token)


class _InHead(_Corrected, _html5lib["inHead"]):  # type: ignore[misc]
    start: ClassVar = {"template": "startTagTemplate"}
    end: ClassVar = {"template": "endTagTemplate"}

    def startTagTemplate(self, token: _Token) -> None:  # noqa: N802
        self.tree.insertElement(token)
        self.tree.activeFormattingElements.append(base.Marker)
        self.parser.phase = self.parser.phases["inTemplate"]
        self.parser.template_modes.append(self.parser.phase)

    def endTagTemplate(self, token: _Token) -> None:  # noqa: N802
        if not self.tree.has_open("template"):
            return
        self.tree.pop_until("template")
        self.tree.clearActiveFormattingElements()
        self.parser.template_modes.pop()
        self.parser.resetInsertionMode()


class _InTemplate(_Corrected, _html5lib["inBody"]):  # type: ignore[misc]
    """"In template" (13.2.6.4.22): the first tag decides which mode the rest is read in."""

    def processCharacters(self, token: _Token) -> _Token | None:  # noqa: N802
        return self.parser.phases["inBody"].processCharacters(token)

    processSpaceCharacters = processCharacters

    def processStartTag(self, token: _Token) -> _Token | None:  # noqa: N802
        name = token["name"]
        if name in ("base", "basefont", "bgsound", "link", "meta", "noframes", "script", "style", "template", "title"):
            return self.parser.phases["inHead"].processStartTag(token)
        mode = {
            **dict.fromkeys(("caption", "colgroup", "tbody", "tfoot", "thead"), "inTable"),
            **{"col": "inColumnGroup", "tr": "inTableBody", "td": "inRow", "th": "inRow"},
        }.get(name, "inBody")
        self.parser.phase = self.parser.template_modes[-1] = self.parser.phases[mode]
        return token

    def processEndTag(self, token: _Token) -> None:  # noqa: N802
        if token["name"] == "template":
            self.parser.phases["inHead"].processEndTag(token)


class _ClearsTo:
    """"Clear the stack back to a table context" and its like, which a template bounds too."""

    def _clear_to(self, *names: str) -> None:
        while self.tree.openElements[-1].name not in (*names, "html", "template"):  # type: ignore[attr-defined]
            self.tree.openElements.pop()  # type: ignore[attr-defined]


class _InTable(_ClearsTo, _Corrected, _html5lib["inTable"]):  # type: ignore[misc]
    start: ClassVar = {"template": "startTagStyleScript"}
    end: ClassVar = {"template": "endTagTemplate"}

    def clearStackToTableContext(self) -> None:  # noqa: N802
        self._clear_to("table")

    def processCharacters(self, token: _Token) -> _Token | None:  # noqa: N802
        if self.tree.openElements[-1].name in _TABLE_PARTS:
            return super().processCharacters(token)
        return self.insertText(token)

    def processSpaceCharacters(self, token: _Token) -> _Token | None:  # noqa: N802
        if self.tree.openElements[-1].name in _TABLE_PARTS:
            return super().processSpaceCharacters(token)
        return self.insertText(token)

    def _fostering(self, process: Any, token: _Token) -> _Token | None:
        self.tree.insertFromTable = True
        try:
            return process(token)
        finally:
            self.tree.insertFromTable = False

    def insertText(self, token: _Token) -> _Token | None:  # noqa: N802
        return self._fostering(self.parser.phases["inBody"].processCharacters, token)

    def startTagOther(self, token: _Token) -> _Token | None:  # noqa: N802
        return self._fostering(self.parser.phases["inBody"].processStartTag, token)

    def endTagOther(self, token: _Token) -> _Token | None:  # noqa: N802
        return self._fostering(self.parser.phases["inBody"].processEndTag, token)

    def endTagTemplate(self, token: _Token) -> None:  # noqa: N802
        self.parser.phases["inHead"].endTagTemplate(token)

    def startTagForm(self, token: _Token) -> None:  # noqa: N802
        if not self.tree.has_open("template"):
            super().startTagForm(token)

    def startTagTable(self, token: _Token) -> _Token | None:  # noqa: N802
        if not self.tree.elementInScope("table", variant="table"):
            return None
        self.endTagTable(impliedTagToken("table"))
        return token

    def endTagTable(self, token: _Token) -> None:  # noqa: N802
        if self.tree.elementInScope("table", variant="table"):
            self.tree.pop_until("table")
            self.parser.resetInsertionMode()


class _InTableBody(_ClearsTo, _Corrected, _html5lib["inTableBody"]):  # type: ignore[misc]
    def clearStackToTableBodyContext(self) -> None:  # noqa: N802
        self._clear_to("tbody", "tfoot", "thead")


class _InRow(_ClearsTo, _Corrected, _html5lib["inRow"]):  # type: ignore[misc]
    def clearStackToTableRowContext(self) -> None:  # noqa: N802
        self._clear_to("tr")


class _InColumnGroup(_Corrected, _html5lib["inColumnGroup"]):  # type: ignore[misc]
    start: ClassVar = {"template": "startTagTemplate"}
    end: ClassVar = {"template": "endTagTemplate"}

    def ignoreEndTagColgroup(self) -> bool:  # noqa: N802
        return bool(self.tree.openElements[-1].name != "colgroup")

    def startTagTemplate(self, token: _Token) -> None:  # noqa: N802
        self.parser.phases["inHead"].startTagTemplate(token)

    def endTagTemplate(self, token: _Token) -> None:  # noqa: N802
        self.parser.phases["inHead"].endTagTemplate(token)


class _InCaption(_Corrected, _html5lib["inCaption"]):  # type: ignore[misc]
    def processSpaceCharacters(self, token: _Token) -> None:  # noqa: N802
        self.parser.phases["inBody"].processSpaceCharacters(token)


class _InCell(_Corrected, _html5lib["inCell"]):  # type: ignore[misc]
    def processSpaceCharacters(self, token: _Token) -> None:  # noqa: N802
        self.parser.phases["inBody"].processSpaceCharacters(token)


class _InSelect(_Corrected, _html5lib["inSelect"]):  # type: ignore[misc]
    """"In select", which newer versions don't have."""

    start: ClassVar = {"hr": "startTagHr", "template": "startTagScript"}
    end: ClassVar = {"template": "endTagTemplate"}

    def startTagHr(self, token: _Token) -> None:  # noqa: N802
        for name in ("option", "optgroup"):
            if self.tree.openElements[-1].name == name:
                self.tree.openElements.pop()
        self.tree.insertElement(token)
        self.tree.openElements.pop()

    def startTagInput(self, token: _Token) -> _Token | None:  # noqa: N802
        if not self._in_select_scope():
            return None
        self.endTagSelect(token)
        return token

    def endTagSelect(self, token: _Token) -> None:  # noqa: N802
        if self._in_select_scope():
            self.tree.pop_until("select")
            self.parser.resetInsertionMode()

    def endTagTemplate(self, token: _Token) -> None:  # noqa: N802
        self.parser.phases["inHead"].endTagTemplate(token)

    def _in_select_scope(self) -> bool:
        for node in reversed(self.tree.openElements):
            if node.name == "select":
                return True
            if node.name not in ("optgroup", "option"):
                return False
        return False


class _InSelectInTable(_Corrected, _html5lib["inSelectInTable"]):  # type: ignore[misc]
    def startTagTable(self, token: _Token) -> _Token:  # noqa: N802
        self.tree.pop_until("select")
        self.parser.resetInsertionMode()
        return token

    def endTagTable(self, token: _Token) -> _Token | None:  # noqa: N802
        if not self.tree.elementInScope(token["name"], variant="table"):
            return None
        return self.startTagTable(token)

    end: ClassVar = {"caption table tbody tfoot thead tr td th": "endTagTable"}


class _InForeignContent(_html5lib["inForeignContent"]):  # type: ignore[misc]
    def processStartTag(self, token: _Token) -> _Token | None:  # noqa: N802
        if token["name"] in self.breakoutElements or (
            token["name"] == "font" and token["data"].keys() & {"color", "face", "size"}
        ):
            self._leave()
            return self.parser.phase.processStartTag(token)
        return super().processStartTag(token)

    def _leave(self) -> None:
        while not (
            self.tree.openElements[-1].namespace == HTML
            or self.parser.isHTMLIntegrationPoint(self.tree.openElements[-1])
            or self.parser.isMathMLTextIntegrationPoint(self.tree.openElements[-1])
        ):
            self.tree.openElements.pop()

    def processEndTag(self, token: _Token) -> _Token | None:  # noqa: N802
        if token["name"] in ("br", "p"):
            self._leave()
            return self.parser.phase.processEndTag(token)
        for index in range(len(self.tree.openElements) - 1, 0, -1):
            node = self.tree.openElements[index]
            if node.namespace == HTML:
                break
            if node.nameTuple[1].lower() == token["name"]:
                del self.tree.openElements[index:]
                return None
        return self.parser.phase.processEndTag(token)


class _Parser(HTMLParser):
    def __init__(self, rules: Rules) -> None:
        super().__init__(tree=_TreeOfMixedSelect if rules.mixed_select else _Tree)
        self.rules = rules
        self.skip_line_feed = False
        self.template_modes: list[Any] = []
        corrected = {
            "inBody": _InBodyOfMixedSelect if rules.mixed_select else _InBody,
            "inHead": _InHead,
            "inTemplate": _InTemplate,
            "inTable": _InTable,
            "inTableBody": _InTableBody,
            "inRow": _InRow,
            "inColumnGroup": _InColumnGroup,
            "inCaption": _InCaption,
            "inCell": _InCell,
            "inSelect": _InSelect,
            "inSelectInTable": _InSelectInTable,
            "inForeignContent": _InForeignContent,
        }
        self.phases |= {name: phase(self, self.tree) for name, phase in corrected.items()}

    def parse_in_div(self, html: str) -> Element:
        self.innerHTMLMode = True
        self.container = "div"
        self.scripting = True
        self.tokenizer = _Tokenizer(html, parser=self)
        self.reset()
        self.mainLoop()
        return self.tree.getFragment()

    def parseError(self, errorcode: str = "", datavars: object = None) -> None:  # noqa: N802
        pass

    def mainLoop(self) -> None:  # noqa: N802
        characters = tokenTypes["Characters"], tokenTypes["SpaceCharacters"]
        process = {
            tokenTypes["Characters"]: "processCharacters",
            tokenTypes["SpaceCharacters"]: "processSpaceCharacters",
            tokenTypes["StartTag"]: "processStartTag",
            tokenTypes["EndTag"]: "processEndTag",
            tokenTypes["Comment"]: "processComment",
        }
        for token in self.tokenizer:
            if token["type"] == tokenTypes["ParseError"]:
                continue
            if token["type"] not in characters:
                self._flush_table_text()
            if self.skip_line_feed:
                self.skip_line_feed = False
                if token["type"] in characters and token["data"].startswith("\n"):
                    token["data"] = token["data"][1:]
                    if not token["data"]:
                        continue
            if token["type"] == tokenTypes["Doctype"]:
                continue
            while token is not None:
                token = getattr(self._phase_for(token), process[token["type"]])(token)
            if len(self.tree.openElements) > MAX_DEPTH:
                raise UnsupportedChallenge(f"the HTML snippet nests more than {MAX_DEPTH} elements", expected="fewer")
        self._flush_table_text()

    def _flush_table_text(self) -> None:
        pending = self.phases["inTableText"]
        if self.phase is pending:
            self.phase = pending.originalPhase
            pending.flushCharacters()

    def _phase_for(self, token: _Token) -> Any:
        """Apply the tree construction dispatcher (13.2.6)."""
        node = self.tree.openElements[-1]
        if node.namespace == HTML:
            return self.phase
        start = token["type"] == tokenTypes["StartTag"]
        text = token["type"] in (tokenTypes["Characters"], tokenTypes["SpaceCharacters"])
        if (
            (self.isMathMLTextIntegrationPoint(node) and (text or start and token["name"] not in ("mglyph", "malignmark")))
            or (node.nameTuple == (MATHML, "annotation-xml") and start and token["name"] == "svg")
            or (self.isHTMLIntegrationPoint(node) and (text or start))
        ):
            return self.phase
        return self.phases["inForeignContent"]

    def isMathMLTextIntegrationPoint(self, element: Any) -> bool:  # noqa: N802
        return element.nameTuple in {(MATHML, name) for name in ("mi", "mn", "mo", "ms", "mtext")}

    def isHTMLIntegrationPoint(self, element: Any) -> bool:  # noqa: N802
        if element.nameTuple == (MATHML, "annotation-xml"):
            return element.attrs.get("encoding", "").lower() in ("text/html", "application/xhtml+xml")
        return element.nameTuple in {(SVG, name) for name in ("desc", "foreignObject", "title")}

    def resetInsertionMode(self) -> None:  # noqa: N802
        modes = {
            "td": "inCell",
            "th": "inCell",
            "tr": "inRow",
            "tbody": "inTableBody",
            "thead": "inTableBody",
            "tfoot": "inTableBody",
            "caption": "inCaption",
            "colgroup": "inColumnGroup",
            "table": "inTable",
        }
        for node in reversed(self.tree.openElements[1:]):
            if node.name == "template":
                self.phase = self.template_modes[-1]
                return
            if node.name == "select" and not self.rules.mixed_select:
                self.phase = self.phases["inSelectInTable" if self.tree.has_open("table") else "inSelect"]
                return
            if node.name in modes:
                self.phase = self.phases[modes[node.name]]
                return
        self.phase = self.phases["inBody"]


def parse_in_div(html: str, rules: Rules) -> Element:
    """Parse a text as ``div.innerHTML = text`` does.

    Args:
        html: what is assigned.
        rules: those of the version of Chrome that is meant.

    Returns:
        The ``div``. An element's ``nameTuple`` has its namespace and name.

    Raises:
        UnsupportedChallenge: it nests too deep, or has a construct for which that version's behaviour is not known.
    """
    return _Parser(rules).parse_in_div(html)
