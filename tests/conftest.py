"""Options and fixtures of the whole suite."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support.outside import run
from support.paths import ROOT

pytest_plugins = ("support.tiers", "support.limits")

# Trusted by default is a CA that signed nothing here: to load the system's takes 40 ms, for each client.
os.environ["SSL_CERT_FILE"] = str(ROOT / "transports/ddg_transports/testing/certificates/other-ca.pem")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--vectors", type=Path, help="folder of the shared test vectors (dom/, challenge/, sse/, ...)")


def pytest_report_header(config: pytest.Config) -> str:
    folder = config.getoption("--vectors")
    return f"vectors: {folder}" if folder else "vectors: none given, tests that need them are skipped (--vectors DIR)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and "vectors" in item.fixturenames:
            item.add_marker("vectors")


@pytest.fixture(scope="session")
def vectors(pytestconfig: pytest.Config) -> Path:
    """The folder of shared vectors; a test that asks for it is skipped in plain sight when none was given."""
    folder: Path | None = pytestconfig.getoption("--vectors")
    if folder is None:
        pytest.skip("needs --vectors DIR")
    assert folder.is_dir(), f"--vectors {folder} is not a folder"
    return folder


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that users install, built once."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT, cwd=folder)
    (built,) = folder.glob("ddg_protocol-*.whl")
    return built
