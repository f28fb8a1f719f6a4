"""The built wheel, installed into a fresh environment, is the whole library."""

from __future__ import annotations

import os
import venv
import zipfile
from pathlib import Path

import pytest
from support.outside import run

import ddg_protocol

pytestmark = pytest.mark.deep("environments are made")

PACKAGES = ("ddg_protocol", "ddg_transports", "ddg_chat")


def test_the_wheel_holds_the_three_packages_typed_and_nothing_else(wheel: Path) -> None:
    assert wheel.name.startswith(f"ddg_protocol-{ddg_protocol.__version__}-")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert {f"ddg_chat/inspect/page.{kind}" for kind in ("html", "css", "js")} <= set(names)
    assert any(name.endswith("/LICENSE") for name in names)


def test_the_wheel_works_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    run(binaries / "python", "-m", "pip", "install", "-q", wheel, cwd=tmp_path)
    code = "import ddg_protocol, ddg_protocol.wire, ddg_protocol.service, ddg_transports.blocking, ddg_chat.main"
    run(binaries / "python", "-W", "error", "-c", code, cwd=tmp_path)
    assert "Why?" in run(binaries / "ddg-chat", "ask", "--emulator", "Why?", cwd=tmp_path)
