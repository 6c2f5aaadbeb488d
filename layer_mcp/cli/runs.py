"""layer-mcp runs, status, and open: the runs started here, and one run with its files."""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from anyio import to_thread
from pydantic import Field

from ..api.fields import PageSize, Request, is_uuid
from ..arguments import parse_arguments
from ..runs.outputs import find_saved
from ..runs.service import Runs
from ..runs.types.filters import RunFilter, RunTotals
from ..runs.types.plain import without_nulls
from ..runs.types.run import Run
from ..runs.views import (
    count_noun,
    page_cursor,
    parse_cursor,
    parse_since,
    row_as_json,
)
from ..schema import portable_schema
from ..settings import Settings
from .parser import EXIT_FAILED, EXIT_OK, UsageError
from .reporting import with_runs
from .run_view import (
    RunView,
    Submission,
    command_line,
    explain_interrupt,
    finish_run,
    read_run,
    show_run,
)
from .screen.images import choose_image_display
from .screen.output import Column, Screen, line, plain, progress_bar, table

COLUMNS = (
    Column("prompt", "text"),
    Column("status"),
    Column("CU", "number"),
    Column("age", "number"),
    Column("file", "path", optional=True),
    Column("id"),
)
LAST = "last"
ID_PREFIX = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")
# Enough to distinguish a machine's runs, as Git does with commits.
SHORT_ID_LENGTH = 8
MAX_NAMED_RUNS = 3
OPENERS = ("open",) if sys.platform == "darwin" else ("xdg-open", "wslview")
ADDRESSES = ("http:", "https:")
REFRESH_SECONDS = 25
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


class _Page(Request):
    limit: PageSize = Field(default=20)


@dataclass(frozen=True)
class _RunList:
    """One page of runs, and the totals of all matching runs."""

    runs: Sequence[Run]
    rows: Sequence[dict[str, Any]]
    totals: RunTotals
    cursor: str | None
    journal_problem: str | None

    @property
    def warning(self) -> str | None:
        """Why the runs of other commands are missing, if they are."""
        problem = self.journal_problem
        return f"Runs are only kept in memory: {problem}." if problem else None


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
    is_brief = screen.stdout.is_terminal
    rows = [
        _cells(run, row, is_brief=is_brief) for run, row in zip(found.runs, found.rows, strict=True)
    ]
    if rows:
        screen.show(*table(COLUMNS, rows, screen.stdout))
    totals = found.totals
    spent = f"{totals.spent_creative_units:g} CU spent"
    screen.note(f"{count_noun(totals.count, 'run')}, {totals.running} running, {spent}.")
    if found.warning:
        screen.note(found.warning)
    if found.cursor:
        screen.note(f"To see more, add --cursor {shlex.quote(found.cursor)}")
    return EXIT_OK


def show_status(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Show a run, or wait for it to end; save a finished run's files, once.

    Raises:
        UsageError: RUN names no run, or several.
        LayerError: the run can't be read.
    """
    settings = replace(settings, output_dir=options.out or settings.output_dir)
    pictures = choose_image_display("never" if options.json else options.picture)
    submission = Submission()
    with explain_interrupt(submission, screen, options), progress_bar(screen.stderr) as bar:

        async def work(runs: Runs) -> RunView:
            run_id = await find_run_id(runs, options.run_id, options.workspace)
            submission.run_id = run_id if options.wait else None
            run = await read_run(runs, run_id, bar, wait=options.wait)
            # Without --out, the files stay where they were saved before.
            folder = None if options.out else run.folder
            return await finish_run(runs, run, bar, folder, preview=pictures.is_enabled)

        view = with_runs(settings, work)
    return show_run(view, screen, pictures, options)


def open_files(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Open the saved file of a run, or its folder, with the system's program.

    Raises:
        UsageError: RUN names no run, or several.
        LayerError: the journal can't be read.
    """

    async def work(runs: Runs) -> tuple[str, Sequence[Path]]:
        run_id = await find_run_id(runs, options.run_id, options.workspace)
        run = await runs.find(run_id)
        folder = run.folder if run else None
        saved = find_saved(folder, run_id, runs.folders.private()) if folder else None
        return run_id, list(saved.present().values()) if saved else []

    run_id, paths = with_runs(settings, work)
    if not paths:
        screen.note(
            f"layer-mcp: No file of run {run_id} is saved on this machine. To save its files, run "
            f"{command_line(['status', run_id], options)}."
        )
        return EXIT_FAILED
    is_one = len(paths) == 1 and not options.folder
    path = paths[0] if is_one else paths[0].parent
    screen.show(line(plain(path)))
    if _open_with_system(path):
        return EXIT_OK
    screen.note("layer-mcp: The system couldn't open it.")
    return EXIT_FAILED


async def find_run_id(runs: Runs, text: str, workspace: str | None) -> str:
    """Return the ID of the newest run for "last", or of the run whose ID begins with a text.

    A complete ID is returned unchanged, because the run may come from another machine.

    Raises:
        UsageError: no run of this machine matches, or several do.
    """
    wanted = text.strip().lower()
    if is_uuid(wanted):
        return wanted
    prefix = "" if wanted == LAST else wanted
    if prefix and not ID_PREFIX.fullmatch(prefix):
        raise UsageError('RUN must be an ID, at least the first 4 characters of one, or "last".')
    filters = RunFilter(
        id_prefix=prefix,
        workspace_id=await runs.client.workspace_id(workspace) if workspace else None,
    )
    found = await runs.list(filters, MAX_NAMED_RUNS + 1 if prefix else 1)
    ids = [run.run_id for run in found if run.run_id is not None]
    if len(ids) == 1:
        return ids[0]
    if not ids:
        which = f"begins with {prefix}" if prefix else "was started here"
        raise UsageError(f"No run {which}. To list your runs, run layer-mcp runs.")
    more = " and others" if len(ids) > MAX_NAMED_RUNS else ""
    named = ", ".join(ids[:MAX_NAMED_RUNS])
    raise UsageError(f"Several runs begin with {prefix}: {named}{more}. Add more characters.")


def _open_with_system(path: Path) -> bool:
    """Open a file or a folder with its default program; return whether the system could."""
    if sys.platform == "win32":
        os.startfile(path)  # noqa: S606  a file that layer-mcp saved
        return True
    opener = next(filter(None, map(shutil.which, OPENERS)), None)
    return opener is not None and subprocess.run([opener, path], check=False).returncode == 0  # noqa: S603


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
        # All rows have the same one.
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
    }
    return without_nulls(content)


def _cells(run: Run, row: dict[str, Any], *, is_brief: bool) -> list[str | None]:
    """Return the cells of a row, with short IDs and paths for a terminal."""
    price, estimate = run.actual_price_creative_units, run.estimated_price_creative_units
    files = [file for file in row.get("files", []) if not file.startswith(ADDRESSES)]
    files = [_brief_path(Path(file)) for file in files] if is_brief else files
    more_count = len(files) - 1 + row.get("more_files", 0)
    return [
        row.get("error") or row.get("prompt") or "-",
        run.state,
        f"{price:g}" if price is not None else f"about {estimate:g}" if estimate else None,
        _describe_age(run.created_at),
        (f"{files[0]} and {more_count} more" if more_count else files[0]) if files else None,
        (run.run_id or "-")[: SHORT_ID_LENGTH if is_brief else None],
    ]


def _brief_path(path: Path) -> str:
    """Return a path relative to the current folder or to the home folder, if it is in one."""
    for folder, start in ((Path.cwd(), ""), (Path.home(), "~/")):
        if path.is_relative_to(folder):
            return f"{start}{path.relative_to(folder).as_posix()}"
    return f"{path}"


def _describe_age(created_at: datetime) -> str:
    seconds = max(time.time() - created_at.timestamp(), 0.0)
    name, size = next((unit for unit in UNITS if seconds >= 2 * unit[1]), UNITS[-1])
    return f"{seconds / size:.0f} {name}"
