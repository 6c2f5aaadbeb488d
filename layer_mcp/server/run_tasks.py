"""Runs as tasks: the task's id is the run's, and its state is what Layer and the journal say."""

import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR, CallToolResult, TextContent

from ..api.fields import ROUGH_UUID_PATTERN
from ..api.polling import MAX_POLL_INTERVAL_SECONDS, MIN_POLL_INTERVAL_SECONDS
from ..errors import LayerError
from ..runs.service import NOT_FOUND_CODES, is_missing
from ..runs.types import Run
from .answers import error_result, success_result
from .context import App, ToolContext, begin_call
from .run_answers import run_output
from .tasks import RequestContext, Task

TOOLS = ("execute_inference", "execute_workflow")
# What Layer answers for an id that it does not have, or that is none.
UNKNOWN_CODES = (*NOT_FOUND_CODES, "NOT_FOUND", "INVALID_INPUTS")
CANCELLED_STATES = ("cancelled", "deleted")


@dataclass(frozen=True)
class RunTasks:
    """Every run that Layer knows is a task; nothing of it is kept in memory."""

    tools: Collection[str] = TOOLS

    async def started(self, context: RequestContext, answer: CallToolResult) -> Task | None:
        """Return the task of the run that was started, or that covers this call."""
        facts: dict[str, Any] = answer.structured_content or {}
        run_id = facts.get("inference_id") or facts.get("run_id")
        if answer.is_error or not isinstance(run_id, str):
            return None
        app = _app_of(context)
        run = await app.runs.find(run_id)
        created_at = run.created_at if run else time.time()
        return _working(app, run_id, created_at, _describe(answer))

    async def look(self, context: RequestContext, task_id: str) -> Task | None:
        """Return a run as it is now: Layer is asked, but no sooner than it wants.

        Raises:
            MCPError: Layer cannot be asked, and will not by asking again.
        """
        if not re.fullmatch(ROUGH_UUID_PATTERN, task_id):
            return None
        app, run_id = _app_of(context), task_id.lower()
        run = await app.runs.find(run_id)
        if run is not None and run.is_running and not app.runs.polls.claim(run_id):
            return _working(app, run_id, run.created_at)
        try:
            return await _read(context, run_id, run)
        except LayerError as error:
            return _without_state(app, run_id, run, error)

    async def knows(self, context: RequestContext, task_id: str) -> bool:
        """Return whether a run is in the journal, else whether Layer has it.

        Raises:
            MCPError: Layer cannot be asked.
        """
        if await _app_of(context).runs.find(task_id) is not None:
            return True
        return await self.look(context, task_id) is not None

    async def cancel(self, context: RequestContext, task_id: str) -> bool:
        """Stop waiting for a run. The run goes on: Layer has no way to stop it."""
        # First, because Layer may be slow to say whether it knows the run.
        _app_of(context).runs.stop_waiting(task_id)
        return await self.knows(context, task_id)


async def _read(context: RequestContext, run_id: str, known: Run | None) -> Task:
    """Return what Layer says of a run; a finished one with its files, as get_status answers it."""
    app = _app_of(context)
    tool_context: ToolContext = Context(request_context=context)
    budget = begin_call(tool_context)
    is_workflow = known is not None and known.request.kind == "workflow"
    run = await app.runs.get(
        run_id,
        workflow_id=known.request.subject_id if known and is_workflow else None,
        workspace=known.request.workspace_id if known else None,
    )
    output = await run_output(run, tool_context, budget, preview=True)
    answer = success_result(
        output, simulated=app.settings.sandbox, protocol_version=context.protocol_version
    )
    now = time.time()
    created_at = known.created_at if known else now
    if not run.has_ended:
        return _working(app, run_id, created_at, _describe(answer))
    if run.state in CANCELLED_STATES:
        return Task(run_id, "cancelled", created_at, now, message=_describe(answer))
    # What a tool answers as a fact is the outcome of a task: its client must see that it failed.
    result = answer.model_copy(update={"is_error": run.error is not None})
    return Task(run_id, "completed", created_at, now, result=result)


def _without_state(app: App, run_id: str, run: Run | None, error: LayerError) -> Task | None:
    """Return what is known of a run when Layer gives no state of it.

    Raises:
        MCPError: the run may be there, but asking again does not help.
    """
    if run is None and error.code in UNKNOWN_CODES:
        return None
    if run is not None and is_missing(run, error):
        result = error_result(error, simulated=app.settings.sandbox)
        return Task(run_id, "completed", run.created_at, time.time(), result=result)
    if run is not None and (error.transient or error.code in NOT_FOUND_CODES):
        app.runs.polls.note(run_id, error.retry_after_seconds)
        message = f"Layer could not be asked: {error.message}"
        return _working(app, run_id, run.created_at, message)
    raise MCPError(code=INTERNAL_ERROR, message=str(error))


def _working(app: App, run_id: str, created_at: float, message: str = "") -> Task:
    seconds = app.runs.polls.seconds_until_due([run_id.lower()], MAX_POLL_INTERVAL_SECONDS)
    pause_seconds = max(seconds, MIN_POLL_INTERVAL_SECONDS)
    return Task(run_id, "working", created_at, created_at, pause_seconds, message)


def _describe(answer: CallToolResult) -> str:
    """Return what an answer says of the run, without the step that a task's client takes."""
    texts = [block.text for block in answer.content if isinstance(block, TextContent)]
    return " ".join("\n".join(texts).partition("\nNext: ")[0].splitlines())


def _app_of(context: RequestContext) -> App:
    return context.lifespan_context
