"""``ddg-chat explain``: a challenge taken apart, as far as it can be read."""

from __future__ import annotations

import argparse
import base64
import io
import json
from typing import Any

import pytest
from support.scripts import script

from ddg_chat import explain
from ddg_protocol.challenge import answer_challenge
from ddg_protocol.identity import Identity
from ddg_protocol.revisions.duckduckgo_2025_04 import DUCKDUCKGO_2025_04

SAMPLE = script("<div><div></div><div></div")


def explained(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    explain.configure(parser)
    return explain.run(parser.parse_args(arguments))


def explained_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    explained("--json", *arguments)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_challenge_is_taken_apart_down_to_its_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert explained(SAMPLE) == 0
    shown = capsys.readouterr().out
    for part in (
        "aGFzaA==",
        "<div><div></div><div></div\n",
        "Chrome 133",
        "<div>\n                 <div>\n                   <div>\n                   <div>\n",
        "101 + 33 = 134",
        "XTifXi40xrC62WWBwizuC+Ntz2J81zr01MzKzZ70DMM=",
        answer_challenge(SAMPLE, DUCKDUCKGO_2025_04.identity),
    ):
        assert part in shown


def test_header_and_script_argument_and_standard_input_are_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    header = base64.b64encode(SAMPLE.encode()).decode()
    found = explained_json(capsys, SAMPLE)
    assert explained_json(capsys, header) == found
    for arguments in ([], ["-"]):
        monkeypatch.setattr("sys.stdin", io.StringIO(header + "\n"))
        assert explained_json(capsys, *arguments) == found
    assert found["number"] == "134"
    assert found["dom"] == [{"depth": 1, "node": "<div>"}, *[{"depth": 2, "node": "<div>"}] * 2]


def test_the_identity_is_the_one_given(capsys: pytest.CaptureFixture[str]) -> None:
    found = explained_json(capsys, SAMPLE, "--user-agent", "X Chrome/156.0", "--sec-ch-ua", '"A";v="1"')
    assert found["chrome"] == 156
    assert found["answer"] == answer_challenge(SAMPLE, Identity(user_agent="X Chrome/156.0", sec_ch_ua='"A";v="1"'))
    assert explained_json(capsys, SAMPLE, "--user-agent", "X")["sec_ch_ua"] == ""


def test_what_can_not_be_read_is_shown_up_to_where_it_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    assert explained(script("a" * 2000)) == 65
    out, err = capsys.readouterr()
    assert "aGFzaA==" in out
    assert "number" not in out
    assert "more than 1024" in err


@pytest.mark.parametrize(
    ("text", "form"), [("<!DOCTYPE html>", "an HTML page"), ('{"a":1}', "a JSON document"), ("", "nothing")]
)
def test_another_form_is_named(capsys: pytest.CaptureFixture[str], text: str, form: str) -> None:
    assert explained("--json", text) == 65
    assert json.loads(capsys.readouterr().out)["error"]["form"] == form
    assert explained(text) == 65


@pytest.mark.parametrize("flags", [[], ["--json"]])
@pytest.mark.parametrize(
    "html", ["\x1b[2J\x07", "<p a='\x1b]0;x\x07'>\x9b\x7f", "<!--\x1b[31m-->", "<?a \x1b?>", "\u202e"]
)
def test_no_control_character_reaches_the_terminal(
    capsys: pytest.CaptureFixture[str], flags: list[str], html: str
) -> None:
    for text in (script(html), script(html).replace("String(", f"{html}("), html, f"{html}\ud800"):
        explained(*flags, "--", text)
        out, err = capsys.readouterr()
        assert all(line.isprintable() for line in (out + err).split("\n"))


def test_the_deepest_snippet_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(explained_json(capsys, script("<b>" * 341))["dom"]) == 341
