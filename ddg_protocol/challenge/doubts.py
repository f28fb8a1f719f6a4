"""What makes it uncertain how Chrome reads a snippet, seen from the tokens alone.

Two things lie outside the parser of the HTML standard. Chrome has a second parser, its fast path, for snippets of a few
well-known elements, each closed by its own end tag; in three places it is known to differ. And the browser changes the
tree after parsing where two open ``details`` share a name.
"""

from __future__ import annotations

from typing import NoReturn

from html5lib.constants import tokenTypes

from ..errors import UnsupportedChallenge
from ._html5lib import TEXT, Token
from .tree import words

_FAST_PATH = words("a b br button div footer i input label li ol option p select span strong ul")
"""The elements that Chrome's fast path takes."""


def refuse(found: str, expected: str) -> NoReturn:
    """Raise `UnsupportedChallenge` for what a snippet has."""
    raise UnsupportedChallenge(f"the HTML snippet has {found}", expected=expected)


class Doubts:
    """Follows the tokens of a snippet, and tells at its end what is uncertain.

    Attributes:
        parsers_differ_on: a construct of the snippet that the two parsers read differently; empty if there is none.
    """

    def __init__(self) -> None:
        self.parsers_differ_on = ""
        self._open: list[str] = []
        self._only_simple = True
        self._button_in_button = False
        self._open_details: set[str] = set()

    def see(self, token: Token) -> None:
        """Follow the next token.

        Raises:
            UnsupportedChallenge: it opens a second ``details`` of one name.
        """
        if token["type"] == tokenTypes["StartTag"]:
            self._see_start_tag(token["name"], token["data"])
        elif token["type"] == tokenTypes["EndTag"]:
            self._only_simple &= bool(self._open) and self._open.pop() == token["name"]
        else:
            self._only_simple &= token["type"] in TEXT

    def _see_start_tag(self, name: str, attributes: dict[str, str]) -> None:
        self._only_simple &= name in _FAST_PATH
        self._button_in_button |= name == "button" and "button" in self._open
        if name not in ("br", "input"):
            self._open.append(name)
        if name == "details" and "open" in attributes and (group := attributes.get("name")):
            if group in self._open_details:
                refuse("two open `details` of one name", expected="one")
            self._open_details.add(group)

    def _is_simple(self) -> bool:
        """Return whether the fast path may have taken all tokens."""
        return self._only_simple and not self._open

    def check(self) -> None:
        """Check, after the last token, that the two parsers agree.

        Raises:
            UnsupportedChallenge: they don't.
        """
        if self.parsers_differ_on and self._is_simple():
            refuse(f"{self.parsers_differ_on}, on which Chrome's parsers differ", expected="a snippet without it")

    def has_nested_buttons(self) -> bool:
        """Return whether the snippet has a button in a button, which the fast path alone leaves there."""
        return self._button_in_button and self._is_simple()
