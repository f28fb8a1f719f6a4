"""The drawings of the tables of states, in docs/."""

from __future__ import annotations

import runpy
from typing import Any
from xml.etree import ElementTree

import pytest
from support.paths import ROOT

from ddg_protocol._state import COMMANDS, LINKS, MOVES, REPORTS, State

DOCS = ROOT / "docs"
SESSION = {state: {**COMMANDS[state], **MOVES[state]} for state in State}
GENERATOR: dict[str, Any] = runpy.run_path(str(DOCS / "states.py"))


@pytest.mark.parametrize("name", GENERATOR["DRAWINGS"])
def test_a_drawing_is_current(name: str) -> None:
    svg = (DOCS / name).read_text(encoding="utf-8")
    assert GENERATOR["digest"](GENERATOR["DRAWINGS"][name]()) in svg, "run docs/states.py"


@pytest.mark.parametrize(
    ("name", "table", "left_out"),
    [
        ("session.svg", SESSION, {"CANCEL", "CLOSE"}),
        ("exchange.svg", REPORTS, set()),
        ("link.svg", LINKS, {"ABANDON"}),
    ],
)
def test_a_drawing_has_each_state_and_each_move(
    name: str, table: dict[Any, dict[Any, Any]], left_out: set[str]
) -> None:
    texts = [element.text or "" for element in ElementTree.parse(DOCS / name).iter("{http://www.w3.org/2000/svg}title")]
    moves = {
        f"{state.name}->{target.name}"
        for state, row in table.items()
        for t, target in row.items()
        if t.name not in left_out
    }
    assert set(texts) - {"states"} == {state.name for state in table} | moves
