"""The tasks extension: a long call returns a task, which the client polls (SEP-2663).

This module speaks the protocol and stores nothing; a source knows the tasks. It serves connections
of 2026-07-28 alone: older ones can't carry the result, even if their client declares the extension.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import Context, require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp.types import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ClientCapabilities,
    ErrorData,
    RequestParams,
)
from pydantic import Field

EXTENSION_ID = "io.modelcontextprotocol/tasks"
PROTOCOL_VERSIONS = frozenset({"2026-07-28"})

RequestContext = ServerRequestContext[Any, Any]
TaskStatus = Literal["working", "completed", "cancelled", "failed"]


@dataclass(frozen=True)
class Task:
    """The current state of a task. Times are seconds since 1970.

    A completed task has the `result` that the call would have returned, even if it is a tool's
    error. A failed task has the protocol's `error`.
    """

    task_id: str
    status: TaskStatus
    created_at: float
    updated_at: float
    poll_interval_seconds: float | None = None
    message: str = ""
    result: CallToolResult | None = None
    error: ErrorData | None = None


class TaskSource(Protocol):
    """Which tools return tasks, and the tasks that they returned."""

    @property
    def tools(self) -> Collection[str]:
        """The names of the tools that return tasks."""
        ...

    async def started(self, context: RequestContext, answer: CallToolResult) -> Task | None:
        """Return the task for a tool's answer, or None to return the answer itself.

        From then on, the other methods must find the task.
        """
        ...

    async def look(self, context: RequestContext, task_id: str) -> Task | None:
        """Return the current state of a task, or None if the ID is unknown."""
        ...

    async def knows(self, context: RequestContext, task_id: str) -> bool:
        """Return whether a task exists."""
        ...

    async def cancel(self, context: RequestContext, task_id: str) -> bool:
        """Stop what can be stopped, and return whether the task exists."""
        ...


class TaskParams(RequestParams):
    """Parameters that name a task."""

    task_id: str = Field(min_length=1)


class TaskUpdateParams(TaskParams):
    """Parameters that name a task and answer its questions."""

    input_responses: dict[str, Any]


class Tasks(Extension):
    """The extension: `tasks/get`, `tasks/update`, `tasks/cancel`, and tasks for long calls."""

    identifier = EXTENSION_ID

    def __init__(self, source: TaskSource) -> None:
        self._source = source

    def methods(self) -> list[MethodBinding]:
        """Return the handlers of the extension's requests."""
        return [
            MethodBinding("tasks/get", TaskParams, self._get, PROTOCOL_VERSIONS),
            MethodBinding("tasks/update", TaskUpdateParams, self._update, PROTOCOL_VERSIONS),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, PROTOCOL_VERSIONS),
        ]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: RequestContext, call_next: CallNext
    ) -> HandlerResult:
        """Return a task instead of a long call's answer if the client accepts tasks."""
        answer = await call_next(ctx)
        capabilities = ctx.session.client_capabilities
        if params.name not in self._source.tools or not isinstance(answer, CallToolResult):
            return answer
        if not takes_tasks(ctx.protocol_version, capabilities):
            return answer
        task = await self._source.started(ctx, answer)
        return answer if task is None else {**_task_json(task), "resultType": "task"}

    async def _get(self, context: RequestContext, params: TaskParams) -> dict[str, Any]:
        _check_request(context, params)
        task = await self._source.look(context, params.task_id)
        if task is None:
            raise _unknown_task(params)
        return _detailed_task_json(task)

    async def _update(self, context: RequestContext, params: TaskUpdateParams) -> dict[str, Any]:
        # No task asks a question, so answers are ignored.
        _check_request(context, params)
        if not await self._source.knows(context, params.task_id):
            raise _unknown_task(params)
        return {}

    async def _cancel(self, context: RequestContext, params: TaskParams) -> dict[str, Any]:
        _check_request(context, params)
        if not await self._source.cancel(context, params.task_id):
            raise _unknown_task(params)
        return {}


def takes_tasks(protocol_version: str | None, capabilities: ClientCapabilities | None) -> bool:
    """Return whether a client accepts a task as the result of a call."""
    declared = capabilities.extensions if capabilities else None
    return protocol_version in PROTOCOL_VERSIONS and EXTENSION_ID in (declared or {})


def becomes_task(context: Context[Any, Any]) -> bool:
    """Return whether this call returns a task, so that its client does the waiting."""
    return takes_tasks(context.protocol_version, context.client_capabilities)


def _check_request(context: RequestContext, params: TaskParams) -> None:
    """Check that a request is allowed to name its task.

    Over HTTP, the header that routes requests must not name another task; the SDK checks only its
    own methods. A missing header is fine: some clients omit it, and their run is already paid for.

    Raises:
        MCPError: HEADER_MISMATCH or MISSING_REQUIRED_CLIENT_CAPABILITY.
    """
    headers: Mapping[str, str] = getattr(context.request, "headers", {})
    name = headers.get(MCP_NAME_HEADER)
    if name is not None and decode_header_value(name) != params.task_id:
        raise MCPError(code=HEADER_MISMATCH, message=f"{MCP_NAME_HEADER} does not name the task.")
    require_client_extension(context, EXTENSION_ID)


def _detailed_task_json(task: Task) -> dict[str, Any]:
    """Convert a task with its result or error (DetailedTask)."""
    wire = _task_json(task)
    for name, value in (("result", task.result), ("error", task.error)):
        if value is not None:
            wire[name] = value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return wire


def _task_json(task: Task) -> dict[str, Any]:
    """Convert a task to the extension's JSON; a task never expires."""
    wire: dict[str, Any] = {
        "taskId": task.task_id,
        "status": task.status,
        "createdAt": _timestamp(task.created_at),
        "lastUpdatedAt": _timestamp(task.updated_at),
        "ttlMs": None,
    }
    if task.poll_interval_seconds is not None:
        wire["pollIntervalMs"] = math.ceil(task.poll_interval_seconds * 1000)
    if task.message:
        wire["statusMessage"] = task.message
    return wire


def _timestamp(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")


def _unknown_task(params: TaskParams) -> MCPError:
    return MCPError(code=INVALID_PARAMS, message=f"No task {params.task_id[:60]} is known here.")
