"""LangChain's adapters in a LangGraph agent whose scripted model asks for one tool at a time.

Over stdio, the adapters start a new server for each call, which is their default. LangChain's own
packages convert the schemas for Anthropic's and Google's models.
"""

import asyncio
from importlib.metadata import version
from typing import Any

from langchain.agents import create_agent
from langchain_anthropic.chat_models import convert_to_anthropic_tool
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_google_genai._function_utils import convert_to_genai_function_declarations
from langchain_mcp_adapters.callbacks import CallbackContext, Callbacks
from langchain_mcp_adapters.client import MultiServerMCPClient
from mcp.types import ElicitRequestParams, ElicitResult

from interop.conversions import check_conversion
from interop.job import Connection, Job, JsonObject, Said, do_job, outcome, print_report, read_job


class OneTool(BaseChatModel):
    """Requests the next tool, then ends the run."""

    next: dict[str, Any] | None = None

    def bind_tools(self, tools: Any, **settings: Any) -> "OneTool":
        return self

    def _generate(self, messages: list[BaseMessage], *rest: Any, **more: Any) -> ChatResult:
        called = isinstance(messages[-1], ToolMessage)
        answer = AIMessage("done") if called else AIMessage("", tool_calls=[self.next])
        return ChatResult(generations=[ChatGeneration(message=answer)])

    @property
    def _llm_type(self) -> str:
        return "one-tool"


class LangChain(Connection):
    """One agent; each call is a run of that agent."""

    name = "langchain-mcp-adapters, langgraph"
    version = f"{version('langchain-mcp-adapters')}, {version('langgraph')}"

    def __init__(self, job: Job) -> None:
        super().__init__()
        # Over HTTP, the server keeps no session in which it could ask.
        self.confirmation = "form" if job.transport == "stdio" else "in chat"
        server = (
            {
                "transport": "stdio",
                "command": job.command[0],
                "args": job.command[1:],
                "env": job.environment,
            }
            if job.transport == "stdio"
            else {"transport": "streamable_http", "url": job.url}
        )
        self.told: list[float] = []
        callbacks = Callbacks(on_progress=self.on_progress, on_elicitation=self.elicit)
        self.client = MultiServerMCPClient({"layer": server}, callbacks=callbacks)

    async def connect(self) -> None:
        info = await self.client.get_server_info()
        self.protocol = info["layer"].protocolVersion
        self.loaded = await self.client.get_tools()
        self.model = OneTool()
        self.agent = create_agent(self.model, self.loaded)

    async def tools(self) -> dict[str, JsonObject]:
        return {tool.name: tool.args_schema for tool in self.loaded}

    async def call(self, tool: str, arguments: JsonObject) -> Said:
        self.model.next = {"name": tool, "args": arguments, "id": "call"}
        state = await self.agent.ainvoke({"messages": [("user", "Do it.")]})
        message = next(m for m in state["messages"] if isinstance(m, ToolMessage))
        return Said(message.text, is_error=message.status == "error")

    async def progress(self, tool: str, arguments: JsonObject) -> list[float]:
        self.told.clear()
        await self.call(tool, arguments)
        return self.told

    async def resource(self, uri: str) -> str:
        return (await self.client.get_resources("layer", uris=uri))[0].as_string()

    async def prompts(self) -> dict[str, list[str]]:
        async with self.client.session("layer") as session:
            prompts = (await session.list_prompts()).prompts
        return {p.name: [argument.name for argument in p.arguments or []] for p in prompts}

    async def prompt(self, name: str, arguments: dict[str, str]) -> str:
        return (await self.client.get_prompt("layer", name, arguments=arguments))[0].text

    async def on_progress(
        self, progress: float, total: float | None, message: str | None, context: CallbackContext
    ) -> None:
        self.told.append(progress)

    async def elicit(
        self, mcp_context: object, params: ElicitRequestParams, context: CallbackContext
    ) -> ElicitResult:
        if self.answer(params.message):
            return ElicitResult(action="accept", content={"approve": True})
        return ElicitResult(action="decline")

    async def anthropic(self) -> None:
        await self.check(lambda tool: convert_to_anthropic_tool(tool)["input_schema"])

    async def gemini(self) -> None:
        await self.check(_gemini)

    async def check(self, convert: Any) -> None:
        loaded: dict[str, BaseTool] = {tool.name: tool for tool in self.loaded}
        check_conversion(await self.tools(), lambda name, _: convert(loaded[name]))


def _gemini(tool: BaseTool) -> JsonObject:
    (converted,) = convert_to_genai_function_declarations([convert_to_openai_tool(tool)])
    (function,) = converted.function_declarations
    return function.parameters.model_dump(exclude_none=True, mode="json")


async def main() -> None:
    job = read_job()
    connection = LangChain(job)
    await connection.connect()
    steps = await do_job(job, connection)
    steps["schema_anthropic"] = await outcome(connection.anthropic)
    steps["schema_gemini"] = await outcome(connection.gemini)
    print_report(job, connection, steps)


asyncio.run(main())
