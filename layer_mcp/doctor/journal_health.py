"""Examines the journal without changing it: no table is created and no run is settled."""

import os
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ..runs.journal.accounts import normalize_address
from ..runs.journal.databases.liveness import FOLDER_NAME
from ..runs.journal.databases.schema import SCHEMA_VERSION
from ..runs.journal.databases.sqlite import FILE_NAME
from ..runs.journal.databases.trouble import Trouble, find_trouble, is_busy

BUSY_SECONDS = 1.5
INTEGRITY_SECONDS = 3.0
STEPS_BETWEEN_LOOKS = 10_000
# The lock of a server that is just starting is left alone.
YOUNG_SECONDS = 5.0


@dataclass(frozen=True)
class Health:
    """An existing journal. `trouble` says why it can't be used, and `reason` is SQLite's message.

    `owner` is the file's owner if that's another user. `servers` counts the running servers, and
    `unknown` the runs with an unknown outcome. `is_whole` is None if the check took too long.
    """

    file: Path
    trouble: Trouble | None = None
    reason: str = ""
    owner: str | None = None
    servers: int = 0
    unknown: int = 0
    is_whole: bool | None = True


def journal_health(folder: Path, api_url: str) -> Health | None:
    """Examine the journal in a folder, in at most 5 s; None if there is none yet."""
    file = folder / FILE_NAME
    if not os.path.lexists(file):
        return None
    owner = _other_owner(file)
    try:
        servers = running_servers(folder)
        with closing(_opened(file)) as connection:
            is_whole = _is_whole(connection)
            if is_whole is False:
                return Health(file, "damaged", "quick_check finds faults", owner=owner)
            _write_nothing(connection)
            unknown = _unknown(connection, api_url, servers)
        return Health(file, owner=owner, servers=len(servers), unknown=unknown, is_whole=is_whole)
    except sqlite3.Error as error:
        return Health(file, find_trouble(error), str(error), owner=owner)


def running_servers(folder: Path) -> set[str]:
    """Return the IDs of the servers that use the journal in a folder now."""
    old = time.time() - YOUNG_SECONDS
    files = (folder / FOLDER_NAME).glob("*.lock")
    return {path.stem for path in files if _is_young(path, old) or _is_locked(path)}


def _connected(file: Path, busy_seconds: float) -> sqlite3.Connection:
    # A file that was removed meanwhile isn't created again.
    address = f"{file.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(address, timeout=busy_seconds, isolation_level=None, uri=True)


def _opened(file: Path) -> sqlite3.Connection:
    connection = _connected(file, BUSY_SECONDS)
    try:
        [version] = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise sqlite3.NotSupportedError(f"a newer layer-mcp wrote it ({version})")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _is_whole(connection: sqlite3.Connection) -> bool | None:
    """Return the result of SQLite's own check, or None if it takes too long."""
    deadline = time.monotonic() + INTEGRITY_SECONDS
    connection.set_progress_handler(
        lambda: time.monotonic() > deadline,
        STEPS_BETWEEN_LOOKS,
    )
    try:
        [answer] = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return None
        raise
    finally:
        connection.set_progress_handler(None, 0)
    return answer == "ok"


def _write_nothing(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")


def _unknown(connection: sqlite3.Connection, api_url: str, servers: set[str]) -> int:
    [version] = connection.execute("PRAGMA user_version").fetchone()
    if version < SCHEMA_VERSION:
        return 0
    sql = "SELECT state, process_id FROM runs WHERE api_url = ? AND state IN (?, ?)"
    rows = connection.execute(sql, (normalize_address(api_url), "unknown", "sending"))
    return sum(state == "unknown" or process_id not in servers for state, process_id in rows)


def _is_young(path: Path, old: float) -> bool:
    try:
        return path.stat().st_mtime > old
    except OSError:
        return False


def _is_locked(path: Path) -> bool:
    try:
        with closing(_connected(path, 0)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        return is_busy(error)
    return False


def _other_owner(file: Path) -> str | None:
    if os.name != "posix":
        return None
    try:
        return None if file.stat().st_uid == os.geteuid() else file.owner()
    except KeyError:
        return "a user without a name"
    except OSError:
        return None
