"""What a tool answers about a price: the price, the balance, and whether to ask first."""

from ..api.models import PriceEstimate
from .results import Answer

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


def price_answer(estimate: PriceEstimate, go_on: str, *, confirm_above: float) -> PriceAnswer:
    """An estimate as an answer; `go_on` is the next step when nothing speaks against it."""
    return PriceAnswer(
        **estimate.model_dump(
            include=set(PriceEstimate.model_fields) & set(PriceAnswer.model_fields)
        ),
        warning=excluded_references(estimate.references_refused),
        next_step=_next_step(estimate, go_on, confirm_above),
    )


def excluded_references(refused: str | None) -> str | None:
    """What to know of a price when Layer refused to price references; `refused` is what it said."""
    return f"{EXCLUDED} {refused}" if refused else None


def _next_step(estimate: PriceEstimate, go_on: str, confirm_above: float) -> str:
    if estimate.has_sufficient_creative_units is False:
        missing = estimate.estimated_remaining_balance_creative_units
        amount = f" {-missing:g} CU are missing." if missing is not None and missing < 0 else ""
        return f"Add Creative Units at app.layer.ai, or make fewer or smaller outputs.{amount}"
    price = estimate.estimated_price_creative_units
    if price > confirm_above:
        return (
            f"Ask the user first: it costs more than {confirm_above:g} CU. After a yes: {go_on} "
            f"Add max_price_creative_units {price:g}."
        )
    return go_on
