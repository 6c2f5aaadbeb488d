"""PostgreSQL for the benchmarks, if this machine has it."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.support.postgres_server import PostgresServer, find_programs, running_postgres

MISSING = "PostgreSQL isn't installed"


@contextmanager
def durable_postgres() -> Generator[PostgresServer | None]:
    """Run a server whose commits reach the disk, as SQLite's do; None if it isn't installed."""
    programs = find_programs()
    if programs is None:
        yield None
        return
    # /tmp may be in memory, so there would be nothing to measure.
    with running_postgres(programs, Path.cwd()) as server:
        server.reload(fsync="on", full_page_writes="on")
        yield server
