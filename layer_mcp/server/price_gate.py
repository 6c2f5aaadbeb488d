"""Whether a price passes: pure rules of plain values. Prices are Creative Units (CU)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import LayerError
from ..journal.entries import Spending
from ..settings import Settings

# Prices are sums of decimal fractions.
TOLERANCE = 1e-6
NOTICEABLE_SHARE = 0.1


@dataclass(frozen=True)
class PriceLimits:
    """The limits of the settings; None is no limit."""

    confirm_above: float
    max_price: float | None = None
    max_spend_per_day: float | None = None


@dataclass(frozen=True)
class Quote:
    """What a call would cost, and what there is: a price for each run, None where none could be
    had. `why_unknown` says why. `suffices` is what Layer says of the balance, and
    `references_refused` what it said instead of pricing references.
    """

    prices: Sequence[float | None]
    workspace_id: str
    balance: float | None = None
    suffices: bool = True
    why_unknown: str | None = None
    references_refused: str | None = None

    @property
    def total(self) -> float | None:
        """The price of all runs; None when one is not known."""
        known = [price for price in self.prices if price is not None]
        return round(math.fsum(known), 4) if len(known) == len(self.prices) else None


def price_limits(settings: Settings) -> PriceLimits:
    """The limits that the settings set."""
    return PriceLimits(settings.confirm_above, settings.max_price, settings.max_spend_per_day)


def refusal(quote: Quote, limits: PriceLimits, max_price: float | None) -> LayerError | None:
    """Why a call must not be sent, whoever says yes; None when nothing speaks against it.

    `max_price` is what the call itself allows for all its runs. A price that could not be had
    counts as above every limit.
    """
    total = quote.total
    has_hard_limit = (limits.max_price, limits.max_spend_per_day) != (None, None)
    if total is None:
        return _unknown(quote) if has_hard_limit or max_price is not None else None
    if has_hard_limit and quote.references_refused:
        sentence = (
            "Layer did not price the references, and LAYER_MAX_PRICE or LAYER_MAX_SPEND_PER_DAY "
            "is set. Nothing was sent."
        )
        step = "Leave the references out, or ask the user to lift the limit."
        return LayerError("PRICE_UNKNOWN", sentence, next_step=step)
    dearest = max((price for price in quote.prices if price is not None), default=0.0)
    if _above(dearest, limits.max_price):
        sentence = f"A run costs {dearest:g} CU; LAYER_MAX_PRICE allows {limits.max_price:g}."
        return _error("PRICE_ABOVE_LIMIT", sentence, dearest)
    if _above(total, max_price):
        sentence = f"The price is {total:g} CU; max_price_creative_units allows {max_price:g}."
        return _error("PRICE_ABOVE_MAX", sentence, total)
    balance = math.inf if quote.balance is None else quote.balance
    return _short_of(balance, total, suffices=quote.suffices)


def spending_refusal(quote: Quote, limits: PriceLimits, spending: Spending) -> LayerError | None:
    """Why a call must not be sent beside what is spent and on its way already, or None."""
    total = quote.total or 0.0
    day = limits.max_spend_per_day
    if _above(spending.day + total, day):
        left = max((day or 0.0) - spending.day, 0.0)
        sentence = (
            f"The price is {total:g} CU, and {left:g} of {day:g} CU are left for 24 hours "
            "(LAYER_MAX_SPEND_PER_DAY)."
        )
        return _error("SPENDING_LIMIT_REACHED", sentence, total)
    if quote.balance is None:
        return None
    return _short_of(quote.balance - spending.on_its_way.get(quote.workspace_id, 0.0), total)


def needs_a_yes(quote: Quote, limits: PriceLimits) -> bool:
    """Whether a person has to agree. A price that could not be had counts as above."""
    return quote.total is None or _above(quote.total, limits.confirm_above)


def unasked_refusal(
    quote: Quote, limits: PriceLimits, max_price: float | None
) -> LayerError | None:
    """What an agent is told when a yes is needed and its client cannot ask; None if it has one."""
    if quote.total is None:
        return _unknown(quote)
    if max_price is not None:
        return None
    sentence = (
        f"The price is {quote.total:g} CU, and above {limits.confirm_above:g} CU a person has to "
        "say yes. Nothing was sent."
    )
    step = (
        "Tell the user the price and ask. Only after a yes call again with "
        f"max_price_creative_units {quote.total:g}."
    )
    return _error("CONFIRMATION_REQUIRED", sentence, quote.total, next_step=step)


def price_difference(estimate: float | None, actual: float | None) -> str | None:
    """A sentence when a run cost noticeably other than estimated, or None."""
    if estimate is None or actual is None:
        return None
    if abs(actual - estimate) <= NOTICEABLE_SHARE * estimate + TOLERANCE:
        return None
    word = "more" if actual > estimate else "less"
    return f"The run cost {abs(actual - estimate):g} CU {word} than estimated."


def _short_of(balance: float, total: float, *, suffices: bool = True) -> LayerError | None:
    if suffices and total <= balance + TOLERANCE:
        return None
    if total <= balance + TOLERANCE:
        sentence = f"The price is {total:g} CU, which the balance does not cover as Layer says."
        return _error("INSUFFICIENT_BALANCE", f"{sentence} Nothing was sent.", total)
    missing = round(total - balance, 4)
    sentence = (
        f"The price is {total:g} CU and {max(balance, 0.0):g} CU can be spent: {missing:g} CU "
        "are missing. Nothing was sent."
    )
    error = _error("INSUFFICIENT_BALANCE", sentence, total)
    error.facts["missing_creative_units"] = missing
    return error


def _unknown(quote: Quote) -> LayerError:
    why = f" {quote.why_unknown}" if quote.why_unknown else ""
    return LayerError("PRICE_UNKNOWN", f"The price could not be had.{why} Nothing was sent.")


def _error(code: str, sentence: str, price: float, *, next_step: str | None = None) -> LayerError:
    facts = {"estimated_price_creative_units": price}
    return LayerError(code, sentence, facts=facts, next_step=next_step)


def _above(price: float, limit: float | None) -> bool:
    return limit is not None and price > limit + TOLERANCE
