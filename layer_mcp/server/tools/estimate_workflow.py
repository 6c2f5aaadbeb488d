"""estimate_workflow: what a workflow run will cost and make."""

from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase

from ...api.models import WorkflowPriceEstimate
from ...runs.references import WorkflowDraft
from ..answers import additive
from ..context import ToolContext, begin_call, report_upload, runs_for
from ..tool import make_tool
from .estimate_price import PriceAnswer, price_answer

DESCRIPTION = "Get the price, balance, and number of outputs before a workflow run; free of charge."


class EstimateWorkflowArguments(WorkflowDraft, ArgModelBase):
    """Which workflow, and what it gets."""


class WorkflowPriceAnswer(PriceAnswer):
    """What a workflow run will cost, and how many files it makes."""

    output_count: int | None = None

    def facts(self) -> list[str]:
        """Return the price, the balance, the number of outputs."""
        made = [f"It makes {self.output_count} outputs."] if self.output_count is not None else []
        return [*super().facts(), *made]


async def estimate_workflow(
    arguments: EstimateWorkflowArguments, context: ToolContext
) -> WorkflowPriceAnswer:
    """Check the inputs, upload local files, get the price."""
    estimate = await runs_for(context).estimate(
        arguments, begin_call(context), on_upload=report_upload(context)
    )
    answer = price_answer(estimate, "Call execute_workflow with the same arguments.", context)
    outputs = estimate.output_counts if isinstance(estimate, WorkflowPriceEstimate) else []
    counts = [entry.count for entry in outputs if entry.count is not None]
    return WorkflowPriceAnswer(**answer.model_dump(), output_count=sum(counts) if counts else None)


def estimate_workflow_tool() -> Tool:
    """Return the tool as the server publishes it."""
    return make_tool(
        estimate_workflow,
        title="Price of a workflow run",
        description=DESCRIPTION,
        arguments=EstimateWorkflowArguments,
        answer=WorkflowPriceAnswer,
        annotations=additive(),
    )
