"""get_status: the state of a run, waiting for its end within bounds."""

import anyio
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import Field

from ...api.fields import Id, NonNegativeNumber, Request
from ..common import PREVIEW, WORKSPACE, adding, reading
from ..following import inference_run, told
from ..results import Illustrated
from ..run_results import RunAnswer, RunStateAnswer
from ..state import ToolContext, app_of
from ..tool import make_tool

DESCRIPTION = """\
Wait for a run and return its state, price and output files, with one small picture of them. \
"in_progress" is a normal answer: call again with the same inference_id. Free of charge."""


class GetStatusArguments(Request, ArgModelBase):
    """Which run, and how long to wait for its end."""

    inference_id: Id = Field(description="From execute_inference (UUID).")
    workspace_id: str | None = WORKSPACE
    wait_seconds: NonNegativeNumber = Field(
        default=25, description="Wait up to this long for the end."
    )
    preview: bool = PREVIEW


async def get_status(
    arguments: GetStatusArguments, context: ToolContext
) -> Illustrated[RunStateAnswer]:
    """Poll within bounds and answer with the last state, and with what a finished run made."""
    began = anyio.current_time()
    app = app_of(context)
    workspace_id = await app.client.workspace_id(arguments.workspace_id)
    return await told(
        inference_run(app, arguments.inference_id, workspace_id),
        context,
        wait_seconds=arguments.wait_seconds,
        preview=arguments.preview,
        began=began,
    )


def get_status_tool(*, saves_by_itself: bool) -> Tool:
    """The tool as the server publishes it; one that saves files is not marked as reading only."""
    return make_tool(
        get_status,
        title="Status and files of a Layer run",
        description=DESCRIPTION,
        arguments=GetStatusArguments,
        answer=RunAnswer,
        annotations=adding() if saves_by_itself else reading(),
    )
