"""What counts against the limits: money by the day, runs by the minute and at once."""

import sqlite3

from .entries import Spending, Traffic
from .rows import entries

DAY_SECONDS = 24 * 60 * 60
MINUTE_SECONDS = 60
# How long a run of unknown outcome is taken to be under way.
UNKNOWN_SECONDS = 300
# A run whose end nobody could read must not hold a place for ever; Layer knows better.
LONGEST_RUN_SECONDS = 3_600


def spending(connection: sqlite3.Connection, api_url: str, now: float) -> Spending:
    """The Creative Units of the last 24 hours, and of what Layer may not have counted yet."""
    day = connection.execute(
        "SELECT total(counted_price) FROM runs WHERE api_url = ? AND created_at > ?",
        (api_url, now - DAY_SECONDS),
    ).fetchone()[0]
    on_its_way = connection.execute(
        "SELECT workspace_id, total(counted_price) FROM runs "
        # The plus sign leaves the choice to the index of the few that are not answered.
        "WHERE +api_url = ? AND delivery IN ('intended', 'sending') GROUP BY workspace_id",
        (api_url,),
    ).fetchall()
    return Spending(day, dict(on_its_way))


def traffic(
    connection: sqlite3.Connection, api_url: str, account: str, workspace_id: str, now: float
) -> Traffic:
    """The runs under way in a workspace, and the submissions of the last minute.

    Nothing of the future counts: a clock may have been set back.
    """
    under_way = entries(
        connection,
        "api_url = ? AND account = ? AND workspace_id = ? AND slot_at BETWEEN ? AND ? "
        "AND has_ended = 0 AND (delivery != 'unknown' OR slot_at > ?) ORDER BY slot_at",
        (api_url, account, workspace_id, now - LONGEST_RUN_SECONDS, now, now - UNKNOWN_SECONDS),
    )
    minute = connection.execute(
        "SELECT kind, subject_id, ? - slot_at FROM runs "
        "WHERE api_url = ? AND account = ? AND slot_at > ? AND slot_at <= ? "
        "AND delivery != 'not_sent' ORDER BY slot_at",
        (now, api_url, account, now - MINUTE_SECONDS, now),
    ).fetchall()
    return Traffic(under_way, [tuple(row) for row in minute])
