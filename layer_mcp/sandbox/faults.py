"""Responses that fail on the wire."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .answers import problem_response
from .knobs import Fault

Connections = dict[tuple[str, int], asyncio.Transport]
"""The open connections by the client's address."""

WEB_PAGE = "<!doctype html><title>Bad gateway</title><h1>Bad gateway</h1>"


def apply_fault(
    fault: Fault, response: Response, connections: Connections, request: Request
) -> Response:
    """Return the response that the client gets instead."""
    if fault.effect == "html":
        return HTMLResponse(WEB_PAGE, fault.status, fault.headers)
    if fault.effect == "status":
        return problem_response(fault.status, fault.code, fault.detail, fault.headers)
    body = bytes(response.body)
    headers = {name: text for name, text in response.headers.items() if name != "content-length"}
    if fault.effect == "truncate":
        return Response(body[: len(body) // 2], response.status_code, headers)
    client = request.client
    connection = connections.get((client.host, client.port)) if client else None
    if fault.effect == "drop":
        return NoResponse(connection)
    # Announce an empty body as one byte, so that it can be cut.
    headers["content-length"] = str(len(body) or 1)
    return CutResponse(connection, body[: len(body) * 2 // 3], response.status_code, headers)


def limit_body(request: Request, size_bytes: int) -> Request:
    """Return the request as if its connection broke after this many bytes of the body."""
    remaining_bytes = size_bytes

    async def receive() -> Message:
        nonlocal remaining_bytes
        if remaining_bytes <= 0:
            return {"type": "http.disconnect"}
        message = await request.receive()
        body: bytes = message.get("body", b"")
        received = body[:remaining_bytes]
        remaining_bytes -= len(body)
        more_body = remaining_bytes <= 0 or message.get("more_body", False)
        return {**message, "body": received, "more_body": more_body}

    return Request(request.scope, receive)


def tracking_protocol(connections: Connections) -> type[H11Protocol]:
    """Return an HTTP protocol for uvicorn that tracks its connections, so they can be closed."""

    class TrackingProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            connections[transport.get_extra_info("peername")[:2]] = transport
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.pop(self.transport.get_extra_info("peername")[:2], None)
            super().connection_lost(exc)

    return TrackingProtocol


class NoResponse(Response):
    """No response: the connection is closed without one."""

    def __init__(self, connection: asyncio.Transport | None) -> None:
        super().__init__()
        self._connection = connection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.abort()


class CutResponse(Response):
    """A response whose connection is closed before its whole body is sent."""

    def __init__(
        self,
        connection: asyncio.Transport | None,
        sent_body: bytes,
        status: int,
        headers: dict[str, str],
    ) -> None:
        super().__init__(None, status, headers)
        self._connection = connection
        self._sent_body = sent_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the first part of the body, then close the connection."""
        start: dict[str, Any] = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self._sent_body, "more_body": True})
        if self._connection is not None:
            self._connection.close()
