"""Calls to services from asyncio: in a bounded pool of threads, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from stead.api.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")


class ServiceCalls:
    """Runs service functions off the event loop.

    :param threads: calls that run at once.
    :param waiting: calls that may wait for a thread; what comes beyond is refused.
    :param deadline: seconds for one call, waiting included.
    """

    def __init__(self, threads: int = 8, waiting: int = 512, deadline: float = 30.0) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="stead-gateway")
        self._limit = threads + waiting
        self._running = 0
        self._deadline = deadline

    async def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._running >= self._limit:
            raise Unavailable("The server has too much to do right now.", remedy="Try again in a moment.")
        self._running += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, partial(function, *args, **kwargs))
        # The thread goes on when the caller has left; it counts until it is done.
        future.add_done_callback(self._done)
        try:
            return await asyncio.wait_for(asyncio.shield(future), self._deadline)
        except TimeoutError:
            raise Unavailable("The server took too long to answer.", remedy="Try again in a moment.") from None

    def _done(self, future: asyncio.Future[T]) -> None:
        self._running -= 1
        if not future.cancelled():
            future.exception()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
