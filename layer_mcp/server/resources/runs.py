"""The journal as resources: the newest runs, and all that is known of one."""

from collections.abc import Mapping

from anyio import to_thread

from ...errors import LayerError
from ...journal.entries import RunEntry, RunFilter
from ..journal_use import read
from ..run_rows import run_row
from ..state import ToolContext, app_of
from .addresses import RUN, RUNS, RUNS_WITH_LIMIT
from .resource import LayerResource, Reading, as_json

MAX_RUNS = 50
MAX_ID_LENGTH = 60


async def read_runs(context: ToolContext, values: Mapping[str, str]) -> Reading:
    """The newest runs.

    Raises:
        LayerError: INVALID_ARGUMENTS or JOURNAL_UNAVAILABLE.
    """
    entries = await _listed(context, RunFilter(), _limit(values.get("limit", "")))
    rows = await to_thread.run_sync(lambda: [run_row(entry) for entry in entries])
    return Reading(as_json([row.model_dump(exclude_none=True) for row in rows]))


async def read_run(context: ToolContext, values: Mapping[str, str]) -> Reading:
    """All that is known of one run.

    Raises:
        LayerError: RUN_NOT_FOUND or JOURNAL_UNAVAILABLE.
    """
    run_id = values["inference_id"]
    found = await _listed(context, RunFilter(run_ids=(run_id.lower(),)), 1)
    if not found:
        sentence = f"No run {run_id[:MAX_ID_LENGTH]} was started from here."
        raise LayerError("RUN_NOT_FOUND", sentence, next_step=f"Read {RUNS} for those that were.")
    row = await to_thread.run_sync(run_row, found[0])
    facts = {"facts": found[0].facts, "outputs": found[0].outcome.outputs}
    return Reading(as_json(row.model_dump(exclude_none=True) | facts))


async def _listed(context: ToolContext, wanted: RunFilter, limit: int) -> list[RunEntry]:
    return await read(app_of(context).journal.runs.listed(wanted, limit))


def _limit(text: str) -> int:
    if not text:
        return MAX_RUNS
    try:
        return min(max(int(text), 1), MAX_RUNS)
    except ValueError:
        raise LayerError("INVALID_ARGUMENTS", "limit must be a whole number.") from None


RUNS_RESOURCE = LayerResource(
    name="runs",
    title="Runs started from this machine",
    description="The newest first, with status, price and files.",
    read=read_runs,
    address=RUNS,
    template=RUNS_WITH_LIMIT,
)
RUN_RESOURCE = LayerResource(
    name="run",
    title="One run",
    description="What was asked, what it cost, what it made; also for a workflow's run_id.",
    read=read_run,
    template=RUN,
)
