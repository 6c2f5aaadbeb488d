"""The tables of the journal, and the migration from earlier versions."""

import json
import sqlite3
from typing import Any, cast

from ..accounts import normalize_address

SCHEMA_VERSION = 5

# One row for each submission: `run_id` is known once Layer has answered. Times are seconds since
# 1970, prices Creative Units. `slot_at` is when the run may be sent within Layer's limits,
# `sequence` orders submissions independently of the clock, `attempt` counts how often it was sent,
# and `counted_price` is the amount that counts toward the limits. `account` is who sees the run,
# and `layer_account` is whose limits in Layer it counts toward.
RUNS = """
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
    outputs TEXT,
    layer_account TEXT NOT NULL DEFAULT ''
)
"""
# The run that made each file.
OUTPUTS = """
CREATE TABLE outputs (
    account TEXT NOT NULL, file_id TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (account, file_id)
)
"""
# The folder of each run's outputs, even if the run wasn't started here.
FOLDERS = """
CREATE TABLE folders (
    account TEXT NOT NULL, run_id TEXT NOT NULL, folder TEXT NOT NULL,
    PRIMARY KEY (account, run_id)
)
"""
# The content of each file in Layer: an upload or an output.
UPLOADS = """
CREATE TABLE uploads (
    account TEXT NOT NULL, workspace_id TEXT NOT NULL, sha256 TEXT NOT NULL, file_id TEXT NOT NULL,
    noted_at DOUBLE PRECISION NOT NULL, PRIMARY KEY (account, workspace_id, file_id)
)
"""
# The account that a token belongs to; `token` is the name of the account that it would create.
TOKENS = "CREATE TABLE tokens (token TEXT PRIMARY KEY, account TEXT NOT NULL)"
INDEXES = (
    "CREATE UNIQUE INDEX runs_by_sequence ON runs (account, sequence)",
    "CREATE INDEX runs_by_time ON runs (account, created_at, key)",
    "CREATE INDEX runs_by_fingerprint ON runs (account, fingerprint, sequence)",
    # The database itself prevents sending two equal runs at the same time.
    "CREATE UNIQUE INDEX runs_live ON runs (account, fingerprint, copy_number) "
    "WHERE state IN ('queued', 'sending')",
    "CREATE INDEX runs_by_id ON runs (account, run_id, sequence)",
    "CREATE INDEX runs_by_batch ON runs (account, batch_id, created_at, key) "
    "WHERE batch_id IS NOT NULL",
    "CREATE INDEX runs_unanswered ON runs (process_id) WHERE state IN ('queued', 'sending')",
    "CREATE INDEX runs_by_spending ON runs (api_url, created_at)",
)
# Several owners can share a Layer account.
SHARED = (
    "CREATE INDEX runs_by_slot ON runs (layer_account, slot_at)",
    "CREATE INDEX runs_in_layer ON runs (layer_account, run_id)",
    "CREATE INDEX outputs_by_file ON outputs (LOWER(file_id))",
    "CREATE INDEX uploads_by_file ON uploads (LOWER(file_id))",
)
# A server of version 4 that is still running doesn't know the column.
OLDER_SERVERS = """
CREATE TRIGGER runs_of_older_servers AFTER INSERT ON runs WHEN NEW.layer_account = '' BEGIN
    UPDATE runs SET layer_account = NEW.account WHERE key = NEW.key;
END
"""
# New or changed since version 3.
NEW = (
    UPLOADS,
    TOKENS,
    "CREATE INDEX uploads_by_content ON uploads (account, workspace_id, sha256, noted_at)",
)
# Tables of earlier versions that are migrated.
CARRIED = {0: (), 2: ("runs", "uploads", "saved"), 3: ("uploads",), 4: ()}
OLD_STATUSES = {"success": "complete", "failure": "failed"}


def create_or_carry_over(connection: sqlite3.Connection, version: int) -> None:
    """Create the tables and migrate an earlier version's data; version 0 is an empty database.

    Raises:
        sqlite3.NotSupportedError: an unreleased version wrote the database.
    """
    if version not in CARRIED:
        raise sqlite3.NotSupportedError("an unreleased version of layer-mcp wrote it")
    for table in CARRIED[version]:
        connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    if version < 3:
        _drop_indexes(connection)
        for statement in (RUNS, OUTPUTS, FOLDERS, *INDEXES):
            connection.execute(statement)
    if version < 4:
        for statement in NEW:
            connection.execute(statement)
    if version in (3, 4):
        connection.execute("ALTER TABLE runs ADD COLUMN layer_account TEXT NOT NULL DEFAULT ''")
        connection.execute("DROP INDEX runs_by_slot")
        connection.execute(OLDER_SERVERS)
    for statement in SHARED:
        connection.execute(statement)
    if version == 2:
        _carry_over(connection)
    if version == 3:
        connection.execute(
            "INSERT INTO uploads SELECT *, 0 FROM old_uploads WHERE 1 ON CONFLICT DO NOTHING"
        )
    for table in CARRIED[version]:
        connection.execute(f"DROP TABLE old_{table}")
    _rename_addresses(connection)
    connection.execute("UPDATE runs SET layer_account = account")


def _drop_indexes(connection: sqlite3.Connection) -> None:
    for [name] in connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall():
        connection.execute(f"DROP INDEX {name}")


def _rename_addresses(connection: sqlite3.Connection) -> None:
    """Give each API URL its normal spelling; if two spellings collide, one keeps its own."""
    addresses = connection.execute("SELECT DISTINCT api_url FROM runs").fetchall()
    taken = {address for [address] in addresses}
    for [address] in addresses:
        normal = normalize_address(address)
        if normal in taken:
            continue
        taken.add(normal)
        connection.execute("UPDATE runs SET api_url = ? WHERE api_url = ?", (normal, address))
        for table in ("runs", "outputs", "folders", "uploads"):
            connection.execute(
                f"UPDATE {table} SET account = ? || substr(account, ?) "
                "WHERE substr(account, 1, ?) = ?",
                (normal, len(address) + 1, len(address) + 1, f"{address}#"),
            )


def _carry_over(connection: sqlite3.Connection) -> None:
    rows = connection.execute("SELECT * FROM old_runs ORDER BY rowid").fetchall()
    # Uploads and folders had no account. A folder gets its run's account; everything else gets the
    # newest account at the URL.
    accounts: dict[str, str] = {}
    accounts_of_runs: dict[tuple[str, str], str] = {}
    for sequence, row in enumerate(rows, 1):
        values: dict[str, Any] = _new_row(row) | {"sequence": sequence}
        accounts[row["api_url"]] = values["account"]
        accounts_of_runs[row["api_url"], row["run_id"]] = values["account"]
        if values["state"] in ("queued", "sending"):
            # A batch could contain equal runs that are being sent.
            values["copy_number"] = sequence
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        connection.execute(f"INSERT INTO runs ({names}) VALUES ({marks})", tuple(values.values()))
        for file_id in _file_ids(row):
            connection.execute(
                "INSERT INTO outputs VALUES (?, ?, ?) "
                "ON CONFLICT (account, file_id) DO UPDATE SET key = excluded.key",
                (values["account"], file_id, values["key"]),
            )
    for api_url, account in accounts.items():
        saved = connection.execute("SELECT * FROM old_saved WHERE api_url = ?", (api_url,))
        for _, run_id, folder in saved.fetchall():
            owner = accounts_of_runs.get((api_url, run_id), account)
            connection.execute("INSERT INTO folders VALUES (?, ?, ?)", (owner, run_id, folder))
        connection.execute(
            "INSERT INTO uploads SELECT ?, workspace_id, sha256, file_id, 0 FROM old_uploads "
            "WHERE api_url = ? ON CONFLICT DO NOTHING",
            (account, api_url),
        )


def _new_row(row: sqlite3.Row) -> dict[str, Any]:
    facts, outcome = _json_object(row["facts"]), _json_object(row["outcome"])
    asked = _object(facts.pop("asked", {}))
    is_workflow = row["kind"] == "workflow"
    request = {
        "body": {"inputs": asked} if is_workflow else asked,
        "given": sorted(asked) if not is_workflow else [],
        "output_count": None if is_workflow else asked.get("batch_size"),
    }
    start = ("created_at", "session_id", "normalized", "changed")
    error, outputs = outcome.get("error"), outcome.get("outputs")
    return {
        "key": row["local_id"],
        "api_url": row["api_url"],
        "account": f"{row['api_url']}#{row['account']}",
        "process_id": row["owner_id"],
        "workspace_id": row["workspace_id"],
        "kind": row["kind"],
        "subject_id": row["subject_id"],
        "fingerprint": row["fingerprint"],
        "batch_id": row["batch_id"],
        "state": _new_state(row),
        "created_at": row["created_at"],
        "slot_at": row["slot_at"],
        "run_id": row["run_id"],
        "estimated_price": row["estimated_price"],
        "actual_price": row["actual_price"],
        "counted_price": row["counted_price"],
        "request": json.dumps(request),
        "start": json.dumps({name: facts[name] for name in start if name in facts}),
        "error": json.dumps(error) if error else None,
        "outputs": json.dumps(outputs) if outputs else None,
    }


def _new_state(row: sqlite3.Row) -> str:
    delivery, status = row["delivery"], row["status"] or "in_progress"
    if delivery != "confirmed":
        return "queued" if delivery == "intended" else delivery
    # A run could be confirmed with a final status before its end was recorded.
    return OLD_STATUSES.get(status, status) if row["has_ended"] else "in_progress"


def _file_ids(row: sqlite3.Row) -> list[str]:
    outputs = _json_object(row["outcome"]).get("outputs")
    listed = cast("list[Any]", outputs) if isinstance(outputs, list) else []
    found = (_object(output).get("file_id") for output in listed)
    return [file_id.lower() for file_id in found if isinstance(file_id, str)]


def _json_object(text: str) -> dict[str, Any]:
    try:
        return _object(json.loads(text))
    except ValueError:
        return {}


def _object(value: Any) -> dict[str, Any]:
    """Return a JSON object, or {} for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
