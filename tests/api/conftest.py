"""A client of the sandbox's account."""

from collections.abc import AsyncGenerator

import pytest

from layer_mcp import LayerClient
from layer_mcp.sandbox import RunningSandbox


@pytest.fixture
async def layer(sandbox: RunningSandbox) -> AsyncGenerator[LayerClient]:
    async with LayerClient(
        sandbox.token, workspace=sandbox.workspace_id, api_url=sandbox.api_url
    ) as client:
        yield client
