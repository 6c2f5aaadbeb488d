"""get_status: the state of a run, waiting for its end within bounds."""

import anyio
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from mcp.types import ToolAnnotations
from pydantic import Field

from ...api.fields import Id, NonNegativeNumber, Request
from ..results import RunAnswer, run_answer
from ..state import ToolContext, app_of
from ..tool import make_tool
from ..waiting import capped_wait_seconds, progress_reporter

DESCRIPTION = """\
Wait for a run and return its state, price and output files. "in_progress" is a normal answer: \
call again with the same inference_id. Free of charge. Images take about 20-90 s, some minutes; \
video and 3D longer."""


class GetStatusArguments(Request, ArgModelBase):
    """Which run, and how long to wait for its end."""

    inference_id: Id = Field(description="From execute_inference (UUID).")
    workspace_id: str | None = Field(
        default=None,
        max_length=255,
        description="Where it was started. Default: the configured or only one.",
    )
    wait_seconds: NonNegativeNumber = Field(
        default=25, description="Wait up to this long for the end."
    )


async def get_status(arguments: GetStatusArguments, context: ToolContext) -> RunAnswer:
    """Poll within bounds and answer with the last state."""
    began = anyio.current_time()
    client = app_of(context).client
    workspace_id = await client.workspace_id(arguments.workspace_id)
    wait_seconds = capped_wait_seconds(arguments.wait_seconds, began, context)
    state = await client.wait(
        arguments.inference_id,
        wait_seconds,
        workspace=workspace_id,
        on_progress=progress_reporter(context, wait_seconds),
    )
    return run_answer(state, workspace_id=workspace_id)


def get_status_tool() -> Tool:
    """The tool as the server publishes it."""
    return make_tool(
        get_status,
        title="Status and files of a Layer run",
        description=DESCRIPTION,
        arguments=GetStatusArguments,
        answer=RunAnswer,
        annotations=ToolAnnotations(
            read_only_hint=True,
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=True,
        ),
    )
