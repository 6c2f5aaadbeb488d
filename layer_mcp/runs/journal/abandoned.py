"""Resolve what processes left behind: runs that were being sent, and runs in the queue."""

import json

from ..types.run import Run
from ..types.states import NOT_SENT, QUEUED, SENDING, UNKNOWN
from .accounts import Account
from .databases.database import Connection, Database
from .outcome import outcome_from_line, write_outcome
from .rows import LIVE, select

STOPPED = {"code": "SERVER_STOPPED", "message": "The server stopped before the run was sent."}
WITHDRAW = f"UPDATE runs SET state = '{NOT_SENT}', counted_price = 0, error = ? "


def recover_abandoned(connection: Connection, database: Database) -> None:
    """Resolve submissions left behind by processes that are no longer running.

    Their queued runs weren't sent, unless another process is going to take them over. Other
    accounts are included, because their prices count for this machine.
    """
    sql = f"SELECT DISTINCT process_id FROM runs WHERE {LIVE}"
    for row in connection.execute(sql).fetchall():
        process_id = row["process_id"]
        if database.is_alive(connection, process_id):
            continue
        for line in database.read_set_aside(process_id):
            if (known := outcome_from_line(line)) is not None:
                account, outcome = known
                write_outcome(connection, outcome, account=account, process_id=process_id)
        where = f"WHERE process_id = ? AND {LIVE} AND state ="
        connection.execute(
            f"UPDATE runs SET state = '{UNKNOWN}' {where} '{SENDING}'", (process_id,)
        )
        if not database.is_abandoned(connection, process_id):
            continue
        connection.execute(f"{WITHDRAW}{where} '{QUEUED}'", (json.dumps(STOPPED), process_id))
        database.remove_process(connection, process_id)


def take_over_queued(connection: Connection, database: Database, account: Account) -> list[Run]:
    """Take over the account's queued runs of ended processes, in order of submission."""
    owners = f"SELECT DISTINCT process_id FROM runs WHERE {LIVE} AND account = ?"
    waiting = f"state = '{QUEUED}' AND process_id = ?"
    take = f"UPDATE runs SET process_id = ?, slot_at = NULL WHERE account = ? AND {waiting}"
    taken: list[Run] = []
    for row in connection.execute(owners, (account.name,)).fetchall():
        process_id = row["process_id"]
        if database.is_alive(connection, process_id):
            continue
        taken += select(connection, account, f"{waiting} ORDER BY sequence", process_id)
        connection.execute(take, (database.process_id, account.name, process_id))
    return taken


def can_take_over(connection: Connection, database: Database, process_id: str) -> bool:
    """Return whether a process ended recently, so that another one takes over what it left."""
    has_ended = not database.is_alive(connection, process_id)
    return has_ended and not database.is_abandoned(connection, process_id)


def withdraw_queued(connection: Connection, account: Account, process_id: str) -> None:
    """Record that a process won't send its queued runs, and that nobody else should."""
    connection.execute(
        f"{WITHDRAW}WHERE account = ? AND process_id = ? AND state = '{QUEUED}'",
        (json.dumps(STOPPED), account.name, process_id),
    )
