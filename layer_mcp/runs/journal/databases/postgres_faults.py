"""What PostgreSQL's errors mean for the journal, and what to do about each one.

The database's own text goes to the log only: it names hosts and users, and callers may be remote.
"""

from dataclasses import dataclass

import psycopg

from .database import DatabaseError


@dataclass(frozen=True)
class Fault:
    """A kind of failure. If it's permanent, only new settings help."""

    fact: str
    fix: str
    is_permanent: bool = False
    is_busy: bool = False
    is_full: bool = False

    def error(self, fact: str | None = None, *, is_uncertain: bool = False) -> DatabaseError:
        """Return the error for this fault."""
        return DatabaseError(
            fact or self.fact,
            is_busy=self.is_busy,
            is_full=self.is_full,
            is_permanent=self.is_permanent,
            is_uncertain=is_uncertain,
            fix=self.fix,
        )


AWAY = Fault(
    "the database doesn't answer",
    "Call again in a minute. If it still fails, check that the database is running, and that "
    "LAYER_DATABASE_URL has its host and port.",
)
REJECTED = Fault(
    "the database rejects the user or the password",
    "Fix the user and the password in LAYER_DATABASE_URL, then restart the server.",
    is_permanent=True,
)
MISSING = Fault(
    "the database or its host doesn't exist",
    "Fix the host and the database's name in LAYER_DATABASE_URL, or create the database, then "
    "restart the server.",
    is_permanent=True,
)
FOREIGN = Fault(
    "what answers at the address in LAYER_DATABASE_URL isn't PostgreSQL",
    "Fix the host and the port in LAYER_DATABASE_URL, then restart the server.",
    is_permanent=True,
)
UNTRUSTED = Fault(
    "the database's certificate isn't trusted",
    "Set sslrootcert in LAYER_DATABASE_URL to the certificate of its authority, use the host name "
    "in the certificate, then restart the server.",
    is_permanent=True,
)
NO_TLS = Fault(
    "the database and LAYER_DATABASE_URL don't agree on TLS",
    "Fix sslmode in LAYER_DATABASE_URL, then restart the server.",
    is_permanent=True,
)
INVALID = Fault(
    "LAYER_DATABASE_URL isn't a valid URL",
    "Write it as postgresql://user:password@host/database, with special characters in "
    "percent-encoding, then restart the server.",
    is_permanent=True,
)
UNSUPPORTED = Fault(
    "the connection pooler refuses a parameter of the connection",
    "Remove options from LAYER_DATABASE_URL and PGOPTIONS from the environment, then restart the "
    "server.",
    is_permanent=True,
)
EMPTIED = Fault(
    "its table layer_mcp.journal is empty",
    "Restore the database from a backup, or set LAYER_DATABASE_URL to another database, then "
    "restart the server.",
    is_permanent=True,
)
NEWER = Fault(
    "a newer layer-mcp wrote the database",
    "Install the newest layer-mcp, or set LAYER_DATABASE_URL to another database.",
    is_permanent=True,
)
DENIED = Fault(
    "the database's user isn't allowed to use or create the schema layer_mcp",
    "Grant the user CREATE on the database, or make it the owner of the schema layer_mcp, then "
    "restart the server.",
    is_permanent=True,
)
HELD = Fault(
    "another server is writing to it",
    "Call again in a few seconds.",
    is_busy=True,
)
SLOW = Fault(
    "the database is too slow",
    "Call again in a minute. If it still fails, look for slow queries and locks in the database.",
    is_busy=True,
)
CROWDED = Fault(
    "the database has no free connection",
    "Call again in a few seconds. If it still fails, raise max_connections in the database, or "
    "max_client_conn in PgBouncer.",
    is_busy=True,
)
FULL = Fault(
    "the database's disk is full",
    "Free up space on the disk of the database, then call again.",
    is_full=True,
)
READ_ONLY = Fault(
    "the database is read-only",
    "Let LAYER_DATABASE_URL name the primary server, or make the database writable, then call "
    "again.",
)
OTHER = Fault(
    "the database reported an error",
    "Call again. If it still fails, look for the database's message in the server's log.",
)

BY_STATE = {
    "08": AWAY,
    "25006": READ_ONLY,
    "25P03": SLOW,
    "28": REJECTED,
    "3D000": MISSING,
    "40": HELD,
    "42501": DENIED,
    "53100": FULL,
    "53300": CROWDED,
    "55P03": HELD,
    "57014": SLOW,
    "57P": AWAY,
}
# An error while connecting has no SQLSTATE, only text: of the database, of libpq, or of PgBouncer.
# The first match counts.
BY_TEXT = {
    "certificate": UNTRUSTED,
    "too many clients": CROWDED,
    "remaining connection slots": CROWDED,
    "too many connections": CROWDED,
    "no more connections allowed": CROWDED,
    "authentication failed": REJECTED,
    "no password supplied": REJECTED,
    "no pg_hba.conf entry": REJECTED,
    "no such user": REJECTED,
    "role ": REJECTED,
    "does not exist": MISSING,
    "no such database": MISSING,
    "Name or service not known": MISSING,
    "No address associated with": MISSING,
    "nodename nor servname": MISSING,
    "does not support SSL": NO_TLS,
    "SSL required": NO_TLS,
    "unsupported startup parameter": UNSUPPORTED,
    "invalid port number": INVALID,
    "invalid integer value": INVALID,
    "invalid sslmode value": INVALID,
    "received invalid response": FOREIGN,
    "expected authentication request": FOREIGN,
}


def find_fault(error: psycopg.Error) -> Fault:
    """Return what an error means."""
    state = error.sqlstate
    if state is not None:
        found = (BY_STATE.get(state[:length]) for length in (5, 3, 2))
        return next((fault for fault in found if fault is not None), OTHER)
    if isinstance(error, psycopg.OperationalError):
        text = str(error)
        return next((fault for part, fault in BY_TEXT.items() if part in text), AWAY)
    return OTHER


def first_line(error: psycopg.Error) -> str:
    """Return the database's own message, for the log."""
    return str(error).strip().partition("\n")[0]
