"""The command: check the engine of a factory, and print each result as it comes."""

from __future__ import annotations

import argparse
import textwrap

from ..contract._command import imported, run_all
from . import CHECKS, EngineFactoryError
from ._runner import plan

_ABOUT = """\
Check an engine against the contract of ddg_protocol.coordination.

Each check makes an engine, which nobody else may use, and prints a line. One that fails says what the engine owes, and
what it did instead. The checks wait for the engine's clock: all of them take half a minute.
"""
_MORE = """\
example:
  python -m ddg_transports.testing.engine_contract mymodule:factory

where mymodule.py has

  @contextlib.contextmanager
  def factory():
      yield MyEngine()

exit codes:
  0    the engine keeps the contract, but for what is waived
  1    it broke it
  2    it can't be checked: the arguments, the module or the factory are not right
  130  interrupted

checks (* can't be waived):
"""


def main(arguments: list[str] | None = None) -> int:
    """Check the engine of a factory, and print each result as it comes and a summary.

    Args:
        arguments: the command line's arguments; None takes the process's.

    Returns:
        The exit status: 0 if the contract is kept, 1 if it is broken, 130 if interrupted.

    Raises:
        SystemExit: status 0 for ``--help``, 2 if nothing can be checked.
    """
    parser = argparse.ArgumentParser(
        prog="python -m ddg_transports.testing.engine_contract",
        description=_ABOUT,
        epilog=_MORE + "\n".join(map(_described, CHECKS)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("factory", metavar="MODULE:FACTORY", help="what makes the engine; see the example below")
    parser.add_argument("checks", metavar="CHECK", nargs="*", help="run these only; by default all")
    parser.add_argument(
        "--waive",
        metavar="CHECK=REASON",
        action="append",
        default=[],
        help="let this check fail, for a reason that is reported; may be given several times",
    )
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio", help="for an async engine")
    args = parser.parse_args(arguments)
    waive = {name: reason for name, _, reason in (given.partition("=") for given in args.waive)}
    try:
        planned = plan(imported(args.factory), args.checks or None, backend=args.backend, waive=waive)
    except (EngineFactoryError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return run_all(planned)


def _described(name: str) -> str:
    check = CHECKS[name]
    mark = "*" if check.protects else " "
    return textwrap.fill(check.owed, 110, initial_indent=f"{mark} {name:<22}", subsequent_indent=" " * 24)


if __name__ == "__main__":
    raise SystemExit(main())
