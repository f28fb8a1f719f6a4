"""The site: ``sphinx-build -W -n --keep-going docs docs/_build``.

The pages are Markdown that reads as well without Sphinx; what it takes to link their code words, and those of the
docstrings, to the reference stands here.
"""

from __future__ import annotations

import builtins
import importlib
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.environment import BuildEnvironment
from sphinx.ext import napoleon
from sphinx.ext.napoleon.docstring import GoogleDocstring
from sphinx.pycode import ModuleAnalyzer
from sphinx.roles import XRefRole
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "transports")]

project = "ddg-protocol"
author = "the ddg-protocol maintainers"
copyright = f"{author}. MIT licence"
release = importlib.import_module("ddg_protocol").__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
suppress_warnings = ["config.cache"]

html_theme = "furo"
html_title = f"ddg-protocol {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False

myst_heading_anchors = 3

default_role = "py:obj"
nitpicky = True
#: Other projects' names: their inventories would have to be fetched while building.
nitpick_ignore_regex = [
    ("py:.*", r"~?(anyio|collections|contextlib|h11|httpcore2?|hypothesis|msgspec|os|pytest)\b.*"),
    ("py:.*", r"~?(socket|ssl|threading|time|typing)\b.*"),
    ("py:class", r"[0-9.]+(e\+\d+)?"),  # a bound in an annotation
    ("py:.*", r"ddg_\w+(\.\w+)*\._\w+(\.\w+)*"),  # not public, so not in the reference
    (
        "py:class",
        r"ddg_protocol\.(conversation\.Tokens|pace\.(Landing|Queue)|cookies\.CookieJar)|(.*\.)?(T|HandlerT|ChatT|AnswerChallenge|Solver)",
    ),
]
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
toc_object_entries_show_parents = "hide"


class Docstring(GoogleDocstring):
    """Types stand in the annotations; in a docstring's text a colon is just a colon."""

    def _consume_returns_section(self, preprocess_types: bool = False) -> list[tuple[str, str, list[str]]]:
        return [("", "", self._dedent(self._consume_to_next_section()))]

    def _parse_attributes_section(self, section: str) -> list[str]:
        lines = []
        for name, _, description in self._consume_fields():
            annotation = self._lookup_annotation(name)
            lines += [f".. attribute:: {name}", *([f"   :type: {annotation}"] if annotation else []), ""]
            lines += [*self._indent(description, 3), ""]
        return lines

    def _consume_inline_attribute(self) -> tuple[str, list[str]]:
        return "", GoogleDocstring(self._consume_to_end(), self._config).lines()


vars(napoleon)["GoogleDocstring"] = Docstring
# What `intents.Coordinate` is annotated with is imported there for types alone.
_coordination = importlib.import_module("ddg_protocol.coordination")
vars(importlib.import_module("ddg_protocol.intents"))["Call"] = _coordination.Call

_SECTION = re.compile(r"PROTOCOL\.md(\s+)section (\d+)")


class AnywhereRole(XRefRole):
    """A name in backticks means what has it, wherever in the reference that stands."""

    def process_link(
        self, env: BuildEnvironment, refnode: nodes.Element, has_explicit_title: bool, title: str, target: str
    ) -> tuple[str, str]:
        """Let the domain look further than the current module, and show the name as it was written, or its end."""
        refnode["py:module"] = env.ref_context.get("py:module")
        refnode["py:class"] = env.ref_context.get("py:class")
        refnode["refspecific"] = True
        if target.startswith("~"):
            return target.rpartition(".")[2], target[1:]
        return title, target


class CodeWords(SphinxPostTransform):
    """Links the code words of the pages to the reference, where it has exactly that name; and no builtins."""

    default_priority = 5

    def run(self, **_: Any) -> None:
        """Go through the page's literals that stand in running text or tables."""
        for xref in list(self.document.findall(pending_xref)):
            if hasattr(builtins, xref["reftarget"]) and "refspecific" in xref:
                del xref["refspecific"]  # `type` is not the attribute of that name, wherever one is
        domain: PythonDomain = self.env.domains.python_domain
        for literal in list(self.document.findall(nodes.literal)):
            if isinstance(literal.parent, nodes.reference | nodes.title | pending_xref):
                continue
            found = _documented(domain, literal.astext())
            if found is not None:
                docname, node_id, name = found
                link = make_refnode(self.app.builder, self.env.docname, docname, node_id, literal.deepcopy(), name)
                literal.replace_self(link)


def _documented(domain: PythonDomain, text: str) -> tuple[str, str, str] | None:
    name = text.removesuffix("()")
    if not re.fullmatch(r"[A-Z_]\w+(\.\w+)*|ddg_\w+(\.\w+)+", name):
        return None
    matches = [full for full in domain.objects if full == name or full.endswith("." + name)]
    matches = [full for full in matches if not domain.objects[full].aliased]
    if len(matches) != 1:
        matches = [full for full in matches if full in (name, f"ddg_protocol.{name}")]
    if len(matches) != 1:
        return None
    entry = domain.objects[matches[0]]
    return entry.docname, entry.node_id, matches[0]


def label_sections(app: Sphinx, doctree: nodes.document) -> None:
    """Let `link_sections` find the numbered sections of the protocol's page."""
    if app.env.docname != "PROTOCOL":
        return
    for section in doctree.findall(nodes.section):
        title = section.next_node(nodes.title)
        number = re.match(r"(\d+)\. ", title.astext()) if title is not None else None
        if number is not None and title is not None:
            app.env.domains.standard_domain.anonlabels[f"protocol-{number[1]}"] = ("PROTOCOL", section["ids"][0])


def link_sections(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Make links of what docstrings say of the protocol's sections."""
    text = "\n".join(lines)
    lines[:] = _SECTION.sub(r":ref:`PROTOCOL.md section \2 <protocol-\2>`", text).split("\n")


def lend_comments(app: Sphinx) -> None:
    """Let what a module re-exports have the comment there that stands where it is defined."""
    pages = (ROOT / "docs" / "reference").glob("*.rst")
    shown = [name for page in pages for name in re.findall(r"^\.\. automodule:: (\S+)", page.read_text(), re.MULTILINE)]
    for public in map(importlib.import_module, shown):
        comments = _comments(public.__name__)
        for module in [module for name, module in sys.modules.items() if name.startswith("ddg_")]:
            for (within, name), comment in _comments(module.__name__).items():
                if not within and name in public.__all__ and vars(module).get(name) is getattr(public, name):
                    comments.setdefault((within, name), comment)


def _comments(module: str) -> dict[tuple[str, str], list[str]]:
    return ModuleAnalyzer.for_module(module).find_attr_docs()


def mend_signature(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None] | None:
    """Leave out the signature of a class that others make, and whose docstring says so; show a new ``dict`` as one."""
    if what == "class" and "Made by `" in (getattr(obj, "__doc__", "") or ""):
        return "", None
    return (signature or "").replace("= <factory>", "= {}") or None, returns


def find_where_it_is_public(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """Find the public name of what a signature names by the module that it was defined in."""
    target = node["reftarget"]
    domain: PythonDomain = env.domains.python_domain
    meant = _imported(target)
    for name, entry in domain.objects.items() if meant is not None else ():
        if name.rpartition(".")[2] == target.rpartition(".")[2] and _imported(name) is meant:
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, name)
    return None


def _imported(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute, None) if module.startswith("ddg_") else None
    except ImportError:
        return None


def setup(app: Sphinx) -> None:
    """Register all of this."""
    app.add_role_to_domain("py", "obj", AnywhereRole(), override=True)
    app.add_post_transform(CodeWords)
    app.connect("builder-inited", lend_comments)
    app.connect("doctree-read", label_sections)
    app.connect("autodoc-process-docstring", link_sections)
    app.connect("autodoc-process-signature", mend_signature)
    app.connect("missing-reference", find_where_it_is_public)
