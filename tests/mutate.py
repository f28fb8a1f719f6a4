"""Break the core in one place at a time, and see whether a test that reaches the place fails.

    python tests/mutate.py --places 200 --seed 1         # places drawn at random
    python tests/mutate.py --at ddg_protocol/sse.py:270  # every mutant of a line, or of a file

It prints each mutant that survives, and the share of those that were killed. `tests/equivalent.toml` names mutants that
behave as the original does; they don't count. Which tests of the default tier reach a line is measured once, and kept
in `.mutate/` until code or tests change. Mutants run in copies of the repository, never in place.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import coverage
import pytest
from hypothesis import Phase, settings
from support.mutants import Mutant, core, equivalents, mutants_of
from support.paths import ROOT

KEPT = ROOT / ".mutate"
TESTS = [f"tests/{name}" for name in ("core", "wire", "challenge", "service", "kit")]  # the core's, without sockets
MAP = ("--cov=ddg_protocol", "--cov-context=test", "--cov-report=", "--cov-fail-under=0", "-o", "timeout=600")
OF_CLASSES = "tests/core/test_values.py"  # it looks at classes, whose lines run on import
LIMIT = 40  # seconds for a test that a mutant may have made endless; fifteen times that for all of them


def files() -> list[str]:
    """Return what git knows of here, by paths from the root."""
    command = ["git", "ls-files", "-z", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return sorted(name for name in listed.split("\0") if (ROOT / name).is_file())


def _pytest(copy: Path, *options: str, timeout: float | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(copy / name) for name in ("", "transports", "tests"))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0", "COVERAGE_CORE": "ctrace", **more}
    command = [sys.executable, "-m", "pytest", "-p", "mutate", "-p", "no:cacheprovider", "-q", *options]
    return subprocess.run(
        command, cwd=copy, env=environment, stdout=-1, stderr=-2, text=True, timeout=timeout, check=False
    )


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """Have each run try the same examples, and make none of them smaller once it fails."""
    settings.register_profile("mutants", derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutants")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Pick the tests that are wanted, in their order."""
    if path := os.environ.get("MUTATE_TESTS"):
        order: dict[str, int] = {test: number for number, test in enumerate(json.loads(Path(path).read_text()))}

        def place(item: pytest.Item) -> int:
            return order.get(item.nodeid, order.get(item.nodeid.partition("::")[0], -1))

        items[:] = sorted((item for item in items if place(item) >= 0), key=place)


def reach(copy: Path, tests: list[str], workers: int) -> dict[str, dict[int, set[str]]]:
    """Return which of the tests reach each line of each file; measure it if that is to be done again."""
    read = b"".join((ROOT / name).read_bytes() for name in files() if name.endswith(".py"))
    data = KEPT / hashlib.sha256(read + repr(tests).encode()).hexdigest()
    if not data.exists():
        print("the tests as they are, to see which reach what ...", flush=True)
        shutil.rmtree(KEPT, ignore_errors=True)
        KEPT.mkdir()
        done = _pytest(copy, *MAP, f"-n{workers}", *tests, COVERAGE_FILE=str(data))
        if done.returncode:
            data.unlink()
            sys.exit(f"{done.stdout}\nmutants are of use where the tests pass")
    found = coverage.CoverageData(str(data))
    found.read()
    lines: dict[str, dict[int, set[str]]] = {}
    for name in found.measured_files():
        contexts = found.contexts_by_lineno(name).items()
        of_file = {line: {each.rpartition("|")[0] for each in those} - {""} for line, those in contexts}
        lines["ddg_protocol" + name.rpartition("/ddg_protocol")[2]] = of_file
    return lines


def mentioning(file: str, tests: list[str]) -> set[str]:
    """Return the files of tests that name a module: which of their tests use what runs on its import isn't known."""
    stem = Path(file).stem
    found = [name for name in files() if name.startswith(tuple(tests)) and Path(name).name.startswith("test_")]
    return {name for name in found if stem in (ROOT / name).read_text(encoding="utf-8").lower()}


def outcome(mutant: Mutant, tests: list[str], copy: Path) -> str:
    """Run tests over a mutant and say what came of it: first those of the file that has most of the quick ones."""
    path, wanted = copy / mutant.file, copy / ".tests.json"
    source, before = path.read_bytes(), path.stat()
    quick = Counter(test.partition("::")[0] for test in tests[:100]).most_common(1)[0][0]
    path.write_bytes(source[: mutant.start] + mutant.text.encode() + source[mutant.end :])
    try:
        for those in ([t for t in tests if t.startswith(quick)], [t for t in tests if not t.startswith(quick)]):
            wanted.write_text(json.dumps(those))
            names = sorted({test.partition("::")[0] for test in those})
            options = ["-x", "-n0", "-o", f"timeout={LIMIT}", *names]
            more = {"MUTATE_TESTS": str(wanted), "PYTHONDONTWRITEBYTECODE": "1"}
            done = _pytest(copy, *options, timeout=15 * LIMIT, **more) if those else None
            if done and done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED:
                raise RuntimeError(done.stdout)
            if done and done.returncode:
                return "killed"
    except subprocess.TimeoutExpired:
        return "killed by time"
    finally:
        path.write_bytes(source)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # so that its compiled file is as good as before
    return "survived"


def main() -> int:
    """Draw the places, run the tests, print what survives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at", action="append", default=[], metavar="FILE[:LINE]")
    parser.add_argument("--tests", nargs="+", default=TESTS, metavar="PATH", help="the tests that are to kill them")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    all_, same = core(), equivalents()
    drawn = random.Random(options.seed).sample(all_, options.places)
    if options.at:
        named = [mutant for file in sorted({at.partition(":")[0] for at in options.at}) for mutant in mutants_of(file)]
        drawn = [mutant for mutant in named if {mutant.file, f"{mutant.file}:{mutant.line}"} & set(options.at)]
    left = [mutant for mutant in drawn if mutant.key not in same]
    counted: Counter[str] = Counter()
    copies: queue.Queue[Path] = queue.Queue()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.workers) as pool:
        first = Path(folder, "0")
        for name in files():
            (first / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, first / name)
        lines = reach(first, options.tests, options.workers)
        _pytest(first, "--collect-only", "-n0")  # compiles everything
        for number in range(options.workers):
            copies.put(shutil.copytree(first, Path(folder, str(number))) if number else first)
        weight = Counter(test for of_file in lines.values() for those in of_file.values() for test in those)

        def judge(mutant: Mutant) -> str:
            of_file = lines.get(mutant.file, {})
            tests = {test for line in range(mutant.line, mutant.last + 1) for test in of_file.get(line, ())}
            if not tests:  # it runs on import
                tests = {OF_CLASSES} | mentioning(mutant.file, options.tests)
                tests |= set().union(*of_file.values()) or set(weight)
            copy = copies.get()
            try:
                return outcome(mutant, sorted(tests, key=lambda test: (weight[test], test)), copy)
            finally:
                copies.put(copy)

        for mutant, result in zip(left, pool.map(judge, left), strict=True):
            counted[result] += 1
            if result == "survived":
                file, place, was, becomes = mutant.key
                print(f"{file}:{mutant.line} {place}\n  - {was}\n  + {becomes}", flush=True)
    rate = 1 - counted["survived"] / max(len(left), 1)
    print(
        f"{len(drawn)} of {len(all_)} mutants, {len(drawn) - len(left)} equivalent: {dict(counted)}, {rate:.1%} killed"
    )
    return int(rate < 0.97)


if __name__ == "__main__":
    sys.exit(main())
