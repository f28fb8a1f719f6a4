"""HTML snippets from a seeded generator: a theme for each rule of the parser that is easy to get wrong."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

VOID = ("br", "hr", "img", "input")


class Theme(NamedTuple):
    """The material of snippets about one rule.

    Attributes:
        tags: names, opened and closed at random.
        scraps: what stands between the tags: text, comments, pieces of markup.
        attributes: what a start tag may have; an empty one means none.
        starts: what a snippet may begin with.
        density: the share of scraps among the pieces, from 0 to 1.
        most: the most pieces in a snippet.
        closed: whether each element has its own end tag, as Chrome's parser for simple snippets requires.
    """

    tags: Sequence[str]
    scraps: Sequence[str] = ("x", " ")
    attributes: Sequence[str] = ("",)
    starts: Sequence[str] = ("",)
    density: float = 0.3
    most: int = 12
    closed: bool = False


def _words(text: str) -> list[str]:
    return text.split()


_SIMPLE = _words("a b br button div footer i input label li ol option p select span strong ul")
_ENCODINGS = _words("encoding=text/html encoding=application/xhtml+xml encoding=TEXT/HTML encoding=x color=red face=x")
_CDATA = _words(
    "<![CDATA[x]]> <![CDATA[ ]]> <![CDATA[<b>]]> <![CDATA[&amp;]]> <![CDATA[a]]]> <![CDATA[]]> <![cdata[x]]>"
)
_CDATA += ["<![CDATA[ \n]]>", "<![CDATA[\0]]>", "<![CDATA[\0x", "<![CDATA", "<![CD", "<![", "\0", "<!-->", "x"]
_DECLARATIONS = _words(
    """<!d <!D <!d> <!do <!docty <!doctype <!doctype> <! <!> <!- <!-> <!-- <!--> <!---> <!--a- <!--a-- <!x <!--a--!
    <!--a--!> <!--<!--> <!--a--x--> <!x> <![ </ </> </1> <1 - -- --> ! <![CDA x"""
)
_DECLARATIONS += ["<!doctype html>", "<!DOCTYPE x PUBLIC '", '<!DOCTYPE x SYSTEM "a>', "<!doctype x y>", "<!doc\0>"]
_DECLARATIONS += ["</ ", "\r\n", " ", "\0", "\U0001f600", "<!--\0-->", "<!doctype x p>"]
_ATTRIBUTES = _words(
    r"""is=x IS=x is is="" a='<' a='>' a="<>&" a='&lt;' a="'" a='"' a=&nbsp; a=&copy a=&copy=1 a='&amp' A=2 a/b / a=b/
    = =a a==b 'a' " a<b checked href=?a=1&b=2 xlink:href=x xml:lang=x xmlns=x encoding=text/html type=hidden a=`
    shadowrootmode=open a=&#x; a='&#0;' a=&notit; a=&lt a='&#128;' onclick=x nonce=x style=x"""
)
_ATTRIBUTES += ["a=1 A=2", "class='p q'", "a\0", "a=\0", "a=\u00a0", "a='\n\r\n'", "\U0001f600=1", "open name=a"]
_SELECT = _words(
    """select option optgroup hr input button datalist keygen textarea p div span b i a table tr td tbody caption svg
    math template script style legend fieldset form img br label ul li object noscript menuitem nobr title iframe"""
)
_INSTRUCTIONS = _words("<? <?x <?a> <?a?> <??> <?a <?xml?> <?XML > <?a.b?> <?a:b?> <?-a> <?1> <?a/> <?a?b?> ?> > x")
_INSTRUCTIONS += ["<?a b?>", "<?_a c>", "<? a?>", "<?a  b  ?>", "<?a\n?>", "<?a'>'?>", "<?a \r\nb?>", "<?a-b_1 c>"]
_ADOPTION = _words(
    """a b i u s em strong big code font nobr small strike tt p div aside button li ul h1 table tr td applet marquee
    object span address section foo form svg desc template center"""
)
_REFERENCES = _words(
    """& &a &amp &amp; &ampx &lt &copy &copy= &notit; &notin; &not &#0; &#128; &#x80; &#xD800; &#x110000; &#x &# < </
    &#99999999999; &#13; &#x41 &#65x &nbsp &nbsp; &AMP &NotEqualTilde; &ThickSpace; &x; &; &#x1F600; 1<2 &#x; x"""
)
_RAW = _words(
    "<!-- --> <script <script> </script </script> </script/ </style> </style </textarea> </title> &amp; <b> <"
)
_RAW += ["\n", "\r\n", "</", "\0", "</SCRIPT>", "</noscript>", "</xmp>", "</script >", "x"]
_RAW_TAGS = _words(
    """script style textarea title xmp iframe noembed noframes noscript plaintext listing pre template svg p select
    math table"""
)
_TABLES = _words(
    """table caption colgroup col tbody thead tfoot tr td th p b a i div form input select option template button svg
    math script style title li ruby h1 hr br font nobr pre"""
)
_TEMPLATES = _words(
    """template table tr td col select option p b form svg math script style noscript html body head frameset title
    base caption tbody"""
)
_ODD = _words(
    """menuitem keygen search menu isindex command bgsound basefont param track source embed wbr image main dialog
    details summary ruby rb rt rtc rp dd dt dl hgroup applet marquee object listing pre xmp frame frameset html head
    body nobr fencedframe portal slot permission geolocation model center dir nav figure fieldset legend noframes
    noembed video canvas picture map area p div b a li ul h1 h6"""
)
_FOREIGN = _words(
    """svg math desc foreignObject title mi mo mn ms mtext annotation-xml mglyph malignmark g a font script style p b
    table td tr select br div span template fedropshadow linearGradient image h1 li ruby code textarea"""
)
_ELEMENTS = _words(
    """a audio b base body button canvas caption col data datalist details dialog div fieldset figcaption font form h1
    iframe img input label legend li link map marquee meta meter object ol optgroup option output p picture progress
    script select slot small source span style summary svg table td template textarea tr ul video"""
)
_MEANT = _words(
    """open name=a name=b name selected checked value=1 type=radio type=hidden disabled src=x srcdoc=x href=x for=a id=a
    form=a list=a popover contenteditable hidden=until-found inert lang=en slot=a part=a nonce=x is=x-y closedby=any
    command=show-modal commandfor=a shadowrootmode=open shadowrootclonable interestfor=a sandbox loading=lazy"""
)

THEMES = {
    "service": Theme(_words("div p li br ul span b i a ol strong em"), ("x",), density=0.1, most=10),
    "cdata": Theme(
        _FOREIGN,
        _CDATA,
        ["", *_ENCODINGS],
        ["", *_words("<svg> <math> <svg><desc> <math><mi> <svg><title> <table><svg> <math><mtext>")],
        density=0.5,
    ),
    "declarations": Theme(
        _words("svg math p b div table tr td pre select option template title i a"), _DECLARATIONS, density=0.6, most=6
    ),
    "attributes": Theme(
        [*_SIMPLE, *_words("x-y font nobr small svg math template img table td g mi form details")],
        attributes=_ATTRIBUTES,
        most=7,
    ),
    "select": Theme(
        _SELECT,
        ("x", " ", "<!---->", "\0", "&amp;"),
        starts=["", *_words("<select> <table><td><select> <p><select> <b><select> <template><select>")],
    ),
    "instructions": Theme(
        _words("svg math p b div table tr td pre select template textarea desc mi"), _INSTRUCTIONS, density=0.5, most=7
    ),
    "adoption": Theme(_ADOPTION, ("x", " ", "<b a>", "<b a='1'>", "<b is=x>"), density=0.15, most=30),
    "simple": Theme(_SIMPLE, _REFERENCES, ["", "", *_ATTRIBUTES], closed=True),
    "raw text": Theme(_RAW_TAGS, _RAW, density=0.6, most=10),
    "tables": Theme(
        _TABLES,
        ("x", " ", "\0", "<!---->", "a b", "&nbsp;", "\n"),
        ("", "", "type=hidden"),
        ["", *_words("<table> <table><tr> <table><td> <table><colgroup> <template><tr> <template>")],
        most=20,
    ),
    "templates": Theme(_TEMPLATES, ("x", " ", "\0", "<template shadowrootmode=open>"), most=18),
    "odd": Theme(_ODD, ("x", " ", "\n"), density=0.2, most=18),
    "foreign": Theme(
        _FOREIGN, ("x", " ", "\0", "<!---->"), ["", "", *_ENCODINGS], ["", "<svg>", "<math>"], density=0.2, most=16
    ),
    "effects": Theme(_ELEMENTS, ("x",), ["", *_MEANT], density=0.15, most=10),
}


def snippet(chance: Random, theme: Theme) -> str:
    """Return a snippet with a few of a theme's tags, misnested unless the theme is closed; some are cut off."""
    tags = chance.sample(theme.tags, min(len(theme.tags), chance.randint(1, 8)))
    pieces = [chance.choice(theme.starts)]
    opened: list[str] = []
    for _ in range(chance.randint(1, theme.most)):
        if chance.random() < theme.density:
            pieces.append(chance.choice(theme.scraps))
        elif chance.random() < 0.4:
            if not theme.closed:
                pieces.append(f"</{chance.choice(tags)}>")
            elif opened:
                pieces.append(f"</{opened.pop()}>")
        else:
            tag = chance.choice(tags)
            attributes = [chance.choice(theme.attributes) for _ in range(chance.choice((1, 1, 2)))]
            slash = chance.choice(["/"] + [""] * 19)
            pieces.append(f"<{' '.join(filter(None, (tag, *attributes)))}{slash}>")
            if theme.closed and tag not in VOID:
                opened.append(tag)
    html = "".join(pieces) + "".join(f"</{tag}>" for tag in reversed(opened))
    return html if theme.closed or chance.random() < 0.85 else html[: chance.randint(0, len(html))]


def mixed_snippet(chance: Random) -> str:
    """Return a snippet of two or three themes."""
    return "".join(snippet(chance, chance.choice(list(THEMES.values()))) for _ in range(chance.randint(2, 3)))
