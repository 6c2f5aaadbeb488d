"""The tasks extension: a long call returns a task, which the client polls (SEP-2663).

The extension serves only connections that use 2026-07-28: older ones can't carry the result, even
if their client declares the extension. Nothing is stored here; a source, such as the runs, knows
the tasks.
"""

import math
import re
import time
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
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ClientCapabilities,
    ErrorData,
    RequestParams,
    TextContent,
)
from pydantic import Field

from ..api.fields import ROUGH_UUID_PATTERN
from ..api.polling import MAX_POLL_INTERVAL_SECONDS, MIN_POLL_INTERVAL_SECONDS
from ..errors import LayerError
from ..runs.following import NOT_FOUND_CODES, is_missing
from ..runs.types.run import Run
from .answers import error_result, success_result
from .context import App, ToolContext, begin_call
from .run_answers import run_output

EXTENSION_ID = "io.modelcontextprotocol/tasks"
PROTOCOL_VERSIONS = frozenset({"2026-07-28"})

RUN_TOOLS = ("execute_inference", "execute_workflow")
# Layer's codes for an ID that it doesn't know, or that isn't an ID.
UNKNOWN_ID_CODES = (*NOT_FOUND_CODES, "NOT_FOUND", "INVALID_INPUTS")
CANCELLED_STATES = ("cancelled", "deleted")

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

    async def create(self, context: RequestContext, answer: CallToolResult) -> Task | None:
        """Return the task for a tool's answer, or None to return the answer itself.

        From then on, the other methods must find the task.
        """
        ...

    async def get(self, context: RequestContext, task_id: str) -> Task | None:
        """Return the current state of a task, or None if the ID is unknown."""
        ...

    async def exists(self, context: RequestContext, task_id: str) -> bool:
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
        task = await self._source.create(ctx, answer)
        return answer if task is None else {**_task_json(task), "resultType": "task"}

    async def _get(self, context: RequestContext, params: TaskParams) -> dict[str, Any]:
        _check_request(context, params)
        task = await self._source.get(context, params.task_id)
        if task is None:
            raise _unknown_task(params)
        return _detailed_task_json(task)

    async def _update(self, context: RequestContext, params: TaskUpdateParams) -> dict[str, Any]:
        # No task asks a question, so answers are ignored.
        _check_request(context, params)
        if not await self._source.exists(context, params.task_id):
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
        raise MCPError(code=HEADER_MISMATCH, message=f"{MCP_NAME_HEADER} doesn't name the task.")
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
    return MCPError(code=INVALID_PARAMS, message=f"Unknown task {params.task_id[:60]}.")


@dataclass(frozen=True)
class RunTasks:
    """Runs as tasks: each run that Layer knows is one, under its own ID. Nothing is stored here."""

    tools: Collection[str] = RUN_TOOLS

    async def create(self, context: RequestContext, answer: CallToolResult) -> Task | None:
        """Return the task of the run that the call started or duplicates."""
        facts: dict[str, Any] = answer.structured_content or {}
        run_id = facts.get("inference_id") or facts.get("run_id")
        if answer.is_error or not isinstance(run_id, str):
            return None
        app: App = context.lifespan_context
        run = await app.runs.find(run_id)
        created_at = run.created_at.timestamp() if run else time.time()
        return _working(app, run_id, created_at, _describe(answer))

    async def get(self, context: RequestContext, task_id: str) -> Task | None:
        """Return the current state of a run, without asking Layer sooner than it allows.

        Raises:
            MCPError: Layer can't be asked, and asking again won't help.
        """
        if not re.fullmatch(ROUGH_UUID_PATTERN, task_id):
            return None
        app: App = context.lifespan_context
        run_id = task_id.lower()
        run = await app.runs.find(run_id)
        if run is not None and run.is_running and not app.runs.polls.claim(run_id):
            return _working(app, run_id, run.created_at.timestamp())
        try:
            return await _read(context, run_id, run)
        except LayerError as error:
            return _without_state(app, run_id, run, error)

    async def exists(self, context: RequestContext, task_id: str) -> bool:
        """Return whether a run is in the journal, or else whether Layer has it.

        Raises:
            MCPError: Layer can't be asked.
        """
        app: App = context.lifespan_context
        if await app.runs.find(task_id) is not None:
            return True
        return await self.get(context, task_id) is not None

    async def cancel(self, context: RequestContext, task_id: str) -> bool:
        """Stop waiting for a run. The run itself continues, because Layer can't cancel it."""
        app: App = context.lifespan_context
        # First, because Layer may be slow to answer whether the run exists.
        app.runs.stop_waiting(task_id)
        return await self.exists(context, task_id)


async def _read(context: RequestContext, run_id: str, known: Run | None) -> Task:
    """Ask Layer for a run, and build the task with the answer that get_status would give."""
    app: App = context.lifespan_context
    tool_context: ToolContext = Context(request_context=context)
    budget = begin_call(tool_context)
    is_workflow = known is not None and known.request.kind == "workflow"
    run = await app.runs.get(
        run_id,
        workflow_id=known.request.subject_id if known and is_workflow else None,
        workspace=known.request.workspace_id if known else None,
    )
    output = await run_output(run, tool_context, budget, preview="true")
    answer = success_result(
        output, simulated=app.settings.sandbox, protocol_version=context.protocol_version
    )
    now = time.time()
    created_at = known.created_at.timestamp() if known else now
    if not run.has_ended:
        return _working(app, run_id, created_at, _describe(answer))
    if run.state in CANCELLED_STATES:
        return Task(run_id, "cancelled", created_at, now, message=_describe(answer))
    # A tool reports a failed run as data, but a task's client must see that the task failed.
    result = answer.model_copy(update={"is_error": run.error is not None})
    return Task(run_id, "completed", created_at, now, result=result)


def _without_state(app: App, run_id: str, run: Run | None, error: LayerError) -> Task | None:
    """Build the task of a run whose state Layer doesn't give.

    Raises:
        MCPError: The run may exist, but asking again won't help.
    """
    error = app.explain(error)
    if run is None and error.code in UNKNOWN_ID_CODES:
        return None
    if run is not None and is_missing(run, error):
        result = error_result(error, simulated=app.settings.sandbox)
        return Task(run_id, "completed", run.created_at.timestamp(), time.time(), result=result)
    if run is not None and (error.transient or error.code in NOT_FOUND_CODES):
        app.runs.polls.note(run_id, error.retry_after_seconds)
        message = f"Layer couldn't be asked: {error.message}"
        return _working(app, run_id, run.created_at.timestamp(), message)
    raise MCPError(code=INTERNAL_ERROR, message=str(error))


def _working(app: App, run_id: str, created_at: float, message: str = "") -> Task:
    seconds = app.runs.polls.seconds_until_due([run_id.lower()], MAX_POLL_INTERVAL_SECONDS)
    pause_seconds = max(seconds, MIN_POLL_INTERVAL_SECONDS)
    return Task(run_id, "working", created_at, created_at, pause_seconds, message)


def _describe(answer: CallToolResult) -> str:
    """Return an answer's text without the next step, because a task's client polls anyway."""
    texts = [block.text for block in answer.content if isinstance(block, TextContent)]
    return " ".join("\n".join(texts).partition("\nNext: ")[0].splitlines())
