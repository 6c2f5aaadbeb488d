"""estimate_workflow: what a workflow run will cost and make."""

import anyio
from mcp.server.mcpserver.tools import Tool

from ..common import adding
from ..prices import PriceAnswer, price_answer
from ..state import ToolContext, app_of
from ..tool import make_tool
from ..workflow_calls import WorkflowArguments, workflow_call

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
    app = app_of(context)
    call = await workflow_call(arguments, context, began=anyio.current_time())
    estimate = await call.references.used_by(
        lambda: app.client.estimate_workflow(
            arguments.workflow_id, call.inputs, workspace=call.workspace_id
        )
    )
    counts = [entry.count for entry in estimate.output_counts if entry.count is not None]
    answer = price_answer(
        estimate,
        "Call execute_workflow with the same arguments.",
        confirm_above=app.settings.confirm_above,
    )
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
