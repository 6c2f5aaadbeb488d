"""The official Python client, in both eras of the protocol."""

import asyncio
from contextlib import AsyncExitStack
from importlib.metadata import version

from mcp import Client, StdioServerParameters
from mcp.client import ClientRequestContext
from mcp.types import CallToolResult, ElicitRequestParams, ElicitResult

from interop.job import Connection, Job, JsonObject, Said, do_job, print_report, read_job

MODES = {"modern": "2026-07-28", "legacy": "legacy"}


class PythonSdk(Connection):
    """One session that calls tools directly."""

    name = "mcp (Python)"
    version = version("mcp")

    def __init__(self, job: Job) -> None:
        super().__init__()
        # Over HTTP, the server keeps no session in which it could ask an older client.
        if (job.transport, job.era) != ("http", "legacy"):
            self.confirmation = "form"

    async def connect(self, job: Job, stack: AsyncExitStack) -> None:
        server = (
            StdioServerParameters(command=job.command[0], args=job.command[1:], env=job.environment)
            if job.transport == "stdio"
            else job.url
        )
        client = Client(server, mode=MODES[job.era], elicitation_callback=self.elicit)
        self.client = await stack.enter_async_context(client)
        self.protocol = self.client.protocol_version

    async def tools(self) -> dict[str, JsonObject]:
        return {tool.name: tool.input_schema for tool in (await self.client.list_tools()).tools}

    async def call(self, tool: str, arguments: JsonObject) -> Said:
        return said(await self.client.call_tool(tool, arguments))

    async def progress(self, tool: str, arguments: JsonObject) -> list[float]:
        told: list[float] = []

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            told.append(progress)

        await self.client.call_tool(tool, arguments, progress_callback=on_progress)
        return told

    async def resource(self, uri: str) -> str:
        return (await self.client.read_resource(uri)).contents[0].text

    async def prompts(self) -> dict[str, list[str]]:
        prompts = (await self.client.list_prompts()).prompts
        return {p.name: [argument.name for argument in p.arguments or []] for p in prompts}

    async def prompt(self, name: str, arguments: dict[str, str]) -> str:
        return (await self.client.get_prompt(name, arguments)).messages[0].content.text

    async def elicit(
        self, context: ClientRequestContext, params: ElicitRequestParams
    ) -> ElicitResult:
        if self.answer(params.message):
            return ElicitResult(action="accept", content={"approve": True})
        return ElicitResult(action="decline")


def said(result: CallToolResult) -> Said:
    texts = [block.text for block in result.content if block.type == "text"]
    return Said("\n".join(texts), bool(result.is_error))


async def main() -> None:
    job = read_job()
    connection = PythonSdk(job)
    async with AsyncExitStack() as stack:
        await connection.connect(job, stack)
        print_report(job, connection, await do_job(job, connection))


asyncio.run(main())
