"""Whether a run may be started: pure rules of plain values. Prices are Creative Units (CU)."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..api.models import PriceEstimate
from ..errors import Argument, LayerError, MessagePart
from ..settings import Settings
from .types import (
    UNKNOWN,
    Plan,
    Quote,
    RateLimits,
    Run,
    RunRequest,
    Spending,
    SpendLimits,
    Usage,
)

# Prices are sums of decimal fractions.
TOLERANCE = 1e-6
MINUTE_SECONDS = 60
DUPLICATE_SECONDS = 120
# Not a refusal of the request, which would be refused when it is sent too.
WITHOUT_PRICE = ("UNEXPECTED_RESPONSE", "UNEXPECTED_REDIRECT", "NOT_FOUND")
REPEAT = "To pay for another, call with repeat true."
EXCLUDED = "Layer did not price the references and the mask, so the run may cost more. It said:"


def spend_limits(settings: Settings) -> SpendLimits:
    """Return the price limits of the settings."""
    return SpendLimits(settings.confirm_above, settings.max_price, settings.max_spend_per_day)


def make_quote(answers: Sequence[PriceEstimate | LayerError], workspace_id: str) -> Quote:
    """Combine Layer's estimates of several runs; a missing one makes the total unknown.

    Raises:
        LayerError: Layer refuses one of the requests.
    """
    errors = [answer for answer in answers if isinstance(answer, LayerError)]
    for error in errors:
        if not (error.transient or error.code in WITHOUT_PRICE):
            raise error
    estimates = [answer for answer in answers if isinstance(answer, PriceEstimate)]
    balances = [estimate.workspace_balance_creative_units for estimate in estimates]
    refused = [estimate.references_refused for estimate in estimates]
    return Quote(
        prices=[
            answer.estimated_price_creative_units if isinstance(answer, PriceEstimate) else None
            for answer in answers
        ],
        workspace_id=workspace_id,
        balance=min((balance for balance in balances if balance is not None), default=None),
        is_covered=all(
            estimate.has_sufficient_creative_units is not False for estimate in estimates
        ),
        reason_unknown=errors[0].message if errors else None,
        references_refused=next((reason for reason in refused if reason), None),
    )


def price_error(quote: Quote, limits: SpendLimits, max_price: float | None) -> LayerError | None:
    """Return the error that blocks a call even with a person's approval, or None.

    `max_price` is what the call itself allows for all its runs. An unknown price counts as over
    every limit.
    """
    total = quote.total
    has_hard_limit = (limits.max_price, limits.max_spend_per_day) != (None, None)
    if total is None:
        return _unknown_price(quote) if has_hard_limit or max_price is not None else None
    if has_hard_limit and quote.references_refused:
        sentence = (
            "Layer did not price the references, and LAYER_MAX_PRICE or LAYER_MAX_SPEND_PER_DAY "
            "is set. Nothing was sent."
        )
        step = "Leave the references out, or ask the user to lift the limit."
        return LayerError("PRICE_UNKNOWN", sentence, next_step=step)
    highest = max((price for price in quote.prices if price is not None), default=0.0)
    if _is_above(highest, limits.max_price):
        sentence = f"A run costs {highest:g} CU; LAYER_MAX_PRICE allows {limits.max_price:g}."
        return _price_error("PRICE_ABOVE_LIMIT", sentence, highest)
    if _is_above(total, max_price):
        limit = Argument("max_price_creative_units")
        sentence = [f"The price is {total:g} CU; ", limit, f" allows {max_price:g}."]
        return _price_error("PRICE_ABOVE_MAX", sentence, total)
    balance = math.inf if quote.balance is None else quote.balance
    return _balance_error(balance, total, is_covered=quote.is_covered)


def spending_error(quote: Quote, limits: SpendLimits, spending: Spending) -> LayerError | None:
    """Return the error that blocks a call because of what is spent or in flight, or None."""
    total = quote.total or 0.0
    day = limits.max_spend_per_day
    if _is_above(spending.day + total, day):
        left = max((day or 0.0) - spending.day, 0.0)
        sentence = (
            f"The price is {total:g} CU, and {left:g} of {day:g} CU are left for 24 hours "
            "(LAYER_MAX_SPEND_PER_DAY)."
        )
        return _price_error("SPENDING_LIMIT_REACHED", sentence, total)
    if quote.balance is None:
        return None
    return _balance_error(quote.balance - spending.in_flight.get(quote.workspace_id, 0.0), total)


def needs_approval(quote: Quote, limits: SpendLimits) -> bool:
    """Return whether a person has to agree. An unknown price counts as above the limit."""
    return quote.total is None or _is_above(quote.total, limits.confirm_above)


def check_approval(plan: Plan, limits: SpendLimits, *, approved: bool) -> None:
    """Make sure that a person agreed to the plan's price, or that nobody has to.

    A price that the call itself allows counts as agreed to.

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
        f"The price is {total:g} CU, and above {limits.confirm_above:g} CU a person has to "
        "say yes. Nothing was sent."
    )
    step = (
        "Tell the user the price and ask. Only after a yes call again with "
        f"max_price_creative_units {total:g}."
    )
    raise _price_error("CONFIRMATION_REQUIRED", sentence, total, next_step=step)


def check_answer(agreed: bool | None) -> None:
    """Make sure that a person said yes to a price; None is a question without an answer.

    Raises:
        LayerError: DECLINED or NOT_ANSWERED.
    """
    if agreed is None:
        sentence = "The question about the price was closed without an answer. Nothing was sent."
        raise LayerError("NOT_ANSWERED", sentence)
    if not agreed:
        raise LayerError("DECLINED", "The price was declined, so nothing was sent.")


def unpriced_references(refused: str | None) -> str | None:
    """Return a warning about a price without references; `refused` is what Layer said."""
    return f"{EXCLUDED} {refused}" if refused else None


@dataclass(frozen=True)
class Blocked:
    """Why a run cannot be started yet.

    `active` are the runs of which one has to end first. `pause_seconds` is the time until the last
    minute has room. `unknown_models` have to be looked up to tell videos from others.
    """

    error: LayerError
    active: Sequence[Run] = ()
    pause_seconds: float | None = None
    unknown_models: frozenset[str] = frozenset()


def find_block(
    usage: Usage, limits: RateLimits, model_id: str | None, modality: Mapping[str, str]
) -> Blocked | None:
    """Return what keeps a run of a model, or of a workflow (None), from starting now.

    `modality` holds the modality of the models that were looked up so far.
    """
    if len(usage.active) >= limits.runs_at_once:
        return Blocked(_active_error(len(usage.active), limits), active=usage.active)
    ages = sorted((start.age_seconds for start in usage.last_minute), reverse=True)
    if len(ages) >= limits.runs_per_minute:
        return _minute_block(ages, limits.runs_per_minute, "runs")
    if model_id is None or len(ages) < limits.videos_per_minute:
        return None
    return _find_video_block(usage, limits, model_id, modality)


def refuse_equal_requests(requests: Sequence[RunRequest]) -> None:
    """Refuse a batch with equal requests: one run would answer all of them.

    Raises:
        LayerError: INVALID_ARGUMENTS.
    """
    numbers: dict[str, int] = {}
    for number, request in enumerate(requests, 1):
        first = numbers.setdefault(request.fingerprint, number)
        if first != number:
            sentence = (
                f"Requests {first} and {number} are equal. Give each its own seed or prompt, use "
                "batch_size."
            )
            raise LayerError("INVALID_ARGUMENTS", sentence)


def answer_duplicate(run: Run) -> Run:
    """Return the run that covers a call, marked as a duplicate.

    Raises:
        LayerError: it has no id to answer with: SUBMISSION_UNDER_WAY or OUTCOME_UNKNOWN.
    """
    error = duplicate_error(run)
    if error is not None:
        raise error
    warning = f"The same call came {describe_age(run)}: this is its run, nothing was charged again."
    return replace(run, is_duplicate=True).with_warnings(warning, REPEAT)


def duplicate_error(run: Run) -> LayerError | None:
    """Return the error for a call whose duplicate has no id to answer with, or None."""
    if run.run_id is not None:
        return None
    age = describe_age(run)
    facts = {"duplicate": True}
    if run.is_being_sent:
        sentence = f"The same call came {age} and has no answer yet. Nothing was sent again."
        return LayerError("SUBMISSION_UNDER_WAY", sentence, facts=facts)
    sentence = f"The same call was sent {age} and its outcome is unknown. Nothing was sent again."
    step = f"Look in Layer (app.layer.ai): the run may exist and be charged. {REPEAT}"
    return LayerError("OUTCOME_UNKNOWN", sentence, next_step=step, facts=facts)


def covers_new_call(run: Run, now: float) -> bool:
    """Return whether the newest equal run answers a new call: a young one or an unknown one."""
    # Not only forward: a clock may be set back.
    return run.state == UNKNOWN or abs(now - run.created_at) < DUPLICATE_SECONDS


def age_seconds(run: Run) -> float:
    """Return how long ago a run was asked for."""
    return max(time.time() - run.created_at, 0.0)


def describe_age(run: Run) -> str:
    """Return how long ago a run was asked for, for people."""
    seconds = age_seconds(run)
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago" if seconds >= 1 else "just now"


def _balance_error(balance: float, total: float, *, is_covered: bool = True) -> LayerError | None:
    if is_covered and total <= balance + TOLERANCE:
        return None
    if total <= balance + TOLERANCE:
        sentence = f"The price is {total:g} CU, which the balance does not cover as Layer says."
        return _price_error("INSUFFICIENT_BALANCE", f"{sentence} Nothing was sent.", total)
    missing = round(total - balance, 4)
    sentence = (
        f"The price is {total:g} CU and {max(balance, 0.0):g} CU can be spent: {missing:g} CU "
        "are missing. Nothing was sent."
    )
    error = _price_error("INSUFFICIENT_BALANCE", sentence, total)
    error.facts["missing_creative_units"] = missing
    return error


def _unknown_price(quote: Quote) -> LayerError:
    reason = f" {quote.reason_unknown}" if quote.reason_unknown else ""
    return LayerError("PRICE_UNKNOWN", f"Layer didn't give a price.{reason} Nothing was sent.")


def _price_error(
    code: str,
    sentence: str | Sequence[MessagePart],
    price: float,
    *,
    next_step: str | None = None,
) -> LayerError:
    facts = {"estimated_price_creative_units": price}
    return LayerError(code, sentence, facts=facts, next_step=next_step)


def _is_above(price: float, limit: float | None) -> bool:
    return limit is not None and price > limit + TOLERANCE


def _find_video_block(
    usage: Usage, limits: RateLimits, model_id: str, modality: Mapping[str, str]
) -> Blocked | None:
    models = {start.subject_id for start in usage.last_minute if start.kind == "inference"}
    unknown = frozenset((models | {model_id}) - modality.keys())
    if unknown:
        return Blocked(_minute_error("runs", limits.videos_per_minute), unknown_models=unknown)
    videos = [
        start.age_seconds
        for start in usage.last_minute
        if modality.get(start.subject_id) == "video"
    ]
    if modality[model_id] != "video" or len(videos) < limits.videos_per_minute:
        return None
    return _minute_block(sorted(videos, reverse=True), limits.videos_per_minute, "videos")


def _minute_block(ages: Sequence[float], limit: int, what: str) -> Blocked:
    """Return when the minute has room: once all but the newest `limit` - 1 have left it."""
    pause_seconds = max(MINUTE_SECONDS - ages[len(ages) - limit], 0.0)
    return Blocked(_minute_error(what, limit), pause_seconds=pause_seconds)


def _minute_error(what: str, limit: int) -> LayerError:
    sentence = f"{limit} {what} were started in the last minute, which is Layer's limit."
    return LayerError("GENERATIONS_AT_LIMIT", f"{sentence} Nothing was sent.")


def _active_error(count: int, limits: RateLimits) -> LayerError:
    sentence = f"{count} runs are under way here; Layer allows {limits.runs_at_once} at once."
    return LayerError("RUNS_AT_LIMIT", f"{sentence} Nothing was sent.")
