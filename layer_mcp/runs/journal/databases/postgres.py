"""The shared database: PostgreSQL, for several servers on one or more machines.

Nothing is kept between transactions but leases in a table, so a connection pooler may sit in front
of it. What can't be written because the database is away is set aside on this machine's disk.
"""

import contextlib
import logging
import socket
import sqlite3
from collections.abc import Callable, Generator, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Event, Lock, Thread, Timer
from time import monotonic
from typing import Any

import psycopg
from anyio import to_thread
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from ....settings import SettingsError
from ..outcome import outcome_from_line, write_outcome
from . import leases
from .database import Connection, Cursor, DatabaseError, ResultT, Work
from .liveness import ProcessLock, create_private_folder
from .postgres_faults import AWAY, CROWDED, HELD, INVALID, MISSING, find_fault, first_line
from .postgres_schema import SCHEMA, set_up

# The daily limit counts all accounts at an API's address, so all writers share one lock.
LOCK_KEY = 0x6C617965725F6D63
CONNECT_SECONDS = 5
LOCK_SECONDS = 5.0
STATEMENT_SECONDS = 5.0
# A whole transaction. The database can't end one if its machine stops answering.
ANSWER_SECONDS = 15.0
CLOSE_SECONDS = 2.0
FORGET_SECONDS = 0.5
# It takes less to notice that the database closed a connection while it was idle.
STALE_SECONDS = 2.0
MAX_CONNECTIONS = 5
PARAMETERS = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "layer-mcp",
    "client_encoding": "utf8",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
# A prepared statement would stay in a session that a pooler then gives to another process.
LINK_OPTIONS: dict[str, Any] = {
    "autocommit": True,
    "row_factory": dict_row,
    "prepare_threshold": None,
}
READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# With an older snapshot, a writer wouldn't see what was committed while it waited for the lock.
WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"

Link = psycopg.Connection[DictRow]

logger = logging.getLogger(__name__)


class PostgresDatabase:
    """A pool of connections; `find_folder` returns the folder for what can't be written.

    Nothing is ever kept in memory instead: if the database can't be used, every call fails. Each
    call connects again after a failure.
    """

    is_shared = True
    problem: str | None = None
    fix: str | None = None

    def __init__(self, url: str, find_folder: Callable[[], Path | None]) -> None:
        self._url = url
        self._find_folder = find_folder
        self._process = ProcessLock()
        self._pool: ConnectionPool[Link] | None = None
        self._opening = Lock()
        self._writing = Lock()
        self._failure: tuple[float, DatabaseError] | None = None
        self._renewed_at = 0.0
        self._ended: list[str] = []
        self._keeper: Event | None = None

    @property
    def process_id(self) -> str:
        """The ID of this process, as the owner of the runs it sends."""
        return self._process.process_id

    async def open(self) -> None:
        """Open the database now. If it's away, that's only a warning: each call tries again.

        Raises:
            SettingsError: only other settings can help.
        """
        try:
            await to_thread.run_sync(self._open_pool, monotonic())
        except DatabaseError as error:
            if error.is_permanent:
                raise SettingsError(f"The journal can't be used: {error}. {error.fix}") from None
            logger.warning("The journal can't be used yet: %s. %s", error, error.fix)

    def is_alive(self, connection: Connection, process_id: str, /) -> bool:
        """Return whether a process that shares the database is running."""
        return process_id == self.process_id or leases.is_alive(connection, process_id)

    def is_abandoned(self, connection: Connection, process_id: str, /) -> bool:
        """Return whether a process ended so long ago that nobody takes over its queued runs."""
        return not leases.ended_lately(connection, process_id)

    def remove_process(self, connection: Connection, process_id: str, /) -> None:
        """Forget an ended process and what it set aside, once the transaction is committed."""
        leases.remove(connection, process_id)
        self._ended.append(process_id)

    async def set_aside(self, journal: object, lines: Sequence[str]) -> None:
        """Keep a journal's lines that can't be written now, in place of its earlier ones.

        This never fails; an error is logged.
        """
        await to_thread.run_sync(self._process.set_aside, journal, lines)

    def read_set_aside(self, process_id: str) -> list[str]:
        """Return the lines that an ended process on this machine set aside."""
        return self._process.read_set_aside(process_id)

    async def write(self, work: Work[ResultT]) -> ResultT:
        """Run `work` in a write transaction that excludes other processes, and return its result.

        Raises:
            DatabaseError: nothing was written, unless it's uncertain.
        """
        return await to_thread.run_sync(self._write, work)

    async def read(self, work: Work[ResultT]) -> ResultT:
        """Run `work` in a read transaction, and return its result.

        Raises:
            DatabaseError: the database can't be read.
        """
        return await to_thread.run_sync(self._run, f"{READ}; {_limits()}", work)

    def close(self) -> None:
        """Close the database. A later use reopens it."""
        if self._keeper is not None:
            self._keeper.set()
            self._keeper = None
        with self._opening:
            pool, self._pool = self._pool, None
        if pool is not None:
            failures = (psycopg.Error, DatabaseError, _StaleConnectionError)
            with contextlib.suppress(*failures), pool.connection(timeout=CLOSE_SECONDS) as link:
                begin, work = f"{WRITE}; {_limits()}", _ending(self.process_id)
                _run_transaction(link, begin, work, seconds=CLOSE_SECONDS)
            pool.close(timeout=CLOSE_SECONDS)
        self._process.release()

    def _write(self, work: Work[ResultT]) -> ResultT:
        called_at = monotonic()
        # Others on this machine wait here, so that each process waits with one connection.
        if not self._writing.acquire(timeout=LOCK_SECONDS):
            raise HELD.error()
        try:
            self._ended.clear()
            result = self._run(f"{WRITE}; {_lock()}", self._renewing(work), called_at)
            for process_id in self._ended:
                if not self._process.is_alive(process_id):
                    self._process.remove(process_id)
            return result
        finally:
            self._writing.release()

    def _renewing(self, work: Work[ResultT]) -> Work[ResultT]:
        """Return work that renews an old lease before anything else is done."""
        if monotonic() - self._renewed_at < 2 * leases.RENEW_SECONDS:
            return work

        def renew_first(connection: Connection) -> ResultT:
            leases.renew(connection, self.process_id)
            return work(connection)

        return renew_first

    def _run(self, begin: str, work: Work[ResultT], called_at: float | None = None) -> ResultT:
        called_at = called_at or monotonic()
        began = monotonic()
        try:
            return self._try(begin, work, called_at)
        except _StaleConnectionError:
            if monotonic() - began > STALE_SECONDS:
                raise AWAY.error() from None
        # Nothing was done. The database may have been restarted since the last call.
        try:
            return self._try(begin, work, called_at)
        except _StaleConnectionError:
            raise AWAY.error() from None

    def _try(self, begin: str, work: Work[ResultT], called_at: float) -> ResultT:
        pool = self._open_pool(called_at)
        try:
            link = pool.getconn(CONNECT_SECONDS)
        except PoolTimeout:
            self._forget(pool)
            raise CROWDED.error() from None
        try:
            return _run_transaction(link, begin, work, seconds=ANSWER_SECONDS)
        finally:
            if link.closed:
                self._forget(pool)
            pool.putconn(link)

    def _open_pool(self, called_at: float) -> ConnectionPool[Link]:
        with self._opening:
            if self._pool is not None:
                return self._pool
            # Those who waited don't each wait for another attempt.
            if self._failure is not None and self._failure[0] > called_at:
                raise self._failure[1]
            try:
                self._pool = self._open()
            except DatabaseError as error:
                self._failure = monotonic(), error
                raise
            return self._pool

    def _open(self) -> ConnectionPool[Link]:
        """Connect, set up the tables and renew the lease, and return a pool of connections."""
        url = _complete(self._url)
        try:
            # A pool would hide why it can't connect.
            with contextlib.closing(_connect(url)) as link:
                begin = f"{WRITE}; {_lock()}"
                merged = _run_transaction(link, begin, self._set_up, seconds=ANSWER_SECONDS)
        except _StaleConnectionError:
            raise AWAY.error() from None
        for process_id in merged:
            self._process.remove(process_id)
        self._renewed_at = monotonic()
        if self._keeper is None:
            self._keeper = Event()
            Thread(target=self._keep_alive, args=(self._keeper,), daemon=True).start()
        return ConnectionPool(
            url,
            kwargs=LINK_OPTIONS,
            min_size=1,
            max_size=MAX_CONNECTIONS,
            num_workers=1,
            name="layer-mcp",
            open=True,
        )

    def _set_up(self, connection: Connection) -> list[str]:
        """Return the processes of this machine whose lines were written."""
        journal_id = set_up(connection, is_reopened=self._keeper is not None)
        self._acquire_process(journal_id)
        leases.renew(connection, self.process_id)
        leases.remove_old(connection)
        orphans = self._process.find_orphans(f"{journal_id}-")
        for process_id in orphans:
            for line in self._process.read_set_aside(process_id):
                if (known := outcome_from_line(line)) is not None:
                    account, outcome = known
                    write_outcome(connection, outcome, account=account, process_id=process_id)
        return orphans

    def _acquire_process(self, journal_id: str) -> None:
        try:
            folder = self._find_folder()
            if folder is not None:
                create_private_folder(folder)
                self._process.acquire(folder, f"{journal_id}-")
        except (OSError, ValueError, RuntimeError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            logger.warning("Nothing can be set aside if the database is away: %s", reason)

    def _keep_alive(self, stop: Event) -> None:
        was_renewed = True
        while not stop.wait(leases.RENEW_SECONDS):
            try:
                self._run(f"{WRITE}; {_limits()}", lambda link: leases.renew(link, self.process_id))
                self._renewed_at = monotonic()
                was_renewed = True
            except DatabaseError as error:
                if was_renewed:
                    logger.warning("The journal can't be used: %s. %s", error, error.fix)
                was_renewed = False

    def _forget(self, pool: ConnectionPool[Link]) -> None:
        if self._pool is pool:
            self._pool = None
        pool.close(timeout=FORGET_SECONDS)


def read_once(url: str, work: Work[ResultT]) -> ResultT:
    """Connect, run `work` in a read transaction, and return its result; no table is created.

    Raises:
        DatabaseError: the database can't be reached or read.
    """
    try:
        with contextlib.closing(_connect(_complete(url))) as link:
            return _run_transaction(link, f"{READ}; {_limits()}", work, seconds=ANSWER_SECONDS)
    except _StaleConnectionError:
        raise AWAY.error() from None


def place_of(url: str) -> str:
    """Return the host and the name of a database, without its user and password.

    Raises:
        DatabaseError: the URL is invalid.
    """
    parts = conninfo_to_dict(_complete(url))
    return f"{parts.get('host') or parts.get('hostaddr')}/{parts.get('dbname') or ''}".rstrip("/")


class _StaleConnectionError(Exception):
    """The connection was lost before the transaction began."""


class _Transaction:
    """An open transaction that takes question marks, as SQLite does."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Cursor:
        return self._link.execute(_translate(sql), values)


def _connect(url: str) -> Link:
    try:
        return Link.connect(url, **LINK_OPTIONS)
    except psycopg.Error as error:
        raise _database_error(error) from error
    # An empty or too long label of the host's name can't be encoded.
    except UnicodeError:
        raise MISSING.error() from None


def _run_transaction(link: Link, begin: str, work: Work[ResultT], *, seconds: float) -> ResultT:
    try:
        with _cut_off_after(link, seconds):
            _begin_transaction(link, begin)
            try:
                result = work(_Transaction(link))
            except BaseException:
                with contextlib.suppress(psycopg.Error):
                    link.execute("ROLLBACK")
                raise
            _commit(link)
            return result
    except psycopg.Error as error:
        raise _database_error(error) from error


def _begin_transaction(link: Link, begin: str) -> None:
    try:
        link.execute(begin.encode())
    except psycopg.Error as error:
        if link.closed:
            raise _StaleConnectionError from error
        with contextlib.suppress(psycopg.Error):
            link.execute("ROLLBACK")
        raise


def _commit(link: Link) -> None:
    try:
        link.execute("COMMIT")
    except psycopg.Error as error:
        if not link.closed:
            raise
        logger.warning("The database was lost during a commit: %s", first_line(error))
        raise AWAY.error(is_uncertain=True) from error


@contextlib.contextmanager
def _cut_off_after(link: Link, seconds: float) -> Generator[None]:
    """Shut down the connection if the block takes longer, because it would wait forever."""
    with socket.fromfd(link.fileno(), socket.AF_INET, socket.SOCK_STREAM) as same:
        timer = Timer(seconds, _shut_down, [same])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _shut_down(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _ending(process_id: str) -> Work[None]:
    return lambda connection: leases.end(connection, process_id)


def _database_error(error: psycopg.Error) -> DatabaseError:
    logger.warning("The database reports: %s", first_line(error))
    return find_fault(error).error()


def _limits() -> str:
    """Return the statements that begin every transaction; a pooler may have changed sessions."""
    return (
        f"SET LOCAL search_path = {SCHEMA}; "
        f"SET LOCAL lock_timeout = '{LOCK_SECONDS * 1_000:.0f}ms'; "
        f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS * 1_000:.0f}ms'; "
        # A server that is paused must not hold the lock.
        f"SET LOCAL idle_in_transaction_session_timeout = '{ANSWER_SECONDS * 1_000:.0f}ms'"
    )


def _lock() -> str:
    return (
        f"{_limits()}; "
        # A commit may be the only trace of a payment.
        "SELECT set_config('synchronous_commit', 'on', true) "
        "WHERE current_setting('synchronous_commit') = 'off'; "
        f"SELECT pg_advisory_xact_lock({LOCK_KEY})"
    )


def _complete(url: str) -> str:
    """Return the URL's parameters with our defaults.

    Raises:
        DatabaseError: the URL is invalid. Its text isn't repeated, because of the password.
    """
    try:
        return make_conninfo("", **(PARAMETERS | conninfo_to_dict(url)))
    except psycopg.Error:
        raise INVALID.error() from None


@lru_cache(maxsize=256)
def _translate(sql: str) -> bytes:
    return sql.replace("%", "%%").replace("?", "%s").encode()
