"""What a tool answers about a price: the price, the balance, and whether to ask first."""

from ..api.models import PriceEstimate
from .results import Answer

ASK_ABOVE_CREATIVE_UNITS = 20
EXCLUDED = "Layer did not price the references and the mask, so the run may cost more. It said:"


class PriceAnswer(Answer):
    """What a run will cost, and what is left then."""

    estimated_price_creative_units: float
    workspace_balance_creative_units: float | None = None
    estimated_remaining_balance_creative_units: float | None = None
    has_sufficient_creative_units: bool | None = None
    warning: str | None = None

    def facts(self) -> list[str]:
        """The price, then the balance before and after."""
        lines = [f"Price {self.estimated_price_creative_units:g} CU (estimated)."]
        balance = self.workspace_balance_creative_units
        remaining = self.estimated_remaining_balance_creative_units
        if balance is not None:
            after = f", {remaining:g} CU after the run" if remaining is not None else ""
            lines.append(f"Balance {balance:g} CU{after}.")
        return [*lines, self.warning] if self.warning else lines


def price_answer(estimate: PriceEstimate, go_on: str) -> PriceAnswer:
    """An estimate as an answer; `go_on` is the next step when nothing speaks against it."""
    refused = estimate.references_refused
    return PriceAnswer(
        **estimate.model_dump(
            include=set(PriceEstimate.model_fields) & set(PriceAnswer.model_fields)
        ),
        warning=f"{EXCLUDED} {refused}" if refused else None,
        next_step=_next_step(estimate, go_on),
    )


def _next_step(estimate: PriceEstimate, go_on: str) -> str:
    if estimate.has_sufficient_creative_units is False:
        missing = estimate.estimated_remaining_balance_creative_units
        amount = f" {-missing:g} CU are missing." if missing is not None and missing < 0 else ""
        return f"Add Creative Units at app.layer.ai, or make fewer or smaller outputs.{amount}"
    if estimate.estimated_price_creative_units > ASK_ABOVE_CREATIVE_UNITS:
        limit = ASK_ABOVE_CREATIVE_UNITS
        return f"Ask the user first: it costs more than {limit} CU. After a yes: {go_on}"
    return go_on
