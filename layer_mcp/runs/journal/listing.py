"""List runs, newest first, and add up their prices."""

from typing import Any

from ..types.filters import RunFilter, RunTotals
from ..types.run import Run
from ..types.states import NOT_SENT, UNKNOWN
from .accounts import Account
from .databases.database import Connection
from .rows import ENDED, select

# A datetime in Python would lose the last digits. The key comes from outside.
LAST = (
    "(SELECT last.created_at, last.key FROM runs AS last WHERE last.key = ? AND last.account = ?)"
)
# Every run is in exactly one of these groups.
STATUS = f"""(CASE
    WHEN state IN ('complete', 'failed', '{UNKNOWN}', '{NOT_SENT}') THEN state
    WHEN {ENDED} THEN 'stopped'
    ELSE 'running'
END)"""


def list_runs(connection: Connection, account: Account, wanted: RunFilter, limit: int) -> list[Run]:
    """Return the matching runs, newest first."""
    where, values = _conditions(wanted, account)
    order = "ORDER BY created_at DESC, key DESC LIMIT ?"
    return select(connection, account, f"{where} {order}", *values, limit)


def read_totals(connection: Connection, account: Account, wanted: RunFilter) -> RunTotals:
    """Return the number and the total prices of all matching runs."""
    where, values = _conditions(wanted, account)
    sql = (
        "SELECT COUNT(*) AS count, "
        f"COALESCE(SUM(CASE WHEN {STATUS} = 'running' THEN 1 ELSE 0 END), 0) AS running, "
        f"COALESCE(SUM(CASE WHEN state = '{NOT_SENT}' THEN 0 ELSE estimated_price END), 0.0) "
        "AS estimated, COALESCE(SUM(actual_price), 0.0) AS spent "
        f"FROM runs WHERE account = ? AND {where}"
    )
    row = connection.execute(sql, (account.name, *values)).fetchone()
    return RunTotals(
        row["count"], row["running"], round(row["estimated"], 4), round(row["spent"], 4)
    )


def _conditions(wanted: RunFilter, account: Account) -> tuple[str, tuple[Any, ...]]:
    """Return a filter of an account's runs as SQL, and the values to bind."""
    found: list[tuple[str, tuple[Any, ...]]] = []
    if wanted.since is not None:
        found.append(("created_at >= ?", (wanted.since.timestamp(),)))
    if wanted.workspace_id is not None:
        found.append(("workspace_id = ?", (wanted.workspace_id,)))
    if wanted.batch_id is not None:
        found.append(("batch_id = ?", (wanted.batch_id,)))
    if wanted.run_ids is not None:
        marks = ", ".join("?" * len(wanted.run_ids))
        found.append((f"run_id IN ({marks})", wanted.run_ids))
    if wanted.id_prefix is not None:
        found.append(("substr(run_id, 1, ?) = ?", (len(wanted.id_prefix), wanted.id_prefix)))
    if wanted.status is not None:
        found.append((f"{STATUS} = ?", (wanted.status,)))
    if wanted.before is not None:
        found.append((f"(created_at, key) < {LAST}", (wanted.before, account.name)))
    where = " AND ".join(condition for condition, _ in found) or "1 = 1"
    return where, tuple(value for _, values in found for value in values)
