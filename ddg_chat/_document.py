"""A page that a command writes: one self-contained file, which requests nothing and runs nothing but its own script.

What the pages share is here and in `document.css`: the head with its content security policy, and the palette. All
text from outside goes through `said`: it is text in the page and nothing else, whatever it contains.
"""

from __future__ import annotations

import base64
import hashlib
import html
from importlib.resources import files
from string import Template

from ._text import escaped, visible


def document(command: str, name: str, body: str, *, style: str, script: str = "") -> str:
    """Make a page.

    Args:
        command: whose page it is, such as ``inspect``.
        name: what it is about, for its title.
        body: HTML, in which every text from outside went through `said`.
        style: CSS, besides what the pages share.
        script: JavaScript; empty if there is none.

    Returns:
        HTML. Its content security policy allows only its own style and script, by their hashes.
    """
    style = part(__package__, "document.css") + style
    return Template(part(__package__, "document.html")).substitute(
        policy=f"style-src {_hash(style)}" + (f"; script-src {_hash(script)}" if script else ""),
        command=command,
        name=said(escaped(name)),
        style=style,
        body=body,
        script=f"<script>{script}</script>\n" if script else "",
    )


def part(package: str, name: str) -> str:
    """Read a part of a page, which is a file of a package."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def said(text: str) -> str:
    """Escape a text for HTML, as text or as an attribute's value."""
    return html.escape(visible(text))


def _hash(text: str) -> str:
    """Name a text in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
