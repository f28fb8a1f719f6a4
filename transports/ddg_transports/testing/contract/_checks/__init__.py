"""All checks, one module for each family."""

from __future__ import annotations

from .._item import Check
from . import bodies, cancellation, connections, deadlines, failures, heads, requests, tls

_FAMILIES = (requests, heads, bodies, failures, tls, deadlines, connections, cancellation)

CHECKS = {found.name: found for family in _FAMILIES for found in vars(family).values() if isinstance(found, Check)}
"""All checks by name, in the order in which they run."""
