"""Count what Layer's limits count, and give runs their slots."""

from ..rules.rates import MINUTE_SECONDS, Blocked, find_block
from ..types.limits import RateLimits, Submitted, Usage
from ..types.run import Run
from ..types.states import NOT_SENT, UNKNOWN
from .accounts import Account
from .databases.database import Connection
from .rows import ENDED, LIVE, select_shared

# How long a run with an unknown outcome counts as active.
UNKNOWN_SECONDS = 300
# A run whose end was never seen must not hold a slot forever.
LONGEST_RUN_SECONDS = 3_600


def acquire_slot(
    connection: Connection,
    account: Account,
    run: Run,
    *,
    rates: RateLimits,
    modality: dict[str, str],
    now: float,
) -> Blocked | None:
    """Give a run that is being sent a slot, or return what prevents it."""
    usage = _read_usage(connection, account, run.request.workspace_id, now)
    blocked = find_block(usage, rates, run.request.model_id, modality)
    if blocked is None:
        connection.execute(
            f"UPDATE runs SET slot_at = ? WHERE account = ? AND key = ? AND {LIVE}",
            (now, account.name, run.key),
        )
    return blocked


def _read_usage(connection: Connection, account: Account, workspace_id: str, now: float) -> Usage:
    """Return what counts toward Layer's limits; skip future runs, as clocks can be set back."""
    active = select_shared(
        connection,
        account,
        f"workspace_id = ? AND slot_at BETWEEN ? AND ? AND NOT {ENDED} "
        f"AND (state != '{UNKNOWN}' OR slot_at > ?) ORDER BY slot_at",
        workspace_id,
        now - LONGEST_RUN_SECONDS,
        now,
        now - UNKNOWN_SECONDS,
    )
    minute = connection.execute(
        "SELECT kind, subject_id, ? - slot_at AS age FROM runs WHERE layer_account = ? "
        f"AND slot_at > ? AND slot_at <= ? AND state != '{NOT_SENT}' ORDER BY slot_at",
        (now, account.layer_account, now - MINUTE_SECONDS, now),
    ).fetchall()
    starts = [Submitted(row["kind"], row["subject_id"], row["age"]) for row in minute]
    return Usage(active, starts)
