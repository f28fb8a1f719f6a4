"""Challenge scripts of the form in PROTOCOL.md section 5, as text."""

from __future__ import annotations

BRANDS = (
    "navigator.userAgent + (navigator.userAgentData ? navigator.userAgentData.brands.map(brand => "
    """`"${brand.brand}";v="${brand.version}"`).join(', ') : '')"""
)


def quoted(text: str) -> str:
    """Return a single-quoted literal of a text, in ASCII."""
    units = text.encode("utf-16-be", "surrogatepass")
    pieces = [int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2)]
    return "'" + "".join(chr(u) if 32 <= u < 127 and u not in (39, 92) else f"\\u{u:04x}" for u in pieces) + "'"


def script(html: str = "<p>", offset: str = "101", hashes: tuple[str, ...] = ("aGFzaA==",), **parts: str) -> str:
    """Return a script like the service's; `parts` replaces parts of it."""
    server = parts.get("server", "[" + ",".join(f'"{h}"' for h in hashes) + "]")
    total = parts.get("total", f"{offset} + e.innerHTML.length")
    fingerprint = parts.get(
        "fingerprint",
        "(function(){const e = document.createElement('div');"
        f"e.innerHTML = {quoted(html)};return String({total});}})()",
    )
    members = parts.get(
        "members",
        f"server_hashes: {server},\n  client_hashes: [{parts.get('brands', BRANDS)},{fingerprint}],\n"
        f"  signals: {parts.get('signals', '{}')}",
    )
    return f"(function () {{\n  return {{\n  {members}\n  }};\n}})();"
