"""Every example runs, and each transport among them keeps the contract, but for what it says itself it can't."""

from __future__ import annotations

import gc
import importlib
import subprocess
import sys

import pytest
from support.paths import ROOT
from support.tiers import thinned

from ddg_transports.testing.contract import check

EXAMPLES = ROOT / "examples"

#: urllib3 gives fields of one name together, wherever they stood in the head.
FIELDS_TOGETHER = {"head-as-given"}
DEEP = pytest.mark.deep("the same checks of another library; that it works is shown by running it")


@pytest.mark.parametrize(
    "name", thinned([path.stem for path in sorted(EXAMPLES.glob("*.py"))], one_in=2, reason="a process each")
)
def test_it_runs(name: str) -> None:
    library = name.removeprefix("over_")
    if library != name:
        pytest.importorskip(library)
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), "How", "do", "you", "know?"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")
    assert "How do you know?" in run.stdout


@pytest.mark.parametrize(
    ("library", "backend", "cannot"),
    [
        pytest.param("requests", "asyncio", FIELDS_TOGETHER, marks=DEEP),
        pytest.param("urllib3", "asyncio", FIELDS_TOGETHER, marks=DEEP),
        pytest.param("httpx", "asyncio", set(), marks=DEEP),
        pytest.param("httpx", "trio", set(), marks=DEEP),
        pytest.param("aiohttp", "asyncio", set(), marks=DEEP),
        pytest.param("trio", "trio", set(), marks=DEEP),
    ],
)
@pytest.mark.parametrize("tls", thinned([False, True], one_in=2, reason="the same checks once more"))
def test_a_transport_keeps_the_contract(
    library: str, backend: str, cannot: set[str], tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(library)
    monkeypatch.syspath_prepend(EXAMPLES)
    example = importlib.import_module(f"over_{library}")
    report = check(getattr(example, f"Over{library.capitalize()}"), tls=tls, backend=backend)
    gc.collect()  # what a library left open for the garbage collector is a failure, too
    assert {result.name.removesuffix(" (tls)") for result in report.broken} == cannot, str(report)
