"""The tables of the journal, and how an older one becomes this one."""

import sqlite3
from collections.abc import Callable

SCHEMA_VERSION = 2

UPLOADS = """
CREATE TABLE uploads (
    api_url TEXT, workspace_id TEXT, sha256 TEXT, file_id TEXT NOT NULL,
    PRIMARY KEY (api_url, workspace_id, sha256)
)
"""
FIRST_RUNS = """
CREATE TABLE runs (
    api_url TEXT, run_id TEXT, facts TEXT NOT NULL, folder TEXT,
    PRIMARY KEY (api_url, run_id)
)
"""
# One row for each submission: `run_id` is known once Layer has answered. Times are seconds since
# 1970, prices Creative Units. `slot_at` is when its turn came to be sent.
RUNS = """
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
)
"""
# Where outputs were saved to; also of runs that were not started here.
SAVED = """
CREATE TABLE saved (
    api_url TEXT, run_id TEXT, folder TEXT NOT NULL, PRIMARY KEY (api_url, run_id)
)
"""
INDEXES = (
    "CREATE INDEX runs_by_time ON runs (api_url, created_at)",
    "CREATE INDEX runs_by_fingerprint ON runs (api_url, account, fingerprint)",
    "CREATE INDEX runs_by_turn ON runs (api_url, account, slot_at)",
    "CREATE INDEX runs_by_id ON runs (api_url, run_id, created_at)",
    "CREATE INDEX runs_by_batch ON runs (api_url, batch_id) WHERE batch_id IS NOT NULL",
    "CREATE INDEX runs_not_answered ON runs (owner_id) WHERE delivery IN ('intended', 'sending')",
)
# A run of the first version was confirmed, at a time that nobody wrote down.
OLD_RUNS = """
INSERT INTO runs (
    local_id, api_url, account, workspace_id, kind, subject_id, fingerprint, owner_id, delivery,
    created_at, run_id, estimated_price, facts
)
SELECT
    lower(hex(randomblob(16))), api_url, '', coalesce(json_extract(facts, '$.workspace_id'), ''),
    iif(json_extract(facts, '$.workflow_id') IS NULL, 'inference', 'workflow'),
    coalesce(json_extract(facts, '$.workflow_id'), json_extract(facts, '$.model_id'), ''),
    '', '', 'confirmed',
    coalesce(CAST(strftime('%s', json_extract(facts, '$.created_at')) AS REAL), 0), run_id,
    json_extract(facts, '$.estimated_price_creative_units'), facts
FROM old_runs WHERE json_valid(facts) AND facts != '{}'
"""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a database of any earlier version, or an empty one, to this version.

    Runs within a transaction: another process may have done it meanwhile.
    """
    [version] = connection.execute("PRAGMA user_version").fetchone()
    for step in STEPS[version:]:
        step(connection)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _first(connection: sqlite3.Connection) -> None:
    connection.execute(UPLOADS)
    connection.execute(FIRST_RUNS)


def _every_submission(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE runs RENAME TO old_runs")
    for statement in (RUNS, SAVED, *INDEXES, OLD_RUNS):
        connection.execute(statement)
    connection.execute(
        "INSERT INTO saved SELECT api_url, run_id, folder FROM old_runs WHERE folder IS NOT NULL"
    )
    connection.execute("DROP TABLE old_runs")


STEPS: tuple[Callable[[sqlite3.Connection], None], ...] = (_first, _every_submission)
