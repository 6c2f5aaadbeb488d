"""The tasks extension: a long call is answered with a task, which the client polls (SEP-2663).

Only what goes over the wire is here, and nothing is kept: a source knows the tasks. Only on
connections of 2026-07-28: older ones cannot carry the shape, although clients may declare it.
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
    """One task as it is now. Times are seconds since 1970.

    A completed one has the `result` that the call would have had, also if that is an error of the
    tool; a failed one has the `error` of the protocol.
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
    """Knows which tools answer with tasks, and every task that they answered with."""

    @property
    def tools(self) -> Collection[str]:
        """The names of the tools."""
        ...

    async def started(self, context: RequestContext, answer: CallToolResult) -> Task | None:
        """The task that an answer of one of the tools stands for, or None for an answer as it is.

        A look at the task must find it from now on.
        """
        ...

    async def look(self, context: RequestContext, task_id: str) -> Task | None:
        """A task as it is now, or None for an id that is not known."""
        ...

    async def knows(self, context: RequestContext, task_id: str) -> bool:
        """Whether there is such a task."""
        ...

    async def cancel(self, context: RequestContext, task_id: str) -> bool:
        """Stop what can be stopped; False for an id that is not known."""
        ...


class TaskParams(RequestParams):
    """Names a task."""

    task_id: str = Field(min_length=1)


class TaskUpdateParams(TaskParams):
    """Names a task and answers what it asked."""

    input_responses: dict[str, Any]


class Tasks(Extension):
    """Serves `tasks/get`, `tasks/update` and `tasks/cancel`, and answers long calls with tasks."""

    identifier = EXTENSION_ID

    def __init__(self, source: TaskSource) -> None:
        self._source = source

    def methods(self) -> list[MethodBinding]:
        """The requests of the extension."""
        return [
            MethodBinding("tasks/get", TaskParams, self._get, PROTOCOL_VERSIONS),
            MethodBinding("tasks/update", TaskUpdateParams, self._update, PROTOCOL_VERSIONS),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, PROTOCOL_VERSIONS),
        ]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: RequestContext, call_next: CallNext
    ) -> HandlerResult:
        """Hand the answer of a long call over as a task, to a client that takes tasks."""
        answer = await call_next(ctx)
        capabilities = ctx.session.client_capabilities
        if params.name not in self._source.tools or not isinstance(answer, CallToolResult):
            return answer
        if not takes_tasks(ctx.protocol_version, capabilities):
            return answer
        task = await self._source.started(ctx, answer)
        return answer if task is None else {**_wire(task), "resultType": "task"}

    async def _get(self, context: RequestContext, params: TaskParams) -> dict[str, Any]:
        _check(context, params)
        task = await self._source.look(context, params.task_id)
        if task is None:
            raise _unknown(params)
        return _outcome(task)

    async def _update(self, context: RequestContext, params: TaskUpdateParams) -> dict[str, Any]:
        # No task asks for anything, so there is nothing to be answered; late answers are ignored.
        _check(context, params)
        if not await self._source.knows(context, params.task_id):
            raise _unknown(params)
        return {}

    async def _cancel(self, context: RequestContext, params: TaskParams) -> dict[str, Any]:
        _check(context, params)
        if not await self._source.cancel(context, params.task_id):
            raise _unknown(params)
        return {}


def takes_tasks(protocol_version: str | None, capabilities: ClientCapabilities | None) -> bool:
    """Whether a client can be answered with a task."""
    declared = capabilities.extensions if capabilities else None
    return protocol_version in PROTOCOL_VERSIONS and EXTENSION_ID in (declared or {})


def becomes_task(context: Context[Any, Any]) -> bool:
    """Return whether the answer to this call is handed over as a task, whose client waits."""
    return takes_tasks(context.protocol_version, context.client_capabilities)


def _check(context: RequestContext, params: TaskParams) -> None:
    """Make sure that a request may name the task that it names.

    Over HTTP the header by which requests are routed must not name another one; the SDK checks
    that for its own methods only. Some clients leave it out, and have a paid run to ask for.

    Raises:
        MCPError: HEADER_MISMATCH or MISSING_REQUIRED_CLIENT_CAPABILITY.
    """
    headers: Mapping[str, str] = getattr(context.request, "headers", {})
    name = headers.get(MCP_NAME_HEADER)
    if name is not None and decode_header_value(name) != params.task_id:
        raise MCPError(code=HEADER_MISMATCH, message=f"{MCP_NAME_HEADER} does not name the task.")
    require_client_extension(context, EXTENSION_ID)


def _outcome(task: Task) -> dict[str, Any]:
    """A task with what came of it (DetailedTask)."""
    wire = _wire(task)
    for name, value in (("result", task.result), ("error", task.error)):
        if value is not None:
            wire[name] = value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return wire


def _wire(task: Task) -> dict[str, Any]:
    """A task as the extension writes it; it does not expire."""
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


def _unknown(params: TaskParams) -> MCPError:
    return MCPError(code=INVALID_PARAMS, message=f"No task {params.task_id[:60]} is known here.")
