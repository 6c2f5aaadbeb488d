"""estimate_price: get the price of a generation."""

from mcp.server.mcpserver.tools import Tool

from ...api.models import PriceEstimate
from ...next_steps import SAME_GENERATION, after_price
from ...runs.views import describe_estimate, estimate_as_json
from ..answers import Answer, read_only
from ..context import ToolContext, app_of, runs_for
from ..tool import make_tool
from .execute_inference import GenerationArguments

DESCRIPTION = """\
Get the price of a generation, and the balance. Free; starts and uploads nothing. Takes the \
arguments of execute_inference. Local files count once they are uploaded."""


class PriceAnswer(Answer):
    """The price of a run, and the balance after it."""

    estimated_price_creative_units: float
    workspace_balance_creative_units: float | None = None
    estimated_remaining_balance_creative_units: float | None = None
    has_sufficient_creative_units: bool | None = None
    warning: str | None = None

    def facts(self) -> list[str]:
        """Return the price, then the balance before and after."""
        return describe_estimate(dict(self))


async def estimate_price(arguments: GenerationArguments, context: ToolContext) -> PriceAnswer:
    """Get the price without uploading anything."""
    estimate = await runs_for(context).estimate(arguments)
    return price_answer(estimate, SAME_GENERATION, context)


def price_answer(estimate: PriceEstimate, next_step: str, context: ToolContext) -> PriceAnswer:
    """Return an estimate as an answer; `next_step` applies if the price needs no approval."""
    confirm_above = app_of(context).settings.confirm_above
    return PriceAnswer(
        **estimate_as_json(estimate), next_step=after_price(estimate, next_step, confirm_above)
    )


def estimate_price_tool() -> Tool:
    """Return the tool as the server publishes it."""
    return make_tool(
        estimate_price,
        title="Price of a generation",
        description=DESCRIPTION,
        arguments=GenerationArguments,
        answer=PriceAnswer,
        annotations=read_only(),
        described_elsewhere=True,
    )
