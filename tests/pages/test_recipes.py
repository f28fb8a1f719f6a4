"""Each recipe is a program that can be copied: it runs as its page says, and does what the page says of it."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import runpy
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.chromium import Browser, needs_chromium, started
from support.documents import RECIPES, code_words, files, marked, table
from support.paths import ROOT
from support.servers import free_port, running

from ddg_protocol import Conversation
from ddg_protocol.service import Fault, Question, Service
from ddg_protocol.service.faults import Refuse
from ddg_protocol.service.script import fault_from_text
from ddg_transports import Emulator

BLUE = "Why is the sky blue?"
USED_UP = Fault("chat", [Refuse(429, "ERR_USER_LIMIT")], times=1)
DEEP = pytest.mark.deep("a process, and libraries that take long to import")


#: What each recipe needs, by the name of its page.
NEEDS = {
    "docs/recipes/" + re.findall(r"\]\((.*?)\)", row["recipe"])[0]: code_words(row["needs"])
    for row in table("docs/recipes/index.md", "Recipes")
}


def require(*packages: str) -> None:
    """Skip the test if one of the packages isn't installed."""
    for name in packages:
        if find_spec(name.replace("-", ".").partition(".")[0]) is None:
            pytest.skip(f"needs {name}: pip install -e '.[dev]'")


def test_there_is_a_row_of_each_recipe_and_of_what_it_needs() -> None:
    assert sorted(NEEDS) == sorted(RECIPES)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    known = {re.split(r"[\[<>=;]", line)[0] for line in (*extras["dev"], *extras["trio"], "starlette")}  # fastapi's
    assert {name for names in NEEDS.values() for name in names} <= known


class Recipe:
    """The files of a recipe in a folder, with an emulator in the place of the one that its page starts.

    Attributes:
        service: what the emulator asks.
        url: where the recipe's own server listens.
    """

    def __init__(self, name: str, folder: Path, stack: ExitStack) -> None:
        self.name = f"docs/recipes/{name}.md"
        self.folder = folder
        self.service = Service()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._stack = stack
        self._emulator = stack.enter_context(Emulator(self.service)).url
        for file, text in files(self.name).items():
            (folder / file).write_text(self._here(text), encoding="utf-8")
        for program in ("flask", "pytest", "python", "uvicorn"):
            module = "" if program == "python" else f"-m {program}"
            path = folder / "bin" / program
            path.parent.mkdir(exist_ok=True)
            path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
            path.chmod(0o755)

    def _here(self, text: str) -> str:
        return text.replace("http://127.0.0.1:8001", self._emulator).replace("8000", str(self.port))

    def run(self, mark: str = "run") -> subprocess.CompletedProcess[str]:
        """Run the commands of the page that have a mark, to their end."""
        return self.shell(self._here(marked(self.name, mark)))

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        return subprocess.run(
            line, shell=True, cwd=self.folder, env=env, capture_output=True, text=True, timeout=100, check=False
        )

    def serve(self) -> None:
        """Start the server of the page, until the end of the test."""
        program, *arguments = shlex.split(self._here(marked(self.name, "run")))
        log = self.folder / "server.log"
        self._stack.enter_context(running(str(self.folder / "bin" / program), arguments, self.port, log))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def recipe(request: pytest.FixtureRequest, tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    require(*NEEDS[f"docs/recipes/{request.param}.md"])
    monkeypatch.chdir(tmp_path)
    return Recipe(request.param, tmp_path, stack)


def of(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("recipe", [name], indirect=True, ids=[name])


@pytest.mark.deep("mypy reads the libraries of all recipes")
def test_the_types_and_the_style_of_every_recipe_hold(tmp_path: Path) -> None:
    require(*(name for names in NEEDS.values() for name in names), "openai")
    shutil.copy(ROOT / "examples" / "traced.py", tmp_path)
    for name in RECIPES:
        for file, text in files(name).items():
            if file.endswith(".py"):
                folder = tmp_path / f"of_{Path(name).stem.replace('-', '_')}"  # of no library's name
                folder.mkdir(exist_ok=True)
                (folder / file).write_text(text, encoding="utf-8")
    options: list[str | Path] = ["--config-file", ROOT / "pyproject.toml", "--cache-dir", tmp_path / ".cache"]
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "transports", tmp_path, tmp_path / "of_property_tests")))
    commands: tuple[list[str | Path], ...] = (
        [sys.executable, "-m", "mypy", *options, *tmp_path.glob("*/*.py")],
        [sys.executable, "-m", "ruff", "check", "--config", ROOT / "pyproject.toml", "--ignore", "D,I", tmp_path],
        [sys.executable, "-m", "ruff", "format", "--check", "--config", ROOT / "pyproject.toml", tmp_path],
    )
    for command in commands:
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "MYPYPATH": paths}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


# FastAPI


def lines_of(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.iter_lines()]


@DEEP
@of("fastapi")
def test_fastapi_streams_the_turns_of_a_conversation(recipe: Recipe) -> None:
    recipe.serve()
    recipe.service.responder = lambda question: [f"{len(question.messages)}: ", question.text]
    with httpx.Client(base_url=recipe.url, timeout=30) as http:
        first, second = "/chats/6f3e2a34-8a52-4c5d-9d4c-2f7f6a1f1b01", "/chats/6f3e2a34-8a52-4c5d-9d4c-2f7f6a1f1b02"
        for path, question, number in ((first, BLUE, 1), (first, "Why?", 3), (second, "Why?", 1)):
            *texts, last = lines_of(http.post(path, json={"text": question}))
            assert texts == [{"text": f"{number}: "}, {"text": question}]
            assert last == {"done": True}


@DEEP
@of("fastapi")
def test_fastapi_says_what_is_wrong(recipe: Recipe) -> None:
    recipe.serve()
    recipe.service.add_fault(USED_UP)
    with httpx.Client(base_url=recipe.url, timeout=30) as http:
        path = "/chats/6f3e2a34-8a52-4c5d-9d4c-2f7f6a1f1b01"
        (line,) = lines_of(http.post(path, json={"text": "Why?"}))
        assert line["error"].startswith("this user's allowance is used up")
        assert lines_of(http.post(path, json={"text": "Why?"}))[-1] == {"done": True}
        for there, body in ((path, {"text": ""}), (path, {}), ("/chats/mine", {"text": "Why?"})):
            assert http.post(there, json=body).status_code == 422


def endless(ended: threading.Event) -> Iterator[str]:
    try:
        yield from itertools.repeat("and so on, ")
    finally:
        ended.set()


@DEEP
@pytest.mark.parametrize(
    ("recipe", "path", "asked"),
    [
        ("fastapi", "/chats/6f3e2a34-8a52-4c5d-9d4c-2f7f6a1f1b01", {"json": {"text": "Why?"}}),
        ("flask", "/ask", {"content": "Why?"}),
        (
            "openai-endpoint",
            "/v1/chat/completions",
            {"json": {"messages": [{"role": "user", "content": "Why?"}], "stream": True}},
        ),
    ],
    indirect=["recipe"],
    ids=["fastapi", "flask", "openai"],
)
def test_a_visitor_who_leaves_ends_the_turn(recipe: Recipe, path: str, asked: dict[str, Any]) -> None:
    ended = threading.Event()
    recipe.service.responder = lambda question: endless(ended)
    recipe.serve()
    with httpx.stream("POST", recipe.url + path, timeout=30, **asked) as response:
        assert "and so on" in "".join(itertools.islice(response.iter_text(), 4))
    assert ended.wait(30)


@needs_chromium
@of("fastapi")
def test_the_page_shows_a_reply_in_a_browser(recipe: Recipe, stack: ExitStack) -> None:
    recipe.serve()
    recipe.service.responder = lambda question: ["<b>Because</b> of ", "Rayleigh ", "scattering \U0001f30a."]
    browser = started(lambda: Browser(recipe.folder))
    stack.callback(browser.close)
    browser.open(f"{recipe.url}/")
    ask = """new Promise((resolve) => {
      const form = document.forms[0], main = document.querySelector("main");
      const shown = () => [...main.children].map((p) => [p.className, p.textContent]);
      const look = () => form.ask.disabled || resolve(shown());
      new MutationObserver(look).observe(form.ask, { attributes: true });
      form.text.value = "Why?";
      form.requestSubmit();
    })"""
    shown = [["question", "Why?"], ["reply", "<b>Because</b> of Rayleigh scattering \U0001f30a."]]
    assert browser.run(ask) == shown
    recipe.service.add_fault(USED_UP)
    *_, reply, error = browser.run(ask)
    assert reply == ["reply", ""]
    assert error[0] == "error"
    assert error[1].startswith("this user's allowance is used up")


# Flask


@DEEP
@of("flask")
def test_flask_streams_a_reply_or_says_why_not(recipe: Recipe) -> None:
    recipe.serve()
    recipe.service.responder = lambda question: ["You asked: ", question.text]
    with httpx.Client(base_url=recipe.url, timeout=30) as http:
        assert http.post("/ask", content=BLUE).text == f"You asked: {BLUE}"
        blank = http.post("/ask", content="  ")
        assert (blank.status_code, blank.text) == (400, "the question is empty; nothing was sent\n")
        recipe.service.add_fault(USED_UP)
        used_up = http.post("/ask", content=BLUE)
        assert (used_up.status_code, used_up.text[:35]) == (502, "this user's allowance is used up; w")
        recipe.service.add_fault(Fault("chat", [Refuse(429, retry_after=300)], times=1))
        busy = http.post("/ask", content=BLUE)
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "300")


@DEEP
@of("flask")
def test_a_reply_of_flask_that_breaks_off_is_noticed(recipe: Recipe) -> None:
    recipe.service.responder = lambda question: ["word "] * 100
    recipe.service.add_fault(fault_from_text("chat:cut=2000,then=reset,times=1"))
    recipe.serve()
    with httpx.stream("POST", f"{recipe.url}/ask", content=BLUE, timeout=30) as response:
        pieces = response.iter_text()
        assert next(pieces).startswith("word ")
        with pytest.raises(httpx.RemoteProtocolError):
            list(pieces)


@DEEP
@of("flask")
def test_the_command_of_the_page_asks_flask(recipe: Recipe) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    recipe.serve()
    recipe.service.responder = lambda question: f"You asked: {question.text}"
    assert recipe.run("ask").stdout == f"You asked: {BLUE}"


# trio


@DEEP
@of("trio-service")
def test_a_connection_to_the_trio_service_is_a_conversation(recipe: Recipe) -> None:
    recipe.serve()
    recipe.service.responder = lambda question: [f"{len(question.messages)}: ", question.text]
    with socket.create_connection(("127.0.0.1", recipe.port), 30) as peer, peer.makefile("rw", newline="\n") as stream:
        for question, reply in (("Why?", "1: Why?"), ("Why not?", "3: Why not?")):
            print(question, file=stream, flush=True)
            assert stream.readline() == f"{reply}\n"
        recipe.service.add_fault(USED_UP)
        print("Why?", file=stream, flush=True)
        assert stream.readline() == "\n"
        assert stream.readline().startswith("error: this user's allowance is used up")


@DEEP
@of("trio-service")
def test_a_peer_of_the_trio_service_who_leaves_ends_the_turn(recipe: Recipe) -> None:
    ended = threading.Event()
    recipe.service.responder = lambda question: endless(ended)
    recipe.serve()
    with socket.create_connection(("127.0.0.1", recipe.port), 30) as peer:
        peer.sendall(b"Why?\n")
        assert peer.recv(3) == b"and"
    assert ended.wait(30)
    recipe.service.responder = lambda question: "Because."
    with socket.create_connection(("127.0.0.1", recipe.port), 30) as peer:
        peer.sendall(b"Why?\n")
        assert peer.makefile().readline() == "Because.\n"


# The bot


def counted(question: Question) -> str:
    return f"{len(question.messages)}: {question.text}"


@DEEP
@of("bot")
def test_the_bot_remembers_after_a_restart(recipe: Recipe) -> None:
    recipe.service.responder = counted
    done = recipe.run()
    assert (done.stderr, done.stdout) == ("", f"ann: 1: {BLUE}\nann: 3: And at dusk?\n")
    assert stat.S_IMODE((recipe.folder / "conversations.sqlite3").stat().st_mode) == 0o600
    assert recipe.shell("echo 'bob: Why?' | python bot.py").stdout == "bob: 1: Why?\n"


@DEEP
@of("bot")
def test_the_bot_takes_messages_at_once_and_limits(recipe: Recipe) -> None:
    recipe.service.responder = counted
    bot = runpy.run_path("bot.py")
    umask = os.umask(0o077)  # which the recipe sets, too

    async def talk() -> Conversation:
        with bot["Memory"]("bot.sqlite3") as memory:
            async with bot["AsyncClient"](bot["SERVICE"]) as client:
                answer = bot["Bot"](client, memory).answer
                replies = await asyncio.gather(*(answer(name, "Why?") for name in ("ann", "ann", "bob")))
                assert sorted(replies) == ["1: Why?", "1: Why?", "3: Why?"]
                recipe.service.add_fault(Fault("chat", [Refuse(429, "ERR_CONVERSATION_LIMIT")], times=1))
                assert await answer("bob", "And?") == "1: And?"
                recipe.service.add_fault(USED_UP)
                assert (await answer("ann", "And?")).startswith("Sorry: this user's allowance is used up")
                conversation: Conversation = memory.load("ann")
                return conversation

    try:
        assert len(asyncio.run(talk()).message_history) == 4
    finally:
        os.umask(umask)


# OpenAI


@DEEP
@of("openai-endpoint")
def test_the_openai_package_is_answered(recipe: Recipe) -> None:
    recipe.service.responder = lambda question: ["You asked ", question.model, ": ", question.text]
    require("openai")
    recipe.serve()
    done = recipe.shell("python client.py")
    assert done.stderr == ""
    models, whole, streamed = done.stdout.splitlines()
    assert models == str([model.id for model in recipe.service.profile.models])
    assert (whole, streamed) == (f"You asked o3-mini: {BLUE}", "You asked o3-mini: And at dusk?")


@DEEP
@of("openai-endpoint")
def test_the_openai_package_raises_what_the_service_refuses(recipe: Recipe) -> None:
    openai: Any = pytest.importorskip("openai")
    recipe.service.responder = lambda question: question.text
    recipe.serve()
    with openai.OpenAI(base_url=f"{recipe.url}/v1", api_key="unused", max_retries=0) as client:
        say = client.chat.completions.create
        hello = [{"role": "user", "content": "Hello"}]
        said = say(model="o3-mini", messages=[{"role": "system", "content": "Be brief."}, *hello])
        assert said.choices[0].message.content == "System: Be brief.\nUser: Hello\nAssistant:"
        assert said.choices[0].finish_reason == "stop"
        with pytest.raises(openai.NotFoundError, match="gpt-9") as unknown:
            say(model="gpt-9", messages=hello)
        assert unknown.value.code == "model_not_found"
        for wrong in ([], [{"role": "user", "content": " "}], [{"role": "user", "content": "x" * 17_000}]):
            with pytest.raises(openai.BadRequestError):
                say(model="o3-mini", messages=wrong)
        with pytest.raises(openai.BadRequestError):
            say(model="o3-mini", messages=hello, n=2)
        recipe.service.add_fault(USED_UP)
        with pytest.raises(openai.RateLimitError, match="this user's allowance is used up") as used_up:
            say(model="o3-mini", messages=hello, stream=True)
        assert used_up.value.code == "insufficient_quota"
        recipe.service.add_fault(Fault("chat", [Refuse(429, retry_after=300)], times=1))
        with pytest.raises(openai.RateLimitError) as busy:
            say(model="o3-mini", messages=hello)
        assert busy.value.response.headers["retry-after"] == "300"


@DEEP
@of("openai-endpoint")
def test_an_openai_stream_that_breaks_off_is_an_error(recipe: Recipe) -> None:
    openai: Any = pytest.importorskip("openai")
    recipe.service.responder = lambda question: ["word "] * 100
    recipe.serve()
    recipe.service.add_fault(fault_from_text("chat:cut=2000,then=reset,times=1"))
    with openai.OpenAI(base_url=f"{recipe.url}/v1", api_key="unused", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="o3-mini", messages=[{"role": "user", "content": "Hello"}], stream=True
        )
        assert next(stream).choices[0].delta.role == "assistant"
        assert next(stream).choices[0].delta.content == "word "
        with pytest.raises(openai.APIError, match="cut"):
            list(stream)


# Logging


@DEEP
@of("logging")
def test_records_and_spans_are_written_and_nothing_private(recipe: Recipe) -> None:
    shutil.copy(ROOT / "examples" / "traced.py", recipe.folder)
    recipe.service.responder = lambda question: "Because of a secret."
    done = recipe.run()
    records = [json.loads(line) for line in done.stderr.splitlines()]
    assert [record["text"] for record in records][:1] == ["chat 1: the turn begins, with gpt-4o-mini"]
    assert [record["ddg_status"] for record in records if "ddg_status" in record] == [200] * 4
    spans, reply, _ = done.stdout.partition("Because of a secret.\n")
    assert reply
    assert spans.count('"name": "GET"') == 3
    assert '"name": "chat gpt-4o-mini"' in spans
    tokens = [dict(exchange.request.headers).get("x-vqd-4") for exchange in recipe.service.log]
    (token,) = filter(None, tokens)
    for private in ("secret", "sky", "dcs=1", token):
        assert private not in done.stderr + spans


# Property tests


@DEEP
@of("property-tests")
def test_the_property_tests_pass_and_find_a_mistake(recipe: Recipe) -> None:
    quick = """from hypothesis import Phase, settings

settings.register_profile("quick", phases=[Phase.generate], max_examples=30)  # no shrinking
settings.load_profile("quick")
"""
    (recipe.folder / "conftest.py").write_text(quick, encoding="utf-8")
    done = recipe.run()
    assert re.search(r"\b2 passed\b", done.stdout), done.stdout
    path = recipe.folder / "showing.py"
    right = path.read_text(encoding="utf-8")
    for before, after in (
        ("except DuckChatError", "except KeyError"),
        ("write(event.text)", "write(event.text.strip())"),
    ):
        assert before in right
        path.write_text(right.replace(before, after), encoding="utf-8")
        done = recipe.run()
        assert re.search(r"\b1 failed, 1 passed\b", done.stdout), done.stdout
