"""Rules that decide whether a run may start, as pure functions. Prices are Creative Units (CU)."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from ..api.models import PriceEstimate
from ..errors import Argument, LayerError, MessagePart
from ..settings import Settings
from .owners import Owner
from .types.limits import RateLimits, Spending, SpendLimits, Usage
from .types.plain import without_nulls
from .types.plan import Plan, Quote
from .types.request import RunRequest
from .types.run import Run
from .types.states import UNKNOWN

# Prices are sums of decimal fractions.
TOLERANCE = 1e-6
MINUTE_SECONDS = 60
DUPLICATE_SECONDS = 120
# These codes don't mean that Layer would reject the run itself.
WITHOUT_PRICE = ("UNEXPECTED_RESPONSE", "UNEXPECTED_REDIRECT", "NOT_FOUND")
MAX_FILES_NAMED = 3
REPEAT = "To pay for another one, call again with repeat true."
ASK_ADMINISTRATOR = "only the server's administrator can raise the limit."
EXCLUDED = "Layer didn't price the references and the mask, so the run may cost more. It said:"


def spend_limits(settings: Settings, owner: Owner | None = None) -> SpendLimits:
    """Return the price limits from the settings, and those of the owner."""
    return SpendLimits(
        settings.confirm_above, settings.max_price, settings.max_spend_per_day, owner
    )


def make_quote(answers: Sequence[PriceEstimate | LayerError], workspace_id: str) -> Quote:
    """Combine Layer's estimates of several runs; a missing one makes the total unknown.

    Raises:
        LayerError: Layer rejects one of the requests.
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


def unpriced_references(refused: str | None) -> str | None:
    """Return a warning that a price excludes references; `refused` is Layer's message."""
    return f"{EXCLUDED} {refused}" if refused else None


def unpriced_files(paths: Sequence[str]) -> str | None:
    """Return a warning that a price excludes local files that weren't uploaded yet."""
    if not paths:
        return None
    isnt = "isn't" if len(paths) == 1 else "aren't"
    return f"The price leaves out {_name_files(paths)}, which {isnt} uploaded yet."


def unpriced_error(error: LayerError, paths: Sequence[str]) -> LayerError:
    """Return the error of a price; `paths` are the local files that the price excludes."""
    left_out = unpriced_files(paths)
    if left_out is None or error.code != "INVALID_INPUTS":
        return error
    step = "If it asks for the file, call upload_file first; else correct the named argument."
    return LayerError(error.code, [*error.parts, f" {left_out}"], next_step=step)


def ignored_arguments(names: Sequence[str]) -> str | None:
    """Return a warning about arguments that a model ignores."""
    return f"Ignored by the model: {', '.join(names)}." if names else None


@dataclass(frozen=True)
class Blocked:
    """Why a run can't start yet.

    One of the `active` runs has to end first. `pause_seconds` is the time until another run may
    start within the limit per minute. `unknown_models` have to be looked up to tell whether they
    make videos.
    """

    error: LayerError
    active: Sequence[Run] = ()
    pause_seconds: float | None = None
    unknown_models: frozenset[str] = frozenset()


def find_block(
    usage: Usage, limits: RateLimits, model_id: str | None, modality: Mapping[str, str]
) -> Blocked | None:
    """Return what prevents a run of a model, or of a workflow (None), from starting now.

    `modality` holds the modality of each model that was looked up.
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
    """Reject a batch with equal requests, because one run would cover all of them.

    Raises:
        LayerError: INVALID_ARGUMENTS.
    """
    numbers: dict[str, int] = {}
    for number, request in enumerate(requests, 1):
        first = numbers.setdefault(request.fingerprint, number)
        if first != number:
            sentence = (
                f"Requests {first} and {number} are equal. Change a seed or a prompt, or use "
                "batch_size for several outputs."
            )
            raise LayerError("INVALID_ARGUMENTS", sentence)


def answer_duplicate(run: Run) -> Run:
    """Return the run that covers a call, marked as a duplicate.

    Raises:
        LayerError: the run has no ID yet: SUBMISSION_UNDER_WAY or OUTCOME_UNKNOWN.
    """
    error = duplicate_error(run)
    if error is not None:
        raise error
    warning = (
        f"The same call was made {describe_age(run)}. This is its run; you weren't charged again."
    )
    return replace(run, is_duplicate=True).with_warnings(warning, REPEAT)


def duplicate_error(run: Run) -> LayerError | None:
    """Return the error for a call whose duplicate has no ID yet, or None."""
    if run.run_id is not None:
        return None
    age = describe_age(run)
    facts = {"duplicate": True}
    if run.is_being_sent:
        sentence = f"The same call was made {age} and has no answer yet. Nothing was sent again."
        return LayerError("SUBMISSION_UNDER_WAY", sentence, facts=facts)
    sentence = f"The same call was sent {age} and its outcome is unknown. Nothing was sent again."
    step = f"Look in Layer (app.layer.ai): the run may exist and be charged. {REPEAT}"
    return LayerError("OUTCOME_UNKNOWN", sentence, next_step=step, facts=facts)


def covers_new_call(run: Run, now: float) -> bool:
    """Return whether the newest equal run covers a new call: recent, or of unknown outcome."""
    # Allow negative ages, because a clock may be set back.
    return run.state == UNKNOWN or abs(now - run.created_at.timestamp()) < DUPLICATE_SECONDS


def age_seconds(run: Run) -> float:
    """Return the seconds since a run was requested."""
    return max(time.time() - run.created_at.timestamp(), 0.0)


def describe_age(run: Run) -> str:
    """Describe how long ago a run was requested, for people."""
    seconds = age_seconds(run)
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago" if seconds >= 1 else "just now"


def _name_files(paths: Sequence[str]) -> str:
    names = ", ".join(PurePath(path).name for path in paths[:MAX_FILES_NAMED])
    more = len(paths) - MAX_FILES_NAMED
    return f"{names} and {more} more" if more > 0 else names


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
    """Return a block that ends once all but the newest `limit` - 1 starts are over a minute old."""
    pause_seconds = max(MINUTE_SECONDS - ages[len(ages) - limit], 0.0)
    return Blocked(_minute_error(what, limit), pause_seconds=pause_seconds)


def _minute_error(what: str, limit: int) -> LayerError:
    sentence = f"{limit} {what} were started in the last minute. That is Layer's limit."
    return LayerError("GENERATIONS_AT_LIMIT", f"{sentence} Nothing was sent.")


def _active_error(count: int, limits: RateLimits) -> LayerError:
    sentence = f"{count} runs are in progress; Layer allows {limits.runs_at_once} at a time."
    return LayerError("RUNS_AT_LIMIT", f"{sentence} Nothing was sent.")
