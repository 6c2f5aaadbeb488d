"""estimate_workflow: what a workflow run will cost and make."""

import anyio
from mcp.server.mcpserver.tools import Tool

from ...api.errors import LayerError
from ..common import adding
from ..prices import PriceAnswer, price_answer
from ..state import ToolContext, app_of
from ..tool import make_tool
from ..workflow_calls import WorkflowArguments, ready_inputs

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
    ready = await ready_inputs(arguments, context, anyio.current_time())
    try:
        estimate = await client.estimate_workflow(
            arguments.workflow_id, ready.inputs, workspace=ready.workspace_id
        )
    except LayerError as error:
        await app_of(context).uploads.forget_if_gone(error, ready.files, ready.workspace_id)
        raise
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
