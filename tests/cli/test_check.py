"""``ddg-chat check``: programs that are right, wrong, silent or never end, and the page of what they did."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.chromium import Browser, needs_chromium, started
from support.paths import ROOT

from ddg_chat.check import _running
from ddg_chat.check._page import page
from ddg_chat.check._report import Line, Report
from ddg_chat.check._running import Program, run_all
from ddg_chat.main import main
from ddg_transports.testing.scenarios import FAMILIES, SCENARIOS

#: What a script can't be: an element, a handler, the end of an element, a control, an override.
PAYLOAD = """</pre></style><script>owned=1</script><img src=x onerror="owned=2">&lt;'\x1b[31m\u202eevil"""
WORDS = "שלום می\u200cخواهم 👩\u200d👧"


def check(*arguments: str, program: str, url: str = "{url}", question: str = "{question}") -> int:
    only = [word for name in arguments for word in ("--only", name)]
    return main(["check", *only, "--", sys.executable, "-I", "-S", "-c", program, url, question])


def test_a_program_is_judged_by_what_it_prints_and_how_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("plain/one-piece", program="print('Because of scattering.')") == 0
    assert "1 right, 0 tolerable, 0 wrong, 0 not asked, in " in capsys.readouterr().out
    assert check("plain/one-piece", "ends/reset", program="import sys; sys.exit(3)") == 1
    printed = capsys.readouterr().out
    assert re.search(
        r"^WRONG      ends/reset +\d\.\d s\n +crash without a word: it ended with exit code 3", printed, re.M
    )
    assert "0 right, 0 tolerable, 2 wrong, 0 not asked" in printed


def test_a_program_gets_the_address_and_the_questions(capsys: pytest.CaptureFixture[str]) -> None:
    shows = "import sys; print(*sys.argv[1:], sep='|'); sys.exit(sys.stdin.read() or 'no')"
    assert check("conversation/two-turns", program=shows, question="{questions}") == 1
    assert "text lost: it failed with: no" in capsys.readouterr().out
    program = Program(("x", "--at={url}", "{questions}"))
    assert program.arguments("http://a", ["Why?", "Why not?"]) == ["x", "--at=http://a", "Why?", "Why not?"]
    assert Program(("x", "{url}", "ask: {question}")).arguments("u", ["Why?"]) == ["x", "u", "ask: Why?"]


def test_a_program_that_takes_one_question_is_not_asked_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("conversation/two-turns", program="") == 0
    assert "not asked  conversation/two-turns" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["x", "{question}"], "the command has no {url}"),
        (["x", "{url}"], "the command has to have {question}, or {questions}"),
        (["x", "{url}", "{question}", "{questions}"], "the command has to have {question}, or {questions}"),
        (["/no/such/program", "{url}", "{question}"], "/no/such/program can't be run: No such file"),
    ],
)
def test_a_command_that_can_not_be_run_is_one_sentence(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--only", "plain/one-piece", "--", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"ddg-chat: {says}")
    assert said.count("\n") == 1


@pytest.mark.parametrize(("name", "says"), [("x", "there are plain, "), ("ends/x", "there are ends/no-done, ")])
def test_a_scenario_that_there_is_not_is_told_with_those_that_there_are(
    name: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(name, program="") == 2
    assert f"there is no {name}; {says}" in capsys.readouterr().err


@pytest.mark.deep("it takes its time")
@pytest.mark.skipif(sys.platform == "win32", reason="there is no way there to end what a program has started")
def test_a_program_that_hangs_is_stopped_with_what_it_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        child = f"import socket, time; s = socket.create_connection(('127.0.0.1', {port})); time.sleep(600)"
        sleeps = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(600)"
        program = Program((sys.executable, "-c", sleeps, "{url}", "{question}"))
        (result,) = run_all(program, {"plain/one-piece": SCENARIOS["plain/one-piece"]}, patience=5)
        assert result.verdict.mistake == "hang"
        listener.settimeout(20)
        with listener.accept()[0] as connection:
            connection.settimeout(20)
            assert connection.recv(1) == b""  # its process is gone


def test_of_a_program_that_prints_without_end_the_beginning_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_running, "MAX_PRINTED", 1000)
    monkeypatch.setattr(_running, "LONGER", 0.2)
    prints = "import time\nwhile True: print('x' * 1000, flush=True); time.sleep(0.02)"
    program = Program((sys.executable, "-I", "-S", "-c", prints, "{url}", "{question}"))
    (result,) = run_all(program, {"plain/one-piece": SCENARIOS["plain/one-piece"]}, patience=1.5)
    assert result.seen is not None
    assert len(result.seen.printed) == 1000
    assert result.verdict.mistake == "hang"


def test_the_results_are_written_as_data_and_as_a_page(tmp_path: Path) -> None:
    data, shown = tmp_path / "found.json", tmp_path / "found.html"
    program = [sys.executable, "-I", "-S", "-c", "print('Because of scattering.')", "{url}", "{question}"]
    assert main(["check", "--only", "plain/one-piece", "--json", str(data), "--html", str(shown), "--", *program]) == 0
    (line,) = json.loads(data.read_bytes())["results"]
    assert (line["name"], line["verdict"], line["code"], line["section"]) == ("plain/one-piece", "right", 0, 6)
    assert "Because of scattering." in shown.read_text(encoding="utf-8")


# The page


def report_of(text: str) -> Report:
    return Report(
        text, "0", "now", 1.0, (Line("plain/one-piece", text, text, 6, "wrong", text, text, 1, 1.0, text, text),)
    )


class Markup(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}


def test_whatever_a_program_prints_is_text_on_the_page() -> None:
    usual, hostile = Markup(page(report_of("x"))), Markup(page(report_of(PAYLOAD)))
    assert hostile.tags == usual.tags
    assert hostile.names == usual.names
    assert not {"script", "img", "iframe", "form", "link"} & set(hostile.tags)
    assert not [name for name in hostile.names if name.startswith("on") or name == "style"]
    text = page(report_of(PAYLOAD))
    assert r"\x1b[31m\u202eevil" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_scripts_of_people_are_text_on_the_page() -> None:
    assert page(report_of(WORDS)).count(WORDS) >= 6


def test_the_policy_of_the_page_allows_its_own_style_alone() -> None:
    text = page(report_of("x"))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = started(lambda: Browser(tmp_path_factory.mktemp("browser")))
    yield browser
    browser.close()


@needs_chromium
@pytest.mark.parametrize("width", [400, 1200])
def test_the_page_fits_its_width_in_a_browser_and_runs_nothing(browser: Browser, width: int, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page(report_of(PAYLOAD + "x" * 300)), encoding="utf-8")
    browser.size(width, 800)
    browser.open((tmp_path / "page.html").as_uri())
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("typeof owned") == "undefined"
    assert browser.run("document.styleSheets.length") == 1
    assert browser.named("Network.requestWillBeSent")[1:] == []
    assert browser.named("Audits.issueAdded") == []


# Whole runs


@pytest.mark.deep("a program for each scenario")
def test_a_driver_goes_through_the_whole_suite_as_a_program() -> None:
    program = Program((sys.executable, "-m", "benchmarks.programs", "blocking", "{url}", "{questions}"))
    results = list(run_all(program, SCENARIOS))
    assert [f"{each.name}: {each.verdict}" for each in results if each.verdict.kind != "right"] == []


@pytest.mark.deep("a program for each scenario")
@pytest.mark.skipif(shutil.which("node") is None, reason="no node on PATH")
def test_a_client_in_another_language_goes_through_the_suite() -> None:
    program = Program(("node", str(ROOT / "examples/node/client.mjs"), "{url}", "{questions}"))
    results = {each.name: each.verdict for each in run_all(program, SCENARIOS)}
    assert {name.partition("/")[0] for name, verdict in results.items() if verdict.kind == "right"} == set(FAMILIES)
    assert results["plain/languages"].kind == "right"
    assert results["conversation/two-turns"].kind == "right"
    assert results["handshake/question-to-a-stranger"].mistake == "secret to a stranger"
    assert results["syntax/several-data-lines"].mistake == "text lost"  # whatever its reads bring
    assert results["ends/silence-in-the-reply"].mistake == "hang"
