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

WAIVED = {"head-as-given": "it gives fields of one name together, wherever they stood in the head"}
#: Modules that an example needs, where they aren't of its name.
LIBRARIES = {"over_streams": "asyncio", "traced": "opentelemetry.sdk"}
DEEP = pytest.mark.deep("the same checks of another library; that it works is shown by running it")


def require(name: str) -> None:
    """Skip the test where the library of an example isn't installed."""
    library = LIBRARIES.get(name, name.removeprefix("over_"))
    if library == "niquests":
        pytest.importorskip(library, reason="niquests is not installed; examples/over_niquests.py says how, and why")
    elif library != name:
        pytest.importorskip(library)


@pytest.mark.parametrize(
    "name", thinned([path.stem for path in sorted(EXAMPLES.glob("*.py"))], one_in=4, reason="a process each")
)
def test_it_runs(name: str) -> None:
    require(name)
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), "How", "do", "you", "know?"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")
    assert "How do you know?" in run.stdout


@pytest.mark.parametrize(
    ("name", "factory", "backend", "waive"),
    [
        pytest.param("over_requests", "OverRequests", "asyncio", WAIVED, marks=DEEP),
        pytest.param("over_niquests", "factory", "asyncio", WAIVED, marks=DEEP),
        pytest.param("over_urllib3", "OverUrllib3", "asyncio", WAIVED, marks=DEEP),
        pytest.param("over_httpx", "OverHttpx", "asyncio", {}, marks=DEEP),
        pytest.param("over_httpx", "OverHttpx", "trio", {}, marks=DEEP),
        pytest.param("over_aiohttp", "OverAiohttp", "asyncio", {}, marks=DEEP),
        pytest.param("over_streams", "OverStreams", "asyncio", {}, marks=DEEP),
        pytest.param("over_trio", "OverTrio", "trio", {}, marks=DEEP),
    ],
)
@pytest.mark.parametrize("tls", thinned([False, True], one_in=2, reason="the same checks once more"))
def test_a_transport_keeps_the_contract(
    name: str, factory: str, backend: str, waive: dict[str, str], tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(name)
    monkeypatch.syspath_prepend(EXAMPLES)
    report = check(getattr(importlib.import_module(name), factory), tls=tls, backend=backend, waive=waive)
    gc.collect()  # what a library left open for the garbage collector is a failure, too
    assert report.kept, str(report)
    assert not report.unneeded
