"""Which redirects are followed, and where they lead (PROTOCOL.md section 3)."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit, urlunsplit

from .errors import RedirectRefused
from .grammar import URL_TEXT
from .intents import SendRequest
from .policy import Policy
from .profile import ServiceProfile
from .urls import is_loopback, netloc

REDIRECTS = frozenset({301, 302, 303, 307, 308})
"""The statuses of a redirect."""
_TURN_INTO_GET = frozenset({301, 302, 303})


def redirect_target(
    request: SendRequest, status: int, location: str, redirects: int, profile: ServiceProfile, policy: Policy
) -> str:
    """Return the address that a redirect leads to.

    Args:
        request: the redirected request.
        status: one of `REDIRECTS`.
        location: the ``location`` header as it came.
        redirects: how many redirects led to this request.
        profile: knows the hosts that tokens and cookies may go to.
        policy: bounds the number of redirects.

    Returns:
        The absolute URL.

    Raises:
        RedirectRefused: the redirect may not be followed; the message says why. It shows no more of the address than a
            plain host name: everything else can hold a token.
    """
    if request.method == "POST" and status in _TURN_INTO_GET:
        raise RedirectRefused(f"the service redirects the question ({status}) in a way that would drop it")
    if redirects >= policy.max_redirects:
        raise RedirectRefused(f"the request was redirected more than {policy.max_redirects} times")
    try:
        target = urlsplit(urljoin(request.url, location))
        host, port = target.hostname or "", target.port
        if not URL_TEXT.fullmatch(location) or port == 0:
            raise ValueError
    except ValueError:
        raise RedirectRefused(f"the redirect ({status}) has no valid address") from None
    to = f" to {host}" if re.fullmatch(r"[a-z0-9.-]{1,100}", host) and target.username is None else ""
    is_safe = target.scheme == "https" or (target.scheme == urlsplit(request.url).scheme and is_loopback(host))
    if not is_safe or target.username is not None:
        raise RedirectRefused(
            f"the redirect ({status}){to} is not followed: it must stay on https, or on loopback, and name no user"
        )
    if not profile.allows(host):
        raise RedirectRefused(f"the redirect ({status}){to} is not followed: the profile does not allow that host")
    return urlunsplit((target.scheme, netloc(host, port), target.path or "/", target.query, ""))
