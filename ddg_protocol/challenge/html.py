"""From an HTML snippet to its tree, as ``div.innerHTML = snippet`` makes it in a version of Chrome.

The parser is html5lib's. It takes tokens from `tokenizer` and hands each to the current insertion mode, which builds
the tree of `tree`. The modes are html5lib's phases, some of them corrected in `modes`. What differs between versions is
in `rules`, and what is uncertain in `doubts`. Names in camel case are html5lib's.
"""
# ruff: noqa: D102, N802

from __future__ import annotations

from typing import Any

from html5lib import HTMLParser
from html5lib.constants import htmlIntegrationPointElements, mathmlTextIntegrationPointElements, tokenTypes

from ._html5lib import TEXT, Token
from .doubts import Doubts, refuse
from .modes import corrected_modes
from .rules import Rules
from .tokenizer import ChromeTokenizer
from .tree import HTML, MATHML, Element, Tree, TreeOfMixedSelect

MAX_DEPTH = 500
"""The most elements inside each other; Chrome flattens what goes deeper than 512."""

_PROCESS = {tokenTypes[kind]: f"process{kind}" for kind in ("StartTag", "EndTag", "Comment", "Doctype")}
"""The method of a mode that processes a token, by its type; text of any type goes to ``processCharacters``."""

_MODE_INSIDE = {
    **dict.fromkeys(("td", "th"), "inCell"),
    **dict.fromkeys(("tbody", "thead", "tfoot"), "inTableBody"),
    "tr": "inRow",
    "caption": "inCaption",
    "colgroup": "inColumnGroup",
    "table": "inTable",
}
"""The insertion mode of an element's content, where it isn't "in body"."""


class Parser(HTMLParser):
    """Parses one snippet.

    Attributes:
        rules: the rules of the version of Chrome to parse as.
        nested_buttons: whether a button may hold a button, as in Chrome's fast path.
        doubts: the uncertainties about the snippet.
        template_modes: the stack of template insertion modes.
    """

    def __init__(self, html: str, rules: Rules, *, nested_buttons: bool = False) -> None:
        super().__init__(tree=TreeOfMixedSelect if rules.mixed_select else Tree)
        self.phases |= {name: mode(self, self.tree) for name, mode in corrected_modes(rules).items()}
        self.tokenizer = ChromeTokenizer(html, parser=self)
        self.innerHTMLMode = True
        self.container = "div"
        self.scripting = True
        self.rules = rules
        self.nested_buttons = nested_buttons
        self.doubts = Doubts()
        self.template_modes: list[Any] = []
        self._skips_line_feed = False

    def parse_in_div(self) -> Element:
        """Parse the snippet; return an element with the content of the ``div``."""
        self.reset()
        self.mainLoop()
        root: Element = self.tree.openElements[0].extract()
        return root

    def parseError(self, errorcode: str = "", datavars: object = None) -> None:
        pass  # browsers don't report it

    def adjustForeignAttributes(self, token: Any) -> None:
        pass  # a name such as `xlink:href` is written as it came

    def mainLoop(self) -> None:
        tokens: Any = self.tokenizer
        for token in tokens:
            if token["type"] == tokenTypes["ParseError"]:
                continue
            self.doubts.see(token)
            (self._process_text if token["type"] in TEXT else self._process_markup)(token)
            if len(self.tree.openElements) > MAX_DEPTH:
                refuse(f"more than {MAX_DEPTH} elements inside each other", expected="fewer")
        self.doubts.check()
        self._flush_table_text()

    def _process_text(self, token: Token) -> None:
        """Process text, but for a NUL outside foreign content and a line feed after ``<pre>`` and the like."""
        if token["data"] == "\0" and self._phase_for(token) is not self.phases["inForeignContent"]:
            return
        if self._skips_line_feed:
            self._skips_line_feed = False
            token["data"] = token["data"].removeprefix("\n")
        if token["data"]:
            self._process(token)

    def _process_markup(self, token: Token) -> None:
        self._flush_table_text()
        self._process(token)
        self._skips_line_feed = (
            token["type"] == tokenTypes["StartTag"]
            and token["name"] in ("pre", "listing", "textarea")
            and token["name"] == self.tree.openElements[-1].name  # the tag was not ignored
        )

    def _process(self, token: Token | None) -> None:
        while token is not None:
            token = getattr(self._phase_for(token), _PROCESS.get(token["type"], "processCharacters"))(token)

    def has_pending_table_text(self) -> bool:
        """Return whether text in a table waits for the token that ends it."""
        return self.phase is self.phases["inTableText"]

    def _flush_table_text(self) -> None:
        if self.has_pending_table_text():
            pending = self.phase
            self.phase = pending.originalPhase
            pending.flushCharacters()

    def _phase_for(self, token: Token) -> Any:
        """Return the mode that processes a token: the tree construction dispatcher (13.2.6)."""
        node, name = self.tree.openElements[-1], token.get("name")
        text, start = token["type"] in TEXT, token["type"] == tokenTypes["StartTag"]
        as_html = (
            node.namespace == HTML
            or (self.isMathMLTextIntegrationPoint(node) and (text or (start and name not in ("mglyph", "malignmark"))))
            or (self.isHTMLIntegrationPoint(node) and (text or start))
            or (node.nameTuple == (MATHML, "annotation-xml") and start and name == "svg")
        )
        return self.html_phase(token) if as_html else self.phases["inForeignContent"]

    def html_phase(self, token: Token) -> Any:
        """Return the mode that processes a token as HTML: the current one, but for templates."""
        return self.phases["inHead"] if token.get("name") == "template" else self.phase

    def is_integration_point(self, element: Element) -> bool:
        """Return whether an element is a foreign one whose content is read as HTML."""
        return self.isHTMLIntegrationPoint(element) or self.isMathMLTextIntegrationPoint(element)

    def isMathMLTextIntegrationPoint(self, element: Any) -> bool:
        return element.nameTuple in mathmlTextIntegrationPointElements

    def isHTMLIntegrationPoint(self, element: Any) -> bool:
        if element.nameTuple == (MATHML, "annotation-xml"):
            return element.attributes.get("encoding", "").lower() in ("text/html", "application/xhtml+xml")
        return element.nameTuple in htmlIntegrationPointElements

    def resetInsertionMode(self) -> None:
        select = () if self.rules.mixed_select else ("select",)
        inside = self.tree.innermost("template", *select, *_MODE_INSIDE)
        if inside == "template":
            self.phase = self.template_modes[-1]
        elif inside == "select":
            in_table = self.tree.innermost("table", "template") == "table"
            self.phase = self.phases["inSelectInTable" if in_table else "inSelect"]
        else:
            self.phase = self.phases[_MODE_INSIDE.get(inside, "inBody")]


def parse_in_div(html: str, rules: Rules) -> list[Element]:
    """Parse a text as ``div.innerHTML = text`` does.

    Args:
        html: the text that is assigned.
        rules: the rules of the version of Chrome to parse as.

    Returns:
        The ``div``; a second one if it isn't certain which of Chrome's two parsers reads the text.

    Raises:
        UnsupportedChallenge: the text nests too deep, or has a construct that Chrome is not known to read in one way.
    """
    parser = Parser(html, rules)
    roots = [parser.parse_in_div()]
    if parser.doubts.has_nested_buttons():
        roots.append(Parser(html, rules, nested_buttons=True).parse_in_div())
    return roots
