"""Looking at a factory before the checks run, so that one that isn't one is one sentence and not a failure of each."""

from __future__ import annotations

import inspect
from collections.abc import Coroutine
from typing import Any

from ._bench import AsyncBench, Bench, trusting

WANTED = "a factory takes an ssl.SSLContext and returns a context manager whose value is the transport"


class FactoryError(TypeError):
    """A factory can't be used; the message says in one line why, and what to do."""


def manager_of(factory: Any) -> Any:
    """Return the context manager that a factory returns, async or blocking.

    Raises:
        FactoryError: it can't be called as a factory is, or returns no context manager.
    """
    if not callable(factory):
        raise FactoryError(f"{_a(factory)} is not a factory, since it can't be called: {WANTED}")
    context = trusting()
    try:
        inspect.signature(factory).bind(context)
    except ValueError:
        pass  # a callable that doesn't say
    except TypeError as error:
        raise FactoryError(f"the factory can't be called with one argument ({error}): {WANTED}") from None
    try:
        made = factory(context)
    except Exception as error:
        raise FactoryError(
            f"the factory raised {_shown(error)} when called with a context: call it yourself, and see where"
        ) from error
    if hasattr(made, "__aenter__") or hasattr(made, "__enter__"):
        return made
    if isinstance(made, Coroutine):
        made.close()  # nobody will wait for it
    raise FactoryError(f"the factory returned {_a(made)}, which is no context manager: {_remedy(made)}")


async def try_transport(bench: Bench) -> None:
    """Make a transport, look at it, and close it.

    Raises:
        FactoryError: that fails, or what was made is no transport.
    """
    entered = False
    try:
        async with bench.made(trusting()) as transport:
            entered = True
            problem = _problem(transport, blocking=not isinstance(bench, AsyncBench))
    except Exception as error:
        doing = "leaving" if entered else "entering"
        raise FactoryError(
            f"{doing} the factory's context manager raised {_shown(error)}: try it yourself, and see where"
        ) from error
    if problem:
        raise FactoryError(problem)


def _remedy(made: Any) -> str:
    if inspect.isgenerator(made):
        return "put @contextlib.contextmanager above the factory"
    if inspect.isasyncgen(made):
        return "put @contextlib.asynccontextmanager above the factory"
    if isinstance(made, Coroutine):
        return "put @contextlib.asynccontextmanager above the factory, and let it yield the transport"
    if inspect.iscoroutinefunction(getattr(made, "open", None)):
        return "give it __aenter__ and __aexit__, or yield it from a factory under @contextlib.asynccontextmanager"
    return "give it __enter__ and __exit__, or yield it from a factory under @contextlib.contextmanager"


def _problem(transport: Any, *, blocking: bool) -> str:
    """Return what makes this no transport; empty if nothing does."""
    method = getattr(transport, "open", None)
    if not callable(method):
        return (
            f"the factory's context manager gave {_a(transport)}, which has no method open(): "
            "yield the transport, or return it from __enter__ or __aenter__"
        )
    if blocking and inspect.iscoroutinefunction(method):
        return (
            "open() of the transport is async, and the factory's context manager is not: "
            "use @contextlib.asynccontextmanager, or __aenter__ and __aexit__"
        )
    kind, how = ("blocking", "open(request, timeout=...)") if blocking else ("async", "open(request)")
    try:
        inspect.signature(method).bind(None, **({"timeout": 1.0} if blocking else {}))
    except ValueError:
        pass  # a callable that doesn't say
    except TypeError as error:
        return (
            f"the transport can't be called as {how} ({error}): its context manager is {kind}, "
            "and so must open() be; see ddg_transports.transport"
        )
    return ""


def _a(value: object) -> str:
    name = "None" if value is None else type(value).__name__
    return name if value is None else f"{'an' if name[:1] in 'aeioAEIO' else 'a'} {name}"


def _shown(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__} ({text})" if text else type(error).__name__
