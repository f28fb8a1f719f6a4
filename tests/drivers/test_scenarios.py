"""This project's drivers in each scenario, and the verdicts on clients that get one wrong on purpose."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from support.beginner import BROKEN_BY, Beginner
from support.tiers import some

from benchmarks.programs import OURS, blocking
from ddg_protocol import Policy
from ddg_transports.testing.clock import SkippingClock
from ddg_transports.testing.scenarios import FAMILIES, PATIENCE, SCENARIOS, Observation, Scenario, Verdict, play


def quick(name: str) -> Policy:
    """Return a policy that waits for little: for silence only where a scenario has some."""
    return Policy(read_timeout=1.0 if "silen" in name else 30.0, drain_timeout=0.1, base_delay=0.5)


def of_family(family: str) -> dict[str, Scenario]:
    return {name: scenario for name, scenario in SCENARIOS.items() if scenario.family == family}


def verdicts(found: dict[str, Verdict]) -> list[str]:
    return [f"{name}: {verdict}" for name, verdict in found.items() if verdict.kind != "right"]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_blocking_driver_is_right_in_every_scenario(family: str) -> None:
    found = {}
    for name, scenario in some(of_family(family).items(), one_in=2):
        clock = SkippingClock()
        client = partial(blocking, policy=quick(name), clock=clock, sleep=clock.sleep)
        found[name] = scenario.judge(play(scenario, client, clock=clock))
    assert verdicts(found) == []


@pytest.mark.deep("the other drivers wait in real time")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("driver", [name for name in OURS if name != "blocking"])
def test_every_driver_is_right_in_every_scenario(driver: str, family: str) -> None:
    found, run = {}, OURS[driver].run
    assert run is not None
    for name, scenario in of_family(family).items():
        interval = 1.5 if name == "pace/interval" else 0.0
        client = partial(run, policy=quick(name), interval=interval)
        found[name] = scenario.judge(play(scenario, client))
    assert verdicts(found) == []


def test_the_scenarios_are_many_and_each_says_what_is_done_and_what_is_owed() -> None:
    assert len(SCENARIOS) >= 60
    assert {scenario.family for scenario in SCENARIOS.values()} == set(FAMILIES)
    for name, scenario in SCENARIOS.items():
        assert name == f"{scenario.family}/{scenario.name}"
        for sentence in (scenario.does, scenario.owes):
            assert sentence.endswith("."), name
            assert ". " not in sentence, name
        assert len(set(scenario.questions)) == len(scenario.questions), name


@pytest.mark.deep("a client for each scenario")
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_has_a_client_that_gets_it_wrong(name: str) -> None:
    scenario = SCENARIOS[name]
    defect = BROKEN_BY[name]
    waits = defect in ("has no timeout", "has no bound", "asks for all at once")
    verdict = scenario.judge(play(scenario, Beginner(defect).converse, patience=1.5 if waits else PATIENCE))
    assert verdict.kind == "wrong", str(verdict)
    assert waits or not str(verdict).startswith("wrong: hang"), "it was stopped before its defect showed"


@pytest.mark.deep("a client for each scenario")
def test_a_client_without_a_defect_is_right_in_most() -> None:
    """So that it is the defect that the other test shows."""
    names = [name for name in SCENARIOS if "silen" not in name]
    found = {name: SCENARIOS[name].judge(play(SCENARIOS[name], Beginner("").converse)) for name in names}
    assert {name: str(verdict) for name, verdict in found.items() if verdict.kind == "wrong"} == {}


# Judging: a pure function of what was seen


def judged(name: str, **seen: Any) -> str:
    return str(SCENARIOS[name].judge(Observation(**seen)))


WHOLE = "Because of scattering."


@pytest.mark.parametrize(
    ("name", "seen", "verdict"),
    [
        ("plain/one-piece", {"printed": WHOLE}, "right"),
        ("plain/one-piece", {"printed": f"{WHOLE}\r\n"}, "right"),
        (
            "plain/one-piece",
            {"printed": WHOLE, "code": None, "seconds": 40.2},
            "wrong: hang: it was stopped after 40 s",
        ),
        ("plain/one-piece", {"printed": WHOLE, "code": 3}, "wrong: crash without a word: it ended with exit code 3"),
        ("plain/one-piece", {"printed": WHOLE, "code": -11}, "wrong: crash without a word: it ended with signal 11"),
        ("plain/one-piece", {"printed": WHOLE, "code": 1, "said": "no"}, "wrong: false alarm: it printed the whole"),
        ("plain/one-piece", {"printed": "", "code": 1, "said": "no"}, "wrong: text lost: it failed with: no"),
        ("plain/one-piece", {"printed": ""}, "wrong: text lost: it printed nothing"),
        ("plain/one-piece", {"printed": "Because scattering."}, "wrong: text lost: after 'Because '"),
        ("plain/one-piece", {"printed": WHOLE * 2}, "wrong: text doubled: after the reply it printed"),
        ("plain/one-piece", {"printed": "Because of of scattering."}, "wrong: text doubled: after"),
        ("plain/one-piece", {"printed": "Because of magic."}, "wrong: text changed: after"),
        ("plain/one-piece", {"printed": f"{WHOLE} [DONE]"}, "wrong: text changed: after the reply it printed '[DONE]'"),
        ("ends/reset", {"printed": "Light is", "code": 1, "said": "cut"}, "right"),
        ("ends/reset", {"printed": "", "code": 1, "said": "cut"}, "right"),
        ("ends/reset", {"printed": "Light is scattered by the air, "}, "wrong: cut reply passed off as whole"),
        ("ends/reset", {"printed": "Light is blue", "code": 1, "said": "cut"}, "wrong: text changed"),
        ("ends/reset", {"printed": "", "code": 1, "said": "no", "unmet": True}, "wrong: false alarm: it sent no"),
        ("ends/no-done", {"printed": "", "code": 1, "said": "no"}, "tolerable: it insists on `[DONE]`"),
        ("handshake/landing-page-down", {"printed": WHOLE, "unmet": True}, "not asked: it doesn't make the request"),
    ],
)
def test_a_verdict_says_what_is_wrong(name: str, seen: dict[str, Any], verdict: str) -> None:
    assert judged(name, **seen).startswith(verdict)
