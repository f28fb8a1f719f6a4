"""The command: check the transport of a factory, and print each result as it comes."""

from __future__ import annotations

import argparse
import shutil
import textwrap

from . import CHECKS, FactoryError
from ._command import imported, run_all
from ._runner import plan

_ABOUT = """\
Check a transport against the contract of ddg_transports.transport.

The transport is run against a scripted server on a loopback port, plain and over TLS. Each check prints a line; one
that fails says what the transport owes, and what it did instead.
"""

_MORE = """\
examples:
  python -m ddg_transports.testing.contract mymodule:factory
  python -m ddg_transports.testing.contract mymodule:factory --backend trio
  python -m ddg_transports.testing.contract mymodule:factory body-cut early-close
  python -m ddg_transports.testing.contract mymodule:factory --waive "head-as-given=the library sorts fields by name"

where mymodule.py has

  @contextlib.contextmanager
  def factory(context):  # an ssl.SSLContext; context.cafile is its certificate, for libraries that take a path
      yield MyTransport(context)

exit codes:
  0    the transport keeps the contract, but for what is waived
  1    it broke it
  2    it can't be checked: the arguments, the module or the factory are not right
  130  interrupted

checks (* protects people, and can't be waived):
"""


def main(arguments: list[str] | None = None) -> int:
    """Check the transport of a factory, and print each result as it comes and a summary.

    Args:
        arguments: the command line's arguments; None takes the process's.

    Returns:
        The exit status: 0 if the contract is kept, 1 if it is broken, 130 if interrupted.

    Raises:
        SystemExit: status 0 for ``--help``, 2 if nothing can be checked.
    """
    parser = argparse.ArgumentParser(
        prog="python -m ddg_transports.testing.contract",
        description=_ABOUT,
        epilog=_MORE + "\n".join(map(_described, CHECKS)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s MODULE:FACTORY [CHECK ...] [--waive CHECK=REASON] [--backend trio]",
    )
    parser.add_argument("factory", metavar="MODULE:FACTORY", help="what makes the transport; see the example below")
    parser.add_argument("checks", metavar="CHECK", nargs="*", help="run these only; by default all that apply")
    parser.add_argument(
        "--waive",
        metavar="CHECK=REASON",
        action="append",
        default=[],
        help="let this check fail, for a reason that is reported; may be given several times",
    )
    parser.add_argument(
        "--backend", choices=["asyncio", "trio"], default="asyncio", help="the event loop of an async transport"
    )
    args = parser.parse_args(arguments)
    waive = {}
    for given in args.waive:
        name, _, waive[name] = given.partition("=")
    try:
        planned = plan(imported(args.factory), args.checks or None, backend=args.backend, waive=waive)
    except (FactoryError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return run_all(planned)


def _described(name: str) -> str:
    check = CHECKS[name]
    mark = "*" if check.protects else " "
    only = "" if check.world == "both" else f" ({check.world} transports only)"
    width = max(60, min(shutil.get_terminal_size().columns, 120))
    return textwrap.fill(f"{check.owed}{only}", width, initial_indent=f"{mark} {name:<24}", subsequent_indent=" " * 26)


if __name__ == "__main__":
    raise SystemExit(main())
