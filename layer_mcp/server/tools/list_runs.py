"""list_runs: what was started from here, what it cost, and a wait for several runs at once."""

import time
from dataclasses import replace

import anyio
from anyio import to_thread
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import Field

from ...api.fields import Id, NonNegativeNumber, PageSize, Request
from ...errors import LayerError
from ...journal.entries import RunEntry, RunFilter, RunState
from ..common import WORKSPACE, adding, counted, fitting, next_page, reading
from ..journal_use import read
from ..results import Answer
from ..run_rows import RunRow, run_row
from ..since import seconds_since_1970
from ..state import ToolContext, app_of
from ..tool import make_tool
from ..waiting import capped_wait_seconds
from ..watching import WaitFor, listed, watch

DESCRIPTION = """\
Runs started from this machine, newest first, with prices and files; also those whose answer was \
lost. Waits for any or all of them in one call. Free."""


class ListRunsArguments(Request, ArgModelBase):
    """Which runs, and whether to wait for them."""

    status: RunState | None = Field(default=None, description="Only these.")
    since: str | None = Field(default=None, description="30m, 24h, 7d or a date.")
    batch_id: str | None = Field(default=None, max_length=64, description="From execute_batch.")
    inference_ids: list[Id] = Field(default=[], max_length=100, description="Only these runs.")
    workspace_id: str | None = WORKSPACE
    wait_for: WaitFor = Field(default="none", description="Wait until any or all have ended.")
    wait_seconds: NonNegativeNumber = Field(default=25, description="At most this long.")
    limit: PageSize = Field(default=20, description="Rows.")
    cursor: str | None = Field(
        default=None, max_length=100, description="next_cursor of the page before."
    )


class RunsAnswer(Answer):
    """The runs and what all that the filters find come to."""

    runs: list[RunRow]
    total: int
    running: int
    estimated_creative_units: float
    spent_creative_units: float
    next_cursor: str | None = None
    warning: str | None = None

    def facts(self) -> list[str]:
        """The totals, then a line for each run."""
        runs = f"{counted(self.total, 'run')}, {self.running} running"
        spent = f"{self.spent_creative_units:g} CU spent"
        totals = f"{runs}: {spent}, {self.estimated_creative_units:g} CU estimated."
        lines = [totals, *(row.line() for row in self.runs)]
        return [*lines, self.warning] if self.warning else lines


async def list_runs(arguments: ListRunsArguments, context: ToolContext) -> RunsAnswer:
    """Look at what still runs, wait if asked, then list one page."""
    began = anyio.current_time()
    wanted = await _filter(arguments, context)
    seconds = capped_wait_seconds(arguments.wait_seconds, began, context)
    await watch(wanted, arguments.wait_for, context, began=began, seconds=seconds)
    wanted = replace(wanted, state=arguments.status)
    page = replace(wanted, before=_before(arguments))
    entries = await listed(page, arguments.limit + 1, context)
    rows = await to_thread.run_sync(_rows, entries[: arguments.limit], arguments)
    totals = await read(app_of(context).journal.runs.totals(wanted))
    shown = fitting(rows)
    more = len(entries) > len(shown)
    cursor = _cursor(entries[len(shown) - 1]) if more and shown else None
    return RunsAnswer(
        runs=shown,
        total=totals.count,
        running=totals.running,
        estimated_creative_units=totals.estimated_creative_units,
        spent_creative_units=totals.spent_creative_units,
        next_cursor=cursor,
        warning=_warning(context),
        next_step=_next_step(arguments, totals.running, rows)
        + next_page("list_runs", 0, 0, cursor),
    )


async def _filter(arguments: ListRunsArguments, context: ToolContext) -> RunFilter:
    workspace = arguments.workspace_id
    client = app_of(context).client
    return RunFilter(
        since=seconds_since_1970(arguments.since, time.time()) if arguments.since else None,
        workspace_id=await client.workspace_id(workspace) if workspace else None,
        batch_id=arguments.batch_id,
        run_ids=tuple(arguments.inference_ids) or None,
    )


def _rows(entries: list[RunEntry], arguments: ListRunsArguments) -> list[RunRow]:
    rows = [run_row(entry) for entry in entries]
    if arguments.batch_id is None:
        return rows
    return [row.model_copy(update={"batch_id": None}) for row in rows]


def _cursor(entry: RunEntry) -> str:
    return f"{entry.created_at!r}-{entry.local_id}"


def _before(arguments: ListRunsArguments) -> tuple[float, str] | None:
    if arguments.cursor is None:
        return None
    created_at, _, local_id = arguments.cursor.partition("-")
    try:
        return float(created_at), local_id
    except ValueError:
        raise LayerError("INVALID_ARGUMENTS", "cursor must be a next_cursor.") from None


def _warning(context: ToolContext) -> str | None:
    problem = app_of(context).journal.problem
    return f"Nothing is kept between runs: {problem}." if problem else None


def _next_step(arguments: ListRunsArguments, running: int, rows: list[RunRow]) -> str:
    if running:
        word = "all" if arguments.wait_for == "none" else arguments.wait_for
        return f"{running} still run: call list_runs again with wait_for {word}."
    if any(row.status == "unknown" for row in rows):
        return "Look in Layer (app.layer.ai) for the unknown ones before starting them again."
    if not rows:
        return "Nothing was started that fits; leave filters out to see all."
    return "get_status shows a run and a picture of it; save_outputs saves its files."


def list_runs_tool(*, saves_by_itself: bool) -> Tool:
    """The tool as the server publishes it; one that saves files is not marked as reading only."""
    return make_tool(
        list_runs,
        title="Runs and their prices",
        description=DESCRIPTION,
        arguments=ListRunsArguments,
        answer=RunsAnswer,
        annotations=adding() if saves_by_itself else reading(),
    )
