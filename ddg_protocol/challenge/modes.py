"""What Chrome does in each insertion mode, where html5lib 1.1 does otherwise (HTML standard, 13.2.6.4).

html5lib 1.1 knows no ``template``, ``dialog`` or ``search``, has a list of special elements of its own, and has slips
in rare corners (white space in table cells, ``<button>`` twice in a table, ...). A mode that isn't overridden here is
html5lib's. Where versions of Chrome differ, a mode asks ``parser.rules``.

Names in camel case are html5lib's: ``startTagX`` and ``endTagX`` process a tag, ``tree.openElements`` is the stack of
open elements. A token that is returned is processed once more, in the mode that is then current.
"""
# ruff: noqa: N802

from __future__ import annotations

from typing import Any, ClassVar

from html5lib.constants import spaceCharacters, tableInsertModeElements
from html5lib.treebuilders import base

from ._html5lib import PHASES, Again, CorrectedPhase, Token
from .adoption import run_adoption_agency
from .doubts import refuse
from .rules import Rules
from .tree import HTML, SPECIAL, SVG


class _InBody(CorrectedPhase, PHASES.inBody):  # type: ignore[misc]
    start: ClassVar = {
        **dict.fromkeys(("command", "isindex"), "startTagOther"),
        **dict.fromkeys(("dialog", "search"), "startTagCloseP"),
        **dict.fromkeys(("rb", "rtc"), "startTagRpRt"),
    }
    end: ClassVar = {"search": "endTagBlock", "select": "endTagBlock"}

    def startTagTextarea(self, token: Token) -> None:
        self.parser.parseRCDataRawtext(token, "RCDATA")

    def endTagForm(self, token: Token) -> None:
        if not self.tree.has_open("template"):
            form = self.tree.formPointer
            self.tree.formPointer = None
            if form is None or not self.tree.elementInScope(form):
                return
            self.tree.generateImpliedEndTags()
            self.tree.openElements.remove(form)
        # Chrome goes on here, where the standard is done: a form around this one may end, too. There is one if an end
        # tag came in a table or an object, where it ends no form outside.
        self.endTagOther(token)

    def startTagListItem(self, token: Token) -> None:
        names = ("li",) if token["name"] == "li" else ("dd", "dt")
        self.tree.close(*names, bounds=SPECIAL - {(HTML, "address"), (HTML, "div"), (HTML, "p")})
        self.startTagCloseP(token)

    def addFormattingElement(self, token: Token) -> None:
        if "is" in token["data"] and not self.parser.rules.formats_with_is:
            self.tree.insertElement(token)
        else:
            super().addFormattingElement(token)

    def startTagButton(self, token: Token) -> None:
        if not self.parser.nested_buttons:
            self.tree.close("button")
        self.startTagOther(token)

    def startTagRpRt(self, token: Token) -> None:
        if self.tree.elementInScope("ruby"):
            self.tree.generateImpliedEndTags("rtc" if token["name"] in ("rp", "rt") else None)
        self.tree.insertElement(token)

    def startTagOpt(self, token: Token) -> None:
        if self.tree.openElements[-1].name == "option":
            self.tree.openElements.pop()
        self.startTagOther(token)

    def endTagFormatting(self, token: Token) -> None:
        unbounded = self.parser.rules.unbounded_adoption
        if not run_adoption_agency(self.tree, token["name"], unbounded=unbounded):
            self.endTagOther(token)

    def endTagOther(self, token: Token) -> None:
        self.tree.close(token["name"], bounds=SPECIAL)


class _InBodyOfMixedSelect(_InBody):
    """``select`` as of Chrome 156: an element like others, which closes itself and what its options imply."""

    def startTagSelect(self, token: Token) -> None:
        if not self.tree.close("select"):
            self.startTagOther(token)

    def startTagInput(self, token: Token) -> None:
        self.tree.close("select")
        super().startTagInput(token)

    def startTagHr(self, token: Token) -> None:
        self.tree.close("p", bounds=self.tree.scopes["button"])
        if self.tree.elementInScope("select"):
            self.tree.generateImpliedEndTags()
        super().startTagHr(token)

    def startTagOpt(self, token: Token) -> None:
        if self.tree.elementInScope("select"):
            self.tree.generateImpliedEndTags("optgroup" if token["name"] == "option" else None)
        super().startTagOpt(token)

    def startTagOther(self, token: Token) -> None:
        if token["name"] == "selectedcontent":
            refuse("`selectedcontent`", expected="an element that stays as it is")
        super().startTagOther(token)


class _InHead(CorrectedPhase, PHASES.inHead):  # type: ignore[misc]
    """Processes the tags of templates, whatever the mode is: see `Parser.html_phase`."""

    start: ClassVar = {"template": "startTagTemplate"}
    end: ClassVar = {"template": "endTagTemplate"}

    def startTagTemplate(self, token: Token) -> None:
        self.tree.insertElement(token)
        self.tree.activeFormattingElements.append(base.Marker)
        self.parser.phase = self.parser.phases["inTemplate"]
        self.parser.template_modes.append(self.parser.phase)

    def endTagTemplate(self, token: Token) -> None:
        if self.tree.has_open("template"):
            self.tree.pop_until("template")
            self.tree.clearActiveFormattingElements()
            self.parser.template_modes.pop()
            self.parser.resetInsertionMode()


class _InTemplate(PHASES.inBody):  # type: ignore[misc]
    """The first tag in a template decides in which mode the rest is read; text and comments are as in the body."""

    _MODE_OF: ClassVar = {
        **dict.fromkeys(("caption", "colgroup", "tbody", "tfoot", "thead"), "inTable"),
        **dict.fromkeys(("td", "th"), "inRow"),
        "col": "inColumnGroup",
        "tr": "inTableBody",
    }

    def processStartTag(self, token: Token) -> Again:
        if token["name"] in ("link", "meta", "script", "style"):  # Chrome's list; the standard's is longer
            self.parser.phases["inHead"].processStartTag(token)
            return None
        mode = self.parser.phases[self._MODE_OF.get(token["name"], "inBody")]
        self.parser.phase = self.parser.template_modes[-1] = mode
        return token

    def processEndTag(self, token: Token) -> None:
        pass


class _InTable(CorrectedPhase, PHASES.inTable):  # type: ignore[misc]
    def clearStackToTableContext(self) -> None:
        self.tree.clear_back_to("table")

    def processCharacters(self, token: Token) -> None:
        if self.tree.openElements[-1].name in tableInsertModeElements:  # the standard's list has `template` too
            super().processCharacters(token)
        else:
            self.insertText(token)

    def startTagTable(self, token: Token) -> Again:
        if not self.tree.close("table", bounds=self.tree.scopes["table"]):
            return None
        self.parser.resetInsertionMode()
        return token


class _InTableBody(CorrectedPhase, PHASES.inTableBody):  # type: ignore[misc]
    def clearStackToTableBodyContext(self) -> None:
        self.tree.clear_back_to("tbody", "tfoot", "thead")


class _InRow(CorrectedPhase, PHASES.inRow):  # type: ignore[misc]
    def clearStackToTableRowContext(self) -> None:
        self.tree.clear_back_to("tr")


class _InColumnGroup(CorrectedPhase, PHASES.inColumnGroup):  # type: ignore[misc]
    def ignoreEndTagColgroup(self) -> bool:
        return bool(self.tree.openElements[-1].name != "colgroup")

    def processCharacters(self, token: Token) -> Again:
        spaces = "".join(character for character in token["data"] if character in spaceCharacters)
        if spaces != token["data"] and not self.ignoreEndTagColgroup():
            return super().processCharacters(token)
        if spaces:
            self.tree.insertText(spaces)
        return None


class _InSelect(CorrectedPhase, PHASES.inSelect):  # type: ignore[misc]
    """The mode "in select", which newer versions do not have."""

    start: ClassVar = {"hr": "startTagHr"}

    def startTagHr(self, token: Token) -> None:
        self.tree.clear_back_to("select")  # from an option and a group of options
        self.tree.insertElement(token)
        self.tree.openElements.pop()


class _InForeignContent(PHASES.inForeignContent):  # type: ignore[misc]
    def processEndTag(self, token: Token) -> Again:
        if token["name"] in ("br", "p"):
            self._leave()
        elif self._close(token["name"]):
            return None
        return self.parser.html_phase(token).processEndTag(token)

    def _leave(self) -> None:
        """Close elements up to one whose content is HTML."""
        stack = self.tree.openElements
        while not (stack[-1].namespace == HTML or self.parser.is_integration_point(stack[-1])):
            stack.pop()

    def _close(self, name: str) -> bool:
        """Close the innermost element of a name, with what is open in it; return whether there is one to close."""
        stack = self.tree.openElements
        written = {"name": name}
        if stack[-1].namespace == SVG:
            self.adjustSVGTagNames(written)
        for index in range(len(stack) - 1, 0, -1):
            node = stack[index]
            if node.namespace == HTML:
                break
            if node.nameTuple[1] == written["name"]:  # mixed case counts: `</foreignObject>` in `math` closes none
                del stack[index:]
                return True
        if written["name"] != name and any(node.nameTuple[1].lower() == name for node in stack):
            refuse(f"`</{name}>` of an element outside `svg`", expected="an end tag in `svg`")
        return False

    def adjustSVGTagNames(self, token: Token) -> None:
        super().adjustSVGTagNames(token)
        if token["name"] == "fedropshadow":  # html5lib's list does not have it
            token["name"] = "feDropShadow"


_CORRECTED: dict[str, Any] = {
    "inBody": _InBody,
    "inHead": _InHead,
    "inTemplate": _InTemplate,
    "inTable": _InTable,
    "inTableBody": _InTableBody,
    "inRow": _InRow,
    "inColumnGroup": _InColumnGroup,
    "inSelect": _InSelect,
    "inForeignContent": _InForeignContent,
}


def corrected_modes(rules: Rules) -> dict[str, Any]:
    """Return the classes to use in place of html5lib's phases for a version of Chrome, by the mode's name."""
    return _CORRECTED | {"inBody": _InBodyOfMixedSelect} if rules.mixed_select else _CORRECTED
