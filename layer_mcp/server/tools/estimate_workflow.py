"""estimate_workflow: get the price and the outputs of a workflow run."""

from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase

from ...api.models import WorkflowPriceEstimate
from ...runs.drafts import WorkflowDraft
from ...runs.views import count_noun
from ..answers import read_only
from ..context import ToolContext, runs_for
from ..tool import make_tool
from .estimate_price import PriceAnswer, price_answer

DESCRIPTION = """\
Get the price of a workflow run, the balance, and the number of outputs. Free; starts and uploads \
nothing."""


class EstimateWorkflowArguments(WorkflowDraft, ArgModelBase):
    """The workflow and its inputs."""


class WorkflowPriceAnswer(PriceAnswer):
    """The price of a workflow run, and the number of files it makes."""

    output_count: int | None = None

    def facts(self) -> list[str]:
        """Return the price, the balance, and the number of outputs."""
        made = (
            [f"It makes {count_noun(self.output_count, 'output')}."]
            if self.output_count is not None
            else []
        )
        return [*super().facts(), *made]


async def estimate_workflow(
    arguments: EstimateWorkflowArguments, context: ToolContext
) -> WorkflowPriceAnswer:
    """Check the inputs and get the price without uploading anything."""
    estimate = await runs_for(context).estimate(arguments)
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
        annotations=read_only(),
    )
