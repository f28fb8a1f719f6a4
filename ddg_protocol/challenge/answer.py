"""The answer: from the header of a response to the header of a request (PROTOCOL.md section 5)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Literal

from ..conversation import MAX_TOKEN_BYTES
from ..errors import LocalProtocolError, UnsupportedChallenge
from ..identity import Identity
from .script import MAX_SAFE_INTEGER, Challenge, describe_form, looks_like, read_script

Style = Literal["python", "compact"]

_CHROME = re.compile(r"(?:\b|Headless)Chrome/([0-9]{1,4})\b")


def sha256_base64(text: str) -> str:
    """Return the base64 of the SHA-256 of a text's UTF-8 bytes.

    Raises:
        UnicodeEncodeError: the text holds a lone surrogate, which UTF-8 has no bytes for.
    """
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def read_challenge(header: str, *, max_bytes: int) -> str:
    """Decode the value of an ``x-vqd-hash-1`` response header to the script in it.

    Args:
        header: base64 of UTF-8 text; padding may be missing, as for a browser's ``atob``.
        max_bytes: the longest header that is decoded.

    Returns:
        The script.

    Raises:
        UnsupportedChallenge: the header is empty, too long, not base64 or not UTF-8.
    """
    if len(header) > max_bytes:
        raise UnsupportedChallenge(f"the challenge is longer than {max_bytes} bytes", expected="a shorter challenge")
    encoded = re.sub(r"[ \t\n\f\r]+", "", header)
    try:
        script = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        form = describe_form(header)
        message = f"the challenge is not base64{looks_like(form)}"
        raise UnsupportedChallenge(message, expected="base64", form=form) from None
    if not script:
        raise UnsupportedChallenge("the challenge is empty", expected="base64", form="nothing")
    try:
        return script.decode()
    except UnicodeDecodeError:
        raise UnsupportedChallenge("the challenge is base64, but not UTF-8 text", expected="UTF-8") from None


def chrome_version(user_agent: str) -> int | None:
    """Return the major version of Chrome that a user agent names; None if it names none."""
    found = _CHROME.search(user_agent)
    return int(found[1]) if found else None


def parse_server_hashes(script: str) -> list[str]:
    """Return the hashes of a challenge script that the answer repeats, in order.

    Raises:
        UnsupportedChallenge: the script is not of the form in PROTOCOL.md section 5.
    """
    return list(read_script(script).server_hashes)


def parse_dom_fingerprint(script: str, *, chrome: int | None = 133) -> str:
    """Return the text of a challenge script's DOM fingerprint, such as ``"134"``; its second client hash is made of it.

    Args:
        script: ECMAScript source text.
        chrome: the major version of the browser to answer as; None when it isn't known.

    Returns:
        The number as a browser writes it.

    Raises:
        UnsupportedChallenge: the script is not of the form, or that browser's length is not known.
    """
    return dom_fingerprint(read_script(script), chrome=chrome)


def inner_html_length(html: str, *, chrome: int | None = 133) -> int:
    """Return the length of ``div.innerHTML`` after a text was assigned to it, as a browser counts.

    Args:
        html: the text that is assigned; at most 1,024 characters.
        chrome: the major version of the browser to answer as; None when it isn't known.

    Returns:
        UTF-16 code units.

    Raises:
        UnsupportedChallenge: the text is too long or nests too deep, or that browser's length is not known.
    """
    from .dom import read_snippet, utf16_length  # loads bs4 and html5lib, which cost more to import than all the rest

    return utf16_length(read_snippet(html, chrome=chrome).inner_html)


def dom_fingerprint(challenge: Challenge, *, chrome: int | None) -> str:
    """Return the text of a challenge's DOM fingerprint; see `parse_dom_fingerprint`."""
    number = challenge.offset + inner_html_length(challenge.html, chrome=chrome)
    if abs(number) > MAX_SAFE_INTEGER:  # a browser's numbers are rounded from there on
        raise UnsupportedChallenge("the challenge's number is past 2^53 - 1", expected="a smaller integer")
    return str(number)


def answer_challenge(script: str, identity: Identity, *, style: Style = "python") -> str:
    """Answer a challenge script by the ``x-vqd-hash-1`` header of a request.

    Args:
        script: the script from `read_challenge`.
        identity: the browser identity that the request is sent with.
        style: how the JSON is spaced: ``"python"`` (", " and ": ") or ``"compact"``, as a browser does.

    Returns:
        The header's value.

    Raises:
        UnsupportedChallenge: the script is not of the form, that browser's length is not known, or the answer is too
            long to be sent.
    """
    challenge = read_script(script)
    number = dom_fingerprint(challenge, chrome=chrome_version(identity.user_agent))
    answer = {
        "server_hashes": challenge.server_hashes,
        "client_hashes": [sha256_base64(identity.user_agent + identity.sec_ch_ua), sha256_base64(number)],
        "signals": {},
    }
    text = json.dumps(answer, separators=(",", ":") if style == "compact" else (", ", ": "))
    header = base64.b64encode(text.encode()).decode("ascii")
    if len(header) > MAX_TOKEN_BYTES:  # PROTOCOL.md section 8: it repeats the service's hashes
        raise UnsupportedChallenge(
            f"the answer to the challenge has {len(header)} characters, and at most {MAX_TOKEN_BYTES} can be sent",
            expected="fewer server hashes",
        )
    return header


def build_x_vqd_hash_1(
    challenge: str,
    headers: Mapping[str, str] | Iterable[tuple[str, str]],
    *,
    style: Style = "python",
    max_bytes: int = 256 * 1024,
) -> str:
    """Answer the ``x-vqd-hash-1`` header of a response by that of a request.

    Args:
        challenge: the value of the response's header.
        headers: the fields that the request is sent with, names in any case. ``user-agent`` counts and, where there is
            one, ``sec-ch-ua``.
        style: how the JSON is spaced: ``"python"`` (", " and ": ") or ``"compact"``, as a browser does.
        max_bytes: the longest challenge that is read.

    Returns:
        The value to send.

    Raises:
        UnsupportedChallenge: the challenge is not of the form, that browser's length is not known, or the answer is too
            long to be sent.
        LocalProtocolError: there is no ``user-agent`` among the headers.
    """
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)

    def value(wanted: str) -> str:
        return ", ".join(value for name, value in pairs if name.lower() == wanted)

    if not value("user-agent"):
        raise LocalProtocolError("an answer to a challenge needs a user-agent among the headers")
    identity = Identity(user_agent=value("user-agent"), sec_ch_ua=value("sec-ch-ua"))
    return answer_challenge(read_challenge(challenge, max_bytes=max_bytes), identity, style=style)
