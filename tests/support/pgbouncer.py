"""PgBouncer in transaction mode on a free port, in front of a PostgreSQL server."""

import os
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

from .postgres_server import USER, PostgresServer, free_port, other_user

START_SECONDS = 20
STOP_SECONDS = 30
ATTEMPTS = 3
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
        for _ in range(ATTEMPTS):
            self.port = free_port()
            self._process = self._popen()
            if self._accepts_connections():
                return
            self.stop()
        raise AssertionError(f"PgBouncer doesn't start: {(self.folder / 'log').read_text()}")

    def stop(self) -> None:
        """Stop it immediately."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOP_SECONDS)
            self._process = None

    def _popen(self) -> subprocess.Popen[bytes]:
        (self.folder / "users.txt").write_text(f'"{USER}" "{self.password}"\n')
        (self.folder / "pgbouncer.ini").write_text(
            CONFIGURATION.format(server_port=self.server.port, port=self.port, pool_size=POOL_SIZE)
        )
        user = other_user()
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self.program, "pgbouncer.ini"],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.defpath, "LC_ALL": "C"},
                # A signal for the tests must not stop it first.
                start_new_session=True,
                user=user[0] if user else None,
                group=user[1] if user else None,
                extra_groups=() if user else None,
            )

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
    if user := other_user():
        os.chown(folder, *user)
    pooler = PgBouncer(program, folder, server)
    try:
        pooler.start()
        yield pooler
    finally:
        pooler.stop()
        shutil.rmtree(folder, ignore_errors=True)
