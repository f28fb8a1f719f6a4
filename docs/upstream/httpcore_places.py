"""A pool with one place: cancel a request at each of its steps; does the pool still serve the next one?"""

import sys
from functools import partial
from importlib import import_module

import anyio

httpcore = import_module(sys.argv[1])
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Stepping:
    """Awaits a coroutine, and cancels a scope at its n-th step: it suspends at odd ones and resumes at even ones."""

    def __init__(self, coroutine, scope, n):
        self.coroutine, self.scope, self.left = coroutine, scope, n

    def __await__(self):
        resume = partial(self.coroutine.send, None)
        while True:
            try:
                waiting_for = resume()
            except StopIteration:
                return
            self.step()
            try:
                resume = partial(self.coroutine.send, (yield waiting_for))
            except BaseException as error:
                resume = partial(self.coroutine.throw, error)
            self.step()

    def step(self):
        """Count a step; at the last one, cancel."""
        self.left -= 1
        if self.left == 0:
            self.scope.cancel()


async def serve(stream):
    """Answer whatever comes."""
    async with stream:
        try:
            while await stream.receive():
                await stream.send(OK)
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            pass


async def has_a_place(pool, url):
    """Return whether the pool still serves a request."""
    try:
        await pool.request("GET", url, extensions={"timeout": {"pool": 0.1}})
    except httpcore.PoolTimeout:
        return False
    return True


async def alone(url, n):
    """Cancel a request at its n-th step."""
    async with httpcore.AsyncConnectionPool(max_connections=1) as pool:
        with anyio.CancelScope() as scope:
            await Stepping(pool.request("GET", url), scope, n)
        return scope.cancel_called, await has_a_place(pool, url)


async def connected(url, n):
    """Its time is up just as the connection is made."""
    async with httpcore.AsyncConnectionPool(max_connections=1) as pool:
        with anyio.CancelScope() as scope:

            async def trace(event, info):
                if event == "connection.connect_tcp.complete" and n == 1:
                    scope.cancel()

            await pool.request("GET", url, extensions={"trace": trace})
        return scope.cancel_called, await has_a_place(pool, url)


async def queued(url, n):
    """Cancel a request that waits for a place, at the n-th step of the end of the exchange that has it."""
    async with httpcore.AsyncConnectionPool(max_connections=1) as pool, anyio.create_task_group() as group:
        first = pool.stream("GET", url)
        await first.__aenter__()
        scope = anyio.CancelScope()

        async def second():
            with scope:
                await pool.request("GET", url)

        group.start_soon(second)
        await anyio.wait_all_tasks_blocked()
        await Stepping(first.__aexit__(None, None, None), scope, n)
        await anyio.wait_all_tasks_blocked()
        return scope.cancel_called, await has_a_place(pool, url)


async def main():
    """Try all of them."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        url = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}/"
        for case in (alone, connected, queued):
            n, lost = 1, []
            while (found := await case(url, n))[0]:
                lost += [] if found[1] else [n]
                n += 1
            print(f"{httpcore.__name__} {httpcore.__version__}, {case.__name__}: {n - 1} steps, lost at {lost}")
        group.cancel_scope.cancel()


for backend in ("asyncio", "trio"):
    print(backend)
    anyio.run(main, backend=backend)
