"""Calls and results that are adapted to what a client sends and shows its model."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from mcp.types import (
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    TextContent,
)

from layer_mcp.sandbox import RunningSandbox
from layer_mcp.server.client_quirks import (
    HOST_ARGUMENTS,
    SHORT_WAIT_SECONDS,
    remove_host_arguments,
)
from layer_mcp.server.tools import tools_of
from layer_mcp.settings import TOOLSETS

from ..support.hosts import MEMORY, SMALL_IMAGE, Host, content_of, error_code, text_of

pytestmark = pytest.mark.anyio

LEGACY = Host("memory", "legacy")
CODEX = "codex-mcp-client"
GOOGLE_ADK = "google-adk"
FINISHED = SMALL_IMAGE | {"wait_seconds": 10}


@pytest.fixture
async def result(
    request: pytest.FixtureRequest, environment: dict[str, str]
) -> AsyncGenerator[CallToolResult]:
    """Run a generation as the client that the parameter names."""
    call = CallToolRequestParams(name="execute_inference", arguments=FINISHED)
    async with LEGACY.connect(environment, name=request.param) as client:
        # Like Codex, send the request without validating the result against the schema.
        yield await client.session.send_request(CallToolRequest(params=call), CallToolResult)


def blocks(result: CallToolResult) -> list[str]:
    return [block.type for block in result.content]


@pytest.mark.parametrize("result", [CODEX], indirect=True)
async def test_codex_gets_the_facts_as_text_next_to_the_picture(result: CallToolResult) -> None:
    facts, picture, *_ = result.content
    assert result.structured_content is None
    assert isinstance(facts, TextContent)
    assert json.loads(facts.text).keys() >= {"inference_id", "outputs", "next_step"}
    assert picture.type == "image"


@pytest.mark.parametrize("result", ["another-client"], indirect=True)
async def test_other_clients_get_structured_content(result: CallToolResult) -> None:
    assert result.structured_content is not None
    assert blocks(result)[:2] == ["text", "image"]


@pytest.mark.parametrize("result", ["claude-code"], indirect=True)
async def test_a_client_known_to_show_links_gets_one_for_each_file(result: CallToolResult) -> None:
    assert blocks(result) == ["text", "image", "resource_link"]


@pytest.mark.parametrize("result", ["mcp"], indirect=True)
async def test_an_unknown_client_gets_no_link_and_reads_where_the_file_is(
    result: CallToolResult,
) -> None:
    assert blocks(result) == ["text", "image"]
    assert content_of(result)["outputs"][0]["url"] in text_of(result)


@pytest.mark.parametrize("result", [GOOGLE_ADK], indirect=True)
async def test_a_client_that_writes_images_as_text_gets_none(result: CallToolResult) -> None:
    assert blocks(result) == ["text"]


async def test_recognizes_a_2026_client_by_its_name(environment: dict[str, str]) -> None:
    async with MEMORY.connect(environment, name=GOOGLE_ADK) as client:
        result = await client.call_tool("execute_inference", FINISHED)
    assert blocks(result) == ["text"]


@pytest.mark.parametrize("arguments", [{}, {"wait_seconds": 5}], ids=["default", "asked for"])
@pytest.mark.parametrize("name", [GOOGLE_ADK, "mcp"])
async def test_only_the_default_wait_is_shorter_for_a_client_that_cuts_calls_early(
    name: str, arguments: dict[str, Any], environment: dict[str, str]
) -> None:
    waits: list[float | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        waits.append(total)

    async with LEGACY.connect(environment, name=name) as client:
        started = content_of(await client.call_tool("execute_inference", SMALL_IMAGE))
        run = {"inference_id": started["inference_id"]}
        await client.call_tool("get_status", run | arguments, progress_callback=on_progress)
    default_seconds = SHORT_WAIT_SECONDS.get(name, 25.0)
    assert set(waits) == {arguments.get("wait_seconds", default_seconds)}


async def test_arguments_that_a_host_adds_are_ignored(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    added = dict.fromkeys(HOST_ARGUMENTS, "from the host")
    async with LEGACY.connect(environment) as client:
        result = await client.call_tool("execute_inference", SMALL_IMAGE | added)
    assert not result.is_error
    assert sandbox.state.arrived["execute_inference"] == 1


async def test_arguments_that_a_model_invents_are_refused(environment: dict[str, str]) -> None:
    async with LEGACY.connect(environment) as client:
        result = await client.call_tool("execute_inference", SMALL_IMAGE | {"toolCallID": "1"})
    assert error_code(result) == "INVALID_ARGUMENTS"


def test_keeps_a_tools_argument_even_if_hosts_add_one_with_that_name() -> None:
    schema = {"type": "object", "properties": {"action": {"type": "string"}}}
    given = {"action": "zoom", "toolCallId": "1", "other": "2"}
    assert remove_host_arguments(given, schema) == {"action": "zoom", "other": "2"}


def test_no_tool_has_an_argument_that_hosts_add() -> None:
    tools = tools_of(TOOLSETS, saves_by_itself=False)
    names = {name for tool in tools for name in tool.parameters["properties"]}
    assert names.isdisjoint(HOST_ARGUMENTS)
