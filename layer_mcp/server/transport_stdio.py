"""Serve the server on stdin and stdout, and answer lines that are no messages."""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, cast

import anyio
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError, RequestId
from pydantic import ValidationError
from pydantic_core import ErrorDetails

HALF_A_CHARACTER = "Parse error: a text holds half a character (a lone surrogate). Leave it out."
BATCH = "Invalid request: batches are not supported. Send each request on a line of its own."
NOT_A_MESSAGE = "Invalid request: this is no message of JSON-RPC 2.0."


async def serve_stdio(
    server: Server[Any],
    stopped: anyio.Event | None = None,
    leave: Callable[[], None] | None = None,
) -> None:
    """Serve until stdin ends or `stopped` is set, and answer a line that can't be parsed.

    The SDK drops such a line, so a host whose model wrote half an emoji would wait forever. `leave`
    is called at the end if stdin is still open: the thread that reads it can't be interrupted, so
    only the end of the process ends it.
    """
    sender, receiver = anyio.create_memory_object_stream[SessionMessage | Exception]()
    sorting = anyio.CancelScope()
    is_open = True

    async with stdio_server() as (lines, answers):

        async def sort_lines() -> None:
            nonlocal is_open
            # The server closes its streams when it stops.
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError), sorting:
                async with sender:
                    async for line in lines:
                        if not isinstance(line, ValidationError):
                            await sender.send(line)
                            continue
                        for error in parse_error_responses(line):
                            await answers.send(SessionMessage(error))
                    is_open = False

        async def end_when(stopped: anyio.Event) -> None:
            await stopped.wait()
            sorting.cancel()

        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(sort_lines)
                if stopped is not None:
                    tasks.start_soon(end_when, stopped)
                await server.run(receiver, answers, server.create_initialization_options())
                tasks.cancel_scope.cancel()
        finally:
            if is_open and leave is not None:
                leave()


def parse_error_responses(error: ValidationError) -> list[JSONRPCError]:
    """Return the responses to an unreadable line: one for each request in it, or one without ID.

    A line that looks like a response gets none, because its ID is one that the server chose.
    """
    problems = error.errors(include_url=False)
    line = _parse_line(problems)
    if problems[0]["type"] == "json_invalid":
        reason = f"Parse error: {problems[0].get('ctx', {}).get('error', 'this is no JSON')}."
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
    """Return the line's content as far as a problem shows it; only some problems show all of it."""
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
            # A lone surrogate in an ID could not be sent back.
            case {"id": str(given)} if given.isprintable():
                yield given
            case {"id": int(given)}:
                yield given
            case _:
                continue
