"""Decide whether a price may be paid: limits, balance, and approval."""

import math
from collections.abc import Sequence
from typing import Any

from ...errors import Argument, LayerError, MessagePart
from ...settings import Settings
from ..owners import Owner
from ..types.limits import Spending, SpendLimits
from ..types.plain import without_nulls
from ..types.plan import Plan, Quote
from .quotes import unpriced_references

# Prices are sums of decimal fractions.
TOLERANCE = 1e-6
ASK_ADMINISTRATOR = "only the server's administrator can raise the limit."


def spend_limits(settings: Settings, owner: Owner | None = None) -> SpendLimits:
    """Return the price limits from the settings, and those of the owner."""
    return SpendLimits(
        settings.confirm_above, settings.max_price, settings.max_spend_per_day, owner
    )


def price_error(quote: Quote, limits: SpendLimits, max_price: float | None) -> LayerError | None:
    """Return the error that blocks a call even with a person's approval, or None.

    `max_price` is the call's own limit for all its runs. An unknown price counts as over every
    limit.
    """
    total = quote.total
    owner = limits.owner
    own = (owner.max_price, owner.max_spend_per_day) if owner else ()
    has_hard_limit = {limits.max_price, limits.max_spend_per_day, *own} != {None}
    if total is None:
        return _unknown_price(quote) if has_hard_limit or max_price is not None else None
    if has_hard_limit and quote.references_refused:
        return _unpriced_references_error(owner)
    highest = max((price for price in quote.prices if price is not None), default=0.0)
    if owner and _is_above(highest, owner.max_price):
        sentence = f"A run costs {highest:g} CU; your limit is {owner.max_price:g} CU a run."
        return _price_error("PRICE_ABOVE_LIMIT", sentence, highest, next_step=_fewer(owner))
    if _is_above(highest, limits.max_price):
        sentence = f"A run costs {highest:g} CU; LAYER_MAX_PRICE allows {limits.max_price:g}."
        return _price_error("PRICE_ABOVE_LIMIT", sentence, highest, next_step=_fewer(owner))
    if _is_above(total, max_price):
        limit = Argument("max_price_creative_units")
        sentence = [f"The price is {total:g} CU; ", limit, f" allows {max_price:g}."]
        error = _price_error("PRICE_ABOVE_MAX", sentence, total)
        error.facts |= _quote_facts(quote)
        return error
    balance = math.inf if quote.balance is None else quote.balance
    return _balance_error(balance, total, is_covered=quote.is_covered)


def spending_error(quote: Quote, limits: SpendLimits, spending: Spending) -> LayerError | None:
    """Return the error that blocks a call because of past or pending spending, or None."""
    total = quote.total or 0.0
    error = _daily_limit_error(total, limits, spending)
    if error is not None or quote.balance is None:
        return error
    balance = quote.balance - spending.in_flight.get(quote.workspace_id, 0.0)
    error = _balance_error(balance, total)
    if error is None or limits.owner is None:
        return error
    # The runs in progress may be another owner's.
    sentence = (
        f"The price is {total:g} CU, and the balance doesn't cover it in addition to the runs in "
        "progress. Nothing was sent."
    )
    return _price_error("INSUFFICIENT_BALANCE", sentence, total)


def needs_approval(quote: Quote, limits: SpendLimits) -> bool:
    """Return whether a person has to approve the price. An unknown price needs approval."""
    return quote.total is None or _is_above(quote.total, limits.confirm_above)


def check_approval(plan: Plan, limits: SpendLimits, *, approved: bool) -> None:
    """Check that a person approved the plan's price, or that no approval is needed.

    A price that the call itself allows counts as approved.

    Raises:
        LayerError: CONFIRMATION_REQUIRED or PRICE_UNKNOWN.
    """
    quote = plan.quote
    if approved or quote is None or not needs_approval(quote, limits):
        return
    total = quote.total
    if total is None:
        raise _unknown_price(quote)
    if plan.options.max_price_creative_units is not None:
        return
    sentence = (
        f"The price is {total:g} CU. Above {limits.confirm_above:g} CU, a person must approve it. "
        "Nothing was sent."
    )
    step = (
        "Tell the user the price and ask for approval. Only if they agree, call again with "
        f"max_price_creative_units {total:g}."
    )
    error = _price_error("CONFIRMATION_REQUIRED", sentence, total, next_step=step)
    error.facts |= _quote_facts(quote)
    raise error


def check_answer(agreed: bool | None) -> None:
    """Check that a person approved a price; None means that the question wasn't answered.

    Raises:
        LayerError: DECLINED or NOT_ANSWERED.
    """
    if agreed is None:
        sentence = "The question about the price was closed without an answer. Nothing was sent."
        raise LayerError("NOT_ANSWERED", sentence)
    if not agreed:
        raise LayerError("DECLINED", "The price was declined, so nothing was sent.")


def _daily_limit_error(total: float, limits: SpendLimits, spending: Spending) -> LayerError | None:
    owner, day = limits.owner, limits.max_spend_per_day
    own_day = owner.max_spend_per_day if owner else None
    if own_day is not None and _is_above(spending.own_day + total, own_day):
        left = max(own_day - spending.own_day, 0.0)
        sentence = (
            f"The price is {total:g} CU, and {left:g} of {own_day:g} CU are left of your daily "
            "limit."
        )
    elif day is None or not _is_above(spending.day + total, day):
        return None
    elif owner:
        sentence = f"The price of {total:g} CU exceeds what is left of the server's daily limit."
    else:
        left = max(day - spending.day, 0.0)
        sentence = (
            f"The price is {total:g} CU, and {left:g} of {day:g} CU are left for 24 hours "
            "(LAYER_MAX_SPEND_PER_DAY)."
        )
    step = f"Wait, or {_fewer(owner, first='request')}" if owner else None
    return _price_error("SPENDING_LIMIT_REACHED", sentence, total, next_step=step)


def _balance_error(balance: float, total: float, *, is_covered: bool = True) -> LayerError | None:
    if is_covered and total <= balance + TOLERANCE:
        return None
    if total <= balance + TOLERANCE:
        sentence = f"Layer says that the balance doesn't cover the price of {total:g} CU."
        return _price_error("INSUFFICIENT_BALANCE", f"{sentence} Nothing was sent.", total)
    missing = round(total - balance, 4)
    sentence = (
        f"The price is {total:g} CU, and the available balance is {max(balance, 0.0):g} CU. "
        f"You need {missing:g} more CU. Nothing was sent."
    )
    error = _price_error("INSUFFICIENT_BALANCE", sentence, total)
    error.facts["missing_creative_units"] = missing
    return error


def _unknown_price(quote: Quote) -> LayerError:
    reason = f" {quote.reason_unknown}" if quote.reason_unknown else ""
    return LayerError("PRICE_UNKNOWN", f"Layer didn't give a price.{reason} Nothing was sent.")


def _unpriced_references_error(owner: Owner | None) -> LayerError:
    names = "the price limits" if owner else "LAYER_MAX_PRICE or LAYER_MAX_SPEND_PER_DAY"
    sentence = f"Layer didn't price the references, so {names} can't be checked. Nothing was sent."
    step = "Leave out the references, or ask the user to remove the limit."
    return LayerError(
        "PRICE_UNKNOWN", sentence, next_step="Leave out the references." if owner else step
    )


def _fewer(owner: Owner | None, *, first: str = "Request") -> str | None:
    """Return the next step of a caller that can't change the settings."""
    return f"{first} fewer or smaller outputs; {ASK_ADMINISTRATOR}" if owner else None


def _price_error(
    code: str,
    sentence: str | Sequence[MessagePart],
    price: float,
    *,
    next_step: str | None = None,
) -> LayerError:
    facts = {"estimated_price_creative_units": price}
    return LayerError(code, sentence, facts=facts, next_step=next_step)


def _quote_facts(quote: Quote) -> dict[str, Any]:
    """Return what a person should know besides the price before approving it."""
    return without_nulls(
        {
            "workspace_balance_creative_units": quote.balance,
            "warning": unpriced_references(quote.references_refused),
        }
    )


def _is_above(price: float, limit: float | None) -> bool:
    return limit is not None and price > limit + TOLERANCE
