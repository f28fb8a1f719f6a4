"""The pytest plugin: fixtures for the service, its clients and transports, a marker for faults. pytest loads it itself.

    @pytest.mark.duck("chat:503,times=1")
    def test_a_service_that_is_down_for_a_moment(duck_client, duck_service):
        duck_service.responder = lambda question: "Blue."
        assert duck_client.chat().ask("Which colour?").text == "Blue."

docs/testing.md has the table. A run that uses none of this doesn't import the library.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from anyio.abc import ByteStream

    from ddg_protocol import Policy, ServiceProfile
    from ddg_protocol.service import Fault, Service
    from ddg_protocol.wire import Connect

    from ..anyio import AsyncClient
    from ..blocking import Client
    from ..emulator import Emulator
    from .contract import Report

_MARKER = (
    "duck(*faults, allow_unmet_faults=False, **settings): configure `duck_service`. Faults are lines such as "
    '"chat:503,times=1" or `ddg_protocol.service.Fault`, settings those of `ddg_protocol.service.Service`. The faults '
    "of several marks add up; of each setting, the nearest mark's value is used."
)
_ALLOW = "allow_unmet_faults"
_SHOWN = 100
"""The number of exchanges that a report shows: the last ones."""

_WAIVED = "transport contract"  # the name of a test's properties

_service = pytest.StashKey[object]()  # of a test


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def duck_service(request: pytest.FixtureRequest) -> Service:
    """The service, as a pure state machine: read its `log`, set its `responder` and `challenge`, `add_fault`s."""
    from ddg_protocol.service import Service
    from ddg_protocol.service.script import fault_from_text

    faults, settings = _marked(request.node)
    settings.pop(_ALLOW, None)
    script = [fault_from_text(fault) if isinstance(fault, str) else fault for fault in faults]
    service = request.node.stash[_service] = Service(script=script, **settings)
    return service


@pytest.fixture
def duck_server(request: pytest.FixtureRequest, duck_service: Service) -> Iterator[Emulator]:
    """`duck_service` on a free loopback port, at its `url`. The responder's exception is raised at teardown."""
    from ..emulator import Emulator

    request.node.stash[_service] = duck_service  # the user may have overridden the fixture
    with Emulator(duck_service) as emulator:
        yield emulator


@pytest.fixture
def duck_profile(duck_server: Emulator) -> ServiceProfile:
    """The profile of `duck_server`, without a pause between requests."""
    return duck_server.service.profile.at(duck_server.url, minimum_interval=0.0)


@pytest.fixture
def duck_policy() -> Policy:
    """The clients' policy: retries without a delay, a read timeout of 5 seconds. Override the fixture to change it."""
    from ddg_protocol import Policy

    return Policy(base_delay=0.0, read_timeout=5.0)


@pytest.fixture
def duck_client(duck_profile: ServiceProfile, duck_policy: Policy) -> Iterator[Client]:
    """A blocking client of `duck_server`."""
    from ..blocking import Client

    with Client(duck_profile, policy=duck_policy) as client:
        yield client


@pytest.fixture
def duck_async_client(duck_profile: ServiceProfile, duck_policy: Policy) -> Iterator[AsyncClient]:
    """An async client of `duck_server`, for asyncio and trio under any plugin. You need not enter or close it."""
    from .._socket_stream import SocketStream
    from ..anyio import AsyncClient
    from ..blocking import tcp

    with ExitStack() as opened:
        # At teardown the test's event loop is gone under some plugins, and out of reach under all of them. So these
        # connections can be closed without a loop. Connecting on the loopback takes no time.
        async def connect(to: Connect) -> ByteStream:
            connection = opened.enter_context(tcp(to))
            connection.setblocking(False)
            return SocketStream(connection)

        client = AsyncClient(duck_profile, policy=duck_policy, connect=connect)
        yield client
        client._closed = True  # its connections are closed next


@pytest.fixture
def duck_contract(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """A function that checks a transport: `ddg_transports.testing.contract.check`, with the same arguments.

    A check that fails, and isn't waived, fails the test. The end of the run lists what is waived.
    """

    def keeps(factory: Any, *arguments: Any, **settings: Any) -> Report:
        from .contract import check

        report = check(factory, *arguments, **settings)
        lines = [f"waived {result.name}: {result.waiver}" for result in report.waived]
        lines += [f"the waiver of {name} is not needed: remove it" for name in report.unneeded]
        request.node.user_properties += [(_WAIVED, line) for line in lines]
        if not report.kept:
            pytest.fail("\n".join([*map(str, report.broken), report.summary]), pytrace=False)
        return report

    return keeps


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what the tests waive of the contract of transports."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    lines = [
        f"{report.nodeid}: {line}"
        for report in reports
        for name, line in getattr(report, "user_properties", ())
        if name == _WAIVED and report.when == "call"
    ]
    if lines:
        terminalreporter.section("contract of transports")
        terminalreporter.write_line("\n".join(lines))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that passed although some of its faults never happened: it doesn't test what it seems to."""
    result = yield
    unmet = getattr(item.stash.get(_service, None), "unmet_faults", ())
    if unmet and not _marked(item)[1].get(_ALLOW):
        faults = "\n".join(map(repr, unmet))
        pytest.fail(
            f"no request met these faults (@pytest.mark.duck({_ALLOW}=True) allows it):\n{faults}", pytrace=False
        )
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the service's log to the report of a failed test."""
    report = yield
    log = getattr(item.stash.get(_service, None), "log", ())
    if report.failed and log:
        report.sections.append(("duck service log", "\n".join(map(str, log[-_SHOWN:]))))
    return report


def _marked(node: pytest.Item) -> tuple[list[Fault | str], dict[str, Any]]:
    """Return the faults and the settings of a test's marks, those of its module and class first."""
    marks = list(node.iter_markers("duck"))[::-1]
    faults = [fault for mark in marks for fault in mark.args]
    settings = {name: value for mark in marks for name, value in mark.kwargs.items()}
    return faults, settings
