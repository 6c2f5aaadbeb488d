"""HTTP connections: how many may be open, and how long a request may take to arrive."""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

# Clients on this machine send a request within milliseconds.
REQUEST_SECONDS = 10.0
MAX_CONNECTIONS = 1_000
ACCEPT_PAUSE_SECONDS = 1.0
LOG_SECONDS = 60.0

logger = logging.getLogger(__name__)


def max_connections() -> int:
    """Return how many connections may be open: they leave half the descriptors to the rest."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    import resource  # noqa: PLC0415  only POSIX has it

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if limit == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, limit // 2)


class BoundedProtocol(H11Protocol):
    """A connection that is closed when a request doesn't arrive completely in time.

    Between two requests, uvicorn's own timeout counts.
    """

    on_lost: Callable[[], None] | None = None
    _timer: asyncio.TimerHandle | None = None

    def connection_made(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, transport: asyncio.Transport
    ) -> None:
        """Wait for the first request."""
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of a request."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the rest of a next request that has begun already."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting, and make room for another connection."""
        self._stop_timer()
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost()

    def _watch(self) -> None:
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._start_timer()
        else:
            self._stop_timer()

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class BoundedServer(uvicorn.Server):
    """A server that accepts no more connections than it has room for; the rest wait.

    It accepts them itself, because asyncio's loop has no limit, and is busy with nothing but its
    log while there are no descriptors.
    """

    def __init__(self, config: uvicorn.Config, most_connections: int) -> None:
        super().__init__(config)
        self._room = asyncio.Semaphore(most_connections)
        self._accepting: list[asyncio.Task[None]] = []
        self._logged_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then accept connections."""
        await super().startup(sockets=[])
        for listener in sockets or []:
            listener.setblocking(False)
            listener.listen(self.config.backlog)
            self._accepting.append(asyncio.create_task(self._accept(listener)))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, then stop."""
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        await super().shutdown(sockets)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._room.acquire()
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                self._room.release()
                await self._pause(error)
                continue
            await self._serve_connection(connection)

    async def _serve_connection(self, connection: socket.socket) -> None:
        protocol = BoundedProtocol(self.config, self.server_state, self.lifespan.state)
        protocol.on_lost = self._room.release
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, connection)
        # One connection that fails must not end the loop that accepts the others.
        except Exception as error:
            logger.debug("A connection failed: %r", error)
            connection.close()
            self._room.release()

    async def _pause(self, error: OSError) -> None:
        """Wait until there may be descriptors again; a client that has left needs no pause."""
        if isinstance(error, ConnectionError):
            return
        now = asyncio.get_running_loop().time()
        if self._logged_at is None or now - self._logged_at > LOG_SECONDS:
            self._logged_at = now
            logger.warning("No connection can be accepted: %s", error.strerror)
        await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
