"""The same work for several things at once, a few at a time."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio

ItemT = TypeVar("ItemT")

AT_ONCE = 8


async def each(items: Iterable[ItemT], work: Callable[[ItemT], Awaitable[object]]) -> None:
    """Do the work for every item; returns when all is done."""
    places = anyio.Semaphore(AT_ONCE)

    async def one(item: ItemT) -> None:
        async with places:
            await work(item)

    async with anyio.create_task_group() as tasks:
        for item in items:
            tasks.start_soon(one, item)
