"""execute_workflow: start a pipeline of several steps."""

from typing import Annotated

from mcp.server.elicitation import ElicitationResult
from mcp.server.mcpserver import Resolve
from mcp.server.mcpserver.tools import Tool

from ...runs.drafts import WorkflowRunDraft
from ...runs.types.plan import Plan
from ..answers import ToolOutput, paid
from ..approval import Approval, SingleRunArguments, ask_approval, is_approved, make_plan
from ..context import ToolContext, report_wait, runs_for
from ..run_answers import WorkflowRunAnswer, run_output
from ..tasks import becomes_task
from ..tool import make_tool

DESCRIPTION = """\
Start a paid workflow run. Returns run_id immediately; get_workflow_status then waits for the \
files. Retrying the same call returns the same run and costs nothing, unless repeat is true."""


class ExecuteWorkflowArguments(SingleRunArguments, WorkflowRunDraft):
    """The workflow and its inputs, the price limit, and how long to wait."""


async def execute_workflow(
    arguments: ExecuteWorkflowArguments,
    plan: Annotated[Plan, Resolve(make_plan)],
    approval: Annotated[ElicitationResult[Approval], Resolve(ask_approval)],
    context: ToolContext,
) -> ToolOutput:
    """Submit at most once, then wait as long as requested."""
    runs = runs_for(context)
    run = await runs.submit(plan, approved=is_approved(approval))
    # The run is paid for, so from here on, every failure is a warning next to the run's ID. If the
    # run becomes a task, its client does the waiting.
    is_task = becomes_task(context)
    wait_seconds = plan.budget.cap(0 if is_task else arguments.wait_seconds)
    run = await runs.follow(run, wait_seconds, on_progress=report_wait(context, wait_seconds, 1))
    preview = "false" if is_task else arguments.preview
    return await run_output(run, context, plan.budget, preview=preview)


def execute_workflow_tool() -> Tool:
    """Return the tool as the server publishes it."""
    return make_tool(
        execute_workflow,
        title="Run a workflow",
        description=DESCRIPTION,
        arguments=ExecuteWorkflowArguments,
        answer=WorkflowRunAnswer,
        annotations=paid(),
    )
