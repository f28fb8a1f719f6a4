"""Colour code in one pass: comments, strings, numbers, keywords and calls.

A reply can contain anything, so the time must be linear for any code. Pygments doesn't guarantee that: its lexers for
C, Java, Python and dozens of other languages take quadratic or cubic time for a run of blanks.
"""

from __future__ import annotations

import re

from rich.style import Style
from rich.text import Text

_STYLES = {
    "comment": Style(dim=True),
    "string": Style(color="yellow"),
    "number": Style(color="bright_cyan"),
    "keyword": Style(color="bright_blue"),
    "call": Style(color="bright_green"),
}

_KEYWORDS = frozenset(
    """
    abstract and as assert async await begin bool boolean break byte case catch char class const continue crate def
    default defer defn del delete do done double echo elif else elsif end ensure enum esac except export extends
    extern false False fi final finally float fn for foreach from fun func function global go goto if impl
    implements import in include inline instanceof int interface is lambda let local long loop match mod module mut
    namespace new nil None nonlocal not null NULL operator or override package pass private protected protocol pub
    public raise readonly require rescue return self Self short signed sizeof static string struct super switch
    template then this throw throws trait true True try type typedef typeof union unless unsafe unsigned until use
    using val var virtual void volatile when where while with yield add all alter between by create cross desc
    distinct drop exists full group having index inner insert intersect into join key left like limit offset on
    order outer primary right select set table update values view
    """.split()  # noqa: SIM905
)
_SQL = frozenset({"sql", "mysql", "postgresql", "plpgsql", "sqlite"})

_LINE = r"[^\n]*"
_BLOCK = r"/\*(?:[^*]|\*(?!/))*(?:\*/)?"
_QUOTED = r'"(?:[^"\\\n]|\\.)*"?'
#: An apostrophe that isn't closed on its line doesn't start a string. Escapes are matched outside strings too, so that
#: at most one apostrophe of each line is scanned in vain.
_CHARS = r"'(?:[^'\\\n]|\\.)*'"
_LONG_DOUBLE = r'"""(?:[^"]|"(?!""))*(?:""")?'
_LONG_SINGLE = r"'''(?:[^']|'(?!''))*(?:''')?"
_BACKTICKS = r"`[^`]*`?"


def _pattern(comments: str, *strings: str) -> re.Pattern[str]:
    """Build a pattern. Each alternative matches at least one character and never backtracks."""
    return re.compile(
        rf"(?P<comment>{comments})|(?P<string>{'|'.join((*strings, _QUOTED, _CHARS))})|\\."
        r"|(?P<number>\d[\w.]*)|(?P<word>[^\W\d]\w*)(?P<call>(?=\())?"
    )


_HASH = _pattern(f"#{_LINE}", _LONG_DOUBLE, _LONG_SINGLE)
_SLASHES = _pattern(f"//{_LINE}|{_BLOCK}", _LONG_DOUBLE, _BACKTICKS)
_STYLE_SHEET = _pattern(_BLOCK)
_DASHES = _pattern(f"--{_LINE}|{_BLOCK}")
_TAGS = _pattern(r"<!--(?:[^-]|-(?!->))*(?:-->)?")

_LANGUAGES = {
    _HASH: """
        awk bash cmake conf docker dockerfile elixir ex exs graphql ini jl julia make makefile nginx nim nix perl pl
        powershell ps1 pwsh py python python3 r rb ruby sh shell tcl toml yaml yml zsh
    """,
    _SLASHES: """
        c c# c++ cc cpp cs csharp cuda cxx d dart fs fsharp glsl go golang gradle groovy h hlsl hpp java javascript
        js json json5 jsonc jsx kotlin kt less objc objective-c php proto protobuf rs rust scala scss sol solidity
        swift ts tsx typescript v verilog zig
    """,
    _STYLE_SHEET: "css",
    _DASHES: f"ada elm haskell hs lua vhdl {' '.join(_SQL)}",
    _TAGS: "html svelte svg vue xhtml xml",
}
_PATTERNS = {language: pattern for pattern, languages in _LANGUAGES.items() for language in languages.split()}


def coloured(code: str, language: str) -> Text:
    """Colour code in linear time.

    Args:
        code: the code.
        language: the language's name on a fence, in any case.

    Returns:
        The code, coloured if the language is known.
    """
    text = Text(code, tab_size=4)
    language = language.lower()
    if pattern := _PATTERNS.get(language):
        for found in pattern.finditer(code):
            kind = found.lastgroup or ""
            if kind == "word":
                word = found["word"].lower() if language in _SQL else found["word"]
                kind = "keyword" if word in _KEYWORDS else ""
            elif kind == "call" and found["word"] in _KEYWORDS:
                kind = "keyword"
            if kind:
                text.stylize(_STYLES[kind], *found.span())
    return text
