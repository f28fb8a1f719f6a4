"""A TCP service on trio, in any number of processes: they keep one pace, and continue each other's conversations.

::

    ENGINE=/var/lib/assistant SERVICE=http://127.0.0.1:8001 python over_trio.py 8000
    echo '{"key": "mine", "turn": "1", "text": "Why is the sky blue?"}' | nc 127.0.0.1 8000

`ENGINE` is a folder for the processes of one machine, or the URL of a Valkey for many machines. Each line is a
question, as JSON; the reply comes as lines of JSON: its pieces, then how it ended. A turn that is asked again with the
same key gets the reply that is stored. A second turn of a conversation takes it over, and the one under way ends with
an error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from functools import partial

import msgspec
import trio

from ddg_protocol import DUCKDUCKGO_2025_04
from ddg_transports import AsyncClient, DuckChatError
from ddg_transports.engines.sqlite import SqliteEngine
from ddg_transports.engines.valkey import ValkeyEngine

SERVICE = DUCKDUCKGO_2025_04.at(os.environ["SERVICE"])
LONGEST_LINE = 64 * 1024


class Question(msgspec.Struct):
    """A line.

    With accounts, the account belongs into the key: whoever knows a key reads on in its conversation.
    """

    key: str
    text: str
    turn: str = ""


def open_engine() -> SqliteEngine | ValkeyEngine:
    where = os.environ["ENGINE"]
    return ValkeyEngine(where) if "://" in where else SqliteEngine(where)


async def main(port: int) -> None:
    with open_engine() as engine:
        async with AsyncClient(SERVICE, shared=engine) as client:
            await trio.serve_tcp(partial(converse, client), port, host="127.0.0.1")


async def converse(client: AsyncClient, stream: trio.SocketStream) -> None:
    try:
        async with stream:
            async for each in lines(stream):
                await answer(client, each, stream)
    except trio.BrokenResourceError:
        pass  # the peer has left; its turn is cancelled, and the conversation free


async def answer(client: AsyncClient, data: bytes, stream: trio.SocketStream) -> None:
    try:
        question = msgspec.json.decode(data, type=Question)
        chat = client.chat(key=question.key, on_busy="take_over")
        async with chat, chat.stream(question.text, turn=question.turn) as reply:
            async for text in reply:
                await stream.send_all(line(text=text))
        await stream.send_all(line(done=True))  # the turn is stored: what came before this line was tentative
    except (DuckChatError, ValueError) as error:  # of a line, or a key, that can't be one
        await stream.send_all(line(error=str(error)))


def line(**members: object) -> bytes:
    return msgspec.json.encode(members) + b"\n"


async def lines(stream: trio.SocketStream) -> AsyncIterator[bytes]:
    """Yield the lines that a peer sends; one that is too long ends them."""
    rest = bytearray()
    async for data in stream:
        rest += data
        *found, rest = rest.split(b"\n")
        for each in found:
            yield bytes(each)
        if len(rest) > LONGEST_LINE:
            return


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]))
