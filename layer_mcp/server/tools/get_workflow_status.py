"""get_workflow_status: the state of a workflow run, waiting for its end within bounds."""

import anyio
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import Field

from ...api.fields import Id, NonNegativeNumber, Request
from ..common import PREVIEW, WORKSPACE, adding, reading
from ..following import told, workflow_run
from ..results import Illustrated
from ..run_results import RunStateAnswer
from ..state import ToolContext, app_of
from ..tool import make_tool
from ..workflow_results import WorkflowRunAnswer

DESCRIPTION = """\
Wait for a workflow run and return its state, steps done, price and files. "in_progress" is a \
normal answer: call again. Free of charge."""


class GetWorkflowStatusArguments(Request, ArgModelBase):
    """Which run, and how long to wait for its end."""

    workflow_id: Id = Field(description="Its workflow (UUID).")
    run_id: Id = Field(description="From execute_workflow (UUID).")
    workspace_id: str | None = WORKSPACE
    wait_seconds: NonNegativeNumber = Field(
        default=25, description="Wait up to this long for the end."
    )
    preview: bool = PREVIEW


async def get_workflow_status(
    arguments: GetWorkflowStatusArguments, context: ToolContext
) -> Illustrated[RunStateAnswer]:
    """Poll within bounds and answer with the last state, and with what a finished run made."""
    began = anyio.current_time()
    app = app_of(context)
    workspace_id = await app.client.workspace_id(arguments.workspace_id)
    return await told(
        workflow_run(app, arguments.workflow_id, arguments.run_id, workspace_id),
        context,
        wait_seconds=arguments.wait_seconds,
        preview=arguments.preview,
        began=began,
    )


def get_workflow_status_tool(*, saves_by_itself: bool) -> Tool:
    """The tool as the server publishes it; one that saves files is not marked as reading only."""
    return make_tool(
        get_workflow_status,
        title="Status and files of a workflow run",
        description=DESCRIPTION,
        arguments=GetWorkflowStatusArguments,
        answer=WorkflowRunAnswer,
        annotations=adding() if saves_by_itself else reading(),
    )
