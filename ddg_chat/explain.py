"""``ddg-chat explain``: show the parts of a challenge, up to the header that answers it or to where reading stopped."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

from ddg_protocol.challenge import answer_challenge, read_challenge, read_script, sha256_base64
from ddg_protocol.challenge.answer import chrome_version
from ddg_protocol.errors import UnsupportedChallenge
from ddg_protocol.identity import Identity
from ddg_protocol.policy import Policy
from ddg_protocol.revisions.duckduckgo_2025_04 import DUCKDUCKGO_2025_04

from ._say import say
from ._text import escaped

EX_DATAERR = 65
"""The challenge has an unsupported form (``sysexits.h``)."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "challenge",
        metavar="CHALLENGE",
        nargs="?",
        default="-",
        help="a response's x-vqd-hash-1 header, or the script in it; standard input by default, or with -",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--user-agent", metavar="TEXT", help="the user-agent header to compute the answer for")
    parser.add_argument("--sec-ch-ua", metavar="TEXT", help="the sec-ch-ua header; none if only --user-agent is given")


def run(args: argparse.Namespace) -> int:
    """Print the parts of a challenge and its answer; return 65 if reading stopped before the end."""
    text = sys.stdin.read() if args.challenge == "-" else args.challenge
    found: dict[str, Any] = {}
    refusal = None
    try:
        for step in _steps(text, _identity(args)):
            found |= step
    except UnsupportedChallenge as error:
        refusal = error
        found["error"] = {
            "kind": type(error).__name__,
            "message": str(error),
            "exit_code": EX_DATAERR,
            "position": error.position,
            "expected": error.expected,
            "form": error.form,
        }
    print(json.dumps(found, indent=2) if args.json else "\n".join(_lines(found)))
    if refusal and not args.json:
        say(f"ddg-chat: {refusal}")
    return EX_DATAERR if refusal else 0


def _identity(args: argparse.Namespace) -> Identity:
    usual = DUCKDUCKGO_2025_04.identity
    if args.user_agent is None:
        return Identity(user_agent=usual.user_agent, sec_ch_ua=args.sec_ch_ua or usual.sec_ch_ua)
    return Identity(user_agent=args.user_agent, sec_ch_ua=args.sec_ch_ua or "")


def _steps(text: str, identity: Identity) -> Iterator[dict[str, Any]]:
    """Yield the parts in the order in which they are read; a step that fails raises."""
    is_header = re.fullmatch(r"[A-Za-z0-9+/=\s]*", text)
    script = read_challenge(text, max_bytes=Policy().max_challenge_bytes) if is_header else text
    yield {"script": script}
    challenge = read_script(script)
    yield {"server_hashes": challenge.server_hashes, "html": challenge.html, "offset": challenge.offset}
    chrome = chrome_version(identity.user_agent)
    yield {"user_agent": identity.user_agent, "sec_ch_ua": identity.sec_ch_ua, "chrome": chrome}
    from ddg_protocol.challenge.dom import outline, read_snippet, utf16_length

    root, inner_html = read_snippet(challenge.html, chrome=chrome)
    length = utf16_length(inner_html)
    yield {
        "dom": [{"depth": depth, "node": node} for depth, node in outline(root)],
        "inner_html": inner_html,
        "length": length,
        "number": str(challenge.offset + length),
    }
    yield {
        "client_hashes": [
            sha256_base64(identity.user_agent + identity.sec_ch_ua),
            sha256_base64(str(challenge.offset + length)),
        ],
        "answer": answer_challenge(script, identity),
    }


def _lines(found: dict[str, Any]) -> Iterator[str]:
    if "script" in found:
        yield f"script         {len(found['script'])} characters"
    if "server_hashes" in found:
        for number, server_hash in enumerate(found["server_hashes"]):
            yield f"{'' if number else 'server hashes':<15}{escaped(server_hash)}"
        yield f"snippet        {escaped(found['html'])}"
    if "chrome" in found:
        yield f"read as        {'an unknown browser' if found['chrome'] is None else 'Chrome ' + str(found['chrome'])}"
    if "dom" in found:
        yield "DOM            <div>"
        for line in found["dom"]:
            yield f"{'':<15}{'  ' * line['depth']}{escaped(line['node'])}"
        yield f"innerHTML      {escaped(found['inner_html'])}"
        yield f"number         {found['offset']} + {found['length']} = {found['number']}"
    if "answer" in found:
        yield f"client hashes  {found['client_hashes'][0]}  of {escaped(found['user_agent'] + found['sec_ch_ua'])}"
        yield f"{'':<15}{found['client_hashes'][1]}  of {found['number']}"
        yield f"x-vqd-hash-1   {found['answer']}"
