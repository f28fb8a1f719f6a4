"""Hosts and origins, read so strictly that every reader of URLs agrees on them."""

from __future__ import annotations

import re

from .text import shown

_MAX_HOST = 253  # RFC 1035 section 2.3.4, without the dot at the end
_HOST_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f.]*:[0-9a-f:.]*\])(?::(?P<port>[1-9][0-9]{0,4}))?"
)


def check_origin(origin: str) -> None:
    """Check the base address of a service.

    Args:
        origin: scheme, host and, where needed, port.

    Raises:
        ValueError: it is not of that form, or plain http to a host that isn't loopback.
    """
    found = _ORIGIN.fullmatch(origin)
    host = found["host"].strip("[]") if found else ""
    if found is None or not is_host(host) or int(found["port"] or 443) > 65535:
        raise ValueError(
            "the base address must be https://HOST or https://HOST:PORT, or http:// with a loopback address, in lower "
            f"case and nothing more, not {shown(origin)}"
        )
    if found["scheme"] == "http" and not is_loopback(host):
        raise ValueError(f"plain http is for loopback addresses only; use https for {shown(host)}")


def is_host(host: str) -> bool:
    """Return whether text is a host name in lower case, or an address without a zone."""
    return (len(host) <= _MAX_HOST and bool(_HOST_NAME.fullmatch(host))) or (is_address(host) and "%" not in host)


def is_address(host: str) -> bool:
    """Return whether a host is an IP address and not a name."""
    from ipaddress import ip_address  # a tenth of what importing the core takes, and seldom needed

    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether a host name or address can only be this machine."""
    from ipaddress import ip_address

    return host == "localhost" or (is_address(host) and ip_address(host).is_loopback)


def netloc(host: str, port: int | None) -> str:
    """Join a host and a port, if there is one, as a URL does."""
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port is None else f"{bracketed}:{port}"
