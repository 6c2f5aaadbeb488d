"""Google's Agent Development Kit: an agent whose scripted model asks for one tool at a time.

The kit converts the schemas for Gemini. It passes a tool's whole result to the model as JSON, so an
image would arrive as text.
"""

import asyncio
import json
import re
import warnings
from collections.abc import AsyncGenerator
from importlib.metadata import version
from typing import Any

from google.adk.agents import LlmAgent
from google.adk.models import BaseLlm, LlmRequest, LlmResponse
from google.adk.runners import InMemoryRunner
from google.adk.tools.mcp_tool import (
    McpToolset,
    StdioConnectionParams,
    StreamableHTTPConnectionParams,
)
from google.genai import types
from mcp import StdioServerParameters
from mcp.types import ElicitRequestParams, ElicitResult

from interop.conversions import check_conversion
from interop.job import (
    ONE_CALL_SECONDS,
    UUID,
    Connection,
    Job,
    JsonObject,
    Said,
    do_job,
    outcome,
    print_report,
    read_job,
)

LONGEST_ANSWER = 10_000

warnings.simplefilter("ignore")


class OneTool(BaseLlm):
    """Requests the next tool, and remembers its result."""

    model: str = "scripted"
    offered: Any = None
    next: Any = None
    read: Any = None

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse]:
        declarations = llm_request.config.tools[0].function_declarations
        self.offered = {declared.name: schema_of(declared) for declared in declarations}
        self.read = llm_request.contents[-1].parts[0].function_response
        part = types.Part(text="done")
        if self.next is not None and self.read is None:
            part = types.Part(function_call=self.next)
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


def schema_of(declared: types.FunctionDeclaration) -> JsonObject:
    if declared.parameters is not None:
        return declared.parameters.model_dump(exclude_none=True, mode="json")
    return declared.parameters_json_schema


class GoogleAdk(Connection):
    """One agent; each call is a run of that agent."""

    name = "google-adk"
    version = version("google-adk")

    def __init__(self, job: Job) -> None:
        super().__init__()
        # Over HTTP, the server keeps no session in which it could ask.
        self.confirmation = "form" if job.transport == "stdio" else "in chat"
        self.told: list[float] = []
        self.toolset = McpToolset(
            connection_params=parameters_of(job),
            progress_callback=self.on_progress,
            elicitation_callback=self.elicit,
            use_mcp_resources=True,
        )
        self.model = OneTool()
        agent = LlmAgent(name="artist", model=self.model, tools=[self.toolset])
        self.runner = InMemoryRunner(agent=agent, app_name="interop")

    async def connect(self) -> None:
        session = await self.toolset._mcp_session_manager.create_session()
        self.protocol = session.protocol_version

    async def tools(self) -> dict[str, JsonObject]:
        self.model.next = None
        await self.run()
        return self.model.offered

    async def call(self, tool: str, arguments: JsonObject) -> Said:
        self.model.next = types.FunctionCall(name=tool, args=arguments)
        await self.run()
        answer = self.model.read.response
        texts = [part["text"] for part in answer["content"] if part["type"] == "text"]
        return Said("\n".join(texts), is_error=answer["isError"])

    async def run(self) -> None:
        session = await self.runner.session_service.create_session(
            app_name="interop", user_id="person"
        )
        message = types.Content(role="user", parts=[types.Part(text="Do it.")])
        events = self.runner.run_async(user_id="person", session_id=session.id, new_message=message)
        async for _ in events:
            pass

    async def progress(self, tool: str, arguments: JsonObject) -> list[float]:
        self.told.clear()
        await self.call(tool, arguments)
        return self.told

    async def resource(self, uri: str) -> str:
        resources = await self.toolset.list_resources()
        infos = [await self.toolset.get_resource_info(name) for name in resources]
        name = next(info["name"] for info in infos if info["uri"] == uri)
        return str(await self.toolset.read_resource(name))

    async def on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        self.told.append(progress)

    async def elicit(self, context: object, params: ElicitRequestParams) -> ElicitResult:
        if self.answer(params.message):
            return ElicitResult(action="accept", content={"approve": True})
        return ElicitResult(action="decline")

    async def short_answers(self) -> None:
        """Check that the model doesn't receive an image of a finished run as text."""
        listed = await self.call("list_runs", {"status": "complete"})
        run_id = re.search(UUID, listed.text)[0]
        await self.call("get_status", {"inference_id": run_id})
        length = len(json.dumps(self.model.read.response))
        assert length < LONGEST_ANSWER, f"the answer has {length} characters"

    async def gemini(self) -> None:
        offered = await self.tools()
        session = await self.toolset._mcp_session_manager.create_session()
        known = {tool.name: tool.input_schema for tool in (await session.list_tools()).tools}
        check_conversion(known, lambda name, _: offered[name])


def parameters_of(job: Job) -> StdioConnectionParams | StreamableHTTPConnectionParams:
    if job.transport == "http":
        return StreamableHTTPConnectionParams(url=job.url)
    command, *arguments = job.command
    server = StdioServerParameters(command=command, args=arguments, env=job.environment)
    # The default limit, 5 s, includes the server's startup.
    return StdioConnectionParams(server_params=server, timeout=ONE_CALL_SECONDS)


async def main() -> None:
    job = read_job()
    connection = GoogleAdk(job)
    await connection.connect()
    steps = await do_job(job, connection)
    steps["schema_gemini"] = await outcome(connection.gemini)
    if job.transport == "stdio":
        steps["short_answers"] = await outcome(connection.short_answers)
    print_report(job, connection, steps)
    await connection.toolset.close()


asyncio.run(main())
