"""Serve MCP on stdin and stdout, and answer lines that aren't messages."""

import json
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, cast

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.lowlevel import Server
from mcp.server.runner import serve_dual_era_loop
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp.types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from .callers.accounts import Accounts
from .context import App

HALF_A_CHARACTER = "Parse error: a text holds half a character (a lone surrogate). Leave it out."
BATCH = "Invalid request: batches aren't supported. Send each request on a separate line."
NOT_A_MESSAGE = "Invalid request: this isn't a JSON-RPC 2.0 message."
BYTE_ORDER_MARK = "\ufeff"
# How long calls may take to finish after stdin ends. Many hosts allow 2 s.
LAST_CALLS_SECONDS = 10.0
# The client, not the server, ends this request.
ENDLESS_METHOD = "subscriptions/listen"

Incoming = SessionMessage | Exception
Send = Callable[[SessionMessage], Awaitable[None]]


async def serve_stdio(
    server: Server[App],
    stopped: anyio.Event | None = None,
    leave: Callable[[], None] | None = None,
) -> None:
    """Serve until stdin ends or `stopped` is set, and answer a line that can't be parsed.

    The SDK drops such a line, so a host whose model wrote half an emoji would wait forever. `leave`
    is called at the end if stdin is still open: the thread that reads it can't be interrupted and
    stops only when the process ends.
    """
    async with stdio_server() as (lines, answers):
        is_open = True
        try:
            async with server.lifespan(server) as lifespan, answers:
                accounts = cast("Accounts", lifespan)
                pipe = StdioPipe(server, accounts, lines, answers.send, stopped or anyio.Event())
                is_open = await pipe.serve()
        finally:
            if is_open and leave is not None:
                leave()


class StdioPipe:
    """The streams to and from a client, which can carry one connection after another."""

    def __init__(
        self,
        server: Server[App],
        accounts: Accounts,
        lines: AsyncIterable[Incoming],
        send: Send,
        stopped: anyio.Event,
    ) -> None:
        self._server = server
        self._accounts = accounts
        self._lines = lines
        self._send = send
        self._stopped = stopped
        self._calls = CallsInProgress()
        self._has_ended = False

    async def serve(self) -> bool:
        """Serve one connection after another, and return whether stdin is still open."""
        first = await self._serve_connection(None)
        while first is not None:
            first = await self._serve_connection(first)
        return not self._has_ended

    async def _serve_connection(self, first: SessionMessage | None) -> SessionMessage | None:
        """Serve a connection, and return the message that starts the next one, or None."""
        sender, receiver = anyio.create_memory_object_stream[Incoming]()
        output, written = anyio.create_memory_object_stream[SessionMessage]()
        serve = partial(
            serve_dual_era_loop,
            lifespan_state=cast("Any", self._accounts),
            init_options=self._server.create_initialization_options(),
        )
        next_first: SessionMessage | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._write, written)
            tasks.start_soon(serve, self._server, receiver, output)
            async with sender, anyio.create_task_group() as reading:
                reading.start_soon(self._cancel_when_stopped, reading.cancel_scope)
                next_first = await self._forward(first, sender)
                reading.cancel_scope.cancel()
        return next_first

    async def _forward(
        self, first: SessionMessage | None, sender: MemoryObjectSendStream[Incoming]
    ) -> SessionMessage | None:
        """Pass messages to the connection, and return the one that starts the next, or None.

        A client that gave up waiting for `server/discover` starts again with `initialize`. The SDK
        refuses that on the same connection.
        """
        methods: set[str] = set()
        # The server closes its streams when it stops.
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            if first is not None:
                self._calls.start(first.message)
                await sender.send(first)
            async for line in self._lines:
                item = skip_byte_order_mark(line)
                if isinstance(item, ValidationError):
                    for error in parse_error_responses(item):
                        await self._send(SessionMessage(error))
                    continue
                if isinstance(item, SessionMessage):
                    message = item.message
                    method = message.method if isinstance(message, JSONRPCRequest) else None
                    if method == "initialize" and methods == {"server/discover"}:
                        await self._calls.wait(LAST_CALLS_SECONDS)
                        return item
                    methods |= {method} if method else set()
                    self._calls.start(message)
                await sender.send(item)
            self._has_ended = True
            # Waits end as if they had timed out, so that their calls are answered too.
            self._accounts.stop_waiting()
            await self._calls.wait(LAST_CALLS_SECONDS)
        return None

    async def _write(self, written: MemoryObjectReceiveStream[SessionMessage]) -> None:
        async with written:
            async for answer in written:
                await self._send(answer)
                self._calls.end(answer.message)

    async def _cancel_when_stopped(self, scope: anyio.CancelScope) -> None:
        await self._stopped.wait()
        scope.cancel()


class CallsInProgress:
    """The requests that don't have an answer yet."""

    def __init__(self) -> None:
        self._ids: set[RequestId] = set()
        self._answered = anyio.Event()

    def start(self, message: JSONRPCMessage) -> None:
        """Record a message from the client, which may start or cancel a request."""
        match message:
            case JSONRPCRequest() if message.method != ENDLESS_METHOD:
                self._ids.add(message.id)
            case JSONRPCNotification(
                method="notifications/cancelled", params={"requestId": str() | int() as cancelled}
            ):
                self._remove(cancelled)
            case _:
                pass

    def end(self, message: JSONRPCMessage) -> None:
        """Record a message to the client, which may answer a request."""
        if isinstance(message, JSONRPCResponse | JSONRPCError) and message.id is not None:
            self._remove(message.id)

    async def wait(self, seconds: float) -> None:
        """Wait until every request is answered, up to `seconds`."""
        with anyio.move_on_after(seconds):
            while self._ids:
                await self._answered.wait()

    def _remove(self, request_id: RequestId) -> None:
        self._ids.discard(request_id)
        if not self._ids:
            self._answered.set()
            self._answered = anyio.Event()


def skip_byte_order_mark(line: Incoming) -> Incoming:
    """Parse a line again without the mark that some programs write before their first line."""
    if not isinstance(line, ValidationError):
        return line
    text = line.errors(include_url=False)[0]["input"]
    if not (isinstance(text, str) and text.startswith(BYTE_ORDER_MARK)):
        return line
    try:
        unmarked = text.removeprefix(BYTE_ORDER_MARK)
        return SessionMessage(jsonrpc_message_adapter.validate_json(unmarked, by_name=False))
    except ValidationError as error:
        return error


def parse_error_responses(error: ValidationError) -> list[JSONRPCError]:
    """Return the responses to an unreadable line: one for each request in it, or one without ID.

    A line that looks like a response gets none, because its ID is one that the server chose.
    """
    problems = error.errors(include_url=False)
    line = _parse_line(problems)
    if problems[0]["type"] == "json_invalid":
        reason = f"Parse error: {problems[0].get('ctx', {}).get('error', 'invalid JSON')}."
        data = ErrorData(code=PARSE_ERROR, message=reason if line is None else HALF_A_CHARACTER)
    else:
        message = BATCH if isinstance(line, list) else NOT_A_MESSAGE
        data = ErrorData(code=INVALID_REQUEST, message=message)
    parts = cast("list[Any]", line if isinstance(line, list) else [line])
    if any(_is_response(part) for part in parts):
        return []
    ids: list[RequestId | None] = [*_request_ids(parts)]
    return [JSONRPCError(jsonrpc="2.0", id=one, error=data) for one in ids or [None]]


def _parse_line(problems: list[ErrorDetails]) -> Any:
    """Return as much of the line as a problem shows; only some problems show all of it."""
    for problem in problems:
        if problem["type"] == "json_invalid":
            # Unlike the SDK's parser, json accepts lone surrogates.
            with suppress(ValueError, RecursionError):
                return json.loads(problem["input"])
        is_missing = problem["type"] == "missing" and len(problem["loc"]) == 2
        if is_missing or problem["type"] == "model_type":
            return problem["input"]
    return None


def _is_response(part: Any) -> bool:
    return isinstance(part, dict) and "method" not in part and ("result" in part or "error" in part)


def _request_ids(parts: Iterable[Any]) -> Iterable[RequestId]:
    for part in parts:
        match part:
            case {"id": bool()}:
                continue
            # A lone surrogate in an ID couldn't be sent back.
            case {"id": str(given)} if given.isprintable():
                yield given
            case {"id": int(given)}:
                yield given
            case _:
                continue
