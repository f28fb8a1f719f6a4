"""A chat in Flask, in any number of processes: they keep one pace, and continue each other's conversations.

::

    ENGINE=/var/lib/assistant SERVICE=http://127.0.0.1:8001 gunicorn --workers 4 --threads 16 over_flask:app
    curl -H "Idempotency-Key: 1" --data "Why is the sky blue?" http://127.0.0.1:8000/chats/mine

`ENGINE` is a folder for the processes of one machine, or the URL of a Valkey for many machines. A turn that is asked
again with the same key gets the reply that is stored. A second turn of a conversation waits until the one under way has
ended.
"""

from __future__ import annotations

import atexit
import os

from flask import Flask, request
from flask.typing import ResponseReturnValue

from ddg_protocol import DUCKDUCKGO_2025_04, LocalProtocolError
from ddg_protocol.errors import ConversationBusy, EngineUnavailable, PaceRefused
from ddg_transports import Client, DuckChatError
from ddg_transports.engines.sqlite import SqliteEngine
from ddg_transports.engines.valkey import ValkeyEngine

SERVICE = DUCKDUCKGO_2025_04.at(os.environ["SERVICE"])


def open_engine() -> SqliteEngine | ValkeyEngine:
    where = os.environ["ENGINE"]
    return ValkeyEngine(where) if "://" in where else SqliteEngine(where)


app = Flask(__name__)
engine = open_engine()
client = Client(SERVICE, shared=engine)
atexit.register(engine.close)
atexit.register(client.close)  # first


# With accounts, the account belongs into the key: whoever knows a key reads on in its conversation.
@app.post("/chats/<key>")
def ask(key: str) -> ResponseReturnValue:
    if len(key) > 512:
        return {"error": "a key has at most 512 characters"}, 400
    turn = request.headers.get("Idempotency-Key", "")
    with client.chat(key=key, on_busy="wait") as chat:
        return {"text": chat.ask(request.get_data(as_text=True), turn=turn).text}


@app.errorhandler(DuckChatError)
def refuse(error: DuckChatError) -> ResponseReturnValue:
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
    headers = {} if wait is None else {"Retry-After": str(int(wait) + 1)}
    return {"error": str(error)}, status, headers
