"""The HTML snippets of challenges, each with the length that a real browser reads back.

The lengths come from Chromium: ``div.innerHTML = html``, then ``div.innerHTML.length``. Versions 133 and 156 agree on
all of them. They don't come from this project's own challenge code, so they can be used to check it.
"""

from __future__ import annotations

POOL: tuple[tuple[str, int], ...] = (
    ("<div><p>x</div>", 19),
    ("<p><div></p>", 25),
    ("<li><div></li><li></div", 29),
    ("</br>", 4),
    ("<p><p>", 14),
    ("<p>a<p>b<p>c", 24),
    ("<br><br/><br />", 12),
    ("<br/></br>", 8),
    ("<p><br></p", 11),
    ("<li></li><li></li", 18),
    ("<div><li></div>", 20),
    ("<div><p></div></p>", 25),
    ("<i><b></i></b>", 14),
    ("<div><span></div></span>", 24),
    ("<div></div></div>", 11),
    ("</div><div>", 11),
    ("<div a", 0),
    ("</>", 0),
    ("<!--", 7),
    ("<div></", 16),
    ("<div></d", 11),
    ("1 < 2", 8),
    ("<hr></hr>", 4),
    ("<img></img>", 5),
    ("<div><img></div", 16),
    ("<div><ul><li></div></ul>", 29),
    ("<b><div></b>", 25),
    ("<div><b></div><p>x", 33),
    ("<div id=a id=b></div", 18),
    ("<h1><h2></h1></h2>", 18),
    ("<p><ul></p></ul>", 23),
    ("<p><h1></p></h1>", 23),
    ("<dl><dt>a<dd>b<dt>c</dl", 39),
    ("<div><!-- x --!></div", 21),
    ("<div>&lt;</div>", 15),
    ("<div>&amp;amp;</div>", 20),
    ("<div>&copy</div", 12),
    ("<div><p></p></div><div><p></div></p>", 43),
    ("<div><br></br><div></br>", 34),
    ("<b><b><b></b>", 21),
    ("<li><li><li></li>", 27),
    ("<p><hr></p>", 18),
    ("<em><strong></em></strong>", 26),
    ("<div></span></div>", 11),
    ("<form><form></form></form>", 13),
    ("<button><button></button></button>", 34),
    ("<div><a><div></a></div>", 36),
)
"""Each snippet, and its length when it is read back, in UTF-16 code units."""
