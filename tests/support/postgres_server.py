"""A PostgreSQL server on a free port, with its data in a temporary folder."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from .ports import free_port
from .unprivileged import give_away, start_unprivileged

START_SECONDS = 60
STOP_SECONDS = 30
USER = "layer"
# This user needs a password; `USER` doesn't.
GUARDED_USER = "guarded"
HBA = f"""
host all {GUARDED_USER} 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""
CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
full_page_writes = off
shared_buffers = 16MB
max_connections = 60
autovacuum = off
logging_collector = off
"""


def find_programs() -> Path | None:
    """Return the folder with the server's programs, or None if it isn't installed."""
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    on_path = [Path(folder) for folder in os.get_exec_path()]
    for folder in (*sorted(installed, reverse=True), *on_path):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


@dataclass
class PostgresServer:
    """A server that tests can stop, start and configure."""

    programs: Path
    folder: Path
    port: int = 0
    password: str = field(default_factory=lambda: uuid4().hex, repr=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def url(self, database: str = "postgres", user: str = USER) -> str:
        """Return the URL of a database."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        """Create an empty database, and return its URL."""
        name = f"test_{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, *statements: str, url: str | None = None) -> list[Any]:
        """Run statements, and return the rows of the last one."""
        return execute(url or self.url(), *statements)

    def create(self) -> None:
        """Create the data, once."""
        options = ["-D", "data", "-U", USER, "--auth=trust", "--no-sync", "--no-instructions"]
        process = self._start("initdb", *options, "--encoding=UTF8", "--locale=C")
        assert process.wait(START_SECONDS) == 0, (self.folder / "log").read_text()
        (self.folder / "data" / "pg_hba.conf").write_text(HBA)
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            file.write(CONFIGURATION)

    def start(self) -> None:
        """Start it, on its former port if it had one, and return once it accepts connections."""
        self.port = self.port or free_port()
        self._process = self._start("postgres", "-D", "data", "-p", str(self.port))
        log = self.folder / "log"
        assert self._accepts_connections(), f"PostgreSQL doesn't start: {log.read_text()}"

    def stop(self) -> None:
        """Stop it immediately, as after a power failure."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(STOP_SECONDS)
            self._process = None

    def pause(self) -> None:
        """Let it stop answering, without closing a connection."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal_all(signal.SIGCONT)

    def reload(self, **parameters: str) -> None:
        """Change the configuration of the running server."""
        changes = [f"ALTER SYSTEM SET {name} = '{value}'" for name, value in parameters.items()]
        self.execute(*(changes or ["ALTER SYSTEM RESET ALL"]))
        self.execute("SELECT pg_reload_conf()")

    def own(self, *files: Path) -> None:
        """Let only the server read these files."""
        give_away(*files)
        for file in files:
            file.chmod(0o600)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        group = self._process.pid
        children = Path(f"/proc/{group}/task/{group}/children").read_text().split()
        for process_id in (group, *map(int, children)):
            os.kill(process_id, number)

    def _accepts_connections(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with psycopg.connect(self.url()):
                    return True
            except psycopg.OperationalError:
                time.sleep(0.05)
        return False

    def _start(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [str(self.programs / program), *arguments]
        return start_unprivileged(command, self.folder, str(self.programs))


@contextmanager
def running_postgres(programs: Path, parent: Path | None = None) -> Generator[PostgresServer]:
    """Start a server for the block, and delete its data at the end.

    By default, the data is in the folder for temporary files.
    """
    folder = Path(tempfile.mkdtemp(prefix=".layer-postgres-", dir=parent))
    give_away(folder)
    server = PostgresServer(programs, folder)
    try:
        server.create()
        server.start()
        server.execute(f"CREATE USER {GUARDED_USER} PASSWORD '{server.password}'")
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def execute(url: str, *statements: str) -> list[Any]:
    """Run statements in a database, and return the rows of the last one."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []
