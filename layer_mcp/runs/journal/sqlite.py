"""The embedded database: one SQLite file in the state folder, shared by threads and processes.

SQLite in WAL mode. A commit is on the disk before it returns, because it may be the only trace of
what was paid for.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, sleep

from anyio import to_thread

from .database import DatabaseError, ResultT, Work
from .liveness import ProcessLock
from .schema import SCHEMA_VERSION, create_or_carry_over

FILE_NAME = "journal.sqlite3"
BUSY_SECONDS = 5.0
# Several processes that start together make the database in turn.
OPEN_SECONDS = 5.0
OPEN_PAUSE_SECONDS = 0.05
BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

logger = logging.getLogger(__name__)


class SqliteDatabase:
    """One connection, one thread at a time; `find_folder` says where, at the first use.

    Without a folder it lives in memory. So it does when the folder cannot be used: `problem` then
    says why nothing outlives the process. A file that could not be opened is tried again by each
    call, until a run is recorded in memory: moving to the file would forget that one.
    """

    def __init__(self, find_folder: Callable[[], Path | None]) -> None:
        self.problem: str | None = None
        self._has_failed_to_open = False
        self._find_folder = find_folder
        self._process = ProcessLock()
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: Path | None = None
        self._identity: tuple[int, int] | None = None
        self._ended: list[str] = []

    @property
    def process_id(self) -> str:
        """The id of this process, as the owner of what it is about to send."""
        return self._process.process_id

    def is_alive(self, process_id: str) -> bool:
        """Return whether a process that shares the file still runs."""
        return self._process.is_alive(process_id)

    def remove_process(self, process_id: str) -> None:
        """Forget a process that has ended, and what it set aside, once the transaction is written.

        Only within a transaction.
        """
        self._ended.append(process_id)

    async def set_aside(self, lines: Sequence[str]) -> None:
        """Keep what cannot be written to the database now; it replaces what was kept before.

        This never fails: without room for it, it is logged.
        """
        await to_thread.run_sync(self._process.set_aside, lines)

    def read_set_aside(self, process_id: str) -> list[str]:
        """Return the lines that an ended process left."""
        return self._process.read_set_aside(process_id)

    def close(self) -> None:
        """Close the database; a later use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self._process.release()

    async def write(self, work: Work[ResultT]) -> ResultT:
        """Return what `work` returns, with all that it wrote; no other process writes meanwhile.

        Raises:
            DatabaseError: the database cannot be written, or another process holds it too long.
        """
        return await to_thread.run_sync(self._run, "BEGIN IMMEDIATE", work)

    async def read(self, work: Work[ResultT]) -> ResultT:
        """Return what `work` returns.

        Raises:
            DatabaseError: the database cannot be read.
        """
        return await to_thread.run_sync(self._run, "BEGIN", work)

    def _run(self, begin: str, work: Work[ResultT]) -> ResultT:
        # Whoever waits for another process lets the next one wait no longer than that.
        if not self._lock.acquire(timeout=BUSY_SECONDS):
            raise DatabaseError("the journal is busy", is_busy=True)
        try:
            return self._run_alone(begin, work)
        except sqlite3.Error as error:
            raise _database_error(error) from error
        finally:
            self._lock.release()

    def _run_alone(self, begin: str, work: Work[ResultT]) -> ResultT:
        if self._connection is not None and self._was_removed():
            logger.warning("The journal was removed; a new one is begun")
            self._connection.close()
            self._connection = None
            self._process.release()
        if self._connection is None or self._can_be_opened_again(self._connection):
            self._connection = self._open()
        self._ended.clear()
        try:
            result = _run_transaction(self._connection, begin, work)
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:
                raise
            # SQLite says so of a damaged file, which stays as it is.
            self._connection.close()
            self._connection = self._open_in_memory(f"the journal is damaged ({error})")
            return _run_transaction(self._connection, begin, work)
        for process_id in self._ended:
            self._process.remove(process_id)
        return result

    def _open(self) -> sqlite3.Connection:
        folder: Path | None = None
        try:
            folder = self._find_folder()
            if folder is None:
                return _connect(":memory:")
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # A folder that was there before may be open to others; prompts are not for them.
            (folder / FILE_NAME).touch(mode=0o600)
            self._process.acquire(folder)
            connection = _connect(str(folder / FILE_NAME))
            self._file = folder / FILE_NAME
            self._identity = _identity(self._file)
            if self._connection is not None:
                self._connection.close()
                self.problem, self._has_failed_to_open = None, False
            return connection
        except (OSError, ValueError, RuntimeError, sqlite3.Error) as error:
            if is_busy(error):
                raise
            reason = getattr(error, "strerror", None) or str(error)
            self._has_failed_to_open = True
            return self._connection or self._open_in_memory(
                f"{folder}: {reason}" if folder else reason
            )

    def _can_be_opened_again(self, connection: sqlite3.Connection) -> bool:
        if not self._has_failed_to_open:
            return False
        return connection.execute("SELECT 1 FROM runs LIMIT 1").fetchone() is None

    def _was_removed(self) -> bool:
        """Return whether the file is no longer in its place: what is written would be lost."""
        return self._file is not None and _identity(self._file) != self._identity

    def _open_in_memory(self, problem: str) -> sqlite3.Connection:
        self.problem = problem
        self._file = None
        logger.warning("Nothing is kept between runs: %s", problem)
        return _connect(":memory:")


def is_busy(error: Exception) -> bool:
    """Return whether another process holds the database."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in BUSY_CODES


def _database_error(error: sqlite3.Error) -> DatabaseError:
    code = getattr(error, "sqlite_errorcode", None)
    is_operational = isinstance(error, sqlite3.OperationalError)
    return DatabaseError(
        str(error),
        is_busy=is_operational and (code is None or is_busy(error)),
        is_full=code == sqlite3.SQLITE_FULL,
    )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _run_transaction(
    connection: sqlite3.Connection, begin: str, work: Callable[[sqlite3.Connection], ResultT]
) -> ResultT:
    connection.execute(begin)
    try:
        result = work(connection)
        connection.execute("COMMIT")
        return result
    except BaseException:
        # A full disk may have rolled it back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _connect(path: str) -> sqlite3.Connection:
    """Open the database, made if need be; wait for another process that is making it.

    The switch to WAL does not wait by itself (sqlite.org, "Write-Ahead Logging").
    """
    deadline = monotonic() + OPEN_SECONDS
    while True:
        try:
            return _connect_once(path)
        except sqlite3.OperationalError as error:
            if not is_busy(error) or monotonic() > deadline:
                raise
            sleep(OPEN_PAUSE_SECONDS)


def _connect_once(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None
    )
    try:
        connection.row_factory = sqlite3.Row
        [version] = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise sqlite3.NotSupportedError(f"it was written by a newer layer-mcp ({version})")
        if version < SCHEMA_VERSION:
            connection.execute("PRAGMA journal_mode = WAL")
            _run_transaction(connection, "BEGIN EXCLUSIVE", _set_up)
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection) -> None:
    # Another process may have done it meanwhile.
    [version] = connection.execute("PRAGMA user_version").fetchone()
    if version < SCHEMA_VERSION:
        create_or_carry_over(connection, version)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
