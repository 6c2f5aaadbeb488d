"""execute_workflow: start a pipeline of several steps."""

from typing import Annotated

import anyio
from mcp.server.elicitation import ElicitationResult
from mcp.server.mcpserver import Elicit, Resolve
from mcp.server.mcpserver.tools import Tool
from pydantic import Field

from ...api.fields import Id, NonNegativeNumber
from ...api.models import WorkflowRun, WorkflowRunRequest
from ..approval import Answered, Approval
from ..common import PREVIEW, spending
from ..orders import workflow_order
from ..planning import Plan, SpendingArguments, asked, planned
from ..results import Illustrated
from ..run_results import RunStateAnswer
from ..starting import started
from ..state import ToolContext, app_of
from ..tool import make_tool
from ..workflow_calls import WorkflowArguments, workflow_call
from ..workflow_results import WorkflowRunAnswer

DESCRIPTION = """\
Start a paid workflow run. Returns run_id at once; get_workflow_status then waits for the files. \
The same call again is answered with the same run and costs nothing, unless repeat is true."""


class ExecuteWorkflowArguments(SpendingArguments, WorkflowArguments):
    """Which workflow, what it gets, what it may cost, how long to wait."""

    session_id: Id | None = Field(default=None, description="Session to file it in (UUID).")
    session_name: str | None = Field(
        default=None, max_length=255, description="Or its name; a new one is made."
    )
    wait_seconds: NonNegativeNumber = Field(
        default=0, description="Wait up to this long for the files."
    )
    preview: bool = PREVIEW


async def plan(arguments: ExecuteWorkflowArguments, context: ToolContext) -> Plan[WorkflowRun]:
    """Check the inputs, bring local files to Layer, ask for the price."""
    began = anyio.current_time()
    call = await workflow_call(arguments, context, began=began)
    request = WorkflowRunRequest(
        inputs=call.inputs,
        session_id=arguments.session_id,
        session_name=arguments.session_name,
    )
    order = workflow_order(
        app_of(context), call.workflow, request, call.references, call.workspace_id
    )
    return await planned([order], arguments, context, began=began)


async def ask(
    plan: Annotated[Plan[WorkflowRun], Resolve(plan)], context: ToolContext
) -> Elicit[Approval] | Answered:
    """Ask a person, if the price wants one."""
    return await asked(plan, context)


async def execute_workflow(
    arguments: ExecuteWorkflowArguments,
    plan: Annotated[Plan[WorkflowRun], Resolve(plan)],
    approval: Annotated[ElicitationResult[Approval], Resolve(ask)],
    context: ToolContext,
) -> Illustrated[RunStateAnswer]:
    """Submit once, then wait as long as asked."""
    return await started(
        plan,
        approval,
        context,
        wait_seconds=arguments.wait_seconds,
        preview=arguments.preview,
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
