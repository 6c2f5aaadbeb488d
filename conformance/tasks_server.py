"""The server that the suite's tasks scenarios need, with our tasks extension.

Its tools have the names and the behavior that the scenarios expect. A job ends at a set time, so
nothing runs in the background.
"""

import sys
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import anyio
import uvicorn
from mcp.server.mcpserver import Context, Elicit, MCPServer, Resolve, require_client_extension
from mcp.types import INTERNAL_ERROR, CallToolResult, ErrorData, TextContent
from pydantic import BaseModel

from layer_mcp.network import listen
from layer_mcp.server.http.settings import HTTP_PATH
from layer_mcp.server.tasks import EXTENSION_ID, RequestContext, Task, Tasks, takes_tasks

TASK_TOOLS = (
    "slow_compute",
    "failing_job",
    "protocol_error_job",
    "confirm_delete",
    "test_tool_with_task",
)
POLL_INTERVAL_SECONDS = 0.2
QUICK_SECONDS = 0.5

ToolContext = Context[Any, Any]


class Person(BaseModel):
    """The answer that test_tool_with_task asks for before it starts."""

    name: str


@dataclass(frozen=True)
class Job:
    """A job that takes a while. Times are seconds since 1970."""

    task_id: str
    began_at: float
    ends_at: float
    outcome: CallToolResult | ErrorData
    is_cancelled: bool = False

    def as_task(self, now: float) -> Task:
        """Return the job as a task at this time."""
        if self.is_cancelled:
            return Task(self.task_id, "cancelled", self.began_at, self.ends_at)
        if now < self.ends_at:
            return Task(
                self.task_id, "working", self.began_at, self.began_at, POLL_INTERVAL_SECONDS
            )
        if isinstance(self.outcome, ErrorData):
            return Task(self.task_id, "failed", self.began_at, self.ends_at, error=self.outcome)
        return Task(self.task_id, "completed", self.began_at, self.ends_at, result=self.outcome)


@dataclass(frozen=True)
class Jobs:
    """Every job of this server, as the source of its tasks."""

    tools: Collection[str] = TASK_TOOLS
    by_id: dict[str, Job] = field(default_factory=dict[str, Job])

    async def begin(
        self, context: ToolContext, seconds: float, outcome: CallToolResult | ErrorData
    ) -> CallToolResult:
        """Start a job. A client that takes no tasks waits for the outcome."""
        if takes_tasks(context.protocol_version, context.client_capabilities):
            now = time.time()
            job = Job(str(uuid.uuid4()), now, now + seconds, outcome)
            self.by_id[job.task_id] = job
            return said("Begun.", structured_content={"task_id": job.task_id})
        await anyio.sleep(seconds)
        return (
            outcome if isinstance(outcome, CallToolResult) else said(outcome.message, is_error=True)
        )

    async def create(self, context: RequestContext, answer: CallToolResult) -> Task | None:
        """Return the task of the job that a tool started."""
        facts: dict[str, str] = answer.structured_content or {}
        return await self.get(context, facts.get("task_id", ""))

    async def get(self, context: RequestContext, task_id: str) -> Task | None:
        """Return the current state of a job."""
        job = self.by_id.get(task_id)
        return None if job is None else job.as_task(time.time())

    async def exists(self, context: RequestContext, task_id: str) -> bool:
        """Return whether a job exists."""
        return task_id in self.by_id

    async def cancel(self, context: RequestContext, task_id: str) -> bool:
        """Cancel a job that hasn't ended."""
        job = self.by_id.get(task_id)
        if job is not None and time.time() < job.ends_at:
            self.by_id[task_id] = replace(job, ends_at=time.time(), is_cancelled=True)
        return job is not None


def said(text: str, **facts: Any) -> CallToolResult:
    """Return a text as a tool's answer."""
    return CallToolResult(content=[TextContent(type="text", text=text)], **facts)


def create_server() -> MCPServer:
    """Create a server with its own jobs."""
    jobs = Jobs()
    server = MCPServer("tasks-fixture", extensions=[Tasks(jobs)], log_level="CRITICAL")

    @server.tool()
    def greet(name: str) -> CallToolResult:
        return said(f"Hello, {name}!")

    @server.tool()
    async def slow_compute(seconds: float, label: str, context: ToolContext) -> CallToolResult:
        return await jobs.begin(context, seconds, said(f"{label} took {seconds:g} s."))

    @server.tool()
    async def failing_job(context: ToolContext) -> CallToolResult:
        require_client_extension(context.request_context, EXTENSION_ID)
        return await jobs.begin(context, QUICK_SECONDS, said("It failed.", is_error=True))

    @server.tool()
    async def protocol_error_job(context: ToolContext) -> CallToolResult:
        error = ErrorData(code=INTERNAL_ERROR, message="It broke.")
        return await jobs.begin(context, QUICK_SECONDS, error)

    @server.tool()
    async def confirm_delete(filename: str, context: ToolContext) -> CallToolResult:
        return await jobs.begin(context, 0, said(f"{filename} was not deleted."))

    @server.tool()
    async def test_tool_with_task(
        person: Annotated[Person, Resolve(who_asks)], context: ToolContext
    ) -> CallToolResult:
        return await jobs.begin(context, QUICK_SECONDS, said(f"Hello, {person.name}!"))

    return server


def who_asks() -> Elicit[Person]:
    """Ask the question that test_tool_with_task begins with."""
    return Elicit("What is your name?", Person)


def main() -> None:
    """Serve on a free loopback port, and print the URL on stderr."""
    with listen("127.0.0.1", 0) as listener:
        print(
            f"http://127.0.0.1:{listener.getsockname()[1]}{HTTP_PATH}", file=sys.stderr, flush=True
        )
        app = create_server().streamable_http_app(
            streamable_http_path=HTTP_PATH, stateless_http=True
        )
        config = uvicorn.Config(app, log_config=None, access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
