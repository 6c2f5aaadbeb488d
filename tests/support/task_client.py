"""A client that accepts tasks and speaks the tasks extension."""

from typing import Any, Literal, cast

import anyio
from mcp import Client, ClientSession
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.types import CallToolResult, Request, RequestParams, Result

from layer_mcp.server.tasks import EXTENSION_ID


class TaskHandle(Result):
    """A task instead of a tool's answer."""

    result_type: Literal["task"]
    task_id: str
    status: str
    created_at: str
    ttl_ms: int | None
    poll_interval_ms: int | None = None
    status_message: str | None = None


class TaskState(Result):
    """The response of `tasks/get`."""

    task_id: str
    status: str
    created_at: str
    last_updated_at: str
    ttl_ms: int | None
    poll_interval_ms: int | None = None
    status_message: str | None = None
    result: CallToolResult | None = None


class TaskParams(RequestParams):
    """Parameters that name a task and answer its questions."""

    task_id: str
    input_responses: dict[str, Any] | None = None


class TaskRequest(Request[TaskParams, str]):
    """A request of the extension."""

    name_param = "taskId"

    method: str
    params: TaskParams


class TakesTasks(ClientExtension):
    """Support for the extension; an ordinary call polls until its task has ended."""

    identifier = EXTENSION_ID

    def claims(self) -> list[ResultClaim[TaskHandle]]:
        """Return the one result type that replaces a tool's result."""
        return [ResultClaim(result_type="task", model=TaskHandle, resolve=_resolved)]


async def _resolved(handle: TaskHandle, context: ClaimContext) -> CallToolResult:
    task = await until_ended(context.session, handle.task_id)
    assert task.result is not None, task
    return task.result


async def until_ended(session: ClientSession, task_id: str) -> TaskState:
    """Poll a task until it no longer works."""
    while True:
        task = await _task(session, task_id)
        if task.status != "working":
            return task
        await anyio.sleep(0.05)


async def call(client: Client, tool: str, arguments: dict[str, Any]) -> CallToolResult | TaskHandle:
    """Call a tool and return its result, or a task for it."""
    answer = await client.session.call_tool(tool, arguments, allow_claimed=True)
    return cast("CallToolResult | TaskHandle", answer)


async def task_of(client: Client, tool: str, arguments: dict[str, Any]) -> TaskHandle:
    """Call a tool and return the task that it answers with."""
    answer = await call(client, tool, arguments)
    assert isinstance(answer, TaskHandle), answer
    return answer


async def get_task(client: Client, task_id: str) -> TaskState:
    """Return the current state of a task."""
    return await _task(client.session, task_id)


async def tell_task(client: Client, method: str, task_id: str) -> dict[str, Any]:
    """Send `tasks/cancel` or `tasks/update`, and return the response's own fields."""
    answers: dict[str, Any] | None = {} if method == "tasks/update" else None
    params = TaskParams(task_id=task_id, input_responses=answers)
    answer = await client.session.send_request(TaskRequest(method=method, params=params), Result)
    return answer.model_dump(by_alias=True, exclude_none=True, exclude={"meta"})


async def _task(session: ClientSession, task_id: str) -> TaskState:
    request = TaskRequest(method="tasks/get", params=TaskParams(task_id=task_id))
    return await session.send_request(request, TaskState)
