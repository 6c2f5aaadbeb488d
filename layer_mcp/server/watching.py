"""Looking at several runs at once: each no oftener than Layer asks, until any or all have ended."""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Literal

import anyio

from ..api.errors import LayerError
from ..api.polling import DONE_STATUSES
from ..journal.entries import RunEntry, RunFilter, RunTotals
from .following import told
from .journal_use import journal_error
from .progress import ended_reporter
from .refreshing import refreshed, run_of
from .state import App, ToolContext, app_of

WaitFor = Literal["none", "any", "all"]

MAX_WATCHED = 100
LOOKS_AT_ONCE = 8
LOOK_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 1.0
SHORTEST_PAUSE_SECONDS = 0.05


async def watch(
    wanted: RunFilter, wait_for: WaitFor, context: ToolContext, *, began: float, seconds: float
) -> None:
    """Bring the running ones among the wanted runs up to date, and wait for any or all of them.

    Files of those that end are saved where the settings say so. With `wait_for` "any" one of those
    that run now has to end.

    Raises:
        LayerError: JOURNAL_UNAVAILABLE.
    """
    app = app_of(context)
    deadline = anyio.current_time() + seconds
    running = replace(wanted, state="running")
    under_way = await listed(running, MAX_WATCHED, context)
    at_first = _ids(under_way)
    tried: set[str] = set()
    report = ended_reporter(context, len(at_first))
    least_seconds = LOOK_SECONDS
    while True:
        with anyio.move_on_after(max(deadline - anyio.current_time(), least_seconds)):
            await _each(under_way, partial(refreshed, app))
            ended = await listed(wanted, MAX_WATCHED, context)
            unsaved = [run for run in ended if run.local_id not in tried and _wants(app, run)]
            tried |= _ids(unsaved)
            await _each(unsaved, partial(_bring_home, context, began))
        least_seconds = 0.0
        still = under_way = await listed(running, MAX_WATCHED, context)
        await report(len(at_first - _ids(still)))
        enough = not still or (wait_for == "any" and not at_first <= _ids(still))
        left_seconds = deadline - anyio.current_time()
        if wait_for == "none" or enough or left_seconds <= 0:
            return
        ids = [entry.run_id for entry in still if entry.run_id]
        pause_seconds = app.polls.pause_seconds(ids, LONGEST_PAUSE_SECONDS)
        await anyio.sleep(min(max(pause_seconds, SHORTEST_PAUSE_SECONDS), left_seconds))


async def listed(wanted: RunFilter, limit: int, context: ToolContext) -> list[RunEntry]:
    """The newest of the wanted runs.

    Raises:
        LayerError: JOURNAL_UNAVAILABLE.
    """
    try:
        return await app_of(context).journal.runs.listed(wanted, limit)
    except sqlite3.Error as error:
        raise journal_error(error) from None


async def totals_of(wanted: RunFilter, context: ToolContext) -> RunTotals:
    """What all of the wanted runs come to.

    Raises:
        LayerError: JOURNAL_UNAVAILABLE.
    """
    try:
        return await app_of(context).journal.runs.totals(wanted)
    except sqlite3.Error as error:
        raise journal_error(error) from None


def _ids(entries: Sequence[RunEntry]) -> set[str]:
    return {entry.local_id for entry in entries}


async def _each(entries: Sequence[RunEntry], work: Callable[[RunEntry], Awaitable[object]]) -> None:
    at_once = anyio.Semaphore(LOOKS_AT_ONCE)

    async def one(entry: RunEntry) -> None:
        async with at_once:
            await work(entry)

    async with anyio.create_task_group() as tasks:
        for entry in entries:
            tasks.start_soon(one, entry)


def _wants(app: App, entry: RunEntry) -> bool:
    """Whether the settings want the files of a run and they are not here yet."""
    return (
        app.settings.output_dir is not None
        and entry.status in DONE_STATUSES
        and entry.folder is None
        and bool(entry.outcome.outputs)
    )


async def _bring_home(context: ToolContext, began: float, entry: RunEntry) -> None:
    run = run_of(app_of(context), entry)
    # The list is as good without: the next one tries again.
    with suppress(LayerError):
        await told(run, context, wait_seconds=0, preview=False, began=began)
