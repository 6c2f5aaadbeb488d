"""What the journal knows of a run, brought up to date with what Layer says."""

import time
from typing import Any

from ..api.polling import is_terminal, poll_interval_seconds
from ..errors import LayerError
from ..journal.entries import Outcome, RunEntry
from ..journal.run_log import GONE
from .endings import note_end
from .following import Run, inference_run, workflow_run
from .state import App

GONE_CODES = ("INFERENCE_NOT_FOUND", "WORKFLOW_RUN_NOT_FOUND")
GONE_AFTER_SECONDS = 600


def run_of(app: App, entry: RunEntry) -> Run[Any]:
    """How the run of an entry that Layer confirmed is read."""
    run_id = entry.run_id or ""
    if entry.kind == "workflow":
        return workflow_run(app, entry.subject_id, run_id, entry.workspace_id)
    return inference_run(app, run_id, entry.workspace_id)


async def refreshed(app: App, entry: RunEntry) -> RunEntry:
    """An entry after one look at Layer, if it runs and the look is due.

    What keeps Layer from answering leaves the entry as it is.
    """
    run_id = entry.run_id
    if run_id is None or not entry.is_running or not app.polls.take(run_id):
        return entry
    try:
        state = await run_of(app, entry).wait(0)
    except LayerError as error:
        app.polls.pause(run_id, poll_interval_seconds(error.retry_after_seconds))
        if is_gone(entry, error):
            await app.journal.runs.note_end(run_id, GONE, None, Outcome(), has_failed=False)
        return await app.journal.runs.known(entry)
    app.polls.note(run_id, state)
    if is_terminal(state.status):
        await note_end(app, state, run_id)
    return await app.journal.runs.known(entry)


def is_gone(entry: RunEntry, error: LayerError) -> bool:
    """Whether Layer does not have a run any more; one just started may not be everywhere yet."""
    is_old = time.time() - entry.created_at > GONE_AFTER_SECONDS
    return is_old and error.code in GONE_CODES
