"""Background tasks whose failures are not lost."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from stead_agent.log import log


def background(coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Start a task; should it fail, the agent's log says so."""
    task = asyncio.create_task(coroutine, name=name)
    task.add_done_callback(_report)
    return task


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("%s failed", task.get_name(), exc_info=task.exception())


def settle(future: asyncio.Future[Any], value: Any) -> None:
    """Give a future its value, unless it has been cancelled or settled meanwhile."""
    if not future.done():
        future.set_result(value)
