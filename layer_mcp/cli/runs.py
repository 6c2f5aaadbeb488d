"""layer-mcp runs: what was started from this machine, and its price."""

import argparse
import shlex
import time
from datetime import datetime
from typing import Any

from ..settings import Settings
from .connection import Server, ToolAnswer, with_server
from .output import Column, Screen, table
from .parser import EXIT_OK
from .progress import progress_bar

COLUMNS = (
    Column("id"),
    Column("status"),
    Column("CU", "number"),
    Column("age", "number"),
    Column("prompt", "text"),
    Column("file", optional=True),
)
ADDRESSES = ("http:", "https:")
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def run(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """List runs, newest first; those that run are looked at.

    Raises:
        RefusedError: they cannot be listed.
    """
    query = {
        "status": options.status,
        "since": options.since,
        "batch_id": options.batch,
        "limit": options.limit,
        "cursor": options.cursor,
        "workspace_id": options.workspace,
    }

    async def work(server: Server) -> ToolAnswer:
        return await server.call("list_runs", query)

    with progress_bar(screen.stderr):
        answer = with_server(settings, work)
    content = answer.content
    if options.json:
        screen.show_json(content)
        return EXIT_OK
    if settings.sandbox:
        screen.note("Runs of a simulated Layer are not remembered between commands.")
    rows = [_row(row, time.time()) for row in content["runs"]]
    if rows:
        screen.show(*table(COLUMNS, rows, screen.stdout))
    screen.note(_totals(content))
    if content.get("warning"):
        screen.note(content["warning"])
    if content.get("next_cursor"):
        screen.note(f"There are more: add --cursor {shlex.quote(content['next_cursor'])}")
    return EXIT_OK


def _row(row: dict[str, Any], now: float) -> list[str | None]:
    price = row.get("actual_price_creative_units")
    estimate = row.get("estimated_price_creative_units")
    files = [file for file in row.get("files", []) if not file.startswith(ADDRESSES)]
    more = len(files) - 1 + row.get("more_files", 0)
    return [
        row.get("inference_id") or row.get("run_id") or "no id",
        row["status"],
        f"{price:g}" if price is not None else f"about {estimate:g}" if estimate else None,
        _age(row["asked_at"], now),
        row.get("error") or row.get("prompt"),
        (f"{files[0]} and {more} more" if more else files[0]) if files else None,
    ]


def _age(asked_at: str, now: float) -> str:
    seconds = max(now - datetime.fromisoformat(asked_at).timestamp(), 0.0)
    name, size = next((unit for unit in UNITS if seconds >= 2 * unit[1]), UNITS[-1])
    return f"{seconds / size:.0f} {name}"


def _totals(content: dict[str, Any]) -> str:
    noun = "run" if content["total"] == 1 else "runs"
    spent = f"{content['spent_creative_units']:g} CU spent"
    return f"{content['total']} {noun}, {content['running']} running, {spent}."
