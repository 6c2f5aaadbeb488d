"""Where a test's journals are kept: a SQLite file or a PostgreSQL database, used from outside."""

import sqlite3
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg

from layer_mcp.runs.journal.databases.liveness import FOLDER_NAME
from layer_mcp.runs.journal.databases.postgres import LOCK_KEY, PostgresDatabase
from layer_mcp.runs.journal.databases.sqlite import FILE_NAME, SqliteDatabase

from .postgres_server import PostgresServer, execute

ROWS = ("runs", "outputs", "folders", "uploads", "tokens", "downloads", "processes")

AnyDatabase = SqliteDatabase | PostgresDatabase


class Storage(Protocol):
    """A place for journals, and what other programs can do to it."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings that select it."""
        ...

    @property
    def folder(self) -> Path:
        """The state folder."""
        ...

    def make_database(self) -> AnyDatabase:
        """Return a database, as another process has it."""
        ...

    def execute(self, sql: str) -> list[Any]:
        """Run a statement behind the journal's back, and return its rows."""
        ...

    def hold(self) -> AbstractContextManager[object]:
        """Keep others from writing."""
        ...

    def end_processes(self) -> None:
        """Let all processes look as if they had ended, except to themselves."""
        ...

    def expire(self) -> None:
        """Let it be noticed now that a process was killed."""
        ...


class SqliteStorage:
    """A file in the state folder."""

    environment: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make_database(self) -> SqliteDatabase:
        """Return a database, as another process has it."""
        return SqliteDatabase(lambda: self.folder)

    def execute(self, sql: str) -> list[Any]:
        """Run a statement behind the journal's back, and return its rows."""
        with closing(sqlite3.connect(self.folder / FILE_NAME)) as database, database:
            return database.execute(sql).fetchall()

    @contextmanager
    def hold(self) -> Generator[None]:
        """Keep others from writing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.folder / FILE_NAME, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield

    def end_processes(self) -> None:
        """Let all processes look as if they had ended, except to themselves."""
        for lock in (self.folder / FOLDER_NAME).glob("*.lock"):
            lock.unlink()

    def expire(self) -> None:
        """Do nothing: a lock is free as soon as its process has ended."""


class PostgresStorage:
    """A database of a running server. Journals may reach it through a pooler."""

    def __init__(
        self, server: PostgresServer, url: str, folder: Path, *, pooled_url: str | None = None
    ) -> None:
        self.stop, self.start = server.stop, server.start
        self.url = url
        self.folder = folder
        self._journal_url = pooled_url or url
        self.environment: Mapping[str, str] = {"LAYER_DATABASE_URL": self._journal_url}

    def make_database(self) -> PostgresDatabase:
        """Return a database, as another process has it."""
        return PostgresDatabase(self._journal_url, lambda: self.folder)

    def execute(self, sql: str) -> list[Any]:
        """Run a statement behind the journal's back, and return its rows."""
        return execute(self.url, "SET search_path = layer_mcp", sql)

    @contextmanager
    def hold(self) -> Generator[psycopg.Connection]:
        """Keep others from writing."""
        with psycopg.connect(self.url, autocommit=True) as other:
            other.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
            yield other
            # A closed connection would hold it a moment longer.
            other.execute("SELECT pg_advisory_unlock(%s)", (LOCK_KEY,))

    def end_processes(self) -> None:
        """Let all processes look as if they had ended, except to themselves."""
        self.execute("UPDATE processes SET seen_at = 0")

    def expire(self) -> None:
        """Let all leases expire; a process that's alive renews its own when it writes."""
        self.end_processes()

    def expire_lately(self) -> None:
        """Let all leases expire, so that others take over what processes left."""
        self.execute("UPDATE processes SET seen_at = seen_at - 60")

    def disconnect(self) -> None:
        """End all connections to the database, as a restart does."""
        sql = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        self.execute(sql)

    def empty(self) -> None:
        """Delete everything that an earlier test left."""
        try:
            self.execute(";".join(f"DELETE FROM {table}" for table in ROWS))
        except psycopg.errors.UndefinedTable:
            self.execute("DROP SCHEMA IF EXISTS layer_mcp CASCADE")
