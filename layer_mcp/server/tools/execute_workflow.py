"""execute_workflow: start a pipeline of several steps."""

from dataclasses import dataclass
from typing import Any

import anyio
from mcp.server.mcpserver.tools import Tool
from pydantic import Field

from ...api.fields import Id, NonNegativeNumber
from ...api.models import StartedWorkflowRun, WorkflowRunRequest
from ..common import PREVIEW, spending
from ..following import told_after_start, workflow_run
from ..provenance import workflow_start_facts, workflow_state_after_start
from ..results import Illustrated
from ..state import ToolContext, app_of
from ..tool import make_tool
from ..workflow_calls import WorkflowArguments, call_workflow
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


@dataclass(frozen=True)
class Submitted:
    """A run that was started: where, with what, and Layer's answer."""

    workspace_id: str
    inputs: dict[str, Any]
    started: StartedWorkflowRun


async def execute_workflow(
    arguments: ExecuteWorkflowArguments, context: ToolContext
) -> Illustrated:
    """Submit once, then wait as long as asked; what fails after that does not hide the run."""
    began = anyio.current_time()
    app = app_of(context)
    workflow_id = arguments.workflow_id

    async def submit(workspace_id: str, inputs: dict[str, Any]) -> Submitted:
        request = WorkflowRunRequest(
            inputs=inputs,
            session_id=arguments.session_id,
            session_name=arguments.session_name,
        )
        started = await app.client.execute_workflow(workflow_id, request, workspace=workspace_id)
        return Submitted(workspace_id, inputs, started)

    submitted = await call_workflow(arguments, submit, context, began)
    workspace_id, started = submitted.workspace_id, submitted.started
    return await told_after_start(
        workflow_run(app, workflow_id, started.run_id, workspace_id),
        workflow_state_after_start(started),
        workflow_start_facts(workflow_id, submitted.inputs, started, workspace_id),
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
