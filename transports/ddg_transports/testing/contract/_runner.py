"""Running the checks, each on a bench and with a transport of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

import anyio

from ddg_protocol import TransportError

from ._bench import AsyncBench, Bench, Factory, trusting
from ._checks import CHECKS
from ._item import Check
from ._report import Report, Result
from ._steps import NotKept


def check(
    factory: Factory, names: Iterable[str] | None = None, *, tls: bool | None = None, backend: str = "asyncio"
) -> Report:
    """Check a transport against the contract; each check gets a transport of its own.

    Args:
        factory: makes the transport.
        names: the checks to run (``--help`` of the command lists them); None runs all that apply.
        tls: whether to check over TLS or plain; None checks both.
        backend: the event loop for an async transport, ``"asyncio"`` or ``"trio"``.

    Returns:
        The results.
    """
    world = "async" if hasattr(factory(trusting()), "__aenter__") else "blocking"
    results = []
    for over_tls in (False, True) if tls is None else (tls,):
        for name in CHECKS if names is None else names:
            this = CHECKS[name]
            if this.world in ("both", world) and this.over in ("both", "tls" if over_tls else "plain"):
                results.append(_run(this, factory, over_tls, world, backend))
    return Report(tuple(results))


def _run(this: Check, factory: Factory, tls: bool, world: str, backend: str) -> Result:
    bench = AsyncBench(factory, tls) if world == "async" else Bench(factory, tls)
    started = time.monotonic()
    try:
        if world == "async":
            anyio.run(_guarded, this, bench, backend=backend)
        else:
            _run_blocking(this, bench)
        problem = ""
    except NotKept as error:
        problem = str(error)
    except TransportError as error:
        problem = f"TransportError ({error.failure.kind.name}) was raised though nothing went wrong: {error}"
    except Exception as error:
        problem = f"{type(error).__name__} was raised, which is not a TransportError: {error}"
    finally:
        bench.stop()
    return Result(this.name + (" (tls)" if tls else ""), this.owed, problem, time.monotonic() - started)


async def _guarded(this: Check, bench: Bench) -> None:
    with anyio.move_on_after(bench.patience):
        await this.run(bench)
        return
    raise NotKept(f"it was still waiting after {bench.patience:g} s")


def _run_blocking(this: Check, bench: Bench) -> None:
    """Run a check in a thread that can be abandoned if it never returns."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            this.run(bench).send(None)
        except StopIteration:
            pass
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(bench.patience)
    if thread.is_alive():
        bench.stop()  # most likely this ends its wait
        thread.join(bench.slack)
        raise NotKept(f"it was still waiting after {bench.patience:g} s")
    if failures:
        raise failures[0]
