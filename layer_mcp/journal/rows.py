"""Rows of runs as values, and the conditions that find them."""

import json
import sqlite3
from pathlib import Path
from typing import Any

from .entries import Outcome, RunEntry, RunFilter

FOLDER = (
    "(SELECT folder FROM saved WHERE saved.api_url = runs.api_url AND saved.run_id = runs.run_id)"
)
STATE = """(CASE
    WHEN delivery IN ('unknown', 'not_sent') THEN delivery
    WHEN NOT has_ended THEN 'running'
    WHEN status IN ('complete', 'success') THEN 'complete'
    WHEN status IN ('failed', 'failure') THEN 'failed'
    ELSE 'stopped'
END)"""


def entries(connection: sqlite3.Connection, where: str, values: tuple[Any, ...]) -> list[RunEntry]:
    """The submissions that a condition finds, with the folder of their outputs."""
    sql = f"SELECT runs.*, {FOLDER} AS folder FROM runs WHERE {where}"
    return [_entry(row) for row in connection.execute(sql, values)]


def conditions(wanted: RunFilter, api_url: str) -> tuple[str, tuple[Any, ...]]:
    """A filter as SQL, and the values that it binds."""
    found: list[tuple[str, tuple[Any, ...]]] = [("api_url = ?", (api_url,))]
    if wanted.since is not None:
        found.append(("created_at >= ?", (wanted.since,)))
    if wanted.workspace_id is not None:
        found.append(("workspace_id = ?", (wanted.workspace_id,)))
    if wanted.batch_id is not None:
        found.append(("batch_id = ?", (wanted.batch_id,)))
    if wanted.run_ids is not None:
        marks = ", ".join("?" * len(wanted.run_ids))
        found.append((f"run_id IN ({marks})", wanted.run_ids))
    if wanted.state is not None:
        found.append((f"{STATE} = ?", (wanted.state,)))
    if wanted.before is not None:
        found.append(("(created_at, local_id) < (?, ?)", wanted.before))
    where = " AND ".join(condition for condition, _ in found)
    return where, tuple(value for _, values in found for value in values)


def json_object(text: str) -> dict[str, Any]:
    """The object that a text holds; an empty one for anything else."""
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError):
        return {}


def _entry(row: sqlite3.Row) -> RunEntry:
    outcome = json_object(row["outcome"])
    return RunEntry(
        local_id=row["local_id"],
        kind=row["kind"],
        workspace_id=row["workspace_id"],
        subject_id=row["subject_id"],
        delivery=row["delivery"],
        created_at=row["created_at"],
        batch_id=row["batch_id"],
        run_id=row["run_id"],
        status=row["status"],
        has_ended=bool(row["has_ended"]),
        estimated_price_creative_units=row["estimated_price"],
        actual_price_creative_units=row["actual_price"],
        facts=json_object(row["facts"]),
        outcome=Outcome(outcome.get("error"), outcome.get("outputs") or []),
        folder=Path(row["folder"]) if row["folder"] else None,
    )
