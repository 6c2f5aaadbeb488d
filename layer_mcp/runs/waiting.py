"""Wait for several runs, each read no sooner than Layer asks."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Literal

import anyio

from .activity import PollTimes, WaitRegistry, for_each_limited
from .planning import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from .types.filters import RunFilter
from .types.run import Run

WaitFor = Literal["none", "any", "all"]
OnEnded = Callable[[int, int], Awaitable[None]]
"""Called with the number of awaited runs that have ended, and the number of all awaited runs."""

# The key of a wait for several runs.
ANY_RUN = ""
LOOK_SECONDS = 10.0
MAX_WATCHED = 100


async def wait_for_runs(
    wanted: RunFilter,
    wait_for: WaitFor,
    seconds: float,
    *,
    list_runs: Callable[[RunFilter, int], Awaitable[Sequence[Run]]],
    refresh: Callable[[Run], Awaitable[Run]],
    save: Callable[[Run], Awaitable[object]] | None,
    polls: PollTimes,
    waits: WaitRegistry,
    on_ended: OnEnded | None,
) -> None:
    """Refresh the active runs, and wait for any or all of them; see `Runs.wait_many`.

    `save` saves the files of runs that have ended, once each.
    """
    deadline = anyio.current_time() + seconds
    running = replace(wanted, status="running")
    active = await list_runs(running, MAX_WATCHED)
    first = {run.key for run in active}
    tried: set[str] = set()
    least_seconds = LOOK_SECONDS
    while True:
        with anyio.move_on_after(max(deadline - anyio.current_time(), least_seconds)):
            await for_each_limited(active, refresh)
            if save is not None:
                unsaved = _find_unsaved(await list_runs(wanted, MAX_WATCHED), tried)
                tried |= {run.key for run in unsaved}
                await for_each_limited(unsaved, save)
        least_seconds = 0.0
        active = await list_runs(running, MAX_WATCHED)
        left = {run.key for run in active}
        if on_ended is not None:
            await on_ended(len(first - left), len(first))
        is_enough = not active or (wait_for == "any" and not first <= left)
        left_seconds = deadline - anyio.current_time()
        if wait_for == "none" or is_enough or left_seconds <= 0:
            return
        ids = [run.run_id for run in active if run.run_id]
        pause_seconds = polls.seconds_until_due(ids, LONGEST_PAUSE_SECONDS)
        with waits.register(ANY_RUN):
            await anyio.sleep(min(max(pause_seconds, FIRST_PAUSE_SECONDS), left_seconds))
        if waits.are_stopped:
            return


def _find_unsaved(runs: Sequence[Run], tried: set[str]) -> list[Run]:
    """Return the finished runs to save, except those tried before."""
    return [
        run
        for run in runs
        if run.state == "complete" and run.key not in tried and run.folder is None and run.outputs
    ]
