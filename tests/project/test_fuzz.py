"""The fuzz targets over their corpora, what was found included, and the command that runs them, with a planted bug."""

from __future__ import annotations

import random
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType, SimpleNamespace

import pytest
from hypothesis import strategies as st
from support.paths import ROOT
from support.tiers import examples, thinned

from fuzz import engines, judge
from fuzz.judge import Finding, Judge, shrunk, stretched
from fuzz.target import CORPUS, Target
from fuzz.targets import TARGETS

MUTATIONS = examples(100, default=10)
DRAWN = 2

#: Modules of the core that read nothing from anybody, or that others are the way into.
NO_PARSERS = {
    "ddg_protocol": "names",
    "ddg_protocol._state": "a table",
    "ddg_protocol.challenge": "names",
    "ddg_protocol.errors": "values",
    "ddg_protocol.events": "values",
    "ddg_protocol.grammar": "patterns",
    "ddg_protocol.headers": "pairs",
    "ddg_protocol.identity": "values",
    "ddg_protocol._limits": "checks what the embedder attaches",
    "ddg_protocol._options": "checks what the embedder asks for",
    "ddg_protocol._request": "writes requests",
    "ddg_protocol._template": "writes requests",
    "ddg_protocol._message_forms": "writes requests",
    "ddg_protocol._answer": "checks what the embedder's solver gives",
    "ddg_protocol.coordination": "names",
    "ddg_protocol.coordination._overview": "looks at states that others have read",
    "ddg_protocol.coordination._scripts": "texts",
    "ddg_protocol.coordination.engine": "a protocol",
    "ddg_protocol.coordination.settings": "checks what the embedder gives",
    "ddg_protocol.revisions": "values",
    "ddg_protocol.revisions._identity": "values",
    "ddg_protocol.revisions.duck_ai_2026_10": "values",
    "ddg_protocol.revisions.duckduckgo_2025_04": "values",
    "ddg_protocol.revisions.duckduckgo_2025_07": "values",
    "ddg_protocol.intents": "values",
    "ddg_protocol.steps": "names",
    "ddg_protocol.models": "values",
    "ddg_protocol.service": "names",
    "ddg_protocol.service._answer": "what faults make of a response",
    "ddg_protocol.service._challenge_pool": "a table",
    "ddg_protocol.service._draw": "hashes of the service's own",
    "ddg_protocol.service._checks": "values",
    "ddg_protocol.service._exchange": "values",
    "ddg_protocol.service._log": "exchanges, counted and forgotten",
    "ddg_protocol.service._pages": "the service's own pages",
    "ddg_protocol.service._pieces": "values",
    "ddg_protocol.service._reply": "the service's own replies",
    "ddg_protocol.service._stand_in": "the service's own challenges",
    "ddg_protocol.testing": "names",
    "ddg_protocol.testing._clock": "a number",
    "ddg_protocol.testing._dialogue": "told by tests alone",
    "ddg_protocol.testing._http": "told by the session alone",
    "ddg_protocol.testing._run": "told by tests alone",
    "ddg_protocol.testing._stand_in": "reads what the emulator wrote",
    "ddg_protocol.testing.strategies": "inputs",
    "ddg_protocol.transcript": "names",
}

each_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
some_targets = pytest.mark.parametrize("target", thinned(TARGETS, one_in=4, reason="the fuzzer runs each of them"))


def fake(run: Callable[[bytes], None], **bounds: float) -> Target:
    return Target(name="fake", run=run, inputs=st.binary(), covers=(), **bounds)  # type: ignore[arg-type]


# The targets


@pytest.mark.parametrize("target", thinned(TARGETS, one_in=2, reason="the fuzzer begins with each corpus"))
def test_the_oracle_holds_for_the_corpus_and_for_what_was_found(target: Target) -> None:
    held = Judge(target)
    assert target.seeds
    for data in target.seeds:
        held.hold_to_time(data)


@each_target
@pytest.mark.deep("it takes seconds for a target")
def test_what_the_corpus_takes_grows_no_faster_than_its_length(target: Target) -> None:
    Judge(target).hold_to_growth(max(target.seeds, key=len))


@some_targets
def test_the_oracle_holds_for_mutations(target: Target) -> None:
    held = Judge(target)
    mutations = engines.Mutations(random.Random(7), target.seeds, target.words)
    for _ in range(MUTATIONS):
        held.hold_to_time(mutations.next())
    assert held.runs >= MUTATIONS


@some_targets
def test_hypothesis_takes_a_target_by_fuzz_one_input(target: Target) -> None:
    held, dice, seen = Judge(target), random.Random(7), []
    fuzz_one_input = engines.drawing(target, lambda data: seen.append(held.hold_to_time(data)))
    for _ in range(20 * DRAWN):
        fuzz_one_input(dice.randbytes(800))
        if len(seen) >= DRAWN:
            break
    assert len(seen) >= DRAWN


@some_targets
def test_a_target_reaches_the_modules_that_it_says_it_covers(target: Target) -> None:
    files = {str(sys.modules[name].__file__): name for name in target.covers}
    reached: set[str] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        reached.add(files.get(frame.f_code.co_filename, ""))

    profiler = sys.getprofile()
    sys.setprofile(note)
    try:
        for data in target.seeds:
            target.run(data)
            if reached >= set(target.covers):
                break
    finally:
        sys.setprofile(profiler)
    assert reached >= set(target.covers)


def test_every_module_of_the_core_is_covered_or_has_a_reason_not_to_be() -> None:
    core = ROOT / "ddg_protocol"
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in core.rglob("*.py")
    }
    covered = {name for target in TARGETS for name in target.covers}
    assert covered <= modules | {"ddg_chat._colours", "ddg_chat._markdown", "ddg_chat._text"}
    assert not covered & NO_PARSERS.keys()
    assert modules == (covered & modules) | NO_PARSERS.keys()


def test_every_corpus_is_of_a_target_and_small() -> None:
    assert {path.name for path in CORPUS.iterdir()} == {target.name for target in TARGETS}
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 400_000


# The oracle


def test_what_is_not_documented_is_found() -> None:
    def run(data: bytes) -> None:
        assert b"x" not in data

    Judge(fake(run))(b"y")
    with pytest.raises(Finding, match="AssertionError") as found:
        Judge(fake(run))(b"yx")
    assert found.value.data == b"yx"


def test_what_hangs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "HANG", 0.05)

    def run(data: bytes) -> None:
        while data:
            pass

    with pytest.raises(Finding, match=r"more than 0\.05 s"):
        Judge(fake(run))(b"x")


def test_what_takes_too_long_is_found() -> None:
    def run(data: bytes) -> None:
        sum(range(2_000_000))

    with pytest.raises(Finding, match="are the bound"):
        Judge(fake(run, seconds=0.001, seconds_per_byte=0.0)).hold_to_time(b"x")


def test_what_is_not_linear_is_found_however_short_the_input_that_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = 0.0
    monkeypatch.setattr(judge, "time", SimpleNamespace(process_time=lambda: spent))

    def linear(data: bytes) -> None:
        nonlocal spent
        spent += len(data) / judge.LARGE

    def quadratic(data: bytes) -> None:
        nonlocal spent
        spent += (len(data) / judge.LARGE) ** 2

    Judge(fake(linear, seconds=60.0))(b"abc")
    with pytest.raises(Finding, match="not linear") as found:
        Judge(fake(quadratic, seconds=60.0))(b"abc")
    assert len(found.value.data) == judge.LARGE


def test_what_takes_too_much_memory_is_found() -> None:
    def run(data: bytes) -> None:
        bytes(100_000)

    Judge(fake(run, memory=200_000)).hold_to_memory(b"x")
    with pytest.raises(Finding, match="bytes of memory"):
        Judge(fake(run, memory=10_000)).hold_to_memory(b"x")


def test_stretching_says_a_part_of_the_input_again() -> None:
    assert stretched(b"", 10) == b""
    assert len(stretched(b"some input", 1000)) == 1000
    assert len(set(stretched(b"some input", 1000)) - set(b"some input")) == 0
    assert stretched(b"x" * 50, 10) == b"x" * 10


def test_a_finding_is_made_smaller() -> None:
    assert shrunk(b"a lot of x and a lot of y", lambda data: b"x" in data and b"y" in data) == b"xy"
    assert shrunk(b"too late", lambda data: True, seconds=0.0) == b"too late"


# The command

PLANTED = """
from hypothesis import strategies as st
from fuzz.target import Target

def run(data):
    if {condition}:
        {what}

TARGETS = (Target(name="planted", run=run, inputs=st.binary(max_size=8), covers=("json.decoder",)),)
"""


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "fuzz", *arguments),
            *("--table=planted", "--engine=hypothesis", "--seed=7", "--jobs=1"),
            *(f"--work={folder / 'work'}", f"--findings={folder / 'findings'}"),
        ],
        cwd=ROOT,
        env={"PYTHONPATH": f"{folder}:{ROOT}:{ROOT / 'transports'}", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("raise KeyError(data)", "FOUND KeyError"),
        ("import os; os._exit(3)", "FOUND the worker ended with 3"),
    ],
    ids=["raises", "dies"],
)
@pytest.mark.deep("for as long as it takes to find")
def test_the_command_finds_a_planted_bug_and_writes_its_input(tmp_path: Path, what: str, said: str) -> None:
    condition = 'b"Extra data" in data'  # a word of the covered module
    (tmp_path / "planted.py").write_text(PLANTED.format(condition=condition, what=what), encoding="utf-8")
    done = command(tmp_path, "--minutes=4")
    assert done.returncode == 1, done.stderr
    assert said in done.stdout
    reproduce = re.search(r"python -m fuzz reproduce planted (.+)", done.stdout)
    assert reproduce is not None
    (file,) = shlex.split(reproduce[1])
    data = Path(file).read_bytes()
    assert b"Extra data" in data
    if "KeyError" in what:
        assert len(data) < 30  # made smaller
        again = command(tmp_path, "reproduce", "planted", file)
        assert again.returncode == 1
        assert "KeyError" in again.stderr


@pytest.mark.deep("a command more")
def test_the_command_says_how_many_executions_there_were_of_what_holds(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(PLANTED.format(condition="False", what="pass"), encoding="utf-8")
    done = command(tmp_path, "--minutes=0.01", "planted")
    assert done.returncode == 0, done.stdout + done.stderr
    line = re.search(
        r"^planted +(\d+) executions in +\d+ s of processor time, +(\d+)/s; slowest .* most memory",
        done.stdout,
        re.MULTILINE,
    )
    assert line is not None
    assert int(line[1]) > 0
    assert not (tmp_path / "findings").exists()


@pytest.mark.deep("a command more")
def test_the_command_knows_its_targets(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(PLANTED.format(condition="False", what="pass"), encoding="utf-8")
    done = command(tmp_path, "nothing")
    assert done.returncode == 2
    assert "no target is called nothing; there are planted" in done.stderr
