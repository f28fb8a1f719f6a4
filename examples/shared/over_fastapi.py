"""A chat in FastAPI, in any number of processes: they keep one pace, and continue each other's conversations.

::

    ENGINE=/var/lib/assistant SERVICE=http://127.0.0.1:8001 uvicorn over_fastapi:app --workers 4
    curl -N -H "Idempotency-Key: 1" --data "Why is the sky blue?" http://127.0.0.1:8000/chats/mine

`ENGINE` is a folder for the processes of one machine, or the URL of a Valkey for many machines. The reply comes as
lines of JSON: its pieces, then how it ended. A turn that is asked again with the same key gets the reply that is
stored. A second turn of a conversation is refused while one is under way.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Header, Path, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from ddg_protocol import DUCKDUCKGO_2025_04, LocalProtocolError
from ddg_protocol.errors import ConversationBusy, EngineUnavailable, PaceRefused
from ddg_transports import AsyncClient, DuckChatError
from ddg_transports.engines.sqlite import SqliteEngine
from ddg_transports.engines.valkey import ValkeyEngine

SERVICE = DUCKDUCKGO_2025_04.at(os.environ["SERVICE"])


def open_engine() -> SqliteEngine | ValkeyEngine:
    where = os.environ["ENGINE"]
    return ValkeyEngine(where) if "://" in where else SqliteEngine(where)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    with open_engine() as engine:
        async with AsyncClient(SERVICE, shared=engine) as client:
            app.state.client = client
            yield


app = FastAPI(lifespan=lifespan)


# With accounts, the account belongs into the key: whoever knows a key reads on in its conversation.
@app.post("/chats/{key}")
async def ask(
    key: Annotated[str, Path(max_length=512)],
    request: Request,
    idempotency_key: Annotated[str, Header(max_length=512)] = "",
) -> Response:
    text = (await request.body()).decode(errors="replace")
    lines = reply(app.state.client, key, idempotency_key, text)
    try:
        first = await anext(lines)
    except DuckChatError as error:
        return refusal(error)
    return StreamingResponse(resumed(first, lines), media_type="application/x-ndjson")


async def reply(client: AsyncClient, key: str, turn: str, text: str) -> AsyncIterator[str]:
    async with client.chat(key=key) as chat, chat.stream(text, turn=turn) as reply:
        async for piece in reply:
            yield line(text=piece)
        yield line(done=True)  # the turn is stored: what came before this line was tentative


async def resumed(first: str, rest: AsyncIterator[str]) -> AsyncIterator[str]:
    yield first
    try:
        async for each in rest:
            yield each
    except DuckChatError as error:  # too late for a status
        yield line(error=str(error))


def line(**members: object) -> str:
    return json.dumps(members) + "\n"


def refusal(error: DuckChatError) -> Response:
    match error:
        case LocalProtocolError():
            status, wait = 400, None
        case ConversationBusy(retry_after=seconds):
            status, wait = 409, seconds
        case PaceRefused(wait=seconds):
            status, wait = 503, seconds
        case EngineUnavailable():
            status, wait = 503, 5.0
        case _:
            status, wait = 502, None
    headers = {} if wait is None else {"retry-after": str(int(wait) + 1)}
    return JSONResponse({"error": str(error)}, status, headers)
