"""The outcome of an attempt to send a run, as data that can be written later or elsewhere."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Self, cast

from ...errors import LayerError
from ..types.run import Run
from ..types.states import IN_PROGRESS, NOT_SENT, QUEUED, SENDING, UNKNOWN, RunState
from .databases.database import Connection
from .rows import LIVE, error_as_text

CONFIRM = (
    "UPDATE runs SET state = ?, run_id = ?, start = ?, error = NULL, "
    "estimated_price = COALESCE(?, estimated_price), "
    # A lower price frees no budget until the run has ended.
    "counted_price = CASE WHEN ? > counted_price THEN ? ELSE counted_price END "
    f"WHERE account = ? AND key = ? AND ({LIVE} OR state IN ('{UNKNOWN}', '{NOT_SENT}'))"
)
OWN = "WHERE account = ? AND key = ? AND process_id = ?"
# A late write must not undo a later attempt.
SENDING_THIS = f"state = '{SENDING}' AND attempt <= ?"
MARK_UNKNOWN = (
    f"UPDATE runs SET state = '{UNKNOWN}', error = ?, run_id = ? "
    f"{OWN} AND (state = '{QUEUED}' OR ({SENDING_THIS}))"
)
MARK_NOT_SENT = (
    f"UPDATE runs SET state = '{NOT_SENT}', error = ?, counted_price = 0 "
    f"{OWN} AND (state = '{QUEUED}' OR ({SENDING_THIS}))"
)
REQUEUE = f"UPDATE runs SET state = '{QUEUED}', slot_at = NULL {OWN} AND {SENDING_THIS}"


@dataclass(frozen=True)
class Outcome:
    """The state after an attempt to send a run, and Layer's answer.

    `start` and `error` are JSON, as in the journal.
    """

    key: str
    attempt: int
    state: RunState
    run_id: str | None = None
    price_creative_units: float | None = None
    start: str | None = None
    error: str | None = None

    @classmethod
    def confirmed(cls, run: Run) -> Self:
        """Return the outcome of a run that Layer accepted, with its ID."""
        return cls(
            run.key,
            run.attempt,
            # A final state needs a price and outputs, which this answer doesn't have. A status from
            # Layer must not be mistaken for one of the journal's own states.
            run.state if run.is_running else IN_PROGRESS,
            (run.run_id or "").lower(),
            run.estimated_price_creative_units,
            json.dumps(dict(run.start)),
        )

    @classmethod
    def unknown(cls, run: Run, error: LayerError) -> Self:
        """Return the outcome of a run that Layer may or may not have."""
        run_id = (error.inference_id or error.run_id or "").lower() or None
        return cls(run.key, run.attempt, UNKNOWN, run_id, error=error_as_text(error))

    @classmethod
    def not_sent(cls, run: Run, error: LayerError) -> Self:
        """Return the outcome of a run that definitely wasn't started."""
        return cls(run.key, run.attempt, NOT_SENT, error=error_as_text(error))

    @classmethod
    def requeued(cls, run: Run) -> Self:
        """Return the outcome of a run that Layer rejected for now; its price still counts."""
        return cls(run.key, run.attempt, QUEUED)


def outcome_as_line(account: str, outcome: Outcome) -> str:
    """Return the outcome of an account's run as one line of JSON."""
    content = {name: value for name, value in asdict(outcome).items() if value is not None}
    return json.dumps({"account": account} | content)


def outcome_from_line(line: str) -> tuple[str, Outcome] | None:
    """Return the account and outcome in a line, or None if the line is incomplete."""
    try:
        content = cast("dict[str, Any]", json.loads(line))
        return content.pop("account"), Outcome(**content)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def write_outcome(
    connection: Connection, outcome: Outcome, *, account: str, process_id: str
) -> bool:
    """Write an outcome to its row; return False if the row has moved on or was removed.

    `process_id` is the process that sent the run.
    """
    own = (account, outcome.key, process_id, outcome.attempt)
    if outcome.state == UNKNOWN:
        sql, values = MARK_UNKNOWN, (outcome.error, outcome.run_id, *own)
    elif outcome.state == NOT_SENT:
        sql, values = MARK_NOT_SENT, (outcome.error, *own)
    elif outcome.state == QUEUED:
        sql, values = REQUEUE, own
    else:
        price = outcome.price_creative_units
        counted = price or 0.0
        answer = (outcome.state, outcome.run_id, outcome.start, price, counted, counted)
        sql, values = CONFIRM, (*answer, account, outcome.key)
    return connection.execute(sql, values).rowcount == 1
