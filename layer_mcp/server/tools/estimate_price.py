"""estimate_price: what a generation will cost, references included."""

from mcp.server.mcpserver.tools import Tool

from ...api.models import PriceEstimate
from ...next_steps import SAME_GENERATION, after_price
from ...runs.views import describe_estimate, estimate_as_json
from ..answers import Answer, additive
from ..context import ToolContext, app_of, begin_call, report_upload, runs_for
from ..tool import make_tool
from .execute_inference import GenerationArguments

DESCRIPTION = """\
Get the price of a generation and the balance; free of charge. Takes the arguments of \
execute_inference. Local references are uploaded, so they count."""


class PriceAnswer(Answer):
    """What a run will cost, and what is left then."""

    estimated_price_creative_units: float
    workspace_balance_creative_units: float | None = None
    estimated_remaining_balance_creative_units: float | None = None
    has_sufficient_creative_units: bool | None = None
    warning: str | None = None

    def facts(self) -> list[str]:
        """Return the price, then the balance before and after."""
        return describe_estimate(dict(self))


async def estimate_price(arguments: GenerationArguments, context: ToolContext) -> PriceAnswer:
    """Upload the references, then get the price with them."""
    estimate = await runs_for(context).estimate(
        arguments, begin_call(context), on_upload=report_upload(context)
    )
    return price_answer(estimate, SAME_GENERATION, context)


def price_answer(estimate: PriceEstimate, next_step: str, context: ToolContext) -> PriceAnswer:
    """Return an estimate as an answer; `next_step` is for a price that needs no approval."""
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
        annotations=additive(),
        described_elsewhere=True,
    )
