"""What others read event streams with: each a function from chunks to the number of payloads read as JSON.

A peer that is not installed is None. Their modules are found by name, so that nothing here needs them to be there.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module, metadata
from typing import Any

Reader = Callable[[Sequence[bytes]], int]


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines as HTTP libraries give them (`requests.Response.iter_lines` goes this way)."""
    pending = b""
    for chunk in chunks:
        lines = (pending + chunk).splitlines(keepends=True)
        pending = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        yield from lines


def clients_loop(chunks: Sequence[bytes]) -> int:
    """The loop that most clients of this service have."""
    count = 0
    for raw in lines_of(chunks):
        line = raw.decode("utf-8").strip()
        if line.startswith("data:"):
            json.loads(line[5:].strip())
            count += 1
    return count


def httpx_sse() -> Reader:
    decoders: Any = import_module("httpx_sse._decoders")

    def read(chunks: Sequence[bytes]) -> int:
        lines, decoder, count = decoders.SSELineDecoder(), decoders.SSEDecoder(), 0
        text = codecs.getincrementaldecoder("utf-8")("replace")
        for chunk in chunks:
            for line in lines.decode(text.decode(chunk)):
                event = decoder.decode(line)
                if event is not None:
                    json.loads(event.data)
                    count += 1
        return count

    return read


def sdk(name: str) -> Reader:
    """The decoder of the openai or the anthropic SDK."""
    streaming: Any = import_module(f"{name}._streaming")

    def read(chunks: Sequence[bytes]) -> int:
        count = 0
        for event in streaming.SSEDecoder().iter_bytes(iter(chunks)):
            json.loads(event.data)
            count += 1
        return count

    return read


def sseclient_py() -> Reader:
    client: Any = import_module("sseclient").SSEClient

    def read(chunks: Sequence[bytes]) -> int:
        count = 0
        for event in client(iter(chunks)).events():
            json.loads(event.data)
            count += 1
        return count

    return read


def peers() -> dict[str, Reader | None]:
    """All peers by name and, where it is installed, version."""
    makers: dict[str, Callable[[], Reader]] = {
        "httpx-sse": httpx_sse,
        "openai": lambda: sdk("openai"),
        "anthropic": lambda: sdk("anthropic"),
        "sseclient-py": sseclient_py,
    }
    found: dict[str, Reader | None] = {}
    for name, make in makers.items():
        try:
            found[f"{name} {metadata.version(name)}"] = make()
        except ImportError:  # `metadata.PackageNotFoundError` is one
            found[name] = None
    return found
