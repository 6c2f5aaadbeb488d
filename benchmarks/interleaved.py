"""Calls of several kinds in mixed order, so that noise hits all alike."""

import random
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping

Call = Callable[[], Awaitable[None]]
"""Makes one call and checks its answer."""


async def interleaved_medians_ms(
    kinds: Mapping[str, Call], calls: int, *, warm_up_calls: int
) -> dict[str, float]:
    """Call each kind once a round, in an order that changes; the first rounds do not count."""
    elapsed_ms = await interleaved_ms(kinds, calls, warm_up_calls=warm_up_calls)
    return {name: statistics.median(times) for name, times in elapsed_ms.items()}


async def interleaved_ms(
    kinds: Mapping[str, Call],
    calls: int,
    *,
    warm_up_calls: int,
    after_each: Call | None = None,
) -> dict[str, list[float]]:
    """What the medians are of; `after_each` is made untimed after each call."""
    elapsed_ms: dict[str, list[float]] = {name: [] for name in kinds}
    order, chance = list(kinds), random.Random(0)
    for round_number in range(warm_up_calls + calls):
        chance.shuffle(order)
        for name in order:
            start = time.perf_counter()
            await kinds[name]()
            if round_number >= warm_up_calls:
                elapsed_ms[name].append((time.perf_counter() - start) * 1000)
            if after_each is not None:
                await after_each()
    return elapsed_ms
