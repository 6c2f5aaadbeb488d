"""A journal as layer-mcp wrote it in version 3, with the SQL of that version."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from layer_mcp.runs.journal.databases.sqlite import FILE_NAME

SCHEMA = """
CREATE TABLE runs (
    key TEXT PRIMARY KEY,
    sequence BIGINT NOT NULL,
    api_url TEXT NOT NULL,
    account TEXT NOT NULL,
    process_id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    copy_number BIGINT NOT NULL DEFAULT 0,
    batch_id TEXT,
    state TEXT NOT NULL,
    attempt BIGINT NOT NULL DEFAULT 0,
    created_at DOUBLE PRECISION NOT NULL,
    slot_at DOUBLE PRECISION,
    run_id TEXT,
    estimated_price DOUBLE PRECISION,
    actual_price DOUBLE PRECISION,
    counted_price DOUBLE PRECISION NOT NULL DEFAULT 0,
    request TEXT NOT NULL,
    start TEXT,
    error TEXT,
    outputs TEXT
);
CREATE TABLE outputs (
    account TEXT NOT NULL, file_id TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (account, file_id)
);
CREATE TABLE folders (
    account TEXT NOT NULL, run_id TEXT NOT NULL, folder TEXT NOT NULL,
    PRIMARY KEY (account, run_id)
);
CREATE TABLE uploads (
    account TEXT NOT NULL, workspace_id TEXT NOT NULL, sha256 TEXT NOT NULL, file_id TEXT NOT NULL,
    PRIMARY KEY (account, workspace_id, sha256)
);
CREATE UNIQUE INDEX runs_by_sequence ON runs (account, sequence);
CREATE INDEX runs_by_time ON runs (account, created_at, key);
CREATE INDEX runs_by_fingerprint ON runs (account, fingerprint, sequence);
CREATE UNIQUE INDEX runs_live ON runs (account, fingerprint, copy_number)
    WHERE state IN ('queued', 'sending');
CREATE INDEX runs_by_slot ON runs (account, slot_at);
CREATE INDEX runs_by_id ON runs (account, run_id, sequence);
CREATE INDEX runs_by_batch ON runs (account, batch_id, created_at, key)
    WHERE batch_id IS NOT NULL;
CREATE INDEX runs_unanswered ON runs (process_id) WHERE state IN ('queued', 'sending');
CREATE INDEX runs_by_spending ON runs (api_url, created_at);
PRAGMA user_version = 3;
"""


def write_journal_v3(
    folder: Path, *, api_url: str, account: str, uploads: Sequence[tuple[str, str]] = ()
) -> None:
    """Write a journal with one run, its output and its folder, and uploads (SHA-256, file_id)."""
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / FILE_NAME)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(SCHEMA)
        database.execute(
            "INSERT INTO runs (key, sequence, api_url, account, process_id, workspace_id, kind, "
            "subject_id, fingerprint, state, created_at, run_id, counted_price, request) VALUES "
            "('a', 1, ?, ?, 'ended', 'w1', 'inference', 'model', 'f', 'complete', 1000000.0, "
            "'run-a', 7.0, '{}')",
            (api_url, account),
        )
        database.execute("INSERT INTO outputs VALUES (?, 'file-a', 'a')", (account,))
        database.execute("INSERT INTO folders VALUES (?, 'run-a', '/out')", (account,))
        database.executemany(
            "INSERT INTO uploads VALUES (?, 'w1', ?, ?)",
            [(account, sha256, file_id) for sha256, file_id in uploads],
        )
