"""The database behind the journal: opened at the first use, shared by threads and processes.

SQLite in WAL mode. A commit is on the disk before it returns, because it may be the only trace of
what was paid for.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import TypeVar

from anyio import to_thread

from .owners import Owner
from .schema import SCHEMA_VERSION, migrate

FILE_NAME = "journal.sqlite3"
BUSY_SECONDS = 5.0
# Several servers that start at once make the database in turn.
OPEN_SECONDS = 5.0
OPEN_PAUSE_SECONDS = 0.05
BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

logger = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")
Work = Callable[[sqlite3.Connection], ResultT]


class Database:
    """One connection, one thread at a time; `place` says in which folder, at the first use.

    Without a folder it lives in memory. So it does when the folder cannot be used: `problem` then
    says why nothing outlives the process.
    """

    def __init__(self, place: Callable[[], Path | None]) -> None:
        self.problem: str | None = None
        self.owner = Owner()
        self._place = place
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: Path | None = None
        self._identity: tuple[int, int] | None = None

    def close(self) -> None:
        """Close the database; a later use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self.owner.leave()

    async def write(self, work: Work[ResultT]) -> ResultT:
        """What `work` returns, with all that it wrote; nothing is written when it raises.

        No other process writes meanwhile.

        Raises:
            sqlite3.Error: the database cannot be written, or another process holds it too long.
        """
        return await to_thread.run_sync(self._in_transaction, "BEGIN IMMEDIATE", work)

    async def read(self, work: Work[ResultT]) -> ResultT:
        """What `work` returns.

        Raises:
            sqlite3.Error: the database cannot be read.
        """
        return await to_thread.run_sync(self._in_transaction, "BEGIN", work)

    def _in_transaction(self, begin: str, work: Work[ResultT]) -> ResultT:
        # Whoever waits for another process lets the next one wait no longer than that.
        if not self._lock.acquire(timeout=BUSY_SECONDS):
            raise sqlite3.OperationalError("the journal is busy")
        try:
            return self._answer(begin, work)
        finally:
            self._lock.release()

    def _answer(self, begin: str, work: Work[ResultT]) -> ResultT:
        if self._connection is not None and self._is_gone():
            logger.warning("The journal was taken away; a new one is begun")
            self._connection.close()
            self._connection = None
            self.owner.leave()
        if self._connection is None:
            self._connection = self._opened()
        try:
            return _transaction(self._connection, begin, work)
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:
                raise
            # SQLite says so of a damaged file, which stays as it is.
            self._connection.close()
            self._connection = self._in_memory(f"the journal is damaged ({error})")
            return _transaction(self._connection, begin, work)

    def _opened(self) -> sqlite3.Connection:
        folder: Path | None = None
        try:
            folder = self._place()
            if folder is None:
                return _prepared(":memory:")
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # A folder that was there before may be open to others; prompts are not for them.
            (folder / FILE_NAME).touch(mode=0o600)
            self.owner.enter(folder)
            connection = _prepared(str(folder / FILE_NAME))
            self._file = folder / FILE_NAME
            self._identity = _identity(self._file)
            return connection
        except (OSError, ValueError, RuntimeError, sqlite3.Error) as error:
            if is_busy(error):
                raise
            reason = getattr(error, "strerror", None) or str(error)
            return self._in_memory(f"{folder}: {reason}" if folder else reason)

    def _is_gone(self) -> bool:
        """Whether the file is not at its place any more: what is written to it would be lost."""
        return self._file is not None and _identity(self._file) != self._identity

    def _in_memory(self, problem: str) -> sqlite3.Connection:
        self.problem = problem
        self._file = None
        logger.warning("Nothing is kept between runs: %s", problem)
        return _prepared(":memory:")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_busy(error: Exception) -> bool:
    """Whether another process holds the database."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in BUSY_CODES


def _transaction(connection: sqlite3.Connection, begin: str, work: Work[ResultT]) -> ResultT:
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


def _prepared(path: str) -> sqlite3.Connection:
    """The database, made if need be; waits for another process that is making it.

    The switch to WAL does not wait by itself (sqlite.org, "Write-Ahead Logging").
    """
    deadline = monotonic() + OPEN_SECONDS
    while True:
        try:
            return _made(path)
        except sqlite3.OperationalError as error:
            if not is_busy(error) or monotonic() > deadline:
                raise
            sleep(OPEN_PAUSE_SECONDS)


def _made(path: str) -> sqlite3.Connection:
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
            _transaction(connection, "BEGIN EXCLUSIVE", migrate)
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
