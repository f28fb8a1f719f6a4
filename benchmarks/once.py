"""One question from a process of its own: ``python -m benchmarks.once NAME URL QUESTION`` prints the reply."""

import sys

from benchmarks.clients import ALL


def show(text: str) -> None:
    print(text, end="", flush=True)


name, url, question = sys.argv[1:]
make = ALL[name].make
if ALL[name].world == "blocking":
    with make(url) as converse:  # type: ignore[union-attr]
        converse(question, show)
else:

    async def main() -> None:
        async with make(url) as converse:  # type: ignore[union-attr]
            await converse(question, show)  # type: ignore[misc]

    if ALL[name].world == "trio":
        import trio

        trio.run(main)
    else:
        import asyncio

        asyncio.run(main())
