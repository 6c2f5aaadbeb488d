"""Move runs forward: right before they're sent, and when Layer reports how they ended."""

import json

from ..types.run import Run, error_as_json, outputs_as_json
from ..types.states import NOT_FOUND, QUEUED, SENDING
from .accounts import Account
from .databases.database import Connection
from .rows import ENDED

MARK_SENDING = (
    f"UPDATE runs SET state = '{SENDING}', attempt = attempt + 1, process_id = ? "
    "WHERE account = ? AND key = ? "
    f"AND (state = '{QUEUED}' OR (state = '{SENDING}' AND process_id = ?))"
)
MARK_ENDED = (
    "UPDATE runs SET state = ?, actual_price = ?, error = ?, outputs = ?, "
    "counted_price = COALESCE(?, counted_price) "
    f"WHERE layer_account = ? AND run_id = ? AND (state = '{NOT_FOUND}' OR NOT {ENDED})"
)
NOTE_OUTPUT = (
    "INSERT INTO outputs SELECT account, ?, key FROM runs "
    "WHERE layer_account = ? AND run_id = ? "
    "ON CONFLICT (account, file_id) DO UPDATE SET key = excluded.key"
)
MARK_NOT_FOUND = (
    f"UPDATE runs SET state = '{NOT_FOUND}' WHERE layer_account = ? AND run_id = ? AND NOT {ENDED}"
)


def mark_sending(connection: Connection, account: Account, run: Run, process_id: str) -> int | None:
    """Record that a process is about to send a run, and return the attempt's number.

    Returns None if the process must not send it.
    """
    values = (process_id, account.name, run.key, process_id)
    if connection.execute(MARK_SENDING, values).rowcount != 1:
        return None
    sql = "SELECT attempt FROM runs WHERE account = ? AND key = ?"
    return connection.execute(sql, (account.name, run.key)).fetchone()["attempt"]


def mark_ended(connection: Connection, account: Account, run: Run) -> None:
    """Record how a run ended, and the files that it made. A failure without a price was free."""
    price = run.actual_price_creative_units
    counted = 0.0 if price is None and run.state == "failed" else price
    run_id = (run.run_id or "").lower()
    outputs = outputs_as_json(run.outputs)
    values = (
        run.state,
        price,
        json.dumps(error_as_json(run.error)) if run.error else None,
        json.dumps(outputs) if outputs else None,
        counted,
        account.layer_account,
        run_id,
    )
    if connection.execute(MARK_ENDED, values).rowcount == 0:
        return
    for output in run.outputs:
        if output.file_id:
            file = (output.file_id.lower(), account.layer_account, run_id)
            connection.execute(NOTE_OUTPUT, file)


def mark_not_found(connection: Connection, account: Account, run_id: str) -> None:
    """Record that Layer no longer has a run."""
    connection.execute(MARK_NOT_FOUND, (account.layer_account, run_id.lower()))
