"""AutoGen: an agent whose replayed model asks for one tool at a time."""

import asyncio
import json
import logging
from importlib.metadata import version

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import ToolCallExecutionEvent
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, RequestUsage
from autogen_ext.models.replay import ReplayChatCompletionClient
from autogen_ext.tools.mcp import McpWorkbench, StdioServerParams, StreamableHttpServerParams

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

MODEL = {
    "function_calling": True,
    "vision": False,
    "json_output": False,
    "structured_output": False,
    "family": "unknown",
}

logging.disable()


class AutoGen(Connection):
    """One workbench; each call is a run of an agent."""

    name = "autogen-ext, autogen-agentchat"
    version = f"{version('autogen-ext')}, {version('autogen-agentchat')}"
    # The workbench continues a call that was cancelled.
    gives_up = False

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.workbench = McpWorkbench(parameters_of(job))

    async def connect(self) -> None:
        await self.workbench.list_tools()
        self.protocol = self.workbench.initialize_result.protocolVersion

    async def tools(self) -> dict[str, JsonObject]:
        return {tool["name"]: tool["parameters"] for tool in await self.workbench.list_tools()}

    async def call(self, tool: str, arguments: JsonObject) -> Said:
        asks = FunctionCall(id="call", name=tool, arguments=json.dumps(arguments))
        answer = CreateResult(
            finish_reason="function_calls",
            content=[asks],
            usage=RequestUsage(prompt_tokens=0, completion_tokens=0),
            cached=False,
        )
        model = ReplayChatCompletionClient([answer], model_info=MODEL)
        agent = AssistantAgent("artist", model_client=model, workbench=self.workbench)
        done = await agent.run(task="Do it.")
        [event] = [m for m in done.messages if isinstance(m, ToolCallExecutionEvent)]
        [result] = event.content
        return Said(result.content, is_error=bool(result.is_error))

    async def resource(self, uri: str) -> str:
        return (await self.workbench.read_resource(uri)).contents[0].text

    async def prompts(self) -> dict[str, list[str]]:
        prompts = (await self.workbench.list_prompts()).prompts
        return {p.name: [argument.name for argument in p.arguments or []] for p in prompts}

    async def prompt(self, name: str, arguments: dict[str, str]) -> str:
        return (await self.workbench.get_prompt(name, arguments)).messages[0].content.text


def parameters_of(job: Job) -> StdioServerParams | StreamableHttpServerParams:
    if job.transport == "http":
        return StreamableHttpServerParams(url=job.url)
    command, *arguments = job.command
    # An image would reach the model as text.
    environment = job.environment | {"LAYER_PREVIEW": "0"}
    # The default limit, 5 s, is shorter than most waits.
    return StdioServerParams(
        command=command,
        args=arguments,
        env=environment,
        read_timeout_seconds=ONE_CALL_SECONDS,
    )


async def main() -> None:
    job = read_job()
    connection = AutoGen(job)
    async with connection.workbench:
        await connection.connect()
        print_report(job, connection, await do_job(job, connection))


asyncio.run(main())
