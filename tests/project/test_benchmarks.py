"""The benchmarks work: every part has figures of who is installed, and the page and its picture are made of them."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from xml.etree import ElementTree

import msgspec
import pytest
from support.cases import each_of
from support.paths import ROOT

from benchmarks import page, plot, server, turns
from benchmarks.__main__ import PARTS
from benchmarks.clients import ALL, BLOCKING, FLOOR, FLOORS, versions
from benchmarks.many import NAMES
from benchmarks.report import QUICK, Limit, Part, Report, Table, as_markdown, as_text, over, shown
from benchmarks.worker import Failed, Worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")

INSTALLED = [name for name in ALL if versions(name) is not None]


class Run(NamedTuple):
    """What a run says, what it found, and its picture."""

    said: str
    found: Report
    picture: str


measures = pytest.mark.deep("all of the benchmarks run, a little of each")


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run all of it, a little of everything."""
    folder = tmp_path_factory.mktemp("benchmarks")
    command = [sys.executable, "-m", "benchmarks", "--quick"]
    files: list[str | Path] = ["--json", folder / "found.json", "--plot", folder / "found.svg"]
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return Run(done.stdout, page.read(folder / "found.json"), (folder / "found.svg").read_text(encoding="utf-8"))


def part_of(found: Report, name: str) -> Part:
    (part,) = (part for part in found.parts if part.name == name)
    return part


@measures
def test_every_part_has_its_tables_and_every_row_a_figure(quick: Run) -> None:
    assert [part.name for part in quick.found.parts] == list(PARTS)
    for part in quick.found.parts:
        assert part.tables
        for table in part.tables:
            assert table.rows
            for name, row in table.rows.items():
                assert len(row) == len(table.columns), (table.title, name)
                figures = [figure for figure in row if figure is not None]
                assert figures, (table.title, name)
                assert all(map(math.isfinite, figures)), (table.title, name)


@measures
def test_whoever_is_installed_has_a_row_or_a_note_that_says_why_not(quick: Run) -> None:
    for name in INSTALLED:
        for part in (part_of(quick.found, "turn"), part_of(quick.found, "start")):
            rows, notes = part.tables[-1].rows, "\n".join(part.notes)
            assert name in rows or name in notes, (part.name, name)
    for table in part_of(quick.found, "many").tables:
        assert set(table.rows) == {name for name in NAMES if versions(name) is not None}


@measures
def test_whoever_is_not_installed_is_said_to_be_missing(quick: Run) -> None:
    missing = [name for name in ALL if name not in INSTALLED]
    assert quick.found.not_installed == missing
    for name in missing:
        assert name in quick.said.rpartition("not measured: ")[2]


@measures
def test_what_must_hold_is_compared_where_both_are_there(quick: Run) -> None:
    limits = {limit.what for part in quick.found.parts for limit in part.limits}
    assert any(what.startswith(f"CPU of handshake and short reply: {BLOCKING} / ") for what in limits)
    assert any(what.startswith("import ddg_protocol / import aiohttp") for what in limits)
    assert any(what.startswith("events/s, anyio on asyncio: with ") for what in limits)
    assert any(what.startswith("payloads / ") for what in limits)


@measures
def test_all_of_it_is_printed(quick: Run) -> None:
    for part in quick.found.parts:
        assert as_text(part) in quick.said


@measures
def test_the_page_has_a_place_for_every_part_and_takes_its_tables(quick: Run) -> None:
    text = page.filled(page.PAGE.read_text(encoding="utf-8"), quick.found)
    for part in quick.found.parts:
        assert as_markdown(part) in text
    assert page.about(quick.found) in text
    assert page.filled(text, quick.found) == text


@measures
def test_the_picture_has_a_bar_for_everyone(quick: Run) -> None:
    assert quick.picture == plot.drawn(quick.found)
    picture = ElementTree.fromstring(quick.picture)
    words = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    for name, which, column in plot.PANELS:
        table = part_of(quick.found, name).tables[which]
        for row, figures in table.rows.items():
            if figures[column] is not None:
                assert row in words
                assert shown(figures[column]) in words


@pytest.mark.skipif(not page.RESULTS.exists(), reason="nothing is published")
def test_the_published_page_and_picture_are_those_of_the_published_results() -> None:
    found = page.read(page.RESULTS)
    assert {part.name for part in found.parts} == set(PARTS)
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.filled(text, found) == text
    assert page.PICTURE.read_text(encoding="utf-8") == plot.drawn(found)


# The pieces


OURS = [name for name in INSTALLED if ALL[name].packages in ((), ("trio",))]


@pytest.mark.deep("a process each")
@pytest.mark.parametrize("name", OURS)
def test_our_drivers_and_the_floors_hold_the_conversation_that_is_asked_for(name: str) -> None:
    with server.running() as url, Worker(name, url) as worker:
        for question in (server.question(7), server.question(3, apart=1)):
            turns.check(name, question, worker.do("turn", question=question))


def test_who_goes_away_while_others_are_waited_for_holds_nobody_up() -> None:
    content = json.dumps({"messages": [{"role": "user", "content": server.question(3, together=2)}]}).encode()
    with server.running() as url:
        place = urlsplit(url)
        with socket.create_connection((place.hostname or "", place.port or 80)) as one:
            one.sendall(b"POST /duckchat/v1/chat HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(content) + content)
            one.shutdown(socket.SHUT_WR)
            assert one.recv(1) == b""  # the server has seen it go
        assert server.drain(url, 2, 3) > 0


def test_a_turn_is_measured_on_one_processor_and_nothing_else_is() -> None:
    allowed = os.sched_getaffinity(0)
    with turns.on_one_processor():
        code = "import os; print(len(os.sched_getaffinity(0)))"
        started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert started.stdout == "1\n"
    assert os.sched_getaffinity(0) == allowed


@pytest.mark.deep("it measures several processes")
def test_every_process_has_its_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Counted(Worker):
        def __init__(self, name: str, url: str) -> None:
            started.append(name)
            super().__init__(name, url)

    monkeypatch.setattr(turns, "Worker", Counted)
    monkeypatch.setattr(turns, "ALL", {BLOCKING: ALL[BLOCKING]})
    scale = msgspec.structs.replace(QUICK, rounds=6, processes=3, long=QUICK.short + 1)
    found = turns.measured(scale)
    assert started == [BLOCKING] * 3
    assert {len(figures) for figures in found.figures.values()} == {6}


@pytest.mark.deep("a process each")
def test_a_contender_that_fails_is_told_with_its_reason() -> None:
    with server.running() as url, Worker(BLOCKING, url) as worker:
        with pytest.raises(Failed, match=f"^{BLOCKING}: EmptyResponseError"):
            worker.do("turn", question=server.question(0))
        worker.do("turn", question=server.question(1))


@pytest.mark.parametrize(
    ("figures", "says"),
    [
        ({"pieces": 6, "characters": len(server.reply(7))}, "6 of 7 pieces came"),
        ({"pieces": 7, "characters": 1}, "1 characters came"),
    ],
)
def test_a_reply_that_is_not_all_there_is_no_figure(figures: dict[str, float], says: str) -> None:
    with pytest.raises(Failed, match=says):
        turns.check(BLOCKING, server.question(7), figures)


def test_a_floor_keeps_no_reply() -> None:
    assert set(FLOORS) > {FLOOR}
    turns.check(FLOOR, server.question(7), {"pieces": 7, "characters": 0})


def test_what_is_too_little_to_be_measured_is_compared_with_nothing() -> None:
    assert over(3.0, 2.0) == 1.5
    assert over(3.0, 0.0) is over(3.0, -1.0) is over(None, 1.0) is over(1.0, None) is None


@each_of(
    "figure, text",
    [(None, "-"), (0, "0"), (0.01234, "0.0123"), (1.5, "1.50"), (12.34, "12.3"), (1234.5, "1,234"), (-0.5, "-0.500")],
)
def test_a_figure_is_shown_with_the_digits_that_count(figure: float | None, text: str) -> None:
    assert shown(figure) == text


def test_a_limit_that_does_not_hold_stands_out() -> None:
    part = Part(
        "x", "A part", [Table("figures", ["us"], {"who": [None]})], [Limit("mine / theirs", 1.2, 1.0)], ["Why."]
    )
    assert "FAILS  mine / theirs" in as_text(part)
    assert "| mine / theirs | 1.200 | 1.000 | **fails** |" in as_markdown(part)
    assert "| who | - |" in as_markdown(part)
    assert "Why." in as_markdown(part)


@measures
def test_only_the_places_of_the_page_are_written(quick: Run) -> None:
    text = "before\n<!-- other -->\nkept\n<!-- end -->\nafter"
    assert page.filled(text, quick.found) == text


@measures
def test_the_results_come_back_from_their_file(quick: Run, tmp_path: Path) -> None:
    page.write(quick.found, tmp_path / "again.json")
    assert page.read(tmp_path / "again.json") == quick.found
