"""The embedded database: a SQLite file in the state folder, shared by threads and processes.

It uses WAL mode. A commit is on disk before it returns, because it may be the only trace of a
payment.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, sleep

from anyio import to_thread

from .database import Connection, DatabaseError, ResultT, Work
from .liveness import ProcessLock, create_private_folder
from .schema import SCHEMA_VERSION, create_or_carry_over
from .trouble import find_trouble, fix_for, is_busy

FILE_NAME = "journal.sqlite3"
BUSY_SECONDS = 5.0
# Processes that start at the same time create the database one after another.
OPEN_SECONDS = 5.0
OPEN_PAUSE_SECONDS = 0.05

logger = logging.getLogger(__name__)


class SqliteDatabase:
    """A connection for one thread at a time; `find_folder` returns its folder at first use.

    Without a folder, or if it can't be used, the database is in memory: `problem` says why nothing
    is kept, and `fix` what to do about it. Each call tries to open the file again, until a run is
    recorded in memory: switching to the file would lose that run.
    """

    is_shared = False

    def __init__(self, find_folder: Callable[[], Path | None]) -> None:
        self.problem: str | None = None
        self.fix: str | None = None
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
        """The ID of this process, as the owner of the runs it sends."""
        return self._process.process_id

    async def open(self) -> None:
        """Do nothing: the file is opened at first use, and a problem doesn't stop the server."""

    def is_alive(self, _connection: Connection, process_id: str) -> bool:
        """Return whether a process that shares the file is running."""
        return self._process.is_alive(process_id)

    def is_abandoned(self, _connection: Connection, _process_id: str) -> bool:
        """Return True: nobody wants to pay for yesterday's batch at the next start."""
        return True

    def remove_process(self, _connection: Connection, process_id: str) -> None:
        """Forget an ended process and what it set aside, once the transaction is committed.

        Call this only within a transaction.
        """
        self._ended.append(process_id)

    async def set_aside(self, journal: object, lines: Sequence[str]) -> None:
        """Keep a journal's lines that can't be written now, in place of its earlier ones.

        This never fails; an error is logged.
        """
        await to_thread.run_sync(self._process.set_aside, journal, lines)

    def read_set_aside(self, process_id: str) -> list[str]:
        """Return the lines that an ended process set aside."""
        return self._process.read_set_aside(process_id)

    def close(self) -> None:
        """Close the database. A later use reopens it."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self._process.release()

    async def write(self, work: Work[ResultT]) -> ResultT:
        """Run `work` in a write transaction that excludes other processes, and return its result.

        Raises:
            DatabaseError: the database can't be written, or another process holds it too long.
        """
        return await to_thread.run_sync(self._run, "BEGIN IMMEDIATE", work)

    async def read(self, work: Work[ResultT]) -> ResultT:
        """Run `work` in a read transaction, and return its result.

        Raises:
            DatabaseError: the database can't be read.
        """
        return await to_thread.run_sync(self._run, "BEGIN", work)

    def _run(self, begin: str, work: Work[ResultT]) -> ResultT:
        # The time spent waiting for another process counts for the next caller too.
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
            logger.warning("The journal was removed; starting a new one")
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
            # SQLite reports a damaged file this way. It isn't changed.
            self._connection.close()
            self._connection = self._open_in_memory(f"the journal is damaged ({error})", error)
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
            create_private_folder(folder)
            # An existing folder may be readable by others, who must not see prompts.
            (folder / FILE_NAME).touch(mode=0o600)
            self._process.acquire(folder)
            connection = _connect(str(folder / FILE_NAME))
            self._file = folder / FILE_NAME
            self._identity = _identity(self._file)
            if self._connection is not None:
                self._connection.close()
                self.problem, self.fix, self._has_failed_to_open = None, None, False
            return connection
        except (OSError, ValueError, RuntimeError, sqlite3.Error) as error:
            if is_busy(error):
                raise
            reason = getattr(error, "strerror", None) or str(error)
            self._has_failed_to_open = True
            return self._connection or self._open_in_memory(
                f"{folder}: {reason}" if folder else reason, error
            )

    def _can_be_opened_again(self, connection: sqlite3.Connection) -> bool:
        if not self._has_failed_to_open:
            return False
        return connection.execute("SELECT 1 FROM runs LIMIT 1").fetchone() is None

    def _was_removed(self) -> bool:
        """Return whether the file was moved or deleted, so that writes would be lost."""
        return self._file is not None and _identity(self._file) != self._identity

    def _open_in_memory(self, problem: str, error: Exception) -> sqlite3.Connection:
        self.problem, self.fix = problem, None
        if isinstance(error, sqlite3.Error) and (folder := self._find_folder()):
            self.fix = fix_for(find_trouble(error), folder)
        self._file = None
        logger.warning("Runs are only kept in memory: %s", problem)
        return _connect(":memory:")


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
        # A full disk may already have rolled it back.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _connect(path: str) -> sqlite3.Connection:
    """Open or create the database, waiting for another process that is creating it.

    Switching to WAL doesn't wait on its own (sqlite.org, "Write-Ahead Logging").
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
            raise sqlite3.NotSupportedError(f"a newer layer-mcp wrote it ({version})")
        if version < SCHEMA_VERSION:
            connection.execute("PRAGMA journal_mode = WAL")
            _run_transaction(connection, "BEGIN EXCLUSIVE", _set_up)
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection) -> None:
    # Another process may have done it in the meantime.
    [version] = connection.execute("PRAGMA user_version").fetchone()
    if version < SCHEMA_VERSION:
        create_or_carry_over(connection, version)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
