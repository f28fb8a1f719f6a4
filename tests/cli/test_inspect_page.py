"""The page of ``ddg-chat inspect --html``: what is in it, and what it does in a real headless Chromium."""

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

from ddg_chat.inspect._page import page
from ddg_chat.inspect._timeline import read_timeline
from ddg_chat.main import main
from ddg_protocol import Session
from ddg_protocol.service import Fault, Service
from ddg_protocol.service import faults as f
from ddg_protocol.testing import Run
from ddg_protocol.transcript import RecordedSession, Transcript

NAMES = ("two-turns", "challenge", "troubles", "wire", "solver")

#: Would be an element, a handler, a script or a dialog, wherever text were taken for markup.
PAYLOAD = (
    """</script></style></title></pre>--><img src=x onerror="owned=1;alert(1)"><svg/onload=owned=2>"'`{{7*7}}&lt;b>"""
)


def text_of(name: str) -> str:
    return (TRANSCRIPTS / f"{name}.jsonl").read_text(encoding="utf-8")


def page_of(text: str, name: str = "run.jsonl", *, full: bool = False) -> str:
    return page([read_timeline(*Transcript.salvage(text))], name, full=full)


def hostile() -> str:
    """A transcript with the payload in every text that can have one: replies, titles, headers, bodies, errors."""
    script = (
        Fault("status", (f.Refuse(503, PAYLOAD),), times=1),
        Fault("chat", (f.Event(f"[CHAT_TITLE:{PAYLOAD}]", 1), f.Event(f"{{{PAYLOAD}", 1)), times=1),
        Fault("chat", (f.Refuse(418, PAYLOAD),), first=2),
    )
    lines: list[str] = []
    run = Run(RecordedSession(Session(), lines.append), Service(responder=lambda _: [PAYLOAD], script=script))
    run.ask(PAYLOAD)
    with pytest.raises(Exception, match="418"):
        run.ask(PAYLOAD)
    found = [json.loads(line) for line in lines]
    for line in found:
        if line.get("do") == "receive_head":
            line["headers"] += [[PAYLOAD, PAYLOAD], ["location", PAYLOAD], ["x-vqd-hash-1", _encoded(PAYLOAD)]]
    found.append({"do": "next_action", "now": 2e9, "gives": {"type": PAYLOAD, PAYLOAD: PAYLOAD, "more": [PAYLOAD]}})
    found.append({"do": "lost", "why": PAYLOAD})
    return "\n".join(map(json.dumps, found))


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# What is in it


class Markup(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.links: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(tag, name) for name, _ in attrs}
        self.links |= {value or "" for name, value in attrs if name in ("href", "src")}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_policy_allows_the_style_and_the_script_that_are_there_and_nothing_else() -> None:
    text = page_of(text_of("solver"))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    hashes = [
        base64.b64encode(hashlib.sha256(found.encode()).digest()).decode()
        for found in re.findall(r"<(?:style|script)>(.*?)</(?:style|script)>", text, re.DOTALL)
    ]
    assert len(hashes) == 2
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_it_refers_to_anything_else(name: str) -> None:
    found = Markup(page_of(text_of(name)))
    assert not found.tags & {"img", "iframe", "object", "embed", "link", "base", "form", "audio", "video", "use"}
    assert not [attribute for _, attribute in found.attributes if attribute.startswith(("on", "style"))]
    assert all(re.fullmatch(r"#e[0-9]+", link) for link in found.links)
    assert len(found.links) > 10


def test_whatever_the_service_says_is_text_and_nothing_else() -> None:
    there, usual = Markup(page_of(hostile(), PAYLOAD)), Markup(page_of(text_of("troubles")))
    assert there.tags <= usual.tags
    assert there.attributes <= usual.attributes | {("p", "role"), ("text", "text-anchor")}  # ours, not always there
    assert sum(PAYLOAD in text for text in there.texts) > 20
    assert any(f"503 {PAYLOAD[:40]}" in text for text in there.texts)


def test_a_long_text_is_cut_and_says_so_unless_all_of_it_is_wanted() -> None:
    text = text_of("two-turns").replace("Why is the sky blue?", "word " * 2_000, 1)
    assert "(+6,000)" in page_of(text)
    assert page_of(text, full=True).count("word ") > 2 * page_of(text).count("word ") > 1_000


def test_it_is_written_where_it_is_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.html"
    assert main(["inspect", str(TRANSCRIPTS / "two-turns.jsonl"), "--html", str(file)]) == 0
    assert file.read_text("utf-8") == page_of(text_of("two-turns"), "two-turns.jsonl")
    assert capsys.readouterr() == ("", "")
    cut = tmp_path / "cut.jsonl"
    cut.write_text(text_of("two-turns")[:-30], "utf-8")
    assert main(["inspect", str(cut), "--html", str(file)]) == 65
    assert '<p class="flaw" role="note">line 93 can&#x27;t be read' in file.read_text("utf-8")
    assert capsys.readouterr().err.startswith("ddg-chat: line 93 can't be read")


# In a browser


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = started(lambda: Browser(tmp_path_factory.mktemp("chromium")))
    try:
        yield browser
    finally:
        browser.close()


@pytest.fixture
def browser(running: Browser) -> Browser:
    running.size(1200, 900)
    running.scheme("light")
    return running


def shown(browser: Browser, kind: str = "") -> int:
    """How many entries are to be seen."""
    return int(
        browser.run(
            f"[...document.querySelectorAll('.entry{'.' if kind else ''}{kind}')]"
            ".filter(e => getComputedStyle(e).display !== 'none').length"
        )
    )


def visit(browser: Browser, folder: Path, text: str, name: str = "run.jsonl") -> None:
    file = folder / "page.html"
    file.write_text(page_of(text, name), encoding="utf-8")
    browser.open(file.as_uri())


def quiet(browser: Browser) -> bool:
    """Whether the page asked for nothing, broke no policy, and opened no dialog."""
    urls = [sent["request"]["url"] for sent in browser.named("Network.requestWillBeSent")]
    troubles = ("Log.entryAdded", "Audits.issueAdded", "Page.javascriptDialogOpening", "Runtime.exceptionThrown")
    return [url.rpartition("/")[2] for url in urls] == ["page.html"] and not any(map(browser.named, troubles))


@needs_chromium
@pytest.mark.parametrize("name", NAMES)
def test_all_is_there_and_nothing_is_asked_for(name: str, browser: Browser, tmp_path: Path) -> None:
    visit(browser, tmp_path, text_of(name), f"{name}.jsonl")
    timeline = read_timeline(Transcript.read(text_of(name)))
    assert browser.run("document.querySelector('h1').innerText") == f"{name}.jsonl"
    assert shown(browser) == len(timeline.entries)
    assert browser.run("document.getElementById('count').innerText") == f"{len(timeline.entries)} entries"
    assert browser.run("document.querySelectorAll('.turn').length") == len(timeline.turns)
    assert browser.run("document.querySelectorAll('svg.scaled .x').length") == timeline.requests
    assert quiet(browser)


@needs_chromium
def test_a_click_or_a_key_opens_an_entry(browser: Browser, tmp_path: Path) -> None:
    visit(browser, tmp_path, text_of("two-turns"))
    body = "document.querySelector('.entry.requests .details')"
    assert browser.run(f"{body}.checkVisibility()") is False
    browser.click(".entry.requests summary")
    assert browser.run(f"{body}.checkVisibility()") is True
    assert "accept-language\nen-US,en;q=0.9" in browser.run(f"{body}.innerText")
    browser.press("Enter", 13)  # the click gave it the focus
    assert browser.run(f"{body}.checkVisibility()") is False
    browser.click("#toggle")
    assert browser.run("document.querySelectorAll('.entry details:not([open])').length") == 0
    assert "[DONE]" in browser.run("document.querySelector('main').innerText")
    browser.click("#toggle")
    assert browser.run("document.querySelectorAll('.entry details[open]').length") == 0
    assert quiet(browser)


@needs_chromium
def test_entries_are_chosen_by_kind(browser: Browser, tmp_path: Path) -> None:
    visit(browser, tmp_path, text_of("two-turns"))
    chunks, rest = shown(browser, "chunks"), shown(browser) - shown(browser, "chunks")
    assert chunks > 20
    browser.click("label:has(#show-chunks)")
    assert (shown(browser, "chunks"), shown(browser)) == (0, rest)
    assert browser.run("document.getElementById('count').innerText") == f"{rest} of {rest + chunks} entries"
    for kind in ("calls", "requests", "events", "states", "waits"):
        browser.click(f"label:has(#show-{kind})")
    assert shown(browser) == 0
    assert browser.run("document.getElementById('nothing').checkVisibility()") is True
    assert browser.run("document.querySelector('.turn').checkVisibility()") is False
    browser.click("label:has(#show-waits)")
    assert shown(browser) == shown(browser, "waits") == 4
    assert browser.run("document.querySelector('label:has(#show-errors)').checkVisibility()") is False


@needs_chromium
def test_entries_are_found_by_their_text_and_by_what_is_in_them(browser: Browser, tmp_path: Path) -> None:
    visit(browser, tmp_path, text_of("two-turns"))
    everything = shown(browser)
    browser.press("Tab", 9)
    browser.type("/")
    assert browser.run("document.activeElement.id") == "query"
    browser.type("NIGHT?")
    assert 0 < shown(browser) < 10
    assert browser.run("[...document.querySelectorAll('.turn')].map(e => e.checkVisibility())") == [False, True]
    browser.press("Escape", 27)
    assert shown(browser) == everything
    browser.type("serp_20250401")  # in a header, which is not to be seen yet
    assert shown(browser) == 2
    browser.press("Escape", 27)
    browser.type("nowhere at all")
    assert shown(browser) == 0
    assert browser.run("document.getElementById('count').innerText") == f"0 of {everything} entries"


@needs_chromium
def test_the_overview_leads_to_the_entry(browser: Browser, tmp_path: Path) -> None:
    visit(browser, tmp_path, text_of("troubles"))
    browser.click("label:has(#show-waits)")
    browser.click(".overview svg.scaled .w rect")
    browser.until("document.querySelector(':target details')?.open")
    assert browser.run("document.querySelector(':target').dataset.kind") == "waits"
    assert browser.run("document.activeElement.closest('.entry') === document.querySelector(':target')") is True
    assert browser.run("document.getElementById('show-waits').checked") is True


@needs_chromium
def test_waits_are_to_scale_unless_compressed(browser: Browser, tmp_path: Path) -> None:
    visit(browser, tmp_path, text_of("troubles"))
    widths = "[...document.querySelectorAll('svg.%s .w > rect')].map(e => e.getBoundingClientRect().width)"
    scaled = browser.run(widths % "scaled")
    seconds = [1.5, 1.5, 2.5, 1.5, 7.0, 2.25, 2.25, 1.5, 1.5, 1.5, 1.5, 1.5]
    assert scaled == pytest.approx([scaled[0] / 1.5 * each for each in seconds], rel=0.01)
    assert browser.run("document.querySelector('svg.compressed').checkVisibility()") is False
    browser.click("label[for=compressed]")
    compressed = browser.run(widths % "compressed")
    assert compressed[4] > compressed[2] > compressed[0] > 10
    assert compressed[4] < 2 * compressed[0]
    assert browser.run("document.querySelector('svg.scaled').checkVisibility()") is False
    assert quiet(browser)


@needs_chromium
def test_whatever_the_service_says_does_nothing(browser: Browser, tmp_path: Path) -> None:
    visit(browser, tmp_path, hostile(), PAYLOAD)
    browser.click("#toggle")
    assert browser.run("typeof owned") == "undefined"
    assert browser.run("document.querySelectorAll('img, svg[onload], script:not(body > script), b b').length") == 0
    assert browser.run("document.scripts.length") == 1
    assert browser.run("document.querySelector('h1').textContent") == PAYLOAD
    assert browser.run("document.querySelector('.turn h2 span').textContent") == PAYLOAD
    assert browser.run("document.querySelector('main').innerText").count(PAYLOAD) > 20
    assert quiet(browser)


@needs_chromium
def test_the_policy_is_in_force(browser: Browser, tmp_path: Path) -> None:
    visit(browser, tmp_path, text_of("solver"))
    browser.run("document.body.append(Object.assign(document.createElement('script'), {textContent: 'owned = 1'}))")
    browser.run("document.body.insertAdjacentHTML('beforeend', '<img src=\"https://example.org/x\" onerror=owned=2>')")
    browser.run("new Promise(done => setTimeout(done, 50))")
    assert browser.run("typeof owned") == "undefined"
    assert not quiet(browser)


@needs_chromium
def test_it_is_whole_without_javascript(browser: Browser, tmp_path: Path) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        visit(browser, tmp_path, text_of("two-turns"))
        assert browser.run("document.getElementById('query').checkVisibility()") is False
        everything, chunks = shown(browser), shown(browser, "chunks")
        browser.click("label:has(#show-chunks)")
        assert shown(browser) == everything - chunks
        browser.click(".entry.requests summary")
        assert browser.run("document.querySelector('.entry.requests .details').checkVisibility()") is True
        browser.click("label[for=compressed]")
        assert browser.run("document.querySelector('svg.compressed').checkVisibility()") is True
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast_in_light_and_in_dark(scheme: str, browser: Browser, tmp_path: Path) -> None:
    browser.scheme(scheme)
    visit(browser, tmp_path, text_of("troubles")[:-30])
    browser.click("#toggle")
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") is (scheme == "light")
    assert browser.run(LOW_CONTRAST % "body *:not(svg *, script, .unseen)") == []


@needs_chromium
def test_it_can_be_read_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    browser.size(360, 740)
    for name in NAMES:
        visit(browser, tmp_path, text_of(name))
        browser.click("#toggle")
        assert browser.run("document.documentElement.scrollWidth") == 360
    assert browser.run("document.querySelector('.lanes').checkVisibility()") is False
    assert browser.run("document.querySelector('.way').innerText") == "caller to session"


@needs_chromium
def test_all_that_can_have_the_focus_has_a_name(browser: Browser, tmp_path: Path) -> None:
    visit(browser, tmp_path, text_of("solver"))
    browser.call("Accessibility.enable")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    focusable = [
        node
        for node in nodes
        if any(each["name"] == "focusable" and each["value"]["value"] for each in node.get("properties", []))
        and node["role"]["value"] not in ("RootWebArea",)
    ]
    assert len(focusable) > 50
    assert [node["role"]["value"] for node in focusable if not node.get("name", {}).get("value")] == []
    names = {node["name"]["value"] for node in focusable}
    assert "wait 1.500 s, pacing" in names
    assert any("session to service" in name and "GET /duckchat/v1/status" in name for name in names)


@needs_chromium
def test_it_prints_without_its_tools(browser: Browser, tmp_path: Path) -> None:
    visit(browser, tmp_path, text_of("solver"))
    printed = base64.b64decode(browser.call("Page.printToPDF")["data"])
    assert printed.startswith(b"%PDF")
    browser.call("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser.run("document.querySelector('.tools').checkVisibility()") is False
        assert shown(browser) == len(read_timeline(Transcript.read(text_of("solver"))).entries)
    finally:
        browser.call("Emulation.setEmulatedMedia", media="")
