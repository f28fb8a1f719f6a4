"""The command: check the transport of a factory, and print the report."""

from __future__ import annotations

import argparse
import importlib
import sys

from . import CHECKS, check


def main(arguments: list[str] | None = None) -> int:
    """Check the transport of a factory against the contract, and print the report.

    Args:
        arguments: the command line's arguments; None takes the process's.

    Returns:
        The exit status: 0 if all checks pass, 1 if not.
    """
    parser = argparse.ArgumentParser(prog="python -m ddg_transports.testing.contract", description=main.__doc__)
    parser.add_argument("factory", metavar="MODULE:FACTORY", help="takes an SSLContext, returns a context manager")
    parser.add_argument("checks", metavar="CHECK", nargs="*", help=f"only these; there are {', '.join(CHECKS)}")
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio", help="for an async transport")
    args = parser.parse_args(arguments)
    if unknown := set(args.checks) - set(CHECKS):
        parser.error(f"there is no check {sorted(unknown)[0]}")
    module, _, name = args.factory.partition(":")
    sys.path.insert(0, "")
    report = check(getattr(importlib.import_module(module), name), args.checks or None, backend=args.backend)
    print(report)
    return 0 if report.kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
