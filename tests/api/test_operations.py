"""Every operation of Layer's contract has a method of the client and is reached by the tools."""

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from layer_mcp import LayerClient
from layer_mcp.sandbox import RunningSandbox

from ..support.contract import paths
from ..support.hosts import MEMORY, SMALL_IMAGE, content_of

pytestmark = pytest.mark.anyio

ICON_SET = "00000000-0000-4000-8000-0000000000c1"
# Where our name is shorter or clearer than the contract's.
NAMES = {
    "estimateInferencePrice": "estimate_price",
    "getInferenceRun": "get_inference",
    "estimateWorkflowPrice": "estimate_workflow",
    "requestFileUploadUrl": "request_upload_url",
}


def operations() -> set[str]:
    """The contract's operations by our names."""
    ids = [operation["operationId"] for path in paths().values() for operation in path.values()]
    return {NAMES.get(name) or re.sub("([A-Z])", r"_\1", name).lower() for name in ids}


def test_each_operation_has_a_method() -> None:
    assert len(operations()) == 12
    assert [name for name in operations() if not hasattr(LayerClient, name)] == []


async def test_each_operation_is_reached_by_the_tools(
    environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    Image.new("RGB", (8, 8), (220, 30, 30)).save(tmp_path / "red.png")
    settings = environment | {"LAYER_TOOLSETS": "all", "LAYER_INPUT_DIRS": str(tmp_path)}
    icons: dict[str, Any] = {"workflow_id": ICON_SET, "inputs": {"prompt": "potions"}}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("list_workspaces", {}),
        ("list_workspaces", {"workspace_id": sandbox.workspace_id}),
        ("list_models", {}),
        ("get_model", {"model_id": SMALL_IMAGE["model_id"]}),
        ("upload_file", {"path": "red.png"}),
        ("estimate_price", SMALL_IMAGE),
        ("execute_inference", SMALL_IMAGE | {"wait_seconds": 5}),
        ("list_workflows", {}),
        ("estimate_workflow", icons),
        ("execute_workflow", icons | {"wait_seconds": 5}),
    ]
    async with MEMORY.connect(settings) as client:
        for tool, arguments in calls:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, content_of(result)
    assert operations() - set(sandbox.state.arrived) == set()
