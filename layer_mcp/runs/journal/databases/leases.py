"""Which processes of a shared database are alive: each one renews its row every few seconds.

All times are the database's, so the clocks of the machines don't matter. No session holds a lock,
because a connection pooler may give each transaction another session.
"""

import platform

from ..rows import LIVE
from .database import Connection

RENEW_SECONDS = 5.0
LEASE_SECONDS = 30.0
# How long queued runs and downloads are taken over: nobody wants to pay for yesterday's batch.
TAKEOVER_SECONDS = 600.0
# Forgotten after a day, unless it left runs behind.
FORGET_SECONDS = 24 * 60 * 60
NOW = "EXTRACT(EPOCH FROM clock_timestamp())::DOUBLE PRECISION"

LEFT_NOTHING = (
    f"process_id NOT IN (SELECT process_id FROM runs WHERE {LIVE} "
    "UNION ALL SELECT process_id FROM downloads)"
)

LEASES = """
CREATE TABLE processes (
    process_id TEXT PRIMARY KEY, seen_at DOUBLE PRECISION NOT NULL, host TEXT NOT NULL
)
"""


def renew(connection: Connection, process_id: str) -> None:
    """Record that a process is alive."""
    connection.execute(
        f"INSERT INTO processes VALUES (?, {NOW}, ?) "
        "ON CONFLICT (process_id) DO UPDATE SET seen_at = excluded.seen_at",
        (process_id, platform.node()),
    )


def is_alive(connection: Connection, process_id: str) -> bool:
    """Return whether a process renewed its lease recently."""
    sql = f"SELECT 1 FROM processes WHERE process_id = ? AND seen_at > {NOW} - ?"
    return connection.execute(sql, (process_id, LEASE_SECONDS)).fetchone() is not None


def ended_lately(connection: Connection, process_id: str) -> bool:
    """Return whether a process was alive within the time in which its runs are taken over."""
    sql = f"SELECT 1 FROM processes WHERE process_id = ? AND seen_at > {NOW} - ?"
    values = (process_id, LEASE_SECONDS + TAKEOVER_SECONDS)
    return connection.execute(sql, values).fetchone() is not None


def count_alive(connection: Connection) -> int:
    """Return how many processes are alive."""
    sql = f"SELECT COUNT(*) AS count FROM processes WHERE seen_at > {NOW} - ?"
    return connection.execute(sql, (LEASE_SECONDS,)).fetchone()["count"]


def end(connection: Connection, process_id: str) -> None:
    """Record that a process has ended, so that nobody waits for its lease to expire."""
    sql = f"UPDATE processes SET seen_at = {NOW} - ? WHERE process_id = ?"
    connection.execute(sql, (LEASE_SECONDS, process_id))
    sql = f"DELETE FROM processes WHERE process_id = ? AND {LEFT_NOTHING}"
    connection.execute(sql, (process_id,))


def remove(connection: Connection, process_id: str) -> None:
    """Forget a process whose lease has expired."""
    sql = f"DELETE FROM processes WHERE process_id = ? AND seen_at <= {NOW} - ?"
    connection.execute(sql, (process_id, LEASE_SECONDS))


def remove_old(connection: Connection) -> None:
    """Forget downloads and processes that ended long ago, except processes with live runs."""
    connection.execute(
        "DELETE FROM downloads WHERE process_id NOT IN "
        f"(SELECT process_id FROM processes WHERE seen_at > {NOW} - ?)",
        (LEASE_SECONDS + TAKEOVER_SECONDS,),
    )
    connection.execute(
        f"DELETE FROM processes WHERE seen_at <= {NOW} - ? AND {LEFT_NOTHING}",
        (FORGET_SECONDS,),
    )
