"""OpenAI Agents: an agent whose scripted model asks for one tool at a time.

The SDK's own rules convert the schemas for the strict mode of OpenAI's models.
"""

import asyncio
import json
import re
from importlib.metadata import version
from typing import Any

from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp, MCPUtil
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from interop.conversions import OPEN_TOOLS, check_conversion
from interop.job import (
    ONE_CALL_SECONDS,
    Connection,
    Job,
    JsonObject,
    Said,
    do_job,
    outcome,
    print_report,
    read_job,
)


class OneTool(Model):
    """Requests the next tool, and remembers its result."""

    def __init__(self) -> None:
        self.offered: dict[str, JsonObject] = {}
        self.next: ResponseFunctionToolCall | None = None
        self.read = ""

    async def get_response(
        self,
        system_instructions: Any,
        input: Any,
        model_settings: Any,
        tools: Any,
        *rest: Any,
        **more: Any,
    ) -> ModelResponse:
        self.offered = {tool.name: tool.params_json_schema for tool in tools}
        outputs = [item for item in input if item.get("type") == "function_call_output"]
        if self.next is None or outputs:
            self.read = "".join(texts_of(item["output"]) for item in outputs)
            return response(DONE)
        return response(self.next)

    def stream_response(self, *arguments: Any, **more: Any) -> Any:
        raise NotImplementedError


REFUSED = re.compile(r"[A-Z_]+: ")
DONE = ResponseOutputMessage(
    id="message",
    content=[ResponseOutputText(annotations=[], text="done", type="output_text")],
    role="assistant",
    status="completed",
    type="message",
)


def response(item: Any) -> ModelResponse:
    return ModelResponse(output=[item], usage=Usage(), response_id=None)


def texts_of(output: str | list[dict[str, Any]]) -> str:
    if isinstance(output, str):
        return output
    return "".join(part.get("text", "") for part in output)


class OpenAiAgents(Connection):
    """One agent; each call is a run of that agent."""

    name = "openai-agents"
    version = version("openai-agents")

    def __init__(self, job: Job) -> None:
        super().__init__()
        # The default limit for a call, 5 s, is shorter than most waits.
        patience = {"client_session_timeout_seconds": ONE_CALL_SECONDS}
        command = {"command": job.command[0], "args": job.command[1:], "env": job.environment}
        self.server = (
            MCPServerStdio(command, **patience)
            if job.transport == "stdio"
            else MCPServerStreamableHttp({"url": job.url}, **patience)
        )
        self.model = OneTool()
        self.agent = Agent("artist", model=self.model, mcp_servers=[self.server])

    async def tools(self) -> dict[str, JsonObject]:
        self.model.next = None
        await self.run()
        return self.model.offered

    async def call(self, tool: str, arguments: JsonObject) -> Said:
        self.model.next = ResponseFunctionToolCall(
            name=tool, arguments=json.dumps(arguments), call_id="call", type="function_call"
        )
        await self.run()
        # It reports errors to its model only as text, and so does the server.
        return Said(self.model.read, is_error=bool(REFUSED.match(self.model.read)))

    async def run(self) -> None:
        await Runner.run(self.agent, "Do it.", run_config=RunConfig(tracing_disabled=True))

    async def resource(self, uri: str) -> str:
        return (await self.server.read_resource(uri)).contents[0].text

    async def prompts(self) -> dict[str, list[str]]:
        prompts = (await self.server.list_prompts()).prompts
        return {p.name: [argument.name for argument in p.arguments or []] for p in prompts}

    async def prompt(self, name: str, arguments: dict[str, str]) -> str:
        return (await self.server.get_prompt(name, arguments)).messages[0].content.text

    async def openai_strict(self) -> None:
        """Use strict mode where the tool allows it; leave open arguments unchanged."""
        before = await self.tools()
        converted = {
            tool.name: MCPUtil.to_function_tool(tool, self.server, convert_schemas_to_strict=True)
            for tool in await self.server.list_tools()
        }
        check_conversion(before, lambda name, _: converted[name].params_json_schema)
        open_tools = {name for name, tool in converted.items() if not tool.strict_json_schema}
        assert open_tools == set(OPEN_TOOLS), f"not strict: {open_tools}"


async def main() -> None:
    job = read_job()
    connection = OpenAiAgents(job)
    async with connection.server:
        connection.protocol = connection.server.session.protocol_version
        steps = await do_job(job, connection)
        steps["schema_openai_strict"] = await outcome(connection.openai_strict)
        print_report(job, connection, steps)


asyncio.run(main())
