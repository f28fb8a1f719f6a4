"""The site builds without a warning, no link inside it is dead, and its reference is complete."""

from __future__ import annotations

import html.parser
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from support import chromium, public
from support.paths import ROOT

pytestmark = pytest.mark.deep("Sphinx builds the whole site")

SKIPPED = {"genindex.html", "search.html", "py-modindex.html"}  # Sphinx's own


class Page(html.parser.HTMLParser):
    """What a page has to be led to, and where it leads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for module in ("sphinx", "furo", "myst_parser"):
        pytest.importorskip(module)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "--keep-going", "-q", "-d", f"{folder}/doctrees"]
    done = subprocess.run(
        [*command, ROOT / "docs", folder / "html"], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {
        path.relative_to(site).as_posix(): Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
    }


def test_there_is_a_page_of_each_document(pages: dict[str, Page]) -> None:
    documents = {path.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for path in _documents()}
    assert len(documents) > 20
    assert documents | SKIPPED == set(pages)


def _documents() -> list[Path]:
    found = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.rst")]
    return [path for path in found if "_build" not in path.parts]


def test_every_link_inside_the_site_leads_somewhere(site: Path, pages: dict[str, Page]) -> None:
    dead = []
    for name, page in pages.items():
        for link in page.links:
            url = urlsplit(urljoin(f"http://site/{name}", link))
            if url.netloc != "site":
                continue
            target = unquote(url.path).removeprefix("/")
            known = pages.get(target)
            if not (site / target).is_file() or (known and url.fragment and url.fragment not in known.anchors):
                dead.append(f"{name}: {link}")
    assert sum(len(page.links) for page in pages.values()) > 1000
    assert dead == []


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    from sphinx.util.inventory import InventoryFile

    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="")
    documented = {name for kind in inventory.data if kind.startswith("py:") for name in inventory.data[kind]}
    by_object = {id(obj) for module, name, obj in public.names() if f"{module}.{name}" in documented}
    missing = [
        f"{module}.{name}"
        for module, name, obj in public.names()
        if f"{module}.{name}" not in documented
        # Re-exported: it is there under another name of the same object; numbers and texts may be the same by chance.
        and (isinstance(obj, int | str) or id(obj) not in by_object)
    ]
    assert missing == []
    assert "ddg_protocol.Session.next_action" in documented
    assert "ddg_protocol.Policy.max_retries" in documented


def test_no_page_is_too_large_to_be_opened_at_once(site: Path) -> None:
    sizes = {str(page.relative_to(site)): page.stat().st_size for page in site.rglob("*.html")}
    assert {name: size for name, size in sizes.items() if size > 1_000_000} == {}


# In a browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Browser]:
    browser = chromium.started(lambda: chromium.Browser(tmp_path_factory.mktemp("browser")))
    yield browser
    browser.close()


def test_no_page_is_wider_than_a_narrow_screen(site: Path, pages: dict[str, Page], browser: chromium.Browser) -> None:
    browser.size(400, 800)
    wide = {}
    for name in sorted(set(pages) - SKIPPED):
        browser.open((site / name).as_uri())
        width = browser.run("document.documentElement.scrollWidth")
        if width > 400:
            wide[name] = width
    assert wide == {}


def test_the_search_finds_a_word_of_a_page_and_a_name_of_the_reference(site: Path, browser: chromium.Browser) -> None:
    for words, page in (("back-pressure", "recipes/trio-service.html"), ("receive_head", "reference/protocol.html")):
        browser.open(f"{(site / 'search.html').as_uri()}?q={words}")
        browser.until("document.querySelector('#search-results .search a')")
        browser.until(f"[...document.querySelectorAll('#search-results a')].some((a) => a.href.includes('{page}'))")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_pictures_can_be_read_by_day_and_by_night(scheme: str, site: Path, browser: chromium.Browser) -> None:
    """The contrast of text is that of WCAG 2.2, AA: 4.5 to 1. A picture has a ground of its own, or is none."""
    browser.size(1200, 800)
    browser.scheme(scheme)
    for name in ("index.html", "tour.html", "errors.html", "recipes/openai-endpoint.html"):
        browser.open((site / name).as_uri())
        assert browser.run(CONTRAST) == [], name


CONTRAST = """(() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => c / 255).map((c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
    return .2126 * x + .7152 * y + .0722 * z;
  };
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const [r, g, b, a = 1] = numbers(getComputedStyle(element).backgroundColor);
      if (a > .99) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const poor = new Map();
  const walker = document.createTreeWalker(document.querySelector("article"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest(".headerlink")) continue;
    const color = getComputedStyle(element).color;
    const [a, b] = [light(numbers(color)), light(ground(element))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) poor.set(`${element.className} ${color} on ${ground(element)}: ${ratio.toFixed(1)}`, 1);
  }
  return [...poor.keys()];
})()"""
