"""The interface that the journal needs from a database: transactions and process tracking."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

ResultT = TypeVar("ResultT")


class DatabaseError(Exception):
    """A failed statement; its transaction was rolled back.

    `is_busy` means that another process holds the database, `is_full` that the disk is full.
    `is_permanent` means that only new settings help. `is_uncertain` means that the connection was
    lost during the commit, so the transaction may have been committed. `fix` says what to do.
    """

    def __init__(
        self,
        reason: str,
        *,
        is_busy: bool = False,
        is_full: bool = False,
        is_permanent: bool = False,
        is_uncertain: bool = False,
        fix: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.is_busy = is_busy
        self.is_full = is_full
        self.is_permanent = is_permanent
        self.is_uncertain = is_uncertain
        self.fix = fix


class Cursor(Protocol):
    """The result of a statement; rows are read by column name."""

    @property
    def rowcount(self) -> int:
        """The number of rows that were written."""
        ...

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all remaining rows."""
        ...


class Connection(Protocol):
    """An open transaction; values are bound to the question marks of a statement."""

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Cursor:
        """Run one statement."""
        ...


Work = Callable[[Connection], ResultT]
"""Reads or writes within one transaction, in a worker thread."""


class Database(Protocol):
    """A database shared by several processes, opened at first use."""

    @property
    def problem(self) -> str | None:
        """Why runs aren't kept after the process ends, if they should be; known after first use."""
        ...

    @property
    def fix(self) -> str | None:
        """What to do about the problem, if that is known."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether processes take over the queued runs of one that ended."""
        ...

    @property
    def process_id(self) -> str:
        """The ID of this process, as the owner of the runs it sends."""
        ...

    async def open(self) -> None:
        """Open a database that other machines share, so that wrong settings are noticed.

        Raises:
            SettingsError: only other settings can help.
        """
        ...

    def is_alive(self, connection: Connection, process_id: str, /) -> bool:
        """Return whether a process is running; True if that's unknown."""
        ...

    def is_abandoned(self, connection: Connection, process_id: str, /) -> bool:
        """Return whether no other process takes over the queued runs of an ended one any more."""
        ...

    def remove_process(self, connection: Connection, process_id: str, /) -> None:
        """Forget an ended process and what it set aside, once the transaction is committed."""
        ...

    async def set_aside(self, journal: object, lines: Sequence[str]) -> None:
        """Keep a journal's lines that can't be written now, in place of its earlier ones.

        This never fails; an error is logged.
        """
        ...

    def read_set_aside(self, process_id: str) -> list[str]:
        """Return the lines that an ended process set aside."""
        ...

    async def write(self, work: Work[ResultT]) -> ResultT:
        """Run `work` in a write transaction that excludes other processes, and return its result.

        Raises:
            DatabaseError: nothing was written.
        """
        ...

    async def read(self, work: Work[ResultT]) -> ResultT:
        """Run `work` in a read transaction, and return its result.

        Raises:
            DatabaseError: the database can't be read.
        """
        ...

    def close(self) -> None:
        """Close the database. A later use reopens it."""
        ...
