"""A proxy in front of PostgreSQL that loses one answer to a commit."""

import select
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

SIZE = 65_536


class CuttingProxy:
    """Relays connections until it has to lose an answer."""

    def __init__(self, url: str) -> None:
        self._server = urlsplit(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._statement: bytes | None = None
        self.cuts = 0

    @property
    def url(self) -> str:
        """The URL of the database behind it."""
        port = self._listener.getsockname()[1]
        place = f"{self._server.username}@127.0.0.1:{port}"
        return self._server._replace(netloc=place, query="sslmode=disable").geturl()

    def lose_commit_of(self, statement: str) -> None:
        """Cut the next connection that commits this statement, once it's committed."""
        self._statement = statement.encode()

    def serve(self) -> None:
        """Accept connections until it's closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=[client], daemon=True).start()

    def close(self) -> None:
        """Accept no more connections."""
        # Closing alone doesn't wake a thread that accepts.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _relay(self, client: socket.socket) -> None:
        address = (self._server.hostname or "", self._server.port or 0)
        with client, socket.create_connection(address) as server:
            has_statement = False
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for side in ready:
                    try:
                        data = side.recv(SIZE)
                        (server if side is client else client).sendall(data)
                    except OSError:
                        return
                    if not data:
                        return
                    if side is server or self._statement is None:
                        continue
                    has_statement = has_statement or self._statement in data
                    if has_statement and b"COMMIT" in data:
                        # The answer shows that it's committed.
                        server.recv(SIZE)
                        self._statement = None
                        self.cuts += 1
                        return


@contextmanager
def cutting_proxy(url: str) -> Generator[CuttingProxy]:
    """Run a proxy in front of a database."""
    proxy = CuttingProxy(url)
    threading.Thread(target=proxy.serve, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.close()
