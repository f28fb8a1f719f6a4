"""Somebody else's project: the wheel and a test file in a fresh environment, and nothing of this repository."""

from __future__ import annotations

import re
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from support.documents import examples
from support.outside import run

#: What this repository's environment has that a user's doesn't, or must not have from there: this library above all.
NOT_THEIRS = re.compile(r".*ddg|.*[.]pth$|pip|setuptools|pkg_resources|_distutils|pytest_(asyncio|trio)|__pycache__")

pytestmark = pytest.mark.deep("an environment is made, and checked by mypy")

KIT = """
import importlib.metadata
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings

import ddg_chat
import ddg_protocol
import ddg_transports
from ddg_protocol import DuckChatError, FailureKind, Policy, Session, TransportError, TurnStarted
from ddg_protocol.errors import IncompleteStream
from ddg_protocol.service import Fault, Service
from ddg_protocol.testing import Chunking, Dialogue, Run, raises, request, strategies
from ddg_transports import AsyncClient

SMALL = Policy(max_page_bytes=4096, max_reply_bytes=4096, max_error_bytes=1024, max_drain_bytes=1024)


@pytest.mark.parametrize("package", [ddg_protocol, ddg_transports, ddg_chat], ids=lambda package: package.__name__)
def test_what_is_imported_is_what_was_installed_here(package: object) -> None:
    assert Path(str(getattr(package, "__file__", None))).is_relative_to(sys.prefix)


def test_there_is_one_installation() -> None:
    names = [found.name for found in importlib.metadata.distributions() if "ddg" in found.name]
    assert names == ["ddg-protocol"]


@pytest.mark.anyio
@pytest.mark.duck("chat:cut=500,then=reset,times=1")
async def test_a_reply_that_breaks_off_leaves_nothing_behind(duck_async_client: AsyncClient) -> None:
    chat = duck_async_client.chat()
    with pytest.raises(IncompleteStream):
        await chat.ask("Why is the sky blue?")
    assert not chat.conversation.message_history
    assert (await chat.ask("Why is the sky blue?")).text


@given(strategies.scripts(), strategies.chunkings())
@settings(max_examples=10, deadline=None)
def test_any_service_gives_a_reply_or_an_error(script: tuple[Fault, ...], chunking: Chunking) -> None:
    run = Run(Session(policy=SMALL), Service(script=script), chunks=chunking)
    try:
        run.ask("Hi")
    except DuckChatError:
        assert run.session.conversation.message_history == ()


def test_a_dialogue() -> None:
    with Dialogue(Session(cookies={"dcm": "5"})) as dialogue:
        dialogue.ask("Hi")
        dialogue.expects(TurnStarted("gpt-4o-mini"), request("GET", "duckai=1"))
        dialogue.fails(FailureKind.INTERRUPTED)
        dialogue.expects(raises(TransportError))
"""


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an environment, in it the wheel and, without a network, what it and its users' tests need."""
    folder = tmp_path_factory.mktemp("project")
    venv.create(folder / "venv", symlinks=True)
    (site,) = (folder / "venv").glob("lib/*/site-packages")
    for installed in {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}:
        for path in installed.iterdir():
            if not NOT_THEIRS.match(path.name):
                (site / path.name).symlink_to(path)
    python = folder / "venv" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel, cwd=folder)
    (readme,) = (example for example in examples("README.md") if "def test_" in example)
    (folder / "test_readme.py").write_text(readme, encoding="utf-8")
    (folder / "test_kit.py").write_text(KIT, encoding="utf-8")
    return folder


def test_the_fixtures_and_the_strategies_are_there(project: Path) -> None:
    python = project / "venv" / "bin" / "python"
    printed = run(python, "-m", "pytest", "-W", "error", "--strict-markers", "--strict-config", "-q", cwd=project)
    assert re.search(r"^9 passed in ", printed, re.MULTILINE), printed  # one runs on two event loops


def test_the_types_are_there(project: Path) -> None:
    python = project / "venv" / "bin" / "python"
    printed = run(python, "-m", "mypy", "--strict", "test_readme.py", "test_kit.py", cwd=project)
    assert printed == "Success: no issues found in 2 source files\n"


def test_wrong_types_are_seen(project: Path) -> None:
    (project / "wrong.py").write_text("from ddg_transports.blocking import Client\nClient().chat().ask(1)\n")
    python = project / "venv" / "bin" / "python"
    with pytest.raises(AssertionError, match=r'^wrong[.]py:2: error: Argument 1 to "ask" of "Chat" has incompatible'):
        run(python, "-m", "mypy", "--strict", "wrong.py", cwd=project)
