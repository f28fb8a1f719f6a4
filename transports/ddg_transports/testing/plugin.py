"""The pytest plugin: the service and clients of it as fixtures, what goes wrong as a marker. pytest finds it by itself.

    @pytest.mark.duck("chat:503,times=1")
    def test_a_service_that_is_down_for_a_moment(duck_client, duck_service):
        duck_service.responder = lambda question: "Blue."
        assert duck_client.chat().ask("Which colour?").text == "Blue."

docs/testing.md has the table. A run that uses none of this imports none of the library.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
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

_MARKER = (
    "duck(*faults, allow_unmet_faults=False, **settings): what `duck_service` is. Faults are lines such as "
    '"chat:503,times=1" or `ddg_protocol.service.Fault`, settings those of `ddg_protocol.service.Service`. Of several '
    "marks the faults add up, and the nearest's settings count."
)
_ALLOW = "allow_unmet_faults"
_SHOWN = 100
"""How many exchanges a report shows, the last ones."""

_service = pytest.StashKey[object]()  # of a test


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def duck_service(request: pytest.FixtureRequest) -> Service:
    """The service, as a pure state machine: ask its `log`, set its `responder` and `challenge`, `add_fault`s."""
    from ddg_protocol.service import Service
    from ddg_protocol.service.script import fault_from_text

    faults, settings = _marked(request.node)
    settings.pop(_ALLOW, None)
    script = [fault_from_text(fault) if isinstance(fault, str) else fault for fault in faults]
    service = request.node.stash[_service] = Service(script=script, **settings)
    return service


@pytest.fixture
def duck_server(request: pytest.FixtureRequest, duck_service: Service) -> Iterator[Emulator]:
    """`duck_service` on a free loopback port, its address the `url`; what the responder raises is raised in the end."""
    from ..emulator import Emulator

    request.node.stash[_service] = duck_service  # it may be one of the user's own
    with Emulator(duck_service) as emulator:
        yield emulator


@pytest.fixture
def duck_profile(duck_server: Emulator) -> ServiceProfile:
    """What a client has to know of `duck_server`; no request waits for the one before."""
    return duck_server.service.profile.at(duck_server.url, minimum_interval=0.0)


@pytest.fixture
def duck_policy() -> Policy:
    """The clients' policy: retries don't wait, what hangs is given up after 5 seconds. Override it for another."""
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
    """An async client of `duck_server`, for asyncio and trio under any plugin; it need not be entered nor closed."""
    from .._socket_stream import SocketStream
    from ..anyio import AsyncClient
    from ..blocking import tcp

    with ExitStack() as opened:
        # When this is torn down, the test's event loop is gone under some plugins and out of reach under all of them.
        # So the connections are such as can be closed without one. To make one on the loopback takes no time.
        async def connect(to: Connect) -> ByteStream:
            connection = opened.enter_context(tcp(to))
            connection.setblocking(False)
            return SocketStream(connection)

        client = AsyncClient(duck_profile, policy=duck_policy, connect=connect)
        yield client
        client._closed = True  # as its connections are in a moment


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that passed though its script says more than happened: it doesn't show what it seems to."""
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
    """Show with a failure what the service was asked, and what became of it."""
    report = yield
    log = getattr(item.stash.get(_service, None), "log", ())
    if report.failed and log:
        report.sections.append(("duck service log", "\n".join(map(str, log[-_SHOWN:]))))
    return report


def _marked(node: pytest.Item) -> tuple[list[Fault | str], dict[str, Any]]:
    """Give the faults and the settings of a test's marks, those of its module and class first."""
    marks = list(node.iter_markers("duck"))[::-1]
    faults = [fault for mark in marks for fault in mark.args]
    settings = {name: value for mark in marks for name, value in mark.kwargs.items()}
    return faults, settings
