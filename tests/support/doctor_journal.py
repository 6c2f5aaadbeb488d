"""Journals for doctor to check, written as a server writes them."""

import sqlite3
from pathlib import Path
from uuid import uuid4

from layer_mcp.runs.journal.databases.schema import SCHEMA_VERSION, create_or_carry_over
from layer_mcp.runs.journal.databases.sqlite import FILE_NAME

__all__ = ["FILE_NAME", "SCHEMA_VERSION", "add_run", "create_journal"]


def create_journal(folder: Path) -> sqlite3.Connection:
    """Create an empty journal and return a connection to it."""
    database = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("BEGIN")
    create_or_carry_over(database, 0)
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    database.execute("COMMIT")
    return database


def add_run(database: sqlite3.Connection, api_url: str, state: str) -> None:
    """Add a run of a server that is no longer running."""
    key = uuid4().hex
    database.execute(
        "INSERT INTO runs (key, sequence, api_url, account, process_id, workspace_id, kind, "
        "subject_id, fingerprint, state, created_at, request) "
        "VALUES (?, (SELECT COUNT(*) FROM runs), ?, 'a', 'gone', 'w', 'inference', 'm', ?, ?, 0, "
        "'{}')",
        (key, api_url, key, state),
    )
