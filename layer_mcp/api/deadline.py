"""A time limit for an exchange that isn't used up while the process is paused."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

TICK_SECONDS = 0.5

ResultT = TypeVar("ResultT")


async def run_within(seconds: float, work: Callable[[], Awaitable[ResultT]]) -> ResultT | None:
    """Return what `work` returns, or None if it takes longer; `work` must not raise.

    If a process is stopped or its machine suspended while a response arrives, an ordinary timer is
    overdue and fires before the response is read. Here, only the time that the process runs counts.
    """
    result: ResultT | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_after, seconds, tasks.cancel_scope)
        result = await work()
        tasks.cancel_scope.cancel()
    return result


async def _cancel_after(seconds: float, scope: anyio.CancelScope) -> None:
    left_seconds = seconds
    while left_seconds > 0:
        tick_seconds = min(TICK_SECONDS, left_seconds)
        began_at = anyio.current_time()
        await anyio.sleep(tick_seconds)
        was_paused = anyio.current_time() - began_at > tick_seconds + TICK_SECONDS
        left_seconds -= 0 if was_paused else tick_seconds
    scope.cancel()
