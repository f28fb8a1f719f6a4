"""What differs between the versions of Chrome, as data: the only module that knows version numbers.

To add a rule, add a field to `Rules` with a value for each version below, and read it where the versions part: as
``parser.rules`` in `tokenizer` and `modes`. In `modes`, a tag's handler is a method; a tag that html5lib handles by
another method has an entry in ``start`` or ``end``. A rule about serialisation goes by way of `dom.read_snippet`, like
`possible_escapes`. Another verified version is another entry in `possible_rules`.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Rules(NamedTuple):
    """How one version of Chrome parses.

    Attributes:
        mixed_select: ``select`` may hold any element, and has no insertion mode of its own.
        unbounded_adoption: the inner loop of the adoption agency has no limit, as in the standard.
        processing_instructions: ``<?x y?>`` is a node of its own, not a comment.
        waits_for: keywords that the tokenizer waits for where the snippet ends too early for them: in ``<!d>`` there is
            no room for ``<!doctype``. The keyword never comes, and everything from there on is lost.
        cdata_at_integration_points: a CDATA section is recognised in ``<svg><desc>`` and ``<math><mi>`` too; else it is
            a comment there.
        formats_with_is: ``<b is=x>`` is a formatting element like ``<b>``, opened again where its end tag was missing.
    """

    mixed_select: bool
    unbounded_adoption: bool
    processing_instructions: bool
    waits_for: frozenset[str]
    cdata_at_integration_points: bool
    formats_with_is: bool


CHROME_133 = Rules(
    mixed_select=False,
    unbounded_adoption=False,
    processing_instructions=False,
    waits_for=frozenset(("doctype", "[CDATA[", "public", "system")),
    cdata_at_integration_points=False,
    formats_with_is=True,
)
CHROME_156 = Rules(
    mixed_select=True,
    unbounded_adoption=True,
    processing_instructions=True,
    waits_for=frozenset(),
    cdata_at_integration_points=True,
    formats_with_is=False,
)

# Chrome 133 is verified to wait for "doctype". Its other rules that are replaced here come from the source of Chrome
# 132, and no vector shows them in 133: a snippet is answered only if they make no difference to it.
_DOUBTED_133 = CHROME_133._replace(
    waits_for=frozenset(("doctype",)), cdata_at_integration_points=True, formats_with_is=False
)
_IN_DOUBT = re.compile(r"<!\[|<!doctype|\bis\b", re.IGNORECASE)
"""What a snippet contains if the doubted rules can make a difference to it."""

_LAST_UNESCAPED, _FIRST_ESCAPED = 137, 153
"""The last version that is known not to escape ``<`` and ``>`` in attributes, and the first that is known to do so."""


def possible_rules(html: str, chrome: int | None) -> list[Rules]:
    """Return the sets of rules by which a version may parse a snippet.

    Args:
        html: the snippet.
        chrome: the major version; None when it isn't known.

    Returns:
        The version's own rules if it was verified, else those of all verified versions.
    """
    of_133 = [CHROME_133, _DOUBTED_133] if _IN_DOUBT.search(html) else [CHROME_133]
    verified = {133: of_133, 156: [CHROME_156]}
    return verified.get(chrome or 0) or [*of_133, CHROME_156]


def possible_escapes(chrome: int | None) -> list[bool]:
    """Return whether a version escapes ``<`` and ``>`` in attribute values; both where that isn't known."""
    if chrome is None:
        return [False, True]
    possible = {False: chrome < _FIRST_ESCAPED, True: chrome > _LAST_UNESCAPED}
    return [escaped for escaped in possible if possible[escaped]]
