"""What the journal needs of a database: transactions, and which processes use it."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

ResultT = TypeVar("ResultT")


class DatabaseError(Exception):
    """A statement that failed; nothing of its transaction was written.

    `is_busy` says that another process holds the database, `is_full` that the disk is full.
    """

    def __init__(self, reason: str, *, is_busy: bool = False, is_full: bool = False) -> None:
        super().__init__(reason)
        self.is_busy = is_busy
        self.is_full = is_full


class Cursor(Protocol):
    """The result of one statement; rows are read by column name."""

    @property
    def rowcount(self) -> int:
        """The number of rows that were written."""
        ...

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        ...


class Connection(Protocol):
    """An open transaction; values are bound to the question marks of a statement."""

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Cursor:
        """Run one statement."""
        ...


Work = Callable[[Connection], ResultT]
"""Reads or writes within one transaction, in a worker thread."""


class Database(Protocol):
    """A database that several processes share; opened at the first use."""

    @property
    def problem(self) -> str | None:
        """Why nothing outlives the process although it should; known after the first use."""
        ...

    @property
    def process_id(self) -> str:
        """The id of this process, as the owner of what it is about to send."""
        ...

    def is_alive(self, process_id: str) -> bool:
        """Return whether a process still runs; True when it cannot be told."""
        ...

    def remove_process(self, process_id: str) -> None:
        """Forget a process that has ended, and what it set aside, once the transaction is written.

        Only within a transaction.
        """
        ...

    async def set_aside(self, lines: Sequence[str]) -> None:
        """Keep what cannot be written to the database now; it replaces what was kept before.

        This never fails: without room for it, it is logged.
        """
        ...

    def read_set_aside(self, process_id: str) -> list[str]:
        """Return the lines that an ended process left."""
        ...

    async def write(self, work: Work[ResultT]) -> ResultT:
        """Return what `work` returns, with all that it wrote; no other process writes meanwhile.

        Raises:
            DatabaseError: nothing was written.
        """
        ...

    async def read(self, work: Work[ResultT]) -> ResultT:
        """Return what `work` returns.

        Raises:
            DatabaseError: the database cannot be read.
        """
        ...

    def close(self) -> None:
        """Close the database; a later use opens it again."""
        ...
