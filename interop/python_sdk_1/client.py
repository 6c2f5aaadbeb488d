"""The official Python client before 2.0, which uses the protocol of 2025."""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from importlib.metadata import version
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import CallToolResult, ElicitResult

from interop.job import Connection, Job, JsonObject, Said, do_job, print_report, read_job


class PythonSdk(Connection):
    """One session that calls tools directly."""

    name = "mcp (Python)"
    version = version("mcp")

    def __init__(self, job: Job) -> None:
        super().__init__()
        # Over HTTP, the server keeps no session in which it could ask.
        self.confirmation = "form" if job.transport == "stdio" else "in chat"

    async def connect(self, job: Job, stack: AsyncExitStack) -> None:
        read, write, *_ = await stack.enter_async_context(streams_of(job))
        session = ClientSession(read, write, elicitation_callback=self.elicit)
        self.session = await stack.enter_async_context(session)
        self.protocol = (await self.session.initialize()).protocolVersion

    async def tools(self) -> dict[str, JsonObject]:
        return {tool.name: tool.inputSchema for tool in (await self.session.list_tools()).tools}

    async def call(self, tool: str, arguments: JsonObject) -> Said:
        return said(await self.session.call_tool(tool, arguments))

    async def progress(self, tool: str, arguments: JsonObject) -> list[float]:
        told: list[float] = []

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            told.append(progress)

        await self.session.call_tool(tool, arguments, progress_callback=on_progress)
        return told

    async def resource(self, uri: str) -> str:
        return (await self.session.read_resource(uri)).contents[0].text

    async def prompts(self) -> dict[str, list[str]]:
        prompts = (await self.session.list_prompts()).prompts
        return {p.name: [argument.name for argument in p.arguments or []] for p in prompts}

    async def prompt(self, name: str, arguments: dict[str, str]) -> str:
        return (await self.session.get_prompt(name, arguments)).messages[0].content.text

    async def elicit(self, context: object, params: object) -> ElicitResult:
        if self.answer(params.message):
            return ElicitResult(action="accept", content={"approve": True})
        return ElicitResult(action="decline")


def streams_of(job: Job) -> AbstractAsyncContextManager[Any]:
    if job.transport == "http":
        return streamablehttp_client(job.url)
    command, *arguments = job.command
    server = StdioServerParameters(command=command, args=arguments, env=job.environment)
    return stdio_client(server)


def said(result: CallToolResult) -> Said:
    texts = [block.text for block in result.content if block.type == "text"]
    return Said("\n".join(texts), result.isError)


async def main() -> None:
    job = read_job()
    connection = PythonSdk(job)
    async with AsyncExitStack() as stack:
        await connection.connect(job, stack)
        print_report(job, connection, await do_job(job, connection))


asyncio.run(main())
