"""list_runs: list the runs started here with their prices, or wait for several runs."""

import time
from dataclasses import replace

from anyio import to_thread
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import Field

from ...api.fields import Id, NonNegativeNumber, PageSize, Request
from ...next_steps import after_runs, next_page
from ...runs.service import Runs
from ...runs.types.filters import RunFilter, StatusFilter
from ...runs.types.run import Run
from ...runs.views import count_noun, page_cursor, parse_cursor, parse_since, row_as_json
from ...runs.waiting import WaitFor
from ..answers import WORKSPACE, Answer, additive, fit_rows, read_only
from ..client_quirks import choose_wait
from ..context import ToolContext, app_of, begin_call, report_ended, runs_for
from ..run_answers import RunRow
from ..tool import make_tool

DESCRIPTION = """\
List runs started from this machine, newest first, with prices and files, including runs whose \
response was lost. Can wait for any or all of them. Free."""


class ListRunsArguments(Request, ArgModelBase):
    """The filters, and whether to wait for the runs."""

    status: StatusFilter | None = Field(default=None, description="Only this status.")
    since: str | None = Field(default=None, description="30m, 24h, 7d, or a date.")
    batch_id: str | None = Field(default=None, max_length=64, description="From execute_batch.")
    inference_ids: list[Id] = Field(default=[], max_length=100, description="Only these runs.")
    workspace_id: str | None = WORKSPACE
    wait_for: WaitFor = Field(default="none", description="Wait until any or all have ended.")
    wait_seconds: NonNegativeNumber = Field(default=25, description="Maximum wait.")
    limit: PageSize = Field(default=20, description="Rows.")
    cursor: str | None = Field(
        default=None, max_length=100, description="next_cursor of the previous page."
    )


class RunsAnswer(Answer):
    """The runs, and the number and total prices of all matching runs."""

    runs: list[RunRow]
    total: int
    running: int
    estimated_creative_units: float
    spent_creative_units: float
    next_cursor: str | None = None
    warning: str | None = None

    def facts(self) -> list[str]:
        """Return the totals, then a line for each run."""
        runs = f"{count_noun(self.total, 'run')}, {self.running} running"
        spent = f"{self.spent_creative_units:g} CU spent"
        totals = f"{runs}: {spent}, {self.estimated_creative_units:g} CU estimated."
        lines = [totals, *(row.line() for row in self.runs)]
        return [*lines, self.warning] if self.warning else lines


async def list_runs(arguments: ListRunsArguments, context: ToolContext) -> RunsAnswer:
    """Refresh the active runs, wait if requested, then list one page."""
    budget, runs = begin_call(context), runs_for(context)
    wanted = await _filter(arguments, context)
    await runs.wait_many(
        wanted,
        arguments.wait_for,
        budget.cap(choose_wait(arguments, context)),
        on_ended=report_ended(context),
    )
    wanted = replace(wanted, status=arguments.status)
    page = replace(wanted, before=parse_cursor(arguments.cursor))
    found = await runs.list(page, arguments.limit + 1)
    rows = await to_thread.run_sync(_rows, runs, found[: arguments.limit], arguments)
    totals = await runs.totals(wanted)
    shown = fit_rows(rows)
    more = len(found) > len(shown)
    cursor = page_cursor(found[len(shown) - 1]) if more and shown else None
    can_save = app_of(context).can_save
    return RunsAnswer(
        runs=shown,
        total=totals.count,
        running=totals.running,
        estimated_creative_units=totals.estimated_creative_units,
        spent_creative_units=totals.spent_creative_units,
        next_cursor=cursor,
        warning=_journal_warning(runs),
        next_step=after_runs(
            found[: arguments.limit], totals.running, arguments.wait_for, can_save=can_save
        )
        + next_page("list_runs", 0, 0, cursor),
    )


def _journal_warning(runs: Runs) -> str | None:
    problem = runs.journal_problem
    if problem is None:
        return None
    # The problem names a folder of the server.
    reason = f": {problem}" if runs.settings.uses_disk else ""
    return f"Runs aren't remembered when the server stops{reason}."


async def _filter(arguments: ListRunsArguments, context: ToolContext) -> RunFilter:
    workspace = arguments.workspace_id
    client = runs_for(context).client
    return RunFilter(
        since=parse_since(arguments.since, time.time()) if arguments.since else None,
        workspace_id=await client.workspace_id(workspace) if workspace else None,
        batch_id=arguments.batch_id,
        run_ids=tuple(arguments.inference_ids) or None,
    )


def _rows(runs: Runs, shown: list[Run], arguments: ListRunsArguments) -> list[RunRow]:
    private = runs.folders.private()
    rows = [RunRow(**row_as_json(run, private)) for run in shown]
    if arguments.batch_id is None:
        return rows
    return [row.model_copy(update={"batch_id": None}) for row in rows]


def list_runs_tool(*, saves_by_itself: bool) -> Tool:
    """Return the tool as the server publishes it; one that saves files is not read-only."""
    return make_tool(
        list_runs,
        title="Runs and their prices",
        description=DESCRIPTION,
        arguments=ListRunsArguments,
        answer=RunsAnswer,
        annotations=additive() if saves_by_itself else read_only(),
    )
