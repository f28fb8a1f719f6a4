"""Replace the contents of a challenge script; its form and its public words stay.

The contents are in its string literals, its comments and the names that it makes up. The words of its languages are
public: ECMAScript's, those of the browser interfaces that it uses, and HTML's within a literal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from ..challenge.literals import LITERAL, decode_string_literal
from ..errors import UnsupportedChallenge
from ..redaction import words

_SCRIPT_WORDS = words(
    """Array Boolean JSON Math Number Object Promise Reflect RegExp String Symbol abs apply arguments async await b
    body brand brands break bytes call case catch charCodeAt class client_hashes concat const constructor continue
    createElement debug debugger default delete do document e else enum eval every export extends false finally find
    floor for forEach from fromCharCode function get if implements import in indexOf innerHTML instanceof interface join
    keys length let map max meta min navigator new null of package parse parseInt private protected prototype public
    push random reduce replace return server_hashes set shift signals slice splice split static stringify substr
    substring super switch this throw toString true try typeof undefined userAgent userAgentData v value var version
    void webdriver while window with yield"""
)
_HTML_WORDS = words(
    """a abbr acronym address amp annotation annotation-xml applet apos area article aside audio b base basefont bdi bdo
    bgsound big blink blockquote body br button canvas caption center circle cite class code col colgroup color command
    copy data datalist dd del desc details dfn dialog dir div dl doctype dt em embed encoding face fieldset figcaption
    figure font footer foreignobject form frame frameset g gt h1 h2 h3 h4 h5 h6 head header hgroup hidden hr href html i
    iframe image img input ins is isindex kbd keygen label legend li line link listing lt main malignmark map mark
    marquee math menu menuitem meta meter mglyph mi mn mo ms mtext name nav nbsp nobr noembed noframes noscript object
    ol optgroup option output p param path picture plaintext pre progress q quot rb rect rp rt rtc ruby s samp script
    search section select selected selectedcontent size slot small source span strike strong style sub summary sup svg
    table tbody td template text textarea tfoot th thead time title tr track tt type u ul use value var video wbr xml
    xmlns xmp"""
)
_PART = re.compile(
    rf"(?P<comment>//[^\n\r\u2028\u2029]*|/\*.*?\*/)|(?P<literal>{LITERAL.pattern})|(?P<word>[A-Za-z0-9_$]+)"
    r"|(?P<foreign>[^\x00-\x7f])",
    re.DOTALL,
)
_BRANDS = re.compile(
    r'(`"\$\{ *)([A-Za-z_$][A-Za-z0-9_$]*)(\.brand *\}";v="\$\{ *)([A-Za-z_$][A-Za-z0-9_$]*)(\.version *\}"`)'
)
_HTML_WORD = re.compile(r"[A-Za-z0-9-]+|[^\x00-\x7f]")
#: Literals that any script of the form has, or that are too short to be a secret.
_FIXED = re.compile(r"|div|server_hashes|client_hashes|signals|, |[0-9]{1,3}|[A-Za-z]")
_SHORT_NUMBER = re.compile(r"-?[0-9]{1,6}|0[xX][0-9A-Fa-f]{1,4}")

StandIn = Callable[[str], str]


def same_script(script: str, value: StandIn) -> str:
    """Return a script of the same form with stand-ins for its contents.

    Args:
        script: ECMAScript source text, or any other text.
        value: returns a stand-in of visible ASCII for a text of visible ASCII.

    Returns:
        Text that can be read if the script can, and of the same length, except for literals with escapes.
    """

    def part(found: re.Match[str]) -> str:
        text = found[0]
        match found.lastgroup:
            case "comment":
                inner = text[2:-2] if text.startswith("/*") else text[2:]
                return text[:2] + re.sub(r"\S", _plain, inner) + text[2 + len(inner) :]
            case "literal":
                return _literal(text, value)
            case "word":
                return _word(text, value)
            case _:
                return _like(text)

    return _PART.sub(part, script)


def _word(text: str, value: StandIn) -> str:
    if text in _SCRIPT_WORDS or _SHORT_NUMBER.fullmatch(text):
        return text
    if text.startswith("_0x"):  # the mark of an obfuscated script
        return "_0x" + "0" * (len(text) - 3)
    if not text[0].isdigit():
        return value(text)
    return text[:2] + "1" * (len(text) - 2) if text[:2].lower() == "0x" else "1" * len(text)


def _literal(source: str, value: StandIn) -> str:
    if brands := _BRANDS.fullmatch(source):
        before, brand, between, again, after = brands.groups()
        return before + _word(brand, value) + between + _word(again, value) + after
    try:
        text = decode_string_literal(source)
    except UnsupportedChallenge:
        return source[0] + re.sub(r"\S", _plain, source[1:-1]) + source[-1]
    if _FIXED.fullmatch(text):
        return source
    shown = _HTML_WORD.sub(lambda found: _html_word(found[0]), text) if "<" in text else _text(text, value)
    if source == source[0] + text + source[-1]:
        return source[0] + shown + source[-1]
    return json.dumps(shown)


def _text(text: str, value: StandIn) -> str:
    """Return a stand-in for a text other than HTML, usually a hash."""
    return value(text) if text.isascii() and text.isprintable() else re.sub(r"\S", _plain, text)


def _html_word(text: str) -> str:
    known = text.lower() in _HTML_WORDS or (text.isdigit() and len(text) < 5)
    return text if known else "".join(map(_like, text)) if not text.isascii() else "x" * len(text)


def _plain(found: re.Match[str]) -> str:
    return _like(found[0])


def _like(character: str) -> str:
    """Return another character that takes as many bytes in UTF-8."""
    if character.isascii():
        return "x"
    return "é" if character < "\u0800" else "☃" if character < "\U00010000" else "😀"
