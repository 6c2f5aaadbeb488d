"""Answers that go wrong on the wire."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .problems import problem
from .state import Fault

Connections = dict[tuple[str, int], asyncio.Transport]
"""The open connections by the peer's address."""

WEB_PAGE = "<!doctype html><title>Bad gateway</title><h1>Bad gateway</h1>"


def tracked_protocol(connections: Connections) -> type[H11Protocol]:
    """The HTTP protocol of uvicorn, which remembers its connections so that one can be dropped."""

    class TrackedProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            connections[transport.get_extra_info("peername")[:2]] = transport
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.pop(self.transport.get_extra_info("peername")[:2], None)
            super().connection_lost(exc)

    return TrackedProtocol


def spoiled(
    fault: Fault, response: Response, connections: Connections, request: Request
) -> Response:
    """What the fault makes of the answer."""
    if fault.effect == "html":
        return HTMLResponse(WEB_PAGE, fault.status, fault.headers)
    if fault.effect == "status":
        return problem(fault.status, fault.code, fault.detail, fault.headers)
    body = bytes(response.body)
    if fault.effect == "truncate":
        return Response(body[: len(body) // 2], response.status_code, media_type="application/json")
    client = request.client
    connection = connections.get((client.host, client.port)) if client else None
    kept = body[: len(body) * 2 // 3] if fault.effect == "cut" else None
    return BrokenResponse(connection, response.status_code, kept, len(body))


class BrokenResponse(Response):
    """Closes the connection: before any answer, or after part of the body."""

    def __init__(
        self, connection: asyncio.Transport | None, status: int, kept: bytes | None, length: int
    ) -> None:
        super().__init__()
        self._connection = connection
        self._status = status
        self._kept = kept
        self._length = length

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what is kept, then close."""
        if self._kept is not None:
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(self._length).encode()),
            ]
            start: dict[str, Any] = {"type": "http.response.start", "status": self._status}
            await send({**start, "headers": headers})
            await send({"type": "http.response.body", "body": self._kept, "more_body": True})
        if self._connection is not None:
            self._connection.close() if self._kept is not None else self._connection.abort()
