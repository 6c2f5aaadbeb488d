"""estimate_workflow: what a workflow run will cost and make."""

from typing import Any

import anyio
from mcp.server.mcpserver.tools import Tool

from ...api.models import WorkflowPriceEstimate
from ..common import adding
from ..prices import PriceAnswer, price_answer
from ..state import ToolContext, app_of
from ..tool import make_tool
from ..workflow_calls import WorkflowArguments, call_workflow

DESCRIPTION = "Price, balance and number of outputs before a workflow run; free of charge."


class WorkflowPriceAnswer(PriceAnswer):
    """What a workflow run will cost, and how many files it makes."""

    output_count: int | None = None

    def facts(self) -> list[str]:
        """The price, the balance, the number of outputs."""
        made = [f"It makes {self.output_count} outputs."] if self.output_count is not None else []
        return [*super().facts(), *made]


async def estimate_workflow(
    arguments: WorkflowArguments, context: ToolContext
) -> WorkflowPriceAnswer:
    """Check the inputs, bring local files to Layer, ask for the price."""
    client = app_of(context).client

    async def call(workspace_id: str, inputs: dict[str, Any]) -> WorkflowPriceEstimate:
        return await client.estimate_workflow(arguments.workflow_id, inputs, workspace=workspace_id)

    estimate = await call_workflow(arguments, call, context, anyio.current_time())
    counts = [entry.count for entry in estimate.output_counts if entry.count is not None]
    answer = price_answer(estimate, "Call execute_workflow with the same arguments.")
    return WorkflowPriceAnswer(**answer.model_dump(), output_count=sum(counts) if counts else None)


def estimate_workflow_tool() -> Tool:
    """The tool as the server publishes it."""
    return make_tool(
        estimate_workflow,
        title="Price of a workflow run",
        description=DESCRIPTION,
        arguments=WorkflowArguments,
        answer=WorkflowPriceAnswer,
        annotations=adding(),
    )
