"""The driver without blocking of docs/by-hand.md does what a driver owes, when something goes wrong too."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from support.documents import examples
from support.paths import ROOT
from support.servers import free_port

from ddg_protocol import DUCKDUCKGO_2025_04, ClientState, Policy, Session
from ddg_protocol.service import Fault, Service
from ddg_protocol.service.faults import Cut, Refuse
from ddg_protocol.service.script import fault_from_text
from ddg_protocol.wire import WireSession
from ddg_transports import Emulator
from ddg_transports.testing.scenarios import FAMILIES, SCENARIOS, play

QUICK = Policy(base_delay=0.0, max_retries=1)
IMPATIENT = Policy(base_delay=0.0, max_retries=1, read_timeout=0.2)


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    (code,) = [code for code in examples("docs/by-hand.md") if "def go_on" in code]
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, "docs/by-hand.md", "exec"), namespace)
    return namespace


@pytest.fixture
def selector() -> Iterator[selectors.BaseSelector]:
    with selectors.DefaultSelector() as selector:
        yield selector
        assert not selector.get_map(), "a connection was left open"


def ask(
    page: dict[str, Any],
    selector: selectors.BaseSelector,
    url: str,
    *,
    sessions: int = 1,
    turns: int = 1,
    policy: Policy = QUICK,
) -> None:
    shared = ClientState()
    profile = DUCKDUCKGO_2025_04.at(url)
    drivers = [
        page["Driver"](WireSession(Session(profile, policy=policy, shared=shared)), selector) for _ in range(sessions)
    ]
    for _ in range(turns):
        for driver in drivers:
            driver.wire.ask("Why?", now=time.monotonic())
            driver.due = 0.0
        page["drive"](drivers, selector)
    for driver in drivers:
        driver.wire.close()
        driver.due = 0.0
    page["drive"](drivers, selector)


def test_many_sessions_share_a_thread_the_pages_and_their_own_connections(
    page: dict[str, Any], selector: selectors.BaseSelector, capsys: pytest.CaptureFixture[str]
) -> None:
    service = Service(responder=lambda question: str(len(question.messages)))
    with Emulator(service) as emulator:
        ask(page, selector, emulator.url, sessions=20, turns=2)
    assert sorted(capsys.readouterr().out.split()) == ["1"] * 20 + ["3"] * 20
    asked = [exchange.endpoint for exchange in service.log]
    assert (asked.count("front_end"), asked.count("chat")) == (1, 40)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("chat", [Refuse(429, "ERR_USER_LIMIT")]), "a turn failed: this user's allowance is used up"),
        (Fault("chat", [Cut(300, "reset")]), "a turn failed: "),
        (Fault("chat", [Cut(300, "hang")]), "a turn failed: "),
        (fault_from_text("status:503,times=1"), "Because."),
        (fault_from_text("front_end:cut=100,then=close,times=1"), "Because."),
    ],
    ids=["refused", "reset", "silent", "retried", "page"],
)
def test_what_goes_wrong_ends_the_turn_or_is_tried_again(
    fault: Fault,
    said: str,
    page: dict[str, Any],
    selector: selectors.BaseSelector,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hangs = any(isinstance(effect, Cut) and effect.then == "hang" for effect in fault.effects)
    with Emulator(Service(script=[fault], responder=lambda question: "Because.")) as emulator:
        ask(page, selector, emulator.url, policy=IMPATIENT if hangs else QUICK)
    assert capsys.readouterr().out.startswith(said)


def test_nobody_listening_is_a_failed_turn(
    page: dict[str, Any], selector: selectors.BaseSelector, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(page, selector, f"http://127.0.0.1:{free_port()}")
    assert "refused" in capsys.readouterr().out


@pytest.mark.deep("every scenario, in real time")
@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_right_in_every_scenario(
    family: str, page: dict[str, Any], selector: selectors.BaseSelector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def client(url: str, questions: Sequence[str], say: Callable[[str], object]) -> None:
        failures: list[Exception] = []

        def told(*arguments: Any) -> None:  # the example prints a reply, or a sentence and an error
            if isinstance(arguments[-1], Exception):
                failures.append(arguments[-1])
            else:
                say(*arguments)

        monkeypatch.setitem(page, "print", told)
        policy = Policy(read_timeout=1.0 if "silen" in name else 30.0, drain_timeout=0.1, base_delay=0.5)
        profile = DUCKDUCKGO_2025_04.at(url, minimum_interval=1.5 if name == "pace/interval" else 0.0)
        driver = page["Driver"](WireSession(Session(profile, policy=policy)), selector)
        for question in questions:
            driver.wire.ask(question, now=time.monotonic())
            driver.due = 0.0
            page["drive"]([driver], selector)
        driver.wire.close()
        driver.due = 0.0
        page["drive"]([driver], selector)
        if failures:
            raise failures[-1]

    found = {}
    for name, scenario in SCENARIOS.items():
        if scenario.family == family:
            found[name] = scenario.judge(play(scenario, client))
    assert found
    assert {name: str(verdict) for name, verdict in found.items() if verdict.kind != "right"} == {}


def test_the_page_names_the_argument_by_which_sessions_share_a_state() -> None:
    assert "`ClientState`, passed as `shared=`" in (ROOT / "docs/by-hand.md").read_text(encoding="utf-8")
    shared = ClientState()
    assert Session(shared=shared).shared is shared
