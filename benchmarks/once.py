"""One question from a process of its own: ``python -m benchmarks.once NAME URL QUESTION`` prints the reply.

It imports nothing that the contender doesn't.
"""

import sys
from typing import Any

from benchmarks.clients import ALL


def show(text: str) -> None:
    print(text, end="", flush=True)


name, url, question = sys.argv[1:]
make: Any = ALL[name].make
if ALL[name].world == "blocking":
    with make(url) as converse:
        converse(question, show)
else:

    async def main() -> None:
        async with make(url) as converse:
            await converse(question, show)

    if ALL[name].world == "trio":
        import trio

        trio.run(main)
    else:
        import asyncio

        asyncio.run(main())
