"""What ``ddg-chat emulate`` says while it serves: a line for each request, and a summary."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TextIO

from ddg_protocol.headers import Headers
from ddg_protocol.redaction import SECRET_HEADERS
from ddg_protocol.service import Fault, ServiceResponse

from ._say import folded, width_of
from ._text import one_line

_SHOWN = 8  # characters of a secret at most: enough to tell which one it is


class RequestsSeen:
    """Writes lines about responses that have ended.

    Args:
        out: where to; its failures are ignored, since the emulator goes on without a reader.
        headers: whether to write the header fields too.
        as_json: whether each line is a JSON object.
    """

    def __init__(self, out: TextIO, *, headers: bool = False, as_json: bool = False) -> None:
        self._out = out
        self._headers = headers
        self._as_json = as_json
        self._endpoints: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()

    def __call__(self, ended: ServiceResponse | str) -> None:
        """Write about a response, or what a connection brought instead of a request."""
        now = datetime.now().astimezone()
        if isinstance(ended, str):
            self._write(
                {"time": now.isoformat(timespec="milliseconds"), "note": ended}
                if self._as_json
                else f"{now:%H:%M:%S} {one_line(ended)}"
            )
            return
        exchange = ended.exchange
        self._endpoints[exchange.endpoint or "no endpoint"] += 1
        if exchange.error:
            self._refused[f"{exchange.status} {exchange.error}"] += 1
        sent, received = _shortened(ended.headers), _shortened(exchange.request.headers)
        if not self._as_json:
            self._write(f"{now:%H:%M:%S} {one_line(str(exchange))}")
            for mark, fields in ((">", received), ("<", sent)) if self._headers else ():
                for name, value in fields:
                    self._write("  " + one_line(f"{mark} {name}: {value}"))
            return
        self._write(
            {
                "time": now.isoformat(timespec="milliseconds"),
                "method": exchange.request.method,
                "target": exchange.request.target,
                "endpoint": exchange.endpoint,
                "status": exchange.status,
                "error": exchange.error,
                "reason": exchange.reason,
                "ended": exchange.ended,
                "bytes": exchange.taken,
                "script": _effects(exchange.faults),
            }
            | ({"request_headers": received, "response_headers": sent} if self._headers else {})
        )

    def summarize(self, unmet: Sequence[Fault] = ()) -> None:
        """Write how many requests there were.

        Args:
            unmet: the faults that no request met.
        """
        endpoints, refused = dict(self._endpoints), dict(self._refused)
        number = sum(endpoints.values())
        faults = [f"{fault.on}: {', '.join(_effects([fault]))}" for fault in unmet]
        if self._as_json:
            counts = {"requests": number, "endpoints": endpoints, "refused": refused, "unmet_faults": faults}
            self._write({"summary": counts})
            return
        said = f"{number} {'request' if number == 1 else 'requests'}"
        said += f" ({_counted(endpoints)})" if endpoints else ""
        said += f"; refused {_counted(refused, 'with ')}" if refused else ""
        said += f"; no request met the fault at {'; at '.join(faults)}" if faults else ""
        self._write(f"ddg-chat emulate: {said}")

    def _write(self, line: str | dict[str, Any]) -> None:
        with suppress(OSError, ValueError):
            text = line if isinstance(line, str) else json.dumps(line)
            if isinstance(line, str) and self._out.isatty():
                text = folded(text, width_of(self._out))
            self._out.write(f"{text}\n")
            self._out.flush()


def _shortened(headers: Headers) -> Headers:
    """Return the fields with secrets cut to their beginnings."""
    return tuple((name, _cut(value) if name.lower() in SECRET_HEADERS else value) for name, value in headers)


def _cut(secret: str) -> str:
    return f"{secret[: min(_SHOWN, len(secret) // 2)]}... ({len(secret)} characters)" if secret else ""


def _effects(faults: Iterable[Fault]) -> list[str]:
    return [type(effect).__name__.lower() for fault in faults for effect in fault.effects]


def _counted(counts: dict[str, int], before: str = "") -> str:
    return ", ".join(f"{number} {before}{name}" for name, number in counts.items())
