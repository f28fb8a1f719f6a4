"""The contract of a transport (`ddg_transports.transport`), as checks against a scripted peer, plain and over TLS.

    python -m ddg_transports.testing.contract package.module:factory

The factory takes an `ssl.SSLContext`, for https, and returns a context manager whose value is the transport: an async
context manager for an async transport. In a test::

    def test_my_transport_keeps_the_contract():
        report = check(factory)
        assert report.kept, str(report)

The checks need neither pytest nor a network. A failed check says what it expected of the transport, and what it got.
What a library can't do is waived with a reason, ``check(factory, waive={"head-as-given": "it sorts fields by name"})``;
checks that protect people can't be.
"""

from __future__ import annotations

from ._bench import Context, Factory, trusting
from ._checks import CHECKS
from ._checks.cancellation import CancelAt
from ._factory import FactoryError
from ._item import Check
from ._report import Report, Result
from ._runner import check

__all__ = [
    "CHECKS",
    "CancelAt",
    "Check",
    "Context",
    "Factory",
    "FactoryError",
    "Report",
    "Result",
    "check",
    "trusting",
]
