"""A journal as layer-mcp wrote it in version 2, with the SQL of that version."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from layer_mcp.runs.journal.databases.sqlite import FILE_NAME

from .recorded_runs import API

OLD_ACCOUNT = "0123456789abcdef"
SCHEMA = """
CREATE TABLE uploads (
    api_url TEXT, workspace_id TEXT, sha256 TEXT, file_id TEXT NOT NULL,
    PRIMARY KEY (api_url, workspace_id, sha256)
);
CREATE TABLE runs (
    local_id TEXT PRIMARY KEY,
    api_url TEXT NOT NULL,
    account TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    batch_id TEXT,
    owner_id TEXT NOT NULL,
    delivery TEXT NOT NULL,
    created_at REAL NOT NULL,
    slot_at REAL,
    run_id TEXT,
    status TEXT,
    has_ended INTEGER NOT NULL DEFAULT 0,
    estimated_price REAL,
    actual_price REAL,
    counted_price REAL NOT NULL DEFAULT 0,
    facts TEXT NOT NULL,
    outcome TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE saved (
    api_url TEXT, run_id TEXT, folder TEXT NOT NULL, PRIMARY KEY (api_url, run_id)
);
CREATE INDEX runs_by_time ON runs (api_url, created_at);
CREATE INDEX runs_by_fingerprint ON runs (api_url, account, fingerprint);
CREATE INDEX runs_by_turn ON runs (api_url, account, slot_at);
CREATE INDEX runs_by_id ON runs (api_url, run_id, created_at);
CREATE INDEX runs_by_batch ON runs (api_url, batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX runs_not_answered ON runs (owner_id) WHERE delivery IN ('intended', 'sending');
PRAGMA user_version = 2;
"""


def old_run(local_id: str, delivery: str = "confirmed", **columns: Any) -> dict[str, Any]:
    """Return a row of the old table. A confirmed run's ID is derived from its row's."""
    is_confirmed = delivery == "confirmed"
    row: dict[str, Any] = {
        "local_id": local_id,
        "api_url": API,
        "account": OLD_ACCOUNT,
        "workspace_id": "w1",
        "kind": "inference",
        "subject_id": "model",
        "fingerprint": f"fingerprint of {local_id}",
        "owner_id": "ended long ago",
        "delivery": delivery,
        "created_at": 1_000_000.0,
        "slot_at": 1_000_001.0,
        "run_id": f"run-{local_id}" if is_confirmed else None,
        "status": "in_progress" if is_confirmed else None,
        "has_ended": int(delivery == "not_sent"),
        "estimated_price": 2.0,
        "counted_price": 2.0,
        "facts": {"workspace_id": "w1", "model_id": "model"},
        "outcome": {"error": None, "outputs": []},
    }
    row |= columns
    for name in ("facts", "outcome"):
        if not isinstance(row[name], str):
            row[name] = json.dumps(row[name])
    return row


def write_journal_v2(
    folder: Path,
    runs: Sequence[dict[str, Any]] = (),
    *,
    uploads: Sequence[tuple[str, str, str, str]] = (),
    saved: Sequence[tuple[str, str, str]] = (),
) -> Path:
    """Write a journal of version 2 into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(SCHEMA)
        for run in runs:
            names, marks = ", ".join(run), ", ".join(f":{name}" for name in run)
            database.execute(f"INSERT INTO runs ({names}) VALUES ({marks})", run)
        database.executemany("INSERT INTO uploads VALUES (?, ?, ?, ?)", uploads)
        database.executemany("INSERT INTO saved VALUES (?, ?, ?)", saved)
    return path
