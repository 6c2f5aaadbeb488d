"""Runs as tasks: the task's id is the run's, and its state is what Layer and the journal say."""

import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import anyio
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR, CallToolResult, TextContent

from ..api.fields import ROUGH_UUID_PATTERN
from ..api.polling import (
    MAX_POLL_INTERVAL_SECONDS,
    MIN_POLL_INTERVAL_SECONDS,
    STOPPED_STATUSES,
    is_terminal,
    poll_interval_seconds,
)
from ..errors import LayerError
from ..journal.entries import RunEntry, RunFilter
from ..journal.lenient import or_nothing
from .following import inference_run, told
from .refreshing import GONE_CODES, is_gone, run_of
from .results import failed_call, finished_call
from .state import App, ToolContext
from .tasks import RequestContext, Task

TOOLS = ("execute_inference", "execute_workflow")
# What Layer answers for an id that it does not have, or that is none.
UNKNOWN_CODES = (*GONE_CODES, "NOT_FOUND", "INVALID_INPUTS")


@dataclass(frozen=True)
class RunTasks:
    """Every run that Layer knows is a task; nothing of it is kept in memory."""

    tools: Collection[str] = TOOLS

    async def started(self, context: RequestContext, answer: CallToolResult) -> Task | None:
        """The task of the run that was started, or that stands for this call."""
        facts: dict[str, Any] = answer.structured_content or {}
        run_id = facts.get("inference_id") or facts.get("run_id")
        if answer.is_error or not isinstance(run_id, str):
            return None
        app = _app_of(context)
        entry = await _entry(app, run_id)
        created_at = entry.created_at if entry else time.time()
        return _working(app, run_id, created_at, _facts_in_words(answer))

    async def look(self, context: RequestContext, task_id: str) -> Task | None:
        """A run as it is now: asked of Layer, but no oftener than Layer wants.

        Raises:
            MCPError: Layer cannot be asked, and will not by asking again.
        """
        if not re.fullmatch(ROUGH_UUID_PATTERN, task_id):
            return None
        app, run_id = _app_of(context), task_id.lower()
        entry = await _entry(app, run_id)
        if entry is not None and entry.is_running and not app.polls.take(run_id):
            return _working(app, run_id, entry.created_at)
        try:
            return await _looked(context, run_id, entry)
        except LayerError as error:
            return _without_state(app, run_id, entry, error)

    async def knows(self, context: RequestContext, task_id: str) -> bool:
        """Whether a run is in the journal, else whether Layer has it.

        Raises:
            MCPError: Layer cannot be asked.
        """
        if await _entry(_app_of(context), task_id.lower()) is not None:
            return True
        return await self.look(context, task_id) is not None

    async def cancel(self, context: RequestContext, task_id: str) -> bool:
        """Stop waiting for a run. The run goes on: Layer has no way to stop it."""
        # First, because Layer may be slow to say whether it knows the run.
        _app_of(context).waits.stop(task_id.lower())
        return await self.knows(context, task_id)


async def _looked(context: RequestContext, run_id: str, entry: RunEntry | None) -> Task:
    """What Layer says of a run; a finished one with its files, as get_status answers it."""
    app = _app_of(context)
    began = anyio.current_time()
    if entry is not None:
        run = run_of(app, entry)
    else:
        run = inference_run(app, run_id, await app.client.workspace_id(None))
    tool_context: ToolContext = Context(request_context=context)
    shown = await told(run, tool_context, wait_seconds=0, preview=True, began=began)
    answer = finished_call(
        shown, simulated=app.settings.sandbox, protocol_version=context.protocol_version
    )
    status, now = shown.answer.status or "", time.time()
    created_at = entry.created_at if entry else now
    message = _facts_in_words(answer)
    if not is_terminal(status):
        return _working(app, run_id, created_at, message)
    if status in STOPPED_STATUSES:
        return Task(run_id, "cancelled", created_at, now, message=message)
    # What a tool answers as a fact is the outcome of a task: its client must see that it failed.
    result = answer.model_copy(update={"is_error": shown.answer.error is not None})
    return Task(run_id, "completed", created_at, now, result=result)


def _without_state(app: App, run_id: str, entry: RunEntry | None, error: LayerError) -> Task | None:
    """What is known of a run when Layer gives no state of it.

    Raises:
        MCPError: the run may be there, but asking again does not help.
    """
    if entry is None and error.code in UNKNOWN_CODES:
        return None
    if entry is not None and is_gone(entry, error):
        result = failed_call(error, simulated=app.settings.sandbox)
        return Task(run_id, "completed", entry.created_at, time.time(), result=result)
    if entry is not None and (error.transient or error.code in GONE_CODES):
        app.polls.pause(run_id, poll_interval_seconds(error.retry_after_seconds))
        message = f"Layer could not be asked: {error.message}"
        return _working(app, run_id, entry.created_at, message)
    raise MCPError(code=INTERNAL_ERROR, message=str(error))


def _working(app: App, run_id: str, created_at: float, message: str = "") -> Task:
    pause_seconds = app.polls.pause_seconds([run_id], MAX_POLL_INTERVAL_SECONDS)
    pause_seconds = max(pause_seconds, MIN_POLL_INTERVAL_SECONDS)
    return Task(run_id, "working", created_at, created_at, pause_seconds, message)


async def _entry(app: App, run_id: str) -> RunEntry | None:
    """What the journal has of a run; without a journal Layer is asked."""
    found = await or_nothing(app.journal.runs.listed(RunFilter(run_ids=(run_id,)), 1))
    return found[0] if found else None


def _facts_in_words(answer: CallToolResult) -> str:
    """What an answer says of the run, without the step that a task's client takes by itself."""
    texts = [block.text for block in answer.content if isinstance(block, TextContent)]
    return " ".join("\n".join(texts).partition("\nNext: ")[0].splitlines())


def _app_of(context: RequestContext) -> App:
    return context.lifespan_context
