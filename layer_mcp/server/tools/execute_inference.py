"""execute_inference: start a generation."""

from typing import Annotated

from mcp.server.elicitation import ElicitationResult
from mcp.server.mcpserver import Resolve
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase

from ...runs.references import InferenceDraft
from ...runs.types import Plan
from ..answers import ToolOutput, paid
from ..approval import Approval, SingleRunArguments, ask_approval, is_approved, make_plan
from ..context import ToolContext, report_wait, runs_for
from ..run_answers import InferenceAnswer, run_output
from ..tasks import becomes_task
from ..tool import make_tool

DESCRIPTION = """\
Start a paid generation with Layer: image, video, 3D or audio. Returns inference_id \
immediately; get_status then waits for the files. Retrying the same call returns the same run and \
costs nothing, unless repeat is true. Pass only arguments that the model uses."""


class GenerationArguments(InferenceDraft, ArgModelBase):
    """The request's fields, flat, plus where to run it."""


class ExecuteInferenceArguments(SingleRunArguments, GenerationArguments):
    """The request's fields, where to run it, what it may cost, and how long to wait."""


async def execute_inference(
    arguments: ExecuteInferenceArguments,
    plan: Annotated[Plan, Resolve(make_plan)],
    approval: Annotated[ElicitationResult[Approval], Resolve(ask_approval)],
    context: ToolContext,
) -> ToolOutput:
    """Submit at most once, then wait as long as asked."""
    runs = runs_for(context)
    run = await runs.submit(plan, approved=is_approved(approval))
    # Paid for: from here on everything that fails is a warning beside the run's id.
    # A run that is handed over as a task is waited for by its client.
    is_task = becomes_task(context)
    wait_seconds = plan.budget.cap(0 if is_task else arguments.wait_seconds)
    run = await runs.follow(run, wait_seconds, on_progress=report_wait(context, wait_seconds, 1))
    return await run_output(run, context, plan.budget, preview=arguments.preview and not is_task)


def execute_inference_tool() -> Tool:
    """Return the tool as the server publishes it."""
    return make_tool(
        execute_inference,
        title="Generate with Layer",
        description=DESCRIPTION,
        arguments=ExecuteInferenceArguments,
        answer=InferenceAnswer,
        annotations=paid(),
    )
