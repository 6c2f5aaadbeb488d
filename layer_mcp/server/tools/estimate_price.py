"""estimate_price: what a generation will cost, references included."""

from mcp.server.mcpserver.tools import Tool

from ...api.models import PriceEstimate
from ...runs.rules import unpriced_references
from ..answers import Answer, additive
from ..context import ToolContext, app_of, begin_call, report_upload, runs_for
from ..tool import make_tool
from .execute_inference import GenerationArguments

DESCRIPTION = """\
Price and balance before a generation; free of charge. Arguments as in execute_inference; local \
references are uploaded, so that they count."""


class PriceAnswer(Answer):
    """What a run will cost, and what is left then."""

    estimated_price_creative_units: float
    workspace_balance_creative_units: float | None = None
    estimated_remaining_balance_creative_units: float | None = None
    has_sufficient_creative_units: bool | None = None
    warning: str | None = None

    def facts(self) -> list[str]:
        """Return the price, then the balance before and after."""
        lines = [f"Price {self.estimated_price_creative_units:g} CU (estimated)."]
        balance = self.workspace_balance_creative_units
        remaining = self.estimated_remaining_balance_creative_units
        if balance is not None:
            after = f", {remaining:g} CU after the run" if remaining is not None else ""
            lines.append(f"Balance {balance:g} CU{after}.")
        return [*lines, self.warning] if self.warning else lines


async def estimate_price(arguments: GenerationArguments, context: ToolContext) -> PriceAnswer:
    """Upload the references, then get the price with them."""
    estimate = await runs_for(context).estimate(
        arguments, begin_call(context), on_upload=report_upload(context)
    )
    return price_answer(estimate, "Call execute_inference with the same arguments.", context)


def price_answer(estimate: PriceEstimate, next_step: str, context: ToolContext) -> PriceAnswer:
    """Return an estimate as an answer; `next_step` is for a price that needs no approval."""
    shared = set(PriceEstimate.model_fields) & set(PriceAnswer.model_fields)
    return PriceAnswer(
        **estimate.model_dump(include=shared),
        warning=unpriced_references(estimate.references_refused),
        next_step=_next_step(estimate, next_step, app_of(context).settings.confirm_above),
    )


def _next_step(estimate: PriceEstimate, next_step: str, confirm_above: float) -> str:
    if estimate.has_sufficient_creative_units is False:
        missing = estimate.estimated_remaining_balance_creative_units
        amount = f" {-missing:g} CU are missing." if missing is not None and missing < 0 else ""
        return f"Add Creative Units at app.layer.ai, or make fewer or smaller outputs.{amount}"
    price = estimate.estimated_price_creative_units
    if price > confirm_above:
        return (
            f"Ask the user first: it costs more than {confirm_above:g} CU. After a yes: "
            f"{next_step} Add max_price_creative_units {price:g}."
        )
    return next_step


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
