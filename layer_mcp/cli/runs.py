"""layer-mcp runs and status: what was started from this machine, and one run with its files."""

import argparse
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from anyio import to_thread
from pydantic import Field

from ..api.fields import PageSize, Request, is_uuid
from ..arguments import parse_arguments
from ..next_steps import after_runs, next_page
from ..runs.service import Runs
from ..runs.types import Run, RunFilter, RunTotals, without_nulls
from ..runs.views import (
    count_noun,
    page_cursor,
    parse_cursor,
    parse_since,
    row_as_json,
)
from ..schema import portable_schema
from ..settings import Settings
from .images import choose_image_display
from .output import Column, Screen, progress_bar, table
from .parser import EXIT_OK, UsageError
from .reporting import with_runs
from .run_view import (
    RunView,
    Submission,
    explain_interrupt,
    finish_run,
    read_run,
    show_run,
)

COLUMNS = (
    Column("id"),
    Column("status"),
    Column("CU", "number"),
    Column("age", "number"),
    Column("prompt", "text"),
    Column("file", optional=True),
)
ADDRESSES = ("http:", "https:")
REFRESH_SECONDS = 25
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


class _Page(Request):
    limit: PageSize = Field(default=20)


@dataclass(frozen=True)
class _RunList:
    """One page of runs, and what a filter finds in all."""

    runs: Sequence[Run]
    rows: Sequence[dict[str, Any]]
    totals: RunTotals
    cursor: str | None
    journal_problem: str | None

    @property
    def warning(self) -> str | None:
        """Why the runs of other commands are missing, if they are."""
        problem = self.journal_problem
        return f"Nothing is kept between runs: {problem}." if problem else None


def list_runs(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """List runs, newest first; the state of running ones is refreshed.

    Raises:
        LayerError: an option is invalid, or the journal can't be read.
    """
    with progress_bar(screen.stderr):

        async def work(runs: Runs) -> _RunList:
            return await _read_list(runs, options)

        found = with_runs(settings, work)
    if options.json:
        screen.show_json(_list_as_json(found), is_simulated=settings.sandbox)
        return EXIT_OK
    if settings.sandbox:
        screen.note("Runs of a simulated Layer are not remembered between commands.")
    rows = [_cells(run, row) for run, row in zip(found.runs, found.rows, strict=True)]
    if rows:
        screen.show(*table(COLUMNS, rows, screen.stdout))
    totals = found.totals
    spent = f"{totals.spent_creative_units:g} CU spent"
    screen.note(f"{count_noun(totals.count, 'run')}, {totals.running} running, {spent}.")
    if found.warning:
        screen.note(found.warning)
    if found.cursor:
        screen.note(f"There are more: add --cursor {shlex.quote(found.cursor)}")
    return EXIT_OK


def show_status(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Show a run, or wait for its end; a finished run's files are saved, once.

    Raises:
        UsageError: RUN_ID is no ID.
        LayerError: the run can't be read.
    """
    if not is_uuid(options.run_id):
        raise UsageError("RUN_ID must be the whole id of a run; layer-mcp runs lists them.")
    settings = replace(settings, output_dir=options.out or settings.output_dir)
    pictures = choose_image_display("never" if options.json else options.picture)
    submission = Submission(options.run_id if options.wait else None)
    with explain_interrupt(submission, screen, options), progress_bar(screen.stderr) as bar:

        async def work(runs: Runs) -> RunView:
            known = await runs.find(options.run_id)
            is_workflow = known is not None and known.request.kind == "workflow"
            workflow_id = known.request.subject_id if known and is_workflow else None
            run = await read_run(
                runs, options.run_id, bar, workflow_id=workflow_id, wait=options.wait
            )
            # Without --out the files stay where they were saved before.
            folder = None if options.out else run.folder
            return await finish_run(runs, run, bar, folder, preview=pictures.is_enabled)

        view = with_runs(settings, work)
    return show_run(view, screen, pictures, options)


async def _read_list(runs: Runs, options: argparse.Namespace) -> _RunList:
    limit = parse_arguments(_Page, portable_schema(_Page), {"limit": options.limit}).limit
    workspace = options.workspace
    wanted = RunFilter(
        since=parse_since(options.since, time.time()) if options.since else None,
        workspace_id=await runs.client.workspace_id(workspace) if workspace else None,
        batch_id=options.batch,
    )
    await runs.wait_many(wanted, "none", REFRESH_SECONDS)
    wanted = replace(wanted, status=options.status)
    page = replace(wanted, before=parse_cursor(options.cursor))
    found = await runs.list(page, limit + 1)
    shown = found[:limit]
    private = runs.folders.private()
    rows = [await to_thread.run_sync(row_as_json, run, private) for run in shown]
    if options.batch:
        # It is the same in all of them.
        for row in rows:
            row.pop("batch_id", None)
    return _RunList(
        shown,
        rows,
        await runs.totals(wanted),
        page_cursor(shown[-1]) if len(found) > limit else None,
        runs.journal_problem,
    )


def _list_as_json(found: _RunList) -> dict[str, Any]:
    totals = found.totals
    content = {
        "runs": found.rows,
        "total": totals.count,
        "running": totals.running,
        "estimated_creative_units": totals.estimated_creative_units,
        "spent_creative_units": totals.spent_creative_units,
        "next_cursor": found.cursor,
        "warning": found.warning,
        "next_step": after_runs(found.runs, totals.running)
        + next_page("list_runs", 0, 0, found.cursor),
    }
    return without_nulls(content)


def _cells(run: Run, row: dict[str, Any]) -> list[str | None]:
    price, estimate = run.actual_price_creative_units, run.estimated_price_creative_units
    files = [file for file in row.get("files", []) if not file.startswith(ADDRESSES)]
    more_count = len(files) - 1 + row.get("more_files", 0)
    return [
        run.run_id or "no id",
        run.state,
        f"{price:g}" if price is not None else f"about {estimate:g}" if estimate else None,
        _describe_age(run.created_at),
        row.get("error") or row.get("prompt"),
        (f"{files[0]} and {more_count} more" if more_count else files[0]) if files else None,
    ]


def _describe_age(created_at: float) -> str:
    seconds = max(time.time() - created_at, 0.0)
    name, size = next((unit for unit in UNITS if seconds >= 2 * unit[1]), UNITS[-1])
    return f"{seconds / size:.0f} {name}"
