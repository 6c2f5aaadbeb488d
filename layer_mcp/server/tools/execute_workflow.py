"""execute_workflow: start a pipeline of several steps."""

import anyio
from mcp.server.mcpserver.tools import Tool
from pydantic import Field

from ...api.errors import LayerError
from ...api.fields import Id, NonNegativeNumber
from ...api.models import WorkflowRunRequest
from ..common import PREVIEW, spending
from ..following import told_after_start, workflow_run
from ..provenance import workflow_start_facts, workflow_state_after_start
from ..results import Illustrated
from ..state import ToolContext, app_of
from ..tool import make_tool
from ..workflow_calls import WorkflowArguments, ready_inputs
from ..workflow_results import WorkflowRunAnswer

DESCRIPTION = """\
Start a paid workflow run. Returns run_id at once; get_workflow_status then waits for the files. \
Every call is a new run and a new charge: after a timeout or an error with a run_id, use \
get_workflow_status instead of calling again."""


class ExecuteWorkflowArguments(WorkflowArguments):
    """Which workflow, what it gets, how long to wait."""

    session_id: Id | None = Field(default=None, description="Session to file it in (UUID).")
    session_name: str | None = Field(
        default=None, max_length=255, description="Or its name; a new one is made."
    )
    wait_seconds: NonNegativeNumber = Field(
        default=0, description="Wait up to this long for the files."
    )
    preview: bool = PREVIEW


async def execute_workflow(
    arguments: ExecuteWorkflowArguments, context: ToolContext
) -> Illustrated:
    """Submit once, then wait as long as asked; what fails after that does not hide the run."""
    began = anyio.current_time()
    app = app_of(context)
    workflow_id = arguments.workflow_id
    ready = await ready_inputs(arguments, context, began)
    request = WorkflowRunRequest(
        inputs=ready.inputs,
        session_id=arguments.session_id,
        session_name=arguments.session_name,
    )
    try:
        started = await app.client.execute_workflow(
            workflow_id, request, workspace=ready.workspace_id
        )
    except LayerError as error:
        await app.uploads.forget_if_gone(error, ready.files, ready.workspace_id)
        raise
    return await told_after_start(
        workflow_run(app, workflow_id, started.run_id, ready.workspace_id),
        workflow_state_after_start(started),
        workflow_start_facts(workflow_id, ready.inputs, started, ready.workspace_id),
        context,
        wait_seconds=arguments.wait_seconds,
        preview=arguments.preview,
        began=began,
    )


def execute_workflow_tool() -> Tool:
    """The tool as the server publishes it."""
    return make_tool(
        execute_workflow,
        title="Run a workflow",
        description=DESCRIPTION,
        arguments=ExecuteWorkflowArguments,
        answer=WorkflowRunAnswer,
        annotations=spending(),
    )
