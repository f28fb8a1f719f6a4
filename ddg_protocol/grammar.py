"""The characters that HTTP allows where the session writes text, as patterns for `re.Pattern.fullmatch`."""

from __future__ import annotations

import re

VISIBLE = re.compile(r"[!-~]*")
"""Visible ASCII: all that the service's tokens and versions may hold (PROTOCOL.md section 8)."""
MAX_VERSION_CHARS = 512
"""The longest front-end version, in characters."""
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name, and other words of HTTP (RFC 9110 section 5.6.2)."""
FIELD_VALUE = re.compile(r"(?:[\x21-\x7e\x80-\xff](?:[\x20-\x7e\x80-\xff\t]*[\x21-\x7e\x80-\xff])?)?")
"""A header's value, as latin-1 text (RFC 9110 section 5.5)."""
URL_TEXT = re.compile(r"[!-\[\]-~]+")
"""A URL. It has no backslash: half of all readers take that for a slash."""
URL_PATH = re.compile(r"/[!-\"$-\[\]-~]*")
"""The path of a URL with its query. It has no fragment, which is never sent."""
HOST = re.compile(r"[!-.0-@\[-~]+")
"""Whatever a URL's host may hold, in lower case."""
COOKIE_NAME = re.compile(r"[!-:<>-~]+")
"""A cookie's name, as servers in fact choose it: wider than `TOKEN`."""
COOKIE_VALUE = re.compile(r"(?:[!-:<-~](?:[ -:<-~]*[!-:<-~])?)?")
"""A cookie's value, as servers in fact choose it: wider than `COOKIE_OCTETS`."""
COOKIE_OCTETS = re.compile(r"[!#-+\--:<-\[\]-~]*")
"""A cookie's value by the standard (RFC 6265 section 4.1.1)."""
COOKIE_PATH = re.compile(r"/[ -~]*")
"""A cookie's path."""
