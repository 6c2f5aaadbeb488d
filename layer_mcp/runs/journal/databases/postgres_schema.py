"""The tables in PostgreSQL: created and migrated by the first server that needs them.

They have a schema of their own, because a team's database may have other tables. A server of the
previous version may still be running, so a migration only adds what that version ignores.
"""

from uuid import uuid4

from .database import Connection
from .leases import LEASES
from .postgres_faults import EMPTIED, NEWER
from .schema import FOLDERS, INDEXES, NEW, OUTPUTS, RUNS, SCHEMA_VERSION, SHARED

SCHEMA = "layer_mcp"
# The ID tells journals apart, whatever the URL says.
JOURNAL = "CREATE TABLE journal (id TEXT PRIMARY KEY, version BIGINT NOT NULL)"
# What processes are saving. Only servers that share a database take it over.
DOWNLOADS = """
CREATE TABLE downloads (
    key TEXT PRIMARY KEY, account TEXT NOT NULL, process_id TEXT NOT NULL, run_id TEXT NOT NULL,
    folder TEXT NOT NULL, numbers TEXT NOT NULL, name TEXT
)
"""
TABLES = (JOURNAL, LEASES, DOWNLOADS, RUNS, OUTPUTS, FOLDERS, *INDEXES, *NEW, *SHARED)
# The statements that lead to each version from the one before it.
MIGRATIONS: dict[int, tuple[str, ...]] = {}


def set_up(connection: Connection, *, is_reopened: bool = False) -> str:
    """Create or migrate the tables, and return the journal's ID. Call it only under the lock.

    A process that opens the database again may have been overtaken by a newer version meanwhile.

    Raises:
        DatabaseError: a newer version wrote the database.
    """
    if not _exists(connection, "SELECT 1 FROM pg_namespace WHERE nspname = ?", SCHEMA):
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
    if not has_journal(connection):
        for statement in TABLES:
            connection.execute(statement)
        connection.execute("INSERT INTO journal VALUES (?, ?)", (uuid4().hex, SCHEMA_VERSION))
    journal_id, version = _read_version(connection)
    if not is_reopened:
        check_version(connection)
    for later in range(version + 1, SCHEMA_VERSION + 1):
        for statement in MIGRATIONS.get(later, ()):
            connection.execute(statement)
    if version < SCHEMA_VERSION:
        connection.execute("UPDATE journal SET version = ?", (SCHEMA_VERSION,))
    return journal_id


def has_journal(connection: Connection) -> bool:
    """Return whether the tables were created."""
    sql = "SELECT 1 FROM pg_tables WHERE tablename = 'journal' AND schemaname = ?"
    return _exists(connection, sql, SCHEMA)


def check_version(connection: Connection) -> None:
    """Fail if a newer version wrote the database.

    Raises:
        DatabaseError: it did.
    """
    _, version = _read_version(connection)
    if version > SCHEMA_VERSION:
        raise NEWER.error(f"a newer layer-mcp wrote the database (version {version})")


def _read_version(connection: Connection) -> tuple[str, int]:
    """Return the journal's ID and the version of its tables."""
    row = connection.execute("SELECT id, version FROM journal").fetchone()
    if row is None:
        raise EMPTIED.error()
    return row["id"], row["version"]


def _exists(connection: Connection, sql: str, name: str) -> bool:
    return connection.execute(sql, (name,)).fetchone() is not None
