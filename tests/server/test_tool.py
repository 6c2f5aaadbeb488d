"""How a tool converts what its function returns or raises into an answer."""

import logging

import anyio
import pytest
from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from mcp.types import CallToolResult, ToolAnnotations

from layer_mcp import LayerClient, LayerError, Settings
from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.server import app
from layer_mcp.server.callers import accounts, offers
from layer_mcp.server.callers.caller import Caller
from layer_mcp.server.context import ToolContext
from layer_mcp.server.run_answers import InferenceAnswer
from layer_mcp.server.tool import make_tool

from ..support.hosts import MEMORY, SMALL_IMAGE, content_of, error_code, text_of

pytestmark = pytest.mark.anyio


class NoArguments(ArgModelBase):
    """No arguments."""


async def crash(arguments: NoArguments, context: ToolContext) -> InferenceAnswer:
    raise RuntimeError("a secret of the server")


async def refuse(arguments: NoArguments, context: ToolContext) -> InferenceAnswer:
    raise LayerError("FORBIDDEN", "Not for you.")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> MCPServer[app.App]:
    tools = [
        make_tool(
            function,
            title="T",
            description="D",
            arguments=NoArguments,
            answer=InferenceAnswer,
            annotations=ToolAnnotations(),
        )
        for function in (crash, refuse)
    ]

    def tools_by_toolset(_toolsets: object, **_served: object) -> dict[str, list[Tool]]:
        return {"generate": tools}

    monkeypatch.setattr(offers, "tools_by_toolset", tools_by_toolset)
    return app.create_server(Settings())


async def test_a_crash_after_a_submission_still_returns_the_run(
    environment: dict[str, str], sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(LayerClient, "wait", broken)
    async with MEMORY.connect(environment) as client:
        result = await client.call_tool("execute_inference", SMALL_IMAGE)
    assert not result.is_error
    assert list(sandbox.state.runs) == [content_of(result)["inference_id"]]
    assert "failed in the server" in text_of(result)


async def test_a_client_that_disconnects_does_not_interrupt_another(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", Fault("slow", delay_seconds=0.6))
    server = app.create_server(Settings.from_env(environment))
    results: list[CallToolResult] = []

    async def submit() -> None:
        async with Client(server) as staying:
            results.append(await staying.call_tool("execute_inference", SMALL_IMAGE))

    async with anyio.create_task_group() as tasks, Client(server) as leaving:
        await leaving.call_tool("get_status", {"inference_id": SMALL_IMAGE["model_id"]})
        tasks.start_soon(submit)
        await anyio.sleep(0.3)
    assert [content_of(result)["inference_id"] for result in results] == list(sandbox.state.runs)


def answer_reader(_request: object) -> Caller:
    return Caller("reader", scopes=("layer:read",))


async def test_a_tool_refuses_a_reader_even_if_the_http_server_does_not(
    environment: dict[str, str], sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "caller_of", answer_reader)
    async with MEMORY.connect(environment) as client:
        result = await client.call_tool("execute_inference", SMALL_IMAGE)
    assert error_code(result) == "INSUFFICIENT_SCOPE"
    assert not sandbox.state.arrived


async def test_a_reader_calls_tools_that_change_nothing(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "caller_of", answer_reader)
    async with MEMORY.connect(environment) as client:
        result = await client.call_tool("get_model", {"model_id": SMALL_IMAGE["model_id"]})
    assert not result.is_error


async def call(server: MCPServer[app.App], name: str) -> CallToolResult:
    async with Client(server) as client:
        return await client.call_tool(name, {})


async def test_a_crash_has_its_own_code_and_only_the_log_has_its_text(
    server: MCPServer[app.App], caplog: pytest.LogCaptureFixture
) -> None:
    result = await call(server, "crash")
    assert error_code(result) == "TOOL_CRASHED"
    assert "secret" not in text_of(result) + str(content_of(result))
    assert "a secret of the server" in caplog.text


async def test_an_expected_failure_is_not_logged_as_an_error(
    server: MCPServer[app.App], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        result = await call(server, "refuse")
    assert error_code(result) == "FORBIDDEN"
    assert [record.levelname for record in caplog.records if "layer_mcp" in record.name] == ["INFO"]
