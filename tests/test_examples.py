"""Every example runs, and each transport among them keeps the contract, but for what it says itself it can't."""

from __future__ import annotations

import gc
import importlib
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddg_transports.testing.contract import check

EXAMPLES = Path(__file__).parent.parent / "examples"

#: urllib3 gives fields of one name together, wherever they stood in the head.
FIELDS_TOGETHER = {"head-as-given"}


@pytest.fixture
def others_litter() -> Iterator[None]:
    """Collect, without an outcry, what the libraries under the examples leave behind when they are cancelled.

    Now and then that is a transport of asyncio's. Everywhere else in the suite it would be a failure.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_it_runs(path: Path) -> None:
    library = path.stem.removeprefix("over_")
    if library != path.stem:
        pytest.importorskip(library)
    command = [sys.executable, "-W", "error", str(path), "How", "do", "you", "know?"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")
    assert "How do you know?" in run.stdout


@pytest.mark.parametrize(
    ("library", "backend", "cannot"),
    [
        ("requests", "asyncio", FIELDS_TOGETHER),
        ("urllib3", "asyncio", FIELDS_TOGETHER),
        ("httpx", "asyncio", set()),
        ("httpx", "trio", set()),
        ("aiohttp", "asyncio", set()),
        ("trio", "trio", set()),
    ],
)
@pytest.mark.usefixtures("others_litter")
def test_a_transport_keeps_the_contract(
    library: str, backend: str, cannot: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(library)
    monkeypatch.syspath_prepend(EXAMPLES)
    example = importlib.import_module(f"over_{library}")
    report = check(getattr(example, f"Over{library.capitalize()}"), backend=backend)
    assert {result.name.removesuffix(" (tls)") for result in report.broken} == cannot, str(report)
