"""Which parts of HTTP messages may be shown: an allowlist of fields and values. Everything else can be a secret."""

from __future__ import annotations

import re

from .headers import Headers

DATE = (
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4}"
    r" [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
)
_NUMBER = r"[0-9]{1,10}"
_CODING = r"(?:aws-chunked|br|chunked|compress|deflate|gzip|identity|x-gzip|zstd)"
_MEDIA = (
    r"(?:text/(?:css|event-stream|html|javascript|plain|xml)"
    r"|application/(?:javascript|json|octet-stream|problem\+json|xml))"
)
_DIRECTIVE = (
    r"(?:immutable|must-revalidate|no-cache|no-store|no-transform|private|proxy-revalidate|public"
    rf"|(?:max-age|s-maxage|stale-if-error|stale-while-revalidate)={_NUMBER})"
)
_FIELD = r"(?:\*|accept|accept-encoding|accept-language|cookie|origin|user-agent)"


def words(text: str) -> frozenset[str]:
    """Return the words of a text, separated by blanks."""
    return frozenset(text.split())


SECRET_HEADERS = words(
    """authentication-info authorization cookie cookie2 proxy-authenticate proxy-authentication-info
    proxy-authorization set-cookie set-cookie2 www-authenticate x-vqd-4 x-vqd-hash-1"""
)
"""Names of headers that carry secrets. `redacted` hides others, too."""


def _list_of(item: str) -> str:
    return rf"{item}(?: ?, ?{item})*"


#: Fields of responses, and the values that may be shown.
_VALUES = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "accept-ranges": "bytes|none",
        "age": _NUMBER,
        "cache-control": _list_of(_DIRECTIVE),
        "cf-cache-status": "bypass|dynamic|expired|hit|miss|none|revalidated|stale|updating",
        "connection": "close|keep-alive|upgrade",
        "content-encoding": _list_of(_CODING),
        "content-length": _NUMBER,
        "content-type": rf"{_MEDIA}(?:; ?charset=\"?(?:iso-8859-1|us-ascii|utf-8)\"?)?",
        "date": DATE,
        "expires": f"{DATE}|0|-1",
        "keep-alive": _list_of(r"(?:max|timeout)=[0-9]{1,5}"),
        "last-modified": DATE,
        "pragma": "no-cache",
        "referrer-policy": "no-referrer|origin|same-origin|strict-origin|strict-origin-when-cross-origin|unsafe-url",
        "retry-after": f"{_NUMBER}|{DATE}",
        "server": "apache|caddy|cloudflare|envoy|nginx|uvicorn",
        "strict-transport-security": rf"max-age={_NUMBER}(?:; ?includeSubDomains)?(?:; ?preload)?",
        "transfer-encoding": _list_of(_CODING),
        "vary": _list_of(_FIELD),
        "x-content-type-options": "nosniff",
        "x-frame-options": "deny|sameorigin",
        "x-xss-protection": "0|1|1; ?mode=block",
    }.items()
}
#: Fields of responses whose values are never shown.
_NAMES = words(
    """accept-ch access-control-allow-credentials access-control-allow-headers access-control-allow-methods
    access-control-allow-origin access-control-expose-headers access-control-max-age allow alt-svc cf-mitigated
    cf-ray content-disposition content-language content-location content-range content-security-policy
    content-security-policy-report-only cross-origin-embedder-policy cross-origin-opener-policy
    cross-origin-resource-policy digest etag expect-ct link location nel origin-trial permissions-policy report-to
    reporting-endpoints server-timing timing-allow-origin trailer upgrade via warning x-cache x-duckduckgo-locale
    x-permitted-cross-domain-policies x-powered-by x-request-id x-robots-tag"""
)
#: Fields of requests whose values are shown: they come from the profile, or from every HTTP client.
_SENT = words(
    """accept accept-encoding accept-language cache-control connection content-length content-type dnt host origin
    pragma priority referer sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site
    sec-fetch-user te transfer-encoding upgrade-insecure-requests user-agent x-fe-version x-vqd-accept"""
)
#: The addresses of the service (PROTOCOL.md section 2): paths with their queries.
TARGETS = frozenset(
    (
        "",
        "/",
        "/aichat",
        "/?q=DuckDuckGo+AI+Chat&ia=chat&duckai=1",
        "/duckchat/v1/status",
        "/duckchat/v1/models",
        "/duckchat/v1/chat",
    )
)


def is_known_name(name: str) -> bool:
    """Return whether the name of a response's field, in lower case, may be shown."""
    return name in _VALUES or name in _NAMES or name in SECRET_HEADERS


def is_harmless(name: str, value: str) -> bool:
    """Return whether the value of a response's field may be shown. The name is in lower case."""
    known = _VALUES.get(name)
    return not value or (known is not None and known.fullmatch(value.strip(" \t")) is not None)


def is_sent(name: str) -> bool:
    """Return whether the value of a request's field may be shown. The name is in lower case."""
    return name in _SENT


def redacted(headers: Headers, *, sent: bool = False) -> Headers:
    """Replace what could be a secret by ``<N characters>``.

    A response shows a field's name and value only where they are known to be harmless. A request shows all names, and
    the values of the fields that every request has.

    Args:
        headers: the fields of a request or a response.
        sent: whether it is a request.

    Returns:
        The same fields, in order, fit to be shown. Empty values stay empty.
    """
    if sent:
        return tuple((name, value if is_sent(name.lower()) else _hidden(value)) for name, value in headers)
    return tuple(
        (
            name if is_known_name(name.lower()) else _hidden(name),
            value if is_harmless(name.lower(), value) else _hidden(value),
        )
        for name, value in headers
    )


def shown_url(url: str) -> str:
    """Return a URL with its target hidden unless it is the service's: a redirect can bring one that holds a secret."""
    scheme, separator, rest = url.partition("://")
    host, slash, target = rest.partition("/")
    return url if slash + target in TARGETS else f"{scheme}{separator}{host}/{_hidden(target)}"


def _hidden(text: str) -> str:
    return f"<{len(text)} characters>" if text else ""
