"""Finished runs of four large pictures, and get_status calls about them over stdio."""

from collections.abc import Mapping

from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult

from layer_mcp import Inference, InferenceRequest, Settings

from .children import server_command
from .finished_run import MODEL_ID, finished_run

PICTURES = 4
SANDBOX_KNOBS = ("--run-seconds=0", "--poll-interval-seconds=1")


async def four_pictures(settings: Settings) -> Inference:
    """A new run of four pictures of 1024 x 1024 pixels, which has ended."""
    request = InferenceRequest(
        model_id=MODEL_ID,
        prompt="a red potion in a round bottle",
        batch_size=PICTURES,
        width=1024,
        height=1024,
    )
    return await finished_run(settings, request)


def stdio_server(variables: Mapping[str, str]) -> StdioServerParameters:
    """The installed server with these settings."""
    return StdioServerParameters(command=server_command()[0], env=dict(variables))


async def get_status(client: Client, run: Inference, *, preview: bool) -> CallToolResult:
    """One call.

    Raises:
        RuntimeError: the call failed.
    """
    arguments = {"inference_id": run.inference_id, "wait_seconds": 0, "preview": preview}
    result = await client.call_tool("get_status", arguments)
    if result.is_error:
        raise RuntimeError(f"get_status failed: {result.content}")
    return result
