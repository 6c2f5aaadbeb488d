"""agno: an agent whose scripted model asks for one tool at a time."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from typing import Any

from agno.agent import Agent
from agno.models.base import Model
from agno.models.response import ModelResponse
from agno.tools.mcp import MCPTools
from mcp import StdioServerParameters

from interop.job import (
    ONE_CALL_SECONDS,
    Connection,
    Job,
    JsonObject,
    Said,
    do_job,
    print_report,
    read_job,
)

FAILED = "Error from MCP tool "


class OneTool(Model):
    """Requests the next tool, and remembers its result."""

    next: dict[str, Any] | None = None
    read: str = ""

    async def ainvoke(self, messages: list[Any], **more: Any) -> ModelResponse:
        # An image arrives in a separate message after the tool's.
        said = [message for message in messages if message.role == "tool"]
        if not said:
            call = {"id": "call", "type": "function", "function": self.next}
            return ModelResponse(role="assistant", tool_calls=[call])
        self.read = said[-1].get_content_string()
        return ModelResponse(role="assistant", content="done")

    def invoke(self, *arguments: Any, **more: Any) -> ModelResponse:
        raise NotImplementedError

    def invoke_stream(self, *arguments: Any, **more: Any) -> Iterator[ModelResponse]:
        raise NotImplementedError

    def ainvoke_stream(self, *arguments: Any, **more: Any) -> AsyncIterator[ModelResponse]:
        raise NotImplementedError

    def _parse_provider_response(self, response: Any, **more: Any) -> ModelResponse:
        return response

    def _parse_provider_response_delta(self, response: Any) -> ModelResponse:
        return response


class Agno(Connection):
    """One agent; each call is a run of that agent."""

    name = "agno"
    version = version("agno")

    def __init__(self, job: Job) -> None:
        super().__init__()
        # The default limit, 10 s, is shorter than most waits.
        patience = {"timeout_seconds": ONE_CALL_SECONDS}
        command, *arguments = job.command
        server = StdioServerParameters(command=command, args=arguments, env=job.environment)
        self.toolkit = (
            MCPTools(server_params=server, **patience)
            if job.transport == "stdio"
            else MCPTools(url=job.url, transport="streamable-http", **patience)
        )
        self.model = OneTool(id="scripted")
        self.agent = Agent(model=self.model, tools=[self.toolkit], telemetry=False)

    async def connect(self) -> None:
        self.protocol = self.toolkit.session.protocol_version

    async def tools(self) -> dict[str, JsonObject]:
        return {name: tool.parameters for name, tool in self.toolkit.functions.items()}

    async def call(self, tool: str, arguments: JsonObject) -> Said:
        self.model.next = {"name": tool, "arguments": json.dumps(arguments)}
        await self.agent.arun("Do it.")
        return Said(self.model.read, is_error=self.model.read.startswith(FAILED))


async def main() -> None:
    job = read_job()
    connection = Agno(job)
    async with connection.toolkit:
        await connection.connect()
        print_report(job, connection, await do_job(job, connection))


asyncio.run(main())
