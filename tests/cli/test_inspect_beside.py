"""The page of ``ddg-chat inspect A B --html``: what is in it, and how it looks in a real headless Chromium."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.chromium import LOW_CONTRAST, Browser, needs_chromium, started
from support.paths import TRANSCRIPTS

from ddg_chat.inspect import _beside
from ddg_chat.inspect._beside import beside
from ddg_chat.inspect._differences import differences
from ddg_chat.main import main
from ddg_protocol.transcript import Transcript

#: Would be an element, a handler, a script or a dialog, wherever text were taken for markup.
PAYLOAD = (
    """</script></style></title></pre>--><img src=x onerror="owned=1;alert(1)"><svg/onload=owned=2>"'`{{7*7}}&lt;b>"""
)


def text_of(name: str) -> str:
    return (TRANSCRIPTS / f"{name}.jsonl").read_text(encoding="utf-8")


def page_of(a: str, b: str, names: tuple[str, str] = ("a.jsonl", "b.jsonl"), *, full: bool = False) -> str:
    return beside(differences(Transcript.salvage(a)[0], Transcript.salvage(b)[0]), *names, [], full=full)


def hostile() -> str:
    """A transcript with the payload in every text that can have one."""
    found = [json.loads(line) for line in text_of("two-turns").splitlines()]
    for line in found[1:]:
        for name in ("text", "messages"):
            if isinstance(line.get(name), str):
                line[name] = PAYLOAD
        if line.get("do") == "receive_head":
            line["headers"] += [[PAYLOAD, PAYLOAD], ["location", PAYLOAD], ["set-cookie", f"{PAYLOAD}={PAYLOAD}"]]
        match line.get("gives"):
            case {"type": "SendRequest"} as sent:
                sent["method"], sent["url"] = PAYLOAD, PAYLOAD
                sent["headers"] = [*sent["headers"], [PAYLOAD, PAYLOAD], ["x-vqd-hash-1", _encoded(PAYLOAD)]]
                sent["body"] = json.dumps({PAYLOAD: PAYLOAD})
            case {"type": "Wait"} as wait:
                wait["reason"] = PAYLOAD
            case {"text": str()} as event:
                event["text"] = PAYLOAD
    found.insert(4, {"do": "next_action", "now": 1.0, "gives": {"type": PAYLOAD, PAYLOAD: PAYLOAD, "more": [PAYLOAD]}})
    found += [{"do": "lost", "why": PAYLOAD}]
    return "\n".join(map(json.dumps, found))


def _encoded(text: str) -> str:
    return base64.b64encode(json.dumps({text: text}).encode()).decode()


class Markup(HTMLParser):
    """The elements and attributes of a page, and what is marked in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.texts: list[str] = []
        self.marked: dict[str, list[str]] = {"del": [], "ins": []}
        self._mark = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(tag, name) for name, _ in attrs}
        if tag in self.marked:
            self._mark = tag
            self.marked[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._mark:
            self._mark = ""

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._mark:
            self.marked[self._mark][-1] += data


# What is in it


def test_what_differs_is_marked_word_by_word() -> None:
    reply = "You said: Why is the sky blue?"
    there = text_of("two-turns").replace("Why is the sky blue?", "Why was the sky blue?")
    found = Markup(page_of(text_of("two-turns"), there))
    assert set(found.marked["del"]) == {"is"}
    assert set(found.marked["ins"]) == {"was"}
    assert any(text.startswith('"Why ') for text in found.texts)
    assert reply not in found.texts


def test_what_only_one_has_is_marked_in_its_own_column() -> None:
    found = Markup(page_of(text_of("two-turns"), text_of("challenge")))
    assert "ChallengeReceived" in found.marked["ins"]
    assert any(text.startswith("TextDelta You said") for text in found.marked["del"])
    assert "only in B" in found.texts
    assert "(nothing)" in found.texts


def test_the_policy_allows_the_style_that_is_there_and_nothing_else() -> None:
    text = page_of(text_of("two-turns"), text_of("solver"))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'none'"
    assert "<script" not in text


def test_whatever_the_transcripts_say_is_text_and_nothing_else() -> None:
    usual = Markup(page_of(text_of("two-turns"), text_of("troubles")))
    assert not usual.tags & {"img", "iframe", "object", "embed", "link", "base", "form", "audio", "video", "a"}
    assert not [name for _, name in usual.attributes if name.startswith(("on", "style", "href", "src"))]
    for a, b in ((hostile(), text_of("two-turns")), (text_of("two-turns"), hostile()), (hostile(), hostile())):
        there = Markup(page_of(a, b, (PAYLOAD, PAYLOAD), full=True))
        assert there.tags <= usual.tags
        assert there.attributes <= usual.attributes
        assert sum(PAYLOAD in text for text in there.texts) > 20


def test_it_is_bounded_and_what_is_left_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = text_of("two-turns"), text_of("troubles")
    assert "left out:" not in page_of(a, b)
    long = a.replace("Why is the sky blue?", "word " * 2_000, 1)
    assert page_of(a, long, full=True).count("word ") > 2 * page_of(a, long).count("word ") > 700
    monkeypatch.setattr(_beside, "_MOST_PAIRS", 5)
    assert page_of(a, b).count('<li class="pair') == 5
    assert "steps are left out: 5 are drawn." in page_of(a, b)
    monkeypatch.setattr(_beside, "_MOST_TEXT", 2_000)
    assert "values are left out: 2,000 characters are drawn." in page_of(a, b)


def test_each_pair_of_chats_has_a_heading_and_the_bounds_hold_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    two = text_of("two-chats")
    assert "Chat 1" not in page_of(text_of("two-turns"), text_of("two-turns"))
    assert re.findall("<h2>(.*?)</h2>", page_of(two, two)) == ["Chat 1", "Chat 2"]
    one = "\n".join(line for line in two.splitlines() if json.loads(line).get("chat", 1) == 1)
    assert page_of(two, one).count("<p>Only A has this chat: ") == 1
    drawn = page_of(two, two).count('<li class="pair')
    monkeypatch.setattr(_beside, "_MOST_PAIRS", drawn - 1)
    assert page_of(two, two).count('<li class="pair') == drawn - 1
    assert "The last 1 steps are left out" in page_of(two, two)


def test_it_is_written_where_it_is_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "differ.html"
    names = ("two-turns.jsonl", "solver.jsonl")
    paths = [str(TRANSCRIPTS / name) for name in names]
    assert main(["inspect", *paths, "--html", str(file)]) == 1
    assert file.read_text("utf-8") == page_of(
        text_of("two-turns"), text_of("solver"), ("two-turns.jsonl", "solver.jsonl")
    )
    cut = tmp_path / "cut.jsonl"
    cut.write_text(text_of("two-turns")[:-30], "utf-8")
    assert main(["inspect", paths[0], str(cut), "--html", str(file)]) == 65
    assert '<p class="flaw" role="note">cut.jsonl: line 93: ' in file.read_text("utf-8")
    assert capsys.readouterr().out == ""


# In a browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    running = started(lambda: Browser(tmp_path_factory.mktemp("chromium")))
    try:
        yield running
    finally:
        running.close()


def visit(browser: Browser, folder: Path, a: str, b: str) -> None:
    file = folder / "page.html"
    file.write_text(page_of(a, b, (PAYLOAD, "b.jsonl")), encoding="utf-8")
    browser.open(file.as_uri())


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_can_be_read_without_a_script_in_light_and_dark_wide_and_narrow(
    scheme: str, width: int, browser: Browser, tmp_path: Path
) -> None:
    browser.size(width, 800)
    browser.scheme(scheme)
    visit(browser, tmp_path, hostile(), text_of("troubles"))
    assert browser.run("typeof owned") == "undefined"
    assert browser.run("document.querySelectorAll('img, svg, script').length") == 0
    assert browser.run("document.documentElement.scrollWidth") == width
    assert browser.run(LOW_CONTRAST % "body *") == []
    marks = "[...document.querySelectorAll('%s')].map(e => getComputedStyle(e, '::before').content)"
    assert set(browser.run(marks % "del")) == {'"− "'}
    assert set(browser.run(marks % "ins")) == {'"+ "'}
    seen = "[...document.querySelectorAll('.pair%s')].filter(e => e.checkVisibility()).length"
    assert browser.run(seen % ".same") == 0
    differing = browser.run(seen % "")
    assert differing > 10
    browser.click("label[for=all]")
    assert browser.run(seen % "") > differing
    names = ("Log.entryAdded", "Audits.issueAdded", "Page.javascriptDialogOpening", "Runtime.exceptionThrown")
    assert not any(map(browser.named, names))
    assert len(browser.named("Network.requestWillBeSent")) == 1
