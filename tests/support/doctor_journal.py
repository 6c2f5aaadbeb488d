"""Journals for doctor to check, written as a server writes them."""

import sqlite3
from pathlib import Path

from layer_mcp.journal.database import FILE_NAME
from layer_mcp.journal.schema import SCHEMA_VERSION, migrate

__all__ = ["FILE_NAME", "SCHEMA_VERSION", "add_run", "create_journal"]


def create_journal(folder: Path) -> sqlite3.Connection:
    """Create an empty journal and return a connection to it."""
    database = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("BEGIN")
    migrate(database)
    database.execute("COMMIT")
    return database


def add_run(database: sqlite3.Connection, api_url: str, delivery: str) -> None:
    """Add a run of a server that is no longer running."""
    database.execute(
        "INSERT INTO runs (local_id, api_url, account, workspace_id, kind, subject_id, "
        "fingerprint, owner_id, delivery, created_at, facts) "
        "VALUES (hex(randomblob(16)), ?, '', 'w', 'inference', 'm', 'f', 'gone', ?, 0, '{}')",
        (api_url, delivery),
    )
