"""FastMCP's client, in both eras of the protocol."""

import asyncio
from importlib.metadata import version

from fastmcp import Client
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport

from interop.job import Connection, Job, JsonObject, Said, do_job, print_report, read_job

MODES = {"modern": "auto", "legacy": "legacy"}


class FastMcp(Connection):
    """One session that calls tools directly."""

    name = "fastmcp"
    version = version("fastmcp")

    def __init__(self, job: Job) -> None:
        super().__init__()
        # Over HTTP, the server keeps no session in which it could ask an older client.
        if (job.transport, job.era) != ("http", "legacy"):
            self.confirmation = "form"
        transport = (
            StdioTransport(job.command[0], job.command[1:], env=job.environment)
            if job.transport == "stdio"
            else StreamableHttpTransport(job.url)
        )
        self.client = Client(transport, elicitation_handler=self.elicit, mode=MODES[job.era])

    async def tools(self) -> dict[str, JsonObject]:
        return {tool.name: tool.input_schema for tool in await self.client.list_tools()}

    async def call(self, tool: str, arguments: JsonObject) -> Said:
        result = await self.client.call_tool(tool, arguments, raise_on_error=False)
        texts = [block.text for block in result.content if block.type == "text"]
        return Said("\n".join(texts), result.is_error)

    async def progress(self, tool: str, arguments: JsonObject) -> list[float]:
        told: list[float] = []

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            told.append(progress)

        await self.client.call_tool(tool, arguments, progress_handler=on_progress)
        return told

    async def resource(self, uri: str) -> str:
        return (await self.client.read_resource(uri))[0].text

    async def prompts(self) -> dict[str, list[str]]:
        prompts = await self.client.list_prompts()
        return {p.name: [argument.name for argument in p.arguments or []] for p in prompts}

    async def prompt(self, name: str, arguments: dict[str, str]) -> str:
        return (await self.client.get_prompt(name, arguments)).messages[0].content.text

    async def elicit(
        self, message: str, answer: type | None, params: object, context: object
    ) -> object:
        if self.answer(message):
            return answer(approve=True)
        return ElicitResult(action="decline")


async def main() -> None:
    job = read_job()
    connection = FastMcp(job)
    async with connection.client:
        connection.protocol = connection.client.protocol_version
        print_report(job, connection, await do_job(job, connection))


if __name__ == "__main__":
    asyncio.run(main())
