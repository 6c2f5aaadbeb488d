"""Results that are adapted to what a client shows its model."""

import json
from collections.abc import AsyncGenerator

import pytest
from mcp.client import Client
from mcp.types import (
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    Implementation,
    TextContent,
)

from layer_mcp.server.app import create_server
from layer_mcp.settings import Settings

from ..support.hosts import SMALL_IMAGE

pytestmark = pytest.mark.anyio

CODEX = "codex-mcp-client"
FINISHED = SMALL_IMAGE | {"wait_seconds": 10}


@pytest.fixture
async def result(
    request: pytest.FixtureRequest, environment: dict[str, str]
) -> AsyncGenerator[CallToolResult]:
    """Run a generation as the client that the parameter names."""
    server = create_server(Settings.from_env(environment))
    about = Implementation(name=request.param, version="1")
    call = CallToolRequestParams(name="execute_inference", arguments=FINISHED)
    async with Client(server, mode="legacy", client_info=about) as client:
        # Like Codex, send the request without validating the result against the schema.
        yield await client.session.send_request(CallToolRequest(params=call), CallToolResult)


@pytest.mark.parametrize("result", [CODEX], indirect=True)
async def test_codex_gets_the_facts_as_text_next_to_the_picture(
    result: CallToolResult,
) -> None:
    facts, picture, *_ = result.content
    assert result.structured_content is None
    assert isinstance(facts, TextContent)
    assert json.loads(facts.text).keys() >= {"inference_id", "outputs", "next_step"}
    assert picture.type == "image"


@pytest.mark.parametrize("result", ["another-client"], indirect=True)
async def test_other_clients_get_structured_content(
    result: CallToolResult,
) -> None:
    assert result.structured_content is not None
    assert [block.type for block in result.content][:2] == ["text", "image"]
