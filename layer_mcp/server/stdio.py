"""Stdin and stdout as the SDK serves them, except that a line that cannot be read is answered.

The SDK drops such a line: a host whose model wrote half an emoji would wait in vain.
"""

import json
from collections.abc import Iterable
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
NO_MESSAGE = "Invalid request: this is no message of JSON-RPC 2.0."


async def serve_stdio(server: Server[Any]) -> None:
    """Serve until stdin ends."""
    readable, messages = anyio.create_memory_object_stream[SessionMessage | Exception]()

    async with stdio_server() as (lines, answers):

        async def sort_lines() -> None:
            # The server closes its ends when it stops.
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                async with readable:
                    async for line in lines:
                        if not isinstance(line, ValidationError):
                            await readable.send(line)
                            continue
                        for refusal in refusals(line):
                            await answers.send(SessionMessage(refusal))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sort_lines)
            await server.run(messages, answers, server.create_initialization_options())
            tasks.cancel_scope.cancel()


def refusals(error: ValidationError) -> list[JSONRPCError]:
    """The answers to a line that is no message: one for each request in it, else one without an id.

    None for what looks like an answer: the ids of those are ours.
    """
    problems = error.errors(include_url=False)
    line = _line_of(problems)
    if problems[0]["type"] == "json_invalid":
        what = f"Parse error: {problems[0].get('ctx', {}).get('error', 'this is no JSON')}."
        told = ErrorData(code=PARSE_ERROR, message=what if line is None else HALF_A_CHARACTER)
    else:
        told = ErrorData(
            code=INVALID_REQUEST, message=BATCH if isinstance(line, list) else NO_MESSAGE
        )
    parts = cast("list[Any]", line if isinstance(line, list) else [line])
    if any(_is_answer(part) for part in parts):
        return []
    ids: list[RequestId | None] = [*_ids_of(parts)]
    return [JSONRPCError(jsonrpc="2.0", id=one, error=told) for one in ids or [None]]


def _line_of(problems: list[ErrorDetails]) -> Any:
    """What the line says, as far as it can be told; only some of the problems show all of it."""
    for problem in problems:
        if problem["type"] == "json_invalid":
            # It takes half characters, which the SDK's parser refuses.
            with suppress(ValueError, RecursionError):
                return json.loads(problem["input"])
        is_missing = problem["type"] == "missing" and len(problem["loc"]) == 2
        if is_missing or problem["type"] == "model_type":
            return problem["input"]
    return None


def _is_answer(part: Any) -> bool:
    return isinstance(part, dict) and "method" not in part and ("result" in part or "error" in part)


def _ids_of(parts: Iterable[Any]) -> Iterable[RequestId]:
    for part in parts:
        match part:
            case {"id": bool()}:
                continue
            # Half a character in an id could not be sent back.
            case {"id": str(given)} if given.isprintable():
                yield given
            case {"id": int(given)}:
                yield given
            case _:
                continue
