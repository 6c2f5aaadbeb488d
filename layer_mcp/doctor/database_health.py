"""Examines a journal in PostgreSQL without changing it: no table is created, no run is settled."""

import time
from dataclasses import dataclass

from ..runs.journal.accounts import normalize_address
from ..runs.journal.databases import leases
from ..runs.journal.databases.database import Connection
from ..runs.journal.databases.postgres import place_of, read_once
from ..runs.journal.databases.postgres_faults import READ_ONLY
from ..runs.journal.databases.postgres_schema import check_version, has_journal

UNKNOWN = f"""
SELECT COUNT(*) AS count FROM runs WHERE api_url = ? AND (state = 'unknown' OR state = 'sending'
AND process_id NOT IN (SELECT process_id FROM processes WHERE seen_at > {leases.NOW} - ?))
"""


@dataclass(frozen=True)
class DatabaseHealth:
    """A database that can be used. `servers` and `unknown` are 0 if it has no journal yet.

    `clock_seconds` is how far this machine's clock is ahead of the database's.
    """

    place: str
    clock_seconds: float
    has_journal: bool = False
    servers: int = 0
    unknown: int = 0


def database_health(url: str, api_url: str) -> DatabaseHealth:
    """Examine the database of a URL.

    Raises:
        DatabaseError: the database can't be used.
    """
    place = place_of(url)

    def work(connection: Connection) -> DatabaseHealth:
        _check_writable(connection)
        now = connection.execute(f"SELECT {leases.NOW} AS now").fetchone()["now"]
        clock_seconds = time.time() - now
        if not has_journal(connection):
            return DatabaseHealth(place, clock_seconds)
        check_version(connection)
        values = (normalize_address(api_url), leases.LEASE_SECONDS)
        unknown = connection.execute(UNKNOWN, values).fetchone()["count"]
        servers = leases.count_alive(connection)
        return DatabaseHealth(place, clock_seconds, True, servers, unknown)

    return read_once(url, work)


def _check_writable(connection: Connection) -> None:
    sql = "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on'"
    if connection.execute(f"{sql} AS is_read_only").fetchone()["is_read_only"]:
        raise READ_ONLY.error()
