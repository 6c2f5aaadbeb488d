"""PgBouncer in transaction mode on a free port, in front of a PostgreSQL server."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

from .ports import free_port
from .postgres_server import USER, PostgresServer
from .unprivileged import give_away, start_unprivileged

START_SECONDS = 20
STOP_SECONDS = 30
POOL_SIZE = 2
# Every parameter that isn't named here has PgBouncer's default, as most installations have it.
CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = users.txt
pool_mode = transaction
default_pool_size = {pool_size}
"""


@dataclass
class PgBouncer:
    """A running pooler. Each database has a pool of its own."""

    program: str
    folder: Path
    server: PostgresServer
    port: int = 0
    password: str = field(default_factory=lambda: uuid4().hex, repr=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def url(self, url: str) -> str:
        """Return the URL of a database that is reached through the pooler."""
        place = f"{USER}:{self.password}@127.0.0.1:{self.port}"
        return urlsplit(url)._replace(netloc=place).geturl()

    def start(self) -> None:
        """Start it, and return once it accepts connections."""
        self.port = free_port()
        (self.folder / "users.txt").write_text(f'"{USER}" "{self.password}"\n')
        (self.folder / "pgbouncer.ini").write_text(
            CONFIGURATION.format(server_port=self.server.port, port=self.port, pool_size=POOL_SIZE)
        )
        self._process = start_unprivileged([self.program, "pgbouncer.ini"], self.folder)
        log = self.folder / "log"
        assert self._accepts_connections(), f"PgBouncer doesn't start: {log.read_text()}"

    def stop(self) -> None:
        """Stop it immediately."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOP_SECONDS)
            self._process = None

    def _accepts_connections(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with psycopg.connect(self.url(self.server.url())):
                    return True
            except psycopg.OperationalError:
                time.sleep(0.02)
        return False


def find_pgbouncer() -> str | None:
    """Return the path of PgBouncer, which is often in a folder for administrators, or None."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def running_pgbouncer(program: str, server: PostgresServer) -> Generator[PgBouncer]:
    """Start a pooler in front of a server for the block, and delete its files at the end."""
    folder = Path(tempfile.mkdtemp(prefix="layer-pgbouncer-"))
    give_away(folder)
    pooler = PgBouncer(program, folder, server)
    try:
        pooler.start()
        yield pooler
    finally:
        pooler.stop()
        shutil.rmtree(folder, ignore_errors=True)
