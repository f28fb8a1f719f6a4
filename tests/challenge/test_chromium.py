"""The DOM fingerprint against a real headless Chromium, on snippets that are new in each run."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.chromium import started
from support.snippets import THEMES, mixed_snippet, snippet

from ddg_protocol.challenge import inner_html_length
from ddg_protocol.errors import UnsupportedChallenge

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.deep("a real Chromium"),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: the comparison with a browser is not made"),
]

FLAGS = (
    *(
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
    ),
    *("--disable-component-update", "--disable-sync", "--virtual-time-budget=20000", "--dump-dom"),
)
PAGE = """<!DOCTYPE html><body><pre></pre><script>
const lengths = %s.map(html => {
  const e = document.createElement('div');
  e.innerHTML = html;
  return e.innerHTML.length;
});
document.querySelector('pre').textContent = JSON.stringify(lengths);
</script>"""

EACH = 400
"""Snippets of each theme. When the themes were made, 24,000 had no wrong answer for Chromium 156.0.8078.108."""

REFUSED = {"simple": 0.35, "attributes": 0.05, "service": 0.0, "adoption": 0.0, "tables": 0.0}
"""How many of a theme's snippets may be refused, where not one in a hundred."""

SERVICE = ("div", "p", "li", "br", "ul", "span", "b", "i")


def service_snippet(chance: random.Random) -> str:
    """A few tags, wrongly nested, the last of them cut: as in the challenges of 2025-03."""
    tags = chance.sample(SERVICE, chance.randint(1, 3))
    pieces = [f"<{'/' * chance.randint(0, 1)}{chance.choice(tags)}>" for _ in range(chance.randint(2, 8))]
    return "".join(pieces)[: chance.choice([None, -1])]


def chromium_lengths(snippets: list[str], folder: Path) -> list[int]:
    assert CHROMIUM
    page = folder / "page.html"
    page.write_text(PAGE % json.dumps(snippets).replace("<", "\\u003c"), "ascii")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", page.as_uri()]
    shown = started(lambda: subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)).stdout
    found = re.search(r"<pre>(\[[0-9,]*\])</pre>", shown)
    assert found, shown[:1000]
    lengths: list[int] = json.loads(found[1])
    assert len(lengths) == len(snippets)
    return lengths


@pytest.fixture(scope="module")
def version() -> int:
    command = [CHROMIUM or "", "--version"]
    shown = started(lambda: subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)).stdout
    found = re.search(r"Chromium (\d+)\.", shown)
    assert found, shown
    return int(found[1])


def test_no_snippet_of_the_services_kind_is_wrong_or_refused(version: int, tmp_path: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    chance = random.Random(seed)
    snippets = [service_snippet(chance) for _ in range(300)]
    measured = chromium_lengths(snippets, tmp_path)
    answered = [inner_html_length(html, chrome=version) for html in snippets]
    wrong = [html for html, right, ours in zip(snippets, measured, answered, strict=True) if right != ours]
    assert wrong == [], f"seed {seed}, Chromium {version}"


@pytest.mark.parametrize("theme", [*THEMES, "mixed"])
def test_no_snippet_about_a_rule_is_wrong(version: int, theme: str, tmp_path: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    chance = random.Random(seed)
    snippets = [snippet(chance, THEMES[theme]) if theme in THEMES else mixed_snippet(chance) for _ in range(EACH)]
    snippets = [html for html in snippets if len(html) <= 1024]
    wrong, refused = [], []
    for html, right in zip(snippets, chromium_lengths(snippets, tmp_path), strict=True):
        try:
            if inner_html_length(html, chrome=version) != right:
                wrong.append(html)
        except UnsupportedChallenge:
            refused.append(html)
    assert wrong == [], f"seed {seed}, Chromium {version}"
    assert version != 156 or len(refused) <= REFUSED.get(theme, 0.01) * len(snippets), f"seed {seed}: {refused}"


def test_the_snippets_reach_the_browser_as_they_are(tmp_path: Path) -> None:
    odd = ["\ud800", "\0x", "\r\n", "\u2028", "</script>", "\U0001f600", "'\"\\"]
    assert chromium_lengths(odd, tmp_path) == [1, 1, 1, 1, 0, 2, 3]
