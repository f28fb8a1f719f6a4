"""html5lib's fragment parser, brought to what Chrome does.

html5lib 1.1 knows no ``template``, ``dialog`` or ``search``, compares names without their namespaces, and has slips in
rare corners (white space in table cells, ``<button>`` twice in a table, ...). Whatever is not said otherwise follows
the HTML standard, 13.2.6.4; `Rules` has what differs between the verified versions of Chrome. Names in camel case are
html5lib's.
"""
# ruff: noqa: N802, N803, N815

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple, TypeAlias

from bs4.element import ProcessingInstruction
from html5lib import HTMLParser
from html5lib._tokenizer import HTMLTokenizer
from html5lib._utils import MethodDispatcher
from html5lib.constants import EOF, entities, spaceCharacters, tokenTypes
from html5lib.html5parser import getPhases, impliedTagToken
from html5lib.treebuilders import base

from ..errors import UnsupportedChallenge
from .tree import HTML, MATHML, SPECIAL, SVG, Element, Tree, TreeOfMixedSelect

MAX_DEPTH = 500
"""Elements inside each other; Chrome flattens what goes deeper than 512."""

_Token: TypeAlias = dict[str, Any]
_Again: TypeAlias = Any
"""A token that is to be processed again, or None."""

_CHARACTERS = tokenTypes["Characters"], tokenTypes["SpaceCharacters"]
_TABLE_PARTS = frozenset(("table", "tbody", "tfoot", "thead", "tr"))
"""Where text and misnested elements are moved before the table; Chrome's list, the standard's has ``template`` too."""


class Rules(NamedTuple):
    """How one version of Chrome parses, where verified versions differ.

    Attributes:
        mixed_select: ``select`` may hold any element, and is no insertion mode of its own.
        unbounded_adoption: the adoption agency's inner loop has no limit, as in the standard.
        processing_instructions: ``<?x y?>`` is a node of its own, not a comment.
        waits_for: keywords that the tokenizer waits for if the snippet ends before one could: ``<!d>`` has no room for
            ``<!doctype``. The keyword never comes, and everything from there on is lost.
        cdata_at_integration_points: a CDATA section is one in ``<svg><desc>`` and ``<math><mi>`` too, not a comment.
        formats_with_is: ``<b is=x>`` is a formatting element like ``<b>``, opened again where its end was missing.
    """

    mixed_select: bool
    unbounded_adoption: bool
    processing_instructions: bool
    waits_for: frozenset[str]
    cdata_at_integration_points: bool
    formats_with_is: bool


class _FastPath:
    """Tells whether Chrome's other parser, for simple snippets, may have read this one, and differently.

    That parser takes nothing but a few well-known elements, each closed by its own end tag. In three places it is known
    to differ from the full parser: in two character references, which are refused, and in that it nests buttons.
    """

    _ELEMENTS = frozenset(
        """a b br button div footer i input label li ol option p select span strong ul""".split()  # noqa: SIM905
    )

    def __init__(self) -> None:
        self._open: list[str] = []
        self._taken = True
        self._nests_buttons = False
        self.doubt = ""

    def see(self, token: _Token) -> None:
        name = token.get("name")
        if token["type"] == tokenTypes["StartTag"]:
            self._taken &= name in self._ELEMENTS
            self._nests_buttons |= name == "button" and "button" in self._open
            if name not in ("br", "input"):
                self._open.append(token["name"])
        elif token["type"] == tokenTypes["EndTag"]:
            self._taken &= bool(self._open) and self._open.pop() == name
        else:
            self._taken &= token["type"] in _CHARACTERS

    def nests_buttons(self) -> bool:
        return self._nests_buttons and self._taken and not self._open

    def check(self) -> None:
        if self.doubt and self._taken and not self._open:
            raise UnsupportedChallenge(
                f"{self.doubt} in the HTML snippet: Chrome's parsers differ on it", expected="a snippet without it"
            )


class _Tokenizer(HTMLTokenizer):
    parser: _Parser
    stream: Any
    tokenQueue: Any
    currentToken: Any

    def __init__(self, html: str, parser: _Parser) -> None:
        super().__init__(html, parser=parser)
        self._html = html

    def _rest(self) -> str:
        """Give what is not read yet; the stream holds a last CR or surrogate back."""
        rest: str = self.stream.chunk[self.stream.chunkOffset :]
        return rest + (self.stream._bufferedCharacter or "").replace("\r", "\n")

    def _waits_for(self, keyword: str) -> bool:
        """Tell whether what is left, with the end as one more character, has no room for a keyword waited for."""
        if keyword not in self.parser.rules.waits_for:
            return False
        left = re.findall(r"\r\n|.", self._html, re.DOTALL)[-len(self._rest()) :]  # where a CR LF is still two
        return len("".join(left).encode("utf-16-le", "surrogatepass")) // 2 + 1 < len(keyword)

    def _wait(self) -> bool:
        """Lose the rest; text in a table would wait too, which no browser was seen to do."""
        if self.parser.has_pending_table_text():
            raise UnsupportedChallenge(
                "`<!` after text in a table, too near to the end of the HTML snippet", expected="a whole declaration"
            )
        return self._drop_rest()

    def _drop_rest(self) -> bool:
        while self.stream.char() is not EOF:
            pass
        self.state = self.dataState
        return True

    def consumeEntity(self, allowedChar: str | None = None, fromAttribute: bool = False) -> None:
        rest = self._rest()
        if rest[:3].lower() == "#x;":
            self.parser.fast_path.doubt = "`&#x;`"
        word = re.match(r"[A-Za-z0-9]++=?(?!;)", rest)
        if fromAttribute and word and any(word[0][:length] in entities for length in range(2, len(word[0]))):
            self.parser.fast_path.doubt = "a character reference without `;` in an attribute"
        super().consumeEntity(allowedChar, fromAttribute)

    def tagOpenState(self) -> bool:
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
        if not end:
            return self._drop_rest()
        self.stream.chunkOffset += found.end()
        data = data.lstrip(" \t\n\f").removesuffix("?").replace("\0", "\ufffd")
        self.tokenQueue.append({"type": tokenTypes["Comment"], "data": ProcessingInstruction(f"{target} {data}?")})
        self.state = self.dataState
        return True

    def commentStartState(self) -> bool:
        if self._rest()[:1] != "\0":
            return super().commentStartState()
        self.state = self.commentState
        return True

    def commentStartDashState(self) -> bool:
        if self._rest()[:1] in ("-", ">", ""):
            return super().commentStartDashState()
        self.currentToken["data"] += "-"
        self.state = self.commentState
        return True

    def markupDeclarationOpenState(self) -> bool:
        rest, node = self._rest(), self.parser.tree.openElements[-1]
        if rest.startswith("[") and node.namespace != HTML:
            if self.parser.is_integration_point(node) and not self.parser.rules.cdata_at_integration_points:
                self.state = self.bogusCommentState
                return True
            if self._waits_for("[CDATA["):
                return self._wait()
        elif rest[:1] in ("D", "d") and self._waits_for("doctype"):
            return self._wait()
        return super().markupDeclarationOpenState()

    def afterDoctypeNameState(self) -> bool:
        keyword = {"P": "public", "S": "system"}.get(self._rest()[:1].upper())
        if keyword and self._waits_for(keyword):
            return self._wait()
        return super().afterDoctypeNameState()


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


_html5lib: Any = SimpleNamespace(**getPhases(False))


class _InBody(_Corrected, _html5lib.inBody):  # type: ignore[misc]
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

    def processSpaceCharactersNonPre(self, token: _Token) -> None:
        self.tree.reconstructActiveFormattingElements()
        self.tree.insertText(token["data"])

    def startTagHtml(self, token: _Token) -> None:
        pass  # its attributes would go to an element outside the fragment

    startTagBody = startTagFrameset = startTagHtml

    def endTagBody(self, token: _Token) -> None:
        pass

    endTagHtml = endTagBody

    def endTagTemplate(self, token: _Token) -> None:
        self.parser.phases["inHead"].endTagTemplate(token)

    def startTagPreListing(self, token: _Token) -> None:
        self.startTagCloseP(token)
        self.parser.skip_line_feed = True

    def startTagTextarea(self, token: _Token) -> None:
        self.parser.parseRCDataRawtext(token, "RCDATA")
        self.parser.skip_line_feed = True

    def startTagForm(self, token: _Token) -> None:
        in_template = self.tree.has_open("template")
        if self.tree.formPointer is None or in_template:
            self.startTagCloseP(token)
            if not in_template:
                self.tree.formPointer = self.tree.openElements[-1]

    def endTagForm(self, token: _Token) -> None:
        if self.tree.has_open("template"):
            self.endTagOther(token)  # as Chrome does; the standard would look for a form in scope
            return
        form, self.tree.formPointer = self.tree.formPointer, None
        if form is not None and self.tree.elementInScope(form):
            self.tree.generateImpliedEndTags()
            self.tree.openElements.remove(form)

    def startTagListItem(self, token: _Token) -> None:
        names = ("li",) if token["name"] == "li" else ("dd", "dt")
        bounds = SPECIAL - {(HTML, "address"), (HTML, "div"), (HTML, "p")}
        node = next(node for node in reversed(self.tree.openElements) if node.name in names or node.nameTuple in bounds)
        if node.name in names:
            self.tree.generateImpliedEndTags(node.name)
            self.tree.pop_until(node.name)
        self.startTagCloseP(token)

    def addFormattingElement(self, token: _Token) -> None:
        if "is" in token["data"] and not self.parser.rules.formats_with_is:
            self.tree.insertElement(token)
        else:
            super().addFormattingElement(token)

    def startTagButton(self, token: _Token) -> None:
        if self.tree.elementInScope("button") and not self.parser.nested_buttons:
            self.tree.generateImpliedEndTags()
            self.tree.pop_until("button")
        self.startTagOther(token)

    def startTagTable(self, token: _Token) -> None:
        self.startTagCloseP(token)
        self.parser.phase = self.parser.phases["inTable"]

    def startTagRpRt(self, token: _Token) -> None:
        if self.tree.elementInScope("ruby"):
            self.tree.generateImpliedEndTags("rtc")
        self.tree.insertElement(token)

    def startTagRbRtc(self, token: _Token) -> None:
        if self.tree.elementInScope("ruby"):
            self.tree.generateImpliedEndTags()
        self.tree.insertElement(token)

    def startTagOption(self, token: _Token) -> None:
        if self.tree.openElements[-1].name == "option":
            self.tree.openElements.pop()
        self.startTagOther(token)

    startTagOptgroup = startTagOption

    def endTagSelect(self, token: _Token) -> None:
        self.endTagOther(token)

    def endTagFormatting(self, token: _Token) -> None:
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
            block = next((node for node in stack[at + 1 :] if node.nameTuple in SPECIAL), None)
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
        if ancestor.name in _TABLE_PARTS:
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

    def endTagOther(self, token: _Token) -> None:
        name = token["name"]
        node = next(node for node in reversed(self.tree.openElements) if node.name == name or node.nameTuple in SPECIAL)
        if node.name == name:
            self.tree.generateImpliedEndTags(name)
            self.tree.pop_until(name)


class _InBodyOfMixedSelect(_InBody):
    """``select`` as of Chrome 156, where it is an element like others with an eye on its options."""

    def _close_select(self) -> bool:
        if not self.tree.has_open("select") or not self.tree.elementInScope("select"):
            return False
        self.tree.pop_until("select")
        return True

    def startTagSelect(self, token: _Token) -> None:
        if not self._close_select():
            self.startTagOther(token)

    def startTagInput(self, token: _Token) -> None:
        self._close_select()
        self.startTagVoidFormatting(token)

    def startTagHr(self, token: _Token) -> None:
        if self.tree.elementInScope("p", variant="button"):
            self.endTagP(impliedTagToken("p"))
        if self.tree.elementInScope("select"):
            self.tree.generateImpliedEndTags()
        self.startTagParamSource(token)

    def startTagOption(self, token: _Token) -> None:
        if self.tree.elementInScope("select"):
            self.tree.generateImpliedEndTags("optgroup")
        elif self.tree.openElements[-1].name == "option":
            self.tree.openElements.pop()
        self.startTagOther(token)

    def startTagOptgroup(self, token: _Token) -> None:
        if self.tree.elementInScope("select"):
            self.tree.generateImpliedEndTags()
        elif self.tree.openElements[-1].name == "option":
            self.tree.openElements.pop()
        self.startTagOther(token)

    def startTagOther(self, token: _Token) -> None:
        if token["name"] == "selectedcontent":
            raise UnsupportedChallenge(
                "`selectedcontent` in the HTML snippet", expected="an element that stays as it is"
            )
        super().startTagOther(token)

    def endTagSelect(self, token: _Token) -> None:
        self.endTagBlock(token)


class _InHead(_Corrected, _html5lib.inHead):  # type: ignore[misc]
    start: ClassVar = {"template": "startTagTemplate"}
    end: ClassVar = {"template": "endTagTemplate"}

    def startTagTemplate(self, token: _Token) -> None:
        self.tree.insertElement(token)
        self.tree.activeFormattingElements.append(base.Marker)
        self.parser.phase = self.parser.phases["inTemplate"]
        self.parser.template_modes.append(self.parser.phase)

    def endTagTemplate(self, token: _Token) -> None:
        if not self.tree.has_open("template"):
            return
        self.tree.pop_until("template")
        self.tree.clearActiveFormattingElements()
        self.parser.template_modes.pop()
        self.parser.resetInsertionMode()


_MODE_IN_TEMPLATE = {
    "caption": "inTable",
    "col": "inColumnGroup",
    "colgroup": "inTable",
    "tbody": "inTable",
    "td": "inRow",
    "tfoot": "inTable",
    "th": "inRow",
    "thead": "inTable",
    "tr": "inTableBody",
}


class _InTemplate(_Corrected, _html5lib.inBody):  # type: ignore[misc]
    """The mode "in template": the first tag decides which mode the rest is read in."""

    def processCharacters(self, token: _Token) -> _Again:
        return self.parser.phases["inBody"].processCharacters(token)

    processSpaceCharacters = processCharacters

    def processStartTag(self, token: _Token) -> _Again:
        name = token["name"]
        if name in ("link", "meta", "script", "style", "template"):  # Chrome's list, the standard's is longer
            return self.parser.phases["inHead"].processStartTag(token)
        mode = _MODE_IN_TEMPLATE.get(name, "inBody")
        self.parser.phase = self.parser.template_modes[-1] = self.parser.phases[mode]
        return token

    def processEndTag(self, token: _Token) -> None:
        if token["name"] == "template":
            self.parser.phases["inHead"].processEndTag(token)


class _ClearsTo:
    """Clears the stack back to a table context or the like, which a template bounds too."""

    def _clear_to(self, *names: str) -> None:
        while self.tree.openElements[-1].name not in (*names, "html", "template"):  # type: ignore[attr-defined]
            self.tree.openElements.pop()  # type: ignore[attr-defined]


class _InTable(_ClearsTo, _Corrected, _html5lib.inTable):  # type: ignore[misc]
    start: ClassVar = {"template": "startTagStyleScript"}
    end: ClassVar = {"template": "endTagTemplate"}

    def clearStackToTableContext(self) -> None:
        self._clear_to("table")

    def processCharacters(self, token: _Token) -> _Again:
        if self.tree.openElements[-1].name in _TABLE_PARTS:
            return super().processCharacters(token)
        return self.insertText(token)

    def processSpaceCharacters(self, token: _Token) -> _Again:
        if self.tree.openElements[-1].name in _TABLE_PARTS:
            return super().processSpaceCharacters(token)
        return self.insertText(token)

    def _fostering(self, process: Any, token: _Token) -> _Again:
        self.tree.insertFromTable = True
        try:
            return process(token)
        finally:
            self.tree.insertFromTable = False

    def insertText(self, token: _Token) -> _Again:
        return self._fostering(self.parser.phases["inBody"].processCharacters, token)

    def startTagOther(self, token: _Token) -> _Again:
        return self._fostering(self.parser.phases["inBody"].processStartTag, token)

    def endTagOther(self, token: _Token) -> _Again:
        return self._fostering(self.parser.phases["inBody"].processEndTag, token)

    def endTagTemplate(self, token: _Token) -> None:
        self.parser.phases["inHead"].endTagTemplate(token)

    def startTagForm(self, token: _Token) -> None:
        in_template = self.tree.has_open("template")  # where Chrome inserts it, and the standard would not
        if self.tree.formPointer is None or in_template:
            self.tree.insertElement(token)
            form = self.tree.openElements.pop()
            if not in_template:
                self.tree.formPointer = form

    def startTagTable(self, token: _Token) -> _Again:
        if not self.tree.elementInScope("table", variant="table"):
            return None
        self.endTagTable(impliedTagToken("table"))
        return token

    def endTagTable(self, token: _Token) -> None:
        if self.tree.elementInScope("table", variant="table"):
            self.tree.pop_until("table")
            self.parser.resetInsertionMode()


class _InTableBody(_ClearsTo, _Corrected, _html5lib.inTableBody):  # type: ignore[misc]
    def clearStackToTableBodyContext(self) -> None:
        self._clear_to("tbody", "tfoot", "thead")


class _InRow(_ClearsTo, _Corrected, _html5lib.inRow):  # type: ignore[misc]
    def clearStackToTableRowContext(self) -> None:
        self._clear_to("tr")


class _InColumnGroup(_Corrected, _html5lib.inColumnGroup):  # type: ignore[misc]
    start: ClassVar = {"template": "startTagTemplate"}
    end: ClassVar = {"template": "endTagTemplate"}

    def ignoreEndTagColgroup(self) -> bool:
        return bool(self.tree.openElements[-1].name != "colgroup")

    def processCharacters(self, token: _Token) -> _Again:
        if self.ignoreEndTagColgroup():  # then each character is judged by itself
            spaces = "".join(c for c in token["data"] if c in spaceCharacters)
            if spaces:
                self.tree.insertText(spaces)
            return None
        return super().processCharacters(token)

    def startTagTemplate(self, token: _Token) -> None:
        self.parser.phases["inHead"].startTagTemplate(token)

    def endTagTemplate(self, token: _Token) -> None:
        self.parser.phases["inHead"].endTagTemplate(token)


class _InCaption(_Corrected, _html5lib.inCaption):  # type: ignore[misc]
    def processSpaceCharacters(self, token: _Token) -> None:
        self.parser.phases["inBody"].processSpaceCharacters(token)


class _InCell(_Corrected, _html5lib.inCell):  # type: ignore[misc]
    def processSpaceCharacters(self, token: _Token) -> None:
        self.parser.phases["inBody"].processSpaceCharacters(token)


class _InSelect(_Corrected, _html5lib.inSelect):  # type: ignore[misc]
    """The mode "in select", which newer versions do not have."""

    start: ClassVar = {"hr": "startTagHr", "template": "startTagScript"}
    end: ClassVar = {"template": "endTagTemplate"}

    def startTagHr(self, token: _Token) -> None:
        for name in ("option", "optgroup"):
            if self.tree.openElements[-1].name == name:
                self.tree.openElements.pop()
        self.tree.insertElement(token)
        self.tree.openElements.pop()

    def startTagInput(self, token: _Token) -> _Again:
        self.endTagSelect(token)
        return token

    def endTagSelect(self, token: _Token) -> None:
        self.tree.pop_until("select")
        self.parser.resetInsertionMode()

    def endTagTemplate(self, token: _Token) -> None:
        self.parser.phases["inHead"].endTagTemplate(token)


class _InSelectInTable(_Corrected, _html5lib.inSelectInTable):  # type: ignore[misc]
    def startTagTable(self, token: _Token) -> _Token:
        self.tree.pop_until("select")
        self.parser.resetInsertionMode()
        return token

    def endTagTable(self, token: _Token) -> _Again:
        if not self.tree.elementInScope(token["name"], variant="table"):
            return None
        return self.startTagTable(token)


class _InForeignContent(_html5lib.inForeignContent):  # type: ignore[misc]
    def processStartTag(self, token: _Token) -> _Again:
        if token["name"] in self.breakoutElements or (
            token["name"] == "font" and token["data"].keys() & {"color", "face", "size"}
        ):
            self._leave()
            return self.parser.phase.processStartTag(token)
        return super().processStartTag(token)

    def _leave(self) -> None:
        while not (
            self.tree.openElements[-1].namespace == HTML or self.parser.is_integration_point(self.tree.openElements[-1])
        ):
            self.tree.openElements.pop()

    def processEndTag(self, token: _Token) -> _Again:
        if token["name"] in ("br", "p"):
            self._leave()
            return self.parser.phase.processEndTag(token)
        adjusted = {"name": token["name"]}
        self.adjustSVGTagNames(adjusted)
        mixed_case = self.tree.openElements[-1].namespace == SVG and (
            adjusted != {"name": token["name"]} or token["name"] == "fedropshadow"
        )
        for index in range(len(self.tree.openElements) - 1, 0, -1):
            node = self.tree.openElements[index]
            if node.namespace == HTML:
                break
            if node.nameTuple[1].lower() == token["name"] and not (mixed_case and node.namespace == MATHML):
                del self.tree.openElements[index:]
                return None
        if mixed_case and any(node.nameTuple[1].lower() == token["name"] for node in self.tree.openElements):
            raise UnsupportedChallenge(
                f"`</{token['name']}>` of an element outside `svg` in the HTML snippet", expected="an end tag in `svg`"
            )
        return self.parser.phase.processEndTag(token)


class _Parser(HTMLParser):
    def __init__(self, rules: Rules, nested_buttons: bool = False) -> None:
        super().__init__(tree=TreeOfMixedSelect if rules.mixed_select else Tree)
        self.rules = rules
        self.nested_buttons = nested_buttons
        self.skip_line_feed = False
        self.template_modes: list[Any] = []
        self._open_details: set[str] = set()
        self.fast_path = _FastPath()
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
        fragment: Element = self.tree.getFragment()
        return fragment

    def parseError(self, errorcode: str = "", datavars: object = None) -> None:
        pass

    def mainLoop(self) -> None:
        process = {
            tokenTypes["Characters"]: "processCharacters",
            tokenTypes["SpaceCharacters"]: "processSpaceCharacters",
            tokenTypes["StartTag"]: "processStartTag",
            tokenTypes["EndTag"]: "processEndTag",
            tokenTypes["Comment"]: "processComment",
        }
        tokens: Any = self.tokenizer
        for token in tokens:
            if token["type"] == tokenTypes["ParseError"]:
                continue
            self.fast_path.see(token)
            if token["type"] not in _CHARACTERS:
                self.skip_line_feed = False
                self._flush_table_text()
            if token["type"] == tokenTypes["Doctype"]:
                continue
            if token["type"] == tokenTypes["StartTag"] and token["name"] == "details":
                self._see_details(token["data"])
            if token["data"] == "\0" and self._phase_for(token) is not self.phases["inForeignContent"]:
                continue  # as if it had not been there
            if self.skip_line_feed:
                self.skip_line_feed = False
                token["data"] = token["data"].removeprefix("\n")
                if not token["data"]:
                    continue
            while token is not None:
                token = getattr(self._phase_for(token), process[token["type"]])(token)
            if len(self.tree.openElements) > MAX_DEPTH:
                raise UnsupportedChallenge(f"the HTML snippet nests more than {MAX_DEPTH} elements", expected="fewer")
        self.fast_path.check()
        self._flush_table_text()

    def _see_details(self, attributes: dict[str, str]) -> None:
        """Refuse a second open ``details`` of one name: the browser takes its ``open`` away, after the parsing."""
        if "open" in attributes and attributes.get("name"):
            if attributes["name"] in self._open_details:
                raise UnsupportedChallenge("two open `details` of one name in the HTML snippet", expected="one")
            self._open_details.add(attributes["name"])

    def has_pending_table_text(self) -> bool:
        return self.phase is self.phases["inTableText"]

    def _flush_table_text(self) -> None:
        if self.has_pending_table_text():
            pending = self.phase
            self.phase = pending.originalPhase
            pending.flushCharacters()

    def _phase_for(self, token: _Token) -> Any:
        """Apply the tree construction dispatcher (13.2.6)."""
        node = self.tree.openElements[-1]
        if node.namespace == HTML:
            return self.phase
        start = token["type"] == tokenTypes["StartTag"]
        text = token["type"] in _CHARACTERS
        if (
            (
                self.isMathMLTextIntegrationPoint(node)
                and (text or (start and token["name"] not in ("mglyph", "malignmark")))
            )
            or (node.nameTuple == (MATHML, "annotation-xml") and start and token["name"] == "svg")
            or (self.isHTMLIntegrationPoint(node) and (text or start))
        ):
            return self.phase
        return self.phases["inForeignContent"]

    def is_integration_point(self, element: Element) -> bool:
        return self.isHTMLIntegrationPoint(element) or self.isMathMLTextIntegrationPoint(element)

    def isMathMLTextIntegrationPoint(self, element: Any) -> bool:
        return element.nameTuple in {(MATHML, name) for name in ("mi", "mn", "mo", "ms", "mtext")}

    def isHTMLIntegrationPoint(self, element: Any) -> bool:
        if element.nameTuple == (MATHML, "annotation-xml"):
            return element.attrs.get("encoding", "").lower() in ("text/html", "application/xhtml+xml")
        return element.nameTuple in {(SVG, name) for name in ("desc", "foreignObject", "title")}

    def resetInsertionMode(self) -> None:
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
                in_table = self.tree.innermost("table", "template") == "table"
                self.phase = self.phases["inSelectInTable" if in_table else "inSelect"]
                return
            if node.name in modes:
                self.phase = self.phases[modes[node.name]]
                return
        self.phase = self.phases["inBody"]


def parse_in_div(html: str, rules: Rules) -> list[Element]:
    """Parse a text as ``div.innerHTML = text`` does.

    Args:
        html: what is assigned.
        rules: those of the version of Chrome that is meant.

    Returns:
        The ``div``, more than once if it isn't certain which of Chrome's parsers reads it. An element's ``nameTuple``
        has its namespace and name.

    Raises:
        UnsupportedChallenge: it nests too deep, or has a construct for which that version's behaviour is not known.
    """
    parser = _Parser(rules)
    roots = [parser.parse_in_div(html)]
    if parser.fast_path.nests_buttons():
        roots.append(_Parser(rules, nested_buttons=True).parse_in_div(html))
    return roots
