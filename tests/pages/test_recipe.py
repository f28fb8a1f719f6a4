"""The recipe for a new revision works: its files, its command and its tests, in the order of the page."""

from __future__ import annotations

import re
import shlex
import tomllib

import pytest
from support.documents import blocks, files, read, run
from support.paths import ROOT

from ddg_chat.main import main
from ddg_protocol.revisions import REVISIONS

pytest_plugins = ["pytester"]
PAGE = "docs/adding-a-revision.md"


def test_a_revision_is_added_by_the_recipe(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = files(PAGE)
    assert list(shown) == ["recorded.json", "2027-01.toml", "test_2027_01.py"]
    monkeypatch.chdir(pytester.path)
    for name, text in shown.items():
        if name.endswith(".py"):
            (session,) = blocks(PAGE, "console")
            command, _, printed = session.removeprefix("$ ddg-chat ").partition("\n")
            assert main(shlex.split(command)) == 0
            expected = re.escape(printed).replace(re.escape("..."), ".*")
            assert re.fullmatch(expected, capsys.readouterr().out, re.DOTALL)
            assert run({"example": text}, pytester)
        else:
            (pytester.path / name).write_text(text, encoding="utf-8")


def test_a_mistake_in_the_file_is_told(pytester: pytest.Pytester) -> None:
    text = files(PAGE)["2027-01.toml"]
    for right, wrong, says in (
        ("extra_body", "extra_bodies", "extra_bodies"),
        ('"{trip}"', '"{tripp}"', "nothing is called {tripp}"),
    ):
        with pytest.raises(ValueError, match=re.escape(says)):
            REVISIONS["2026-10"].updated(tomllib.loads(text.replace(right, wrong)))


def test_the_last_step_names_what_there_is() -> None:
    step = read(PAGE).partition("## 6. Ship it")[2]
    names = re.findall(r"`((?:tests|ddg_protocol)/[\w/.]+)`", step)
    assert len(names) > 5
    assert [name for name in names if not (ROOT / name).exists()] == []
