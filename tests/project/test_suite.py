"""The suite's own rules: what is deep, what a test may take, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.cases import each_of
from support.mutants import core, equivalents
from support.paths import ROOT, TESTS

CONFTEST = 'pytest_plugins = ("support.tiers", "support.limits")\n'
SETTINGS = ("-c", ROOT / "pyproject.toml", "-p", "xdist", "-p", "pytest_timeout")


def outcome_of(tests: str, folder: Path, *arguments: str, code: int) -> str:
    """Run tests as a suite of their own with this one's rules, where SIGINT is ignored; give what pytest printed."""
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (folder / "test_it.py").write_text(tests, encoding="utf-8")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *SETTINGS, "--rootdir", folder, "-rA", "test_it.py", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


DEEP = """
import pytest

@pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.deep("as good as 1"))])
def test_some(n):
    pass

@pytest.mark.deep("it takes an hour")
def test_all():
    pass
"""


@pytest.mark.deep("a run or two of its own")
@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_is_deep_runs_when_asked_for_and_is_counted_otherwise(workers: str, tmp_path: Path) -> None:
    printed = outcome_of(DEEP, tmp_path, "-n", workers, code=0)
    assert "2 deep tests not run: --deep runs them too" in printed
    assert "1 passed" in printed
    assert "3 passed" in outcome_of(DEEP, tmp_path, "-n", workers, "--deep", code=0)


MARKS = ["deep", "deep()", "deep('')", "deep(reason='x')"]


@pytest.mark.deep("a run for each")
@pytest.mark.parametrize("mark", MARKS)
def test_what_is_deep_says_why(mark: str, tmp_path: Path) -> None:
    tests = f"import pytest\n@pytest.mark.{mark}\ndef test_all():\n    pass\n"
    outcome_of(tests, tmp_path, code=pytest.ExitCode.USAGE_ERROR)


GREEDY = """
import os, signal, subprocess, sys, threading, time
import pytest
from support import limits

limits.PATIENCE = 0

@pytest.mark.timeout(0.5)
def test_hangs():
    threading.Event().wait()

@pytest.mark.timeout(0.5)
def test_spins():
    while True:
        pass

def test_eats():
    all = []
    while True:
        all.append(bytes(1 << 20))

def test_control_c():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
    except KeyboardInterrupt:
        pass

def test_control_c_of_a_program():
    program = "try:\\n print(flush=True)\\n while True: pass\\nexcept KeyboardInterrupt: print('stopped')"
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == b"stopped\\n"

def test_leaves():
    subprocess.Popen(["sleep", "3600"]).returncode = 0  # so that it isn't warned of
"""


@pytest.mark.deep("it waits for limits, and fills 2 GiB")
def test_what_takes_too_much_fails_by_its_name_and_the_others_go_on(tmp_path: Path) -> None:
    printed = outcome_of(GREEDY, tmp_path, code=1)
    assert "FAILED test_it.py::test_hangs - Failed: Timeout" in printed
    assert "FAILED test_it.py::test_spins - Failed: Timeout" in printed
    assert "FAILED test_it.py::test_eats - MemoryError" in printed
    assert "still running after all tests, and killed: sleep 3600" in printed
    assert "3 failed, 3 passed, 1 error" in printed


def test_a_case_that_fails_is_shown() -> None:
    tried: list[object] = []

    @each_of("number", [1, 10**5000, "x" * 1000])
    @each_of("is_last", [False, True])
    def test(number: object, is_last: bool) -> None:
        tried.append(number)
        assert not (isinstance(number, str) and is_last)

    with pytest.raises(AssertionError) as caught:
        test()
    assert len(tried) == 6
    first, second = caught.value.__notes__
    assert (first, second[:20]) == ("the case: is_last=True", "the case: number='xx")
    assert len(second) < 400


@pytest.mark.deep("each place of the core is mutated")
def test_each_mutant_that_is_said_to_be_equivalent_is_one_of_the_code() -> None:
    listed = equivalents()
    assert listed.keys() <= {mutant.key for mutant in core()}
    assert all(listed.values())
