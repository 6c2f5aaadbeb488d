"""Limits for HTTP connections: how many can be open, and how long a request can take to arrive."""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .settings import UPLOADS_PATH

# Clients on this machine send a request within milliseconds.
REQUEST_SECONDS = 10.0
MAX_CONNECTIONS = 1_000
ACCEPT_PAUSE_SECONDS = 1.0
LOG_SECONDS = 60.0

logger = logging.getLogger(__name__)


def max_connections() -> int:
    """Return how many connections can be open: at most half of the process's descriptors."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    import resource  # noqa: PLC0415  only POSIX has it

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if limit == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, limit // 2)


class BoundedProtocol(H11Protocol):
    """A connection that is closed if a request doesn't arrive completely in time.

    Between two requests, uvicorn's own timeout applies.
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
        """Wait for the rest of the next request if it has already begun."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]:
            self._watch()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that can't be parsed, with status 431 if its headers are too long."""
        error = sys.exception()
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        if status == 400:
            super().send_400_response(msg)
            return
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        response = h11.Response(status_code=status, headers=headers)
        self.transport.write(self.conn.send(response) or b"")
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting and make room for another connection."""
        self._stop_timer()
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost()

    def _watch(self) -> None:
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not self._receives_upload():
            self._start_timer()
        else:
            self._stop_timer()

    def _receives_upload(self) -> bool:
        """Return whether the body is a file, whose receiver limits the time by itself."""
        is_body = self.conn.their_state is h11.SEND_BODY and not self.cycle.response_complete
        return is_body and self.scope["path"].startswith(UPLOADS_PATH)

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class BoundedServer(uvicorn.Server):
    """A server that limits its open connections. Further ones wait.

    It accepts connections itself because asyncio's loop has no limit. Without descriptors, that
    loop would only write log messages.
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
        """Stop accepting connections, then stop the server."""
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
        """Wait for a free descriptor, unless the error only says that the client has left."""
        if isinstance(error, ConnectionError):
            return
        now = asyncio.get_running_loop().time()
        if self._logged_at is None or now - self._logged_at > LOG_SECONDS:
            self._logged_at = now
            logger.warning("Cannot accept a connection: %s", error.strerror)
        await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
