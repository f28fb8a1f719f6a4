"""Every example of the README and of the documents runs: Python as it stands, commands with what they print."""

from __future__ import annotations

import logging
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.documents import DOCUMENTS, RECIPES, blocks, examples, files, read, run
from support.paths import ROOT

from ddg_chat.main import COMMANDS, make_parser

pytest_plugins = ["pytester"]

DEEP = pytest.mark.deep("a process for each command")
CONTRACT = pytest.mark.deep("all checks of the contract")
PYTHON = [
    pytest.param(name, found, id=f"{name}-{', '.join(found)}", marks=CONTRACT if is_deep else [])
    for name in DOCUMENTS
    if name not in RECIPES  # which test_recipes.py runs
    for is_deep in (False, True)
    if (
        found := {
            f"example_{number}": code
            for number, code in enumerate(examples(name), 1)
            if ("testing.contract" in code) == is_deep
        }
    )
]
SESSIONS = [
    pytest.param(name, session, id=f"{name}-{number}", marks=[] if name == "README.md" else DEEP)
    for name in DOCUMENTS
    for number, session in enumerate(blocks(name, "console"), 1)
]


def test_there_are_examples() -> None:
    assert sum(len(examples(name)) for name in DOCUMENTS) > 25
    assert SESSIONS


def test_every_block_says_what_it_is_and_none_is_passed_over() -> None:
    for name in DOCUMENTS:
        opened = re.findall(r"^ *```(\S*)$", read(name), re.MULTILINE)[::2]
        assert not {"py", "Python", "python3", "pycon"} & set(opened), f"{name} has Python that isn't run"


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    """Undo what an example sets up: a client logs, and is slower, once its logger is at DEBUG."""
    root, own = logging.getLogger(), logging.getLogger("ddg_transports")
    handlers, levels = root.handlers[:], (root.level, own.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])


@pytest.mark.usefixtures("_logging_as_before")
@pytest.mark.parametrize(("name", "found"), PYTHON)
def test_examples_run(
    name: str, found: dict[str, str], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(name, pytester.path)
    monkeypatch.chdir(ROOT)
    run(found, pytester)


def write_files(name: str, folder: Path) -> None:
    for file, text in files(name).items():
        (folder / file).write_text(text, encoding="utf-8")


@pytest.fixture
def shell(tmp_path: Path) -> Callable[[str], str]:
    """Runs a command line in a folder of its own, where ``ddg-chat`` is this one."""
    command = tmp_path / "bin" / "ddg-chat"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ddg_chat "$@"\n')
    command.chmod(0o755)
    paths = os.pathsep.join([str(ROOT), str(ROOT / "transports")])
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}  # where conversations are kept
    home["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    environment = {
        **os.environ,
        **home,
        "COLUMNS": "100",
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHONPATH": paths,
    }

    def run(line: str) -> str:
        done = subprocess.run(
            line,
            shell=True,
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout

    return run


@pytest.mark.skipif(os.name == "nt", reason="the commands are for a POSIX shell")
@pytest.mark.parametrize(("name", "session"), SESSIONS)
def test_a_command_prints_what_the_document_shows(
    name: str, session: str, shell: Callable[[str], str], tmp_path: Path
) -> None:
    write_files(name, tmp_path)
    _, *turns = re.split(r"^\$ ", session, flags=re.MULTILINE)
    assert turns
    for turn in turns:
        line, _, shown = turn.partition("\n")
        expected = re.escape(shown).replace(re.escape("..."), ".*")
        assert re.fullmatch(expected, shell(line), re.DOTALL), line


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("[-2:] == [(418", "[-2:] == [(419"),
        ('request("GET", "duckai=1"))\n        dialogue.fails(FailureKind.CUT)', 'request("GET", "/aichat"))'),
    ],
    ids=["a service log", "a dialogue"],
)
def test_a_failure_shows_what_the_page_says(broken: str, mended: str, pytester: pytest.Pytester) -> None:
    (example,) = [code for code in examples("docs/testing.md") if broken in code]
    after = read("docs/testing.md").partition(f"{example}```\n")[2]
    found = re.search(r"^( *)```\n(.*?)^ *```", after, re.MULTILINE | re.DOTALL)
    assert found is not None
    shown = [re.escape(line.removeprefix(found[1])) for line in found[2].splitlines()]
    file = pytester.makepyfile(example.replace(broken, mended))
    printed = pytester.runpytest_inprocess("--strict-markers", "-pno:asyncio", "-pno:trio", file).stdout.str()
    expected = r"\n(?:E +)?".join(shown).replace(re.escape("..."), ".*")
    assert re.search(expected, printed), printed


def test_a_command_that_is_not_run_is_understood() -> None:
    parser = make_parser(COMMANDS)
    lines = [line for name in DOCUMENTS for block in blocks(name, "sh") for line in block.splitlines()]
    found = [re.search(r"\bddg-chat (.*)", line) for line in lines]
    commands = [shlex.split(match[1], comments=True) for match in found if match]
    assert commands
    for command in commands:
        parser.parse_args(command)  # leaves with SystemExit where it is not
