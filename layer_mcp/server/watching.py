"""Looking at several runs at once: each no oftener than Layer asks, until any or all have ended."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Literal

import anyio

from ..errors import LayerError
from ..journal.entries import RunEntry, RunFilter
from .at_once import each
from .following import told
from .journal_use import read
from .progress import ended_reporter
from .refreshing import refreshed, run_of
from .state import ToolContext, app_of

WaitFor = Literal["none", "any", "all"]

MAX_WATCHED = 100
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
            await each(under_way, partial(refreshed, app))
            unsaved = await _unsaved(wanted, tried, context)
            tried |= _ids(unsaved)
            await each(unsaved, partial(_bring_home, context, began))
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
    return await read(app_of(context).journal.runs.listed(wanted, limit))


async def _unsaved(wanted: RunFilter, tried: set[str], context: ToolContext) -> list[RunEntry]:
    """The finished runs whose files the settings want here, and that were not tried before."""
    if app_of(context).settings.output_dir is None:
        return []
    return [
        entry
        for entry in await listed(wanted, MAX_WATCHED, context)
        if entry.local_id not in tried
        and entry.status == "complete"
        and entry.folder is None
        and entry.outcome.outputs
    ]


def _ids(entries: Sequence[RunEntry]) -> set[str]:
    return {entry.local_id for entry in entries}


async def _bring_home(context: ToolContext, began: float, entry: RunEntry) -> None:
    run = run_of(app_of(context), entry)
    # The list is as good without: the next one tries again.
    with suppress(LayerError):
        await told(run, context, wait_seconds=0, preview=False, began=began)
