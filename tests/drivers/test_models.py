"""A client asks the service for its models, whichever its world and its transport."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from support.hand import LISTING
from support.loops import Loop, loops

from ddg_protocol import DUCKDUCKGO_2025_04, LocalProtocolError, Model, ServiceProfile
from ddg_protocol.errors import AccessDeniedError, MalformedModelList
from ddg_protocol.models import AttachmentLimits, ModelList
from ddg_protocol.service import Fault, Service
from ddg_protocol.service.faults import Body, Refuse
from ddg_transports.anyio import AsyncClient
from ddg_transports.blocking import Client, Trace
from ddg_transports.emulator import Emulator
from ddg_transports.httpcore import AsyncHttpcoreTransport, HttpcoreTransport

LISTED = ModelList(
    (
        Model("gpt-5.6-luna", name="GPT-5.6 Luna", efforts=("none", "low"), tiers=("free",), available=True),
        Model("mistral-small-2603", name="Mistral Small 4", available=True),
    ),
    {"free": AttachmentLimits(images_per_turn=3)},
)
SERVED = msgspec.structs.replace(LISTING, models=LISTED.models, attachment_limits=LISTED.attachment_limits)


@pytest.fixture(params=loops(deep="as on asyncio's own loop"))
def anyio_backend(request: pytest.FixtureRequest) -> Loop:
    loop: Loop = request.param
    return loop


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(Service(SERVED, strict=True)) as running:
        yield running


def at(emulator: Emulator) -> ServiceProfile:
    """Return a profile for the emulator that knows other models than it has."""
    return LISTING.at(emulator.url)


def asked(emulator: Emulator) -> list[str | None]:
    return [exchange.endpoint for exchange in emulator.service.log]


@pytest.mark.parametrize("over_httpcore", [False, True])
def test_a_blocking_client_asks_once_and_again_when_told_to(emulator: Emulator, over_httpcore: bool) -> None:
    with (
        HttpcoreTransport() as transport,
        Client(at(emulator), transport=transport if over_httpcore else None) as client,
    ):
        assert client.models() == LISTED
        assert client.models() is client.models()
        assert asked(emulator) == ["models"]
        assert client.models(refresh=True) == LISTED
        assert asked(emulator) == ["models"] * 2
        assert client.chat().conversation.message_history == ()
    with pytest.raises(LocalProtocolError, match="closed"):
        client.models(refresh=True)


def test_the_models_of_the_service_can_be_the_profiles(emulator: Emulator) -> None:
    with Client(at(emulator)) as client:
        profile = client.profile.with_models(client.models())
    with Client(profile) as client:
        assert client.chat().ask("Hi").model == "gpt-5.6-luna"


def test_what_a_client_does_for_the_list_can_be_watched(emulator: Emulator) -> None:
    seen: list[Trace] = []
    with Client(at(emulator), on_action=seen.append) as client:
        client.models()
    assert "ModelsReceived" in {type(trace.what).__name__ for trace in seen}


@pytest.mark.parametrize(("effect", "exception"), [(Refuse(403), AccessDeniedError), (Body("{}"), MalformedModelList)])
def test_a_list_that_can_t_be_had_is_raised_and_asked_for_again(
    emulator: Emulator, effect: Refuse | Body, exception: type[Exception]
) -> None:
    emulator.service.add_fault(Fault("models", [effect], times=1))
    with Client(at(emulator)) as client:
        with pytest.raises(exception):
            client.models()
        assert client.models() == LISTED


def test_a_client_of_april_has_no_list_to_ask_for() -> None:
    with Emulator() as emulator, Client(DUCKDUCKGO_2025_04.at(emulator.url)) as client:
        with pytest.raises(LocalProtocolError, match="models_path"):
            client.models()
        assert client.chat().ask("Hi").text


@pytest.mark.anyio
@pytest.mark.parametrize("over_httpcore", [False, True])
async def test_an_async_client_asks_once_and_again_when_told_to(emulator: Emulator, over_httpcore: bool) -> None:
    async with (
        AsyncHttpcoreTransport() as transport,
        AsyncClient(at(emulator), transport=transport if over_httpcore else None) as client,
    ):
        assert await client.models() == LISTED
        assert await client.models() is await client.models()
        assert asked(emulator) == ["models"]
        assert await client.models(refresh=True) == LISTED
    with pytest.raises(LocalProtocolError, match="closed"):
        await client.models(refresh=True)


@pytest.mark.anyio
async def test_an_async_client_raises_why_there_is_no_list(emulator: Emulator) -> None:
    emulator.service.add_fault(Fault("models", [Body("[]")], times=1))
    async with AsyncClient(at(emulator)) as client:
        with pytest.raises(MalformedModelList):
            await client.models()
        assert await client.models() == LISTED
