"""Pydantic AI: an agent whose scripted model asks for one tool at a time.

Its profiles for OpenAI's and Google's models convert the schemas.
"""

import asyncio
from functools import partial
from importlib.metadata import version
from typing import Any

from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.profiles.google import GoogleJsonSchemaTransformer, GoogleOpenAPISchemaTransformer
from pydantic_ai.profiles.openai import OpenAIJsonSchemaTransformer

from interop.conversions import OPEN_TOOLS, check_conversion
from interop.job import Connection, Job, JsonObject, Said, do_job, outcome, print_report, read_job


class PydanticAi(Connection):
    """One agent; each call is a run of that agent."""

    name = "pydantic-ai"
    version = version("pydantic-ai-slim")
    confirmation = "form"

    def __init__(self, job: Job) -> None:
        super().__init__()
        server = (
            StdioTransport(job.command[0], job.command[1:], env=job.environment)
            if job.transport == "stdio"
            else job.url
        )
        self.told: list[float] = []
        self.offered: dict[str, JsonObject] = {}
        self.next: ToolCallPart | None = None
        self.read: list[RetryPromptPart | ToolReturnPart] = []
        self.toolset: MCPToolset[None] = MCPToolset(
            server, elicitation_handler=self.elicit, progress_handler=self.on_progress
        )
        self.agent = Agent(FunctionModel(self.model), toolsets=[self.toolset])

    def model(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        """Request the next tool, and read its result."""
        self.offered = {tool.name: tool.parameters_json_schema for tool in info.function_tools}
        wanted = (RetryPromptPart, ToolReturnPart)
        self.read = [part for part in messages[-1].parts if isinstance(part, wanted)]
        if self.read or self.next is None:
            return ModelResponse(parts=[TextPart("done")])
        return ModelResponse(parts=[self.next])

    async def tools(self) -> dict[str, JsonObject]:
        self.next = None
        await self.agent.run("Look.")
        return self.offered

    async def call(self, tool: str, arguments: JsonObject) -> Said:
        self.next = ToolCallPart(tool, arguments)
        await self.agent.run("Do it.")
        part = self.read[0]
        if isinstance(part, RetryPromptPart):
            return Said(part.model_response(), is_error=True)
        return Said(part.model_response_str(), is_error=part.outcome != "success")

    async def progress(self, tool: str, arguments: JsonObject) -> list[float]:
        self.told.clear()
        await self.call(tool, arguments)
        return self.told

    async def resource(self, uri: str) -> str:
        return str(await self.toolset.read_resource(uri))

    async def prompts(self) -> dict[str, list[str]]:
        prompts = await self.toolset.list_prompts()
        return {p.name: [argument.name for argument in p.arguments or []] for p in prompts}

    async def prompt(self, name: str, arguments: dict[str, str]) -> str:
        return str((await self.toolset.get_prompt(name, arguments)).messages[0].content)

    async def on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        self.told.append(progress)

    async def elicit(self, message: str, answer: Any, params: object, context: object) -> object:
        if self.answer(message):
            return answer(approve=True)
        return ElicitResult(action="decline")

    async def openai_strict(self) -> None:
        """Convert by default, and strictly where a tool allows it."""
        tools = await self.tools()
        check_conversion(tools, lambda _, schema: OpenAIJsonSchemaTransformer(schema).walk())
        closed = {name: schema for name, schema in tools.items() if name not in OPEN_TOOLS}
        strict = partial(OpenAIJsonSchemaTransformer, strict=True)
        check_conversion(closed, lambda _, schema: strict(schema).walk())

    async def gemini(self) -> None:
        tools = await self.tools()
        check_conversion(tools, lambda _, schema: GoogleJsonSchemaTransformer(schema).walk())
        check_conversion(tools, lambda _, schema: GoogleOpenAPISchemaTransformer(schema).walk())


async def main() -> None:
    job = read_job()
    connection = PydanticAi(job)
    async with connection.agent:
        connection.protocol = connection.toolset.client.protocol_version
        steps = await do_job(job, connection)
        steps["schema_gemini"] = await outcome(connection.gemini)
        steps["schema_openai_strict"] = await outcome(connection.openai_strict)
        print_report(job, connection, steps)


asyncio.run(main())
