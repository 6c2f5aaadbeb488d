"""get_workflow_status: get a workflow run's state, with an optional wait."""

from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import Field

from ...api.fields import Id, NonNegativeNumber, Request
from ..answers import PREVIEW, WORKSPACE, Preview, ToolOutput, additive, read_only
from ..client_quirks import choose_wait
from ..context import ToolContext, begin_call, report_wait, runs_for
from ..run_answers import WorkflowRunAnswer, run_output
from ..tool import make_tool

DESCRIPTION = """\
Wait for a workflow run and return its state, completed steps, price, and files. "in_progress" is \
a normal answer: call again. Free of charge."""


class GetWorkflowStatusArguments(Request, ArgModelBase):
    """The run, and how long to wait for it to end."""

    workflow_id: Id = Field(description="Its workflow (UUID).")
    run_id: Id = Field(description="From execute_workflow (UUID).")
    workspace_id: str | None = WORKSPACE
    wait_seconds: NonNegativeNumber = Field(default=25, description="Maximum wait.")
    preview: Preview = PREVIEW


async def get_workflow_status(
    arguments: GetWorkflowStatusArguments, context: ToolContext
) -> ToolOutput:
    """Wait for the run to end, and return its state and the outputs of a finished run."""
    budget = begin_call(context)
    wait_seconds = budget.cap(choose_wait(arguments, context))
    run = await runs_for(context).get(
        arguments.run_id,
        workflow_id=arguments.workflow_id,
        workspace=arguments.workspace_id,
        wait_seconds=wait_seconds,
        on_progress=report_wait(context, wait_seconds),
    )
    return await run_output(run, context, budget, preview=arguments.preview)


def get_workflow_status_tool(*, saves_by_itself: bool) -> Tool:
    """Return the tool as the server publishes it; one that saves files is not read-only."""
    return make_tool(
        get_workflow_status,
        title="Status and files of a workflow run",
        description=DESCRIPTION,
        arguments=GetWorkflowStatusArguments,
        answer=WorkflowRunAnswer,
        annotations=additive() if saves_by_itself else read_only(),
    )
