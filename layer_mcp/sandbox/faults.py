"""Answers that go wrong on the wire."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .knobs import Fault
from .problems import problem

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


def cut_short(request: Request, byte_count: int) -> Request:
    """The request as it looks when its connection breaks after so many bytes of the body."""
    left = byte_count

    async def receive() -> Message:
        nonlocal left
        if left <= 0:
            return {"type": "http.disconnect"}
        message = await request.receive()
        body: bytes = message.get("body", b"")
        kept = body[:left]
        left -= len(body)
        return {**message, "body": kept, "more_body": left <= 0 or message.get("more_body", False)}

    return Request(request.scope, receive)


def spoiled(
    fault: Fault, response: Response, connections: Connections, request: Request
) -> Response:
    """What the fault makes of the answer."""
    if fault.effect == "html":
        return HTMLResponse(WEB_PAGE, fault.status, fault.headers)
    if fault.effect == "status":
        return problem(fault.status, fault.code, fault.detail, fault.headers)
    body = bytes(response.body)
    headers = {name: text for name, text in response.headers.items() if name != "content-length"}
    if fault.effect == "truncate":
        return Response(body[: len(body) // 2], response.status_code, headers)
    client = request.client
    connection = connections.get((client.host, client.port)) if client else None
    if fault.effect == "drop":
        return NoResponse(connection)
    # An empty body is announced as one byte, so that it can be cut.
    headers["content-length"] = str(len(body) or 1)
    return CutResponse(connection, body[: len(body) * 2 // 3], response.status_code, headers)


class NoResponse(Response):
    """Closes the connection without an answer."""

    def __init__(self, connection: asyncio.Transport | None) -> None:
        super().__init__()
        self._connection = connection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close."""
        if self._connection is not None:
            self._connection.abort()


class CutResponse(Response):
    """Closes the connection before all of the body is sent."""

    def __init__(
        self,
        connection: asyncio.Transport | None,
        kept: bytes,
        status: int,
        headers: dict[str, str],
    ) -> None:
        super().__init__(None, status, headers)
        self._connection = connection
        self._kept = kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what is kept, then close."""
        start: dict[str, Any] = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self._kept, "more_body": True})
        if self._connection is not None:
            self._connection.close()
