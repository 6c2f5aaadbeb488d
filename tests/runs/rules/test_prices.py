"""Whether a price is allowed, as a rule of plain values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layer_mcp import LayerError, Settings
from layer_mcp.runs.rules.prices import (
    TOLERANCE,
    check_approval,
    needs_approval,
    price_error,
    spend_limits,
    spending_error,
)
from layer_mcp.runs.types.budget import CallBudget
from layer_mcp.runs.types.limits import Spending, SpendLimits
from layer_mcp.runs.types.plan import Plan, Quote, SubmitOptions
from layer_mcp.runs.types.request import RunRequest

WORKSPACE = "w1"
NO_LIMITS = SpendLimits(confirm_above=20)

prices = st.floats(0, 1_000).map(lambda price: round(price, 2))
several_prices = st.lists(prices, min_size=1, max_size=10)


def quote(*prices: float | None, balance: float | None = 1000, is_covered: bool = True) -> Quote:
    return Quote(prices, WORKSPACE, balance, is_covered)


def code_of(error: LayerError | None) -> str | None:
    return error.code if error else None


@pytest.mark.parametrize(
    ("prices", "total"),
    [
        ([0.1, 0.2], 0.3),
        ([0.1] * 10, 1),
        ([1, None], None),
        ([None], None),
        ([0], 0),
    ],
    ids=str,
)
def test_the_total_is_a_plain_sum_or_unknown(
    prices: list[float | None], total: float | None
) -> None:
    assert quote(*prices).total == total


def test_the_limits_are_those_of_the_settings() -> None:
    settings = Settings(confirm_above=7, max_price=8, max_spend_per_day=9)
    assert spend_limits(settings) == SpendLimits(7, 8, 9)


def test_without_limits_a_price_that_the_balance_covers_is_not_refused() -> None:
    assert price_error(quote(1000), NO_LIMITS, None) is None


@pytest.mark.parametrize(
    ("prices", "max_price", "code"),
    [
        ([1], 1, None),
        ([0.1 + 0.2], 0.3, None),
        ([0.1, 0.2], 0.3, None),
        ([1.01], 1, "PRICE_ABOVE_LIMIT"),
        ([1, 1, 1], 1, None),
        ([0.5, 1.5], 1, "PRICE_ABOVE_LIMIT"),
        ([0.01], 0, "PRICE_ABOVE_LIMIT"),
        ([0], 0, None),
    ],
    ids=str,
)
def test_the_limit_per_run_applies_to_each_run(
    prices: list[float], max_price: float, code: str | None
) -> None:
    limits = SpendLimits(20, max_price=max_price)
    assert code_of(price_error(quote(*prices), limits, None)) == code


@pytest.mark.parametrize(
    ("prices", "max_price", "code"),
    [
        ([0.1, 0.2], 0.3, None),
        ([1, 1], 1.5, "PRICE_ABOVE_MAX"),
        ([1.5], 1.5, None),
        ([1.51], 1.5, "PRICE_ABOVE_MAX"),
    ],
    ids=str,
)
def test_the_calls_price_limit_covers_all_its_runs(
    prices: list[float], max_price: float, code: str | None
) -> None:
    assert code_of(price_error(quote(*prices), NO_LIMITS, max_price)) == code


def test_no_call_raises_the_limit_of_the_settings() -> None:
    limits = SpendLimits(20, max_price=5)
    assert code_of(price_error(quote(6), limits, 100)) == "PRICE_ABOVE_LIMIT"


def test_a_refusal_names_the_price_and_the_limit() -> None:
    error = price_error(quote(6.5), SpendLimits(20, max_price=5), None)
    assert error is not None
    assert "6.5 CU" in error.message
    assert "LAYER_MAX_PRICE allows 5" in error.message
    assert error.facts == {"estimated_price_creative_units": 6.5}


@pytest.mark.parametrize(
    ("limits", "max_price"),
    [
        (SpendLimits(20, max_price=1e9), None),
        (SpendLimits(20, max_spend_per_day=1e9), None),
        (NO_LIMITS, 1e9),
    ],
    ids=["a run", "a day", "the call"],
)
def test_an_unavailable_price_is_above_every_limit(
    limits: SpendLimits, max_price: float | None
) -> None:
    assert code_of(price_error(quote(None), limits, max_price)) == "PRICE_UNKNOWN"


def test_one_unknown_price_makes_all_of_them_unknown() -> None:
    assert code_of(price_error(quote(1, None), NO_LIMITS, 1e9)) == "PRICE_UNKNOWN"


def test_a_person_decides_on_an_unknown_price_without_limits() -> None:
    assert price_error(quote(None), NO_LIMITS, None) is None
    assert needs_approval(quote(None), NO_LIMITS)


def test_says_why_a_price_is_unknown() -> None:
    error = price_error(
        Quote([None], WORKSPACE, reason_unknown="Layer answered 500."), NO_LIMITS, 1
    )
    assert error is not None
    assert "Layer answered 500." in error.message


def test_references_without_a_price_pass_no_hard_limit() -> None:
    unpriced = Quote([1], WORKSPACE, 100, references_refused="No files.")
    limits = SpendLimits(20, max_price=1e9)
    assert code_of(price_error(unpriced, limits, None)) == "PRICE_UNKNOWN"
    assert price_error(unpriced, NO_LIMITS, None) is None


@pytest.mark.parametrize(
    ("price", "balance", "missing"),
    [
        (5, 5, None),
        (0.1 + 0.2, 0.3, None),
        (5.25, 5, 0.25),
        (5, 0, 5),
        (5, -1, 6),
        (5, None, None),
    ],
    ids=str,
)
def test_a_balance_that_is_too_low_is_refused_with_the_missing_amount(
    price: float, balance: float | None, missing: float | None
) -> None:
    error = price_error(quote(price, balance=balance), NO_LIMITS, None)
    assert (error.facts["missing_creative_units"] if error else None) == missing
    assert code_of(error) == ("INSUFFICIENT_BALANCE" if missing is not None else None)


@pytest.mark.parametrize("balance", [100, None])
def test_layers_verdict_on_the_balance_counts_too(balance: float | None) -> None:
    error = price_error(quote(5, balance=balance, is_covered=False), NO_LIMITS, None)
    assert code_of(error) == "INSUFFICIENT_BALANCE"


@pytest.mark.parametrize(
    ("spent", "prices", "code"),
    [
        (0, [10], None),
        (9.9, [0.1], None),
        (0.1, [0.2, 9.7], None),
        (9.9, [0.11], "SPENDING_LIMIT_REACHED"),
        (12, [0.01], "SPENDING_LIMIT_REACHED"),
        (5, [3, 3], "SPENDING_LIMIT_REACHED"),
        (10, [0], None),
    ],
    ids=str,
)
def test_the_daily_limit_includes_past_spending_and_all_new_runs(
    spent: float, prices: list[float], code: str | None
) -> None:
    limits = SpendLimits(20, max_spend_per_day=10)
    error = spending_error(quote(*prices), limits, Spending(spent, {}))
    assert code_of(error) == code


@pytest.mark.parametrize(("spent", "left"), [(4, "6 of 10 CU are left"), (12, "0 of 10 CU")])
def test_states_the_days_remaining_limit(spent: float, left: str) -> None:
    limits = SpendLimits(20, max_spend_per_day=10)
    error = spending_error(quote(7), limits, Spending(spent, {}))
    assert error is not None
    assert left in error.message


def test_runs_in_flight_reduce_the_available_balance() -> None:
    spending = Spending(6, {WORKSPACE: 6, "another": 50})
    assert spending_error(quote(4, balance=10), NO_LIMITS, spending) is None
    error = spending_error(quote(5, balance=10), NO_LIMITS, spending)
    assert code_of(error) == "INSUFFICIENT_BALANCE"
    assert error is not None
    assert error.facts["missing_creative_units"] == 1


def test_leaves_an_unknown_balance_to_layer() -> None:
    spending = Spending(1e6, {WORKSPACE: 1e6})
    assert spending_error(quote(5, balance=None), NO_LIMITS, spending) is None


@pytest.mark.parametrize(
    ("prices", "needed"),
    [
        ([20], False),
        ([20.01], True),
        ([19.9 + 0.1], False),
        ([10, 10, 0.5], True),
        ([None], True),
        ([0], False),
    ],
    ids=str,
)
def test_a_price_above_the_threshold_needs_a_persons_approval(
    prices: list[float | None], needed: bool
) -> None:
    assert needs_approval(quote(*prices), NO_LIMITS) is needed


def test_with_a_threshold_of_0_every_price_needs_approval() -> None:
    limits = SpendLimits(confirm_above=0)
    assert needs_approval(quote(0.01), limits)
    assert not needs_approval(quote(0), limits)


def approval_error(
    quote: Quote | None, *, max_price: float | None = None, approved: bool = False
) -> LayerError | None:
    request = RunRequest("inference", "model", WORKSPACE)
    plan = Plan([request], [None], quote, SubmitOptions(max_price), CallBudget(0, 45))
    try:
        check_approval(plan, NO_LIMITS, approved=approved)
    except LayerError as error:
        return error
    return None


def test_a_price_above_the_threshold_needs_approval_and_the_error_says_what_to_pass() -> None:
    error = approval_error(quote(25.5))
    assert error is not None
    assert error.code == "CONFIRMATION_REQUIRED"
    assert "ask" in error.next_step
    assert "max_price_creative_units 25.5." in error.next_step


def test_a_price_below_the_threshold_needs_no_approval() -> None:
    assert approval_error(quote(20)) is None


def test_a_price_that_the_call_allows_counts_as_approved() -> None:
    assert approval_error(quote(25), max_price=25) is None


@pytest.mark.parametrize("price", [25, None])
def test_a_person_can_approve_any_price(price: float | None) -> None:
    assert approval_error(quote(price), approved=True) is None


@pytest.mark.parametrize("max_price", [None, 1e9])
def test_no_price_limit_approves_an_unknown_price(max_price: float | None) -> None:
    assert code_of(approval_error(quote(None), max_price=max_price)) == "PRICE_UNKNOWN"


def test_a_call_that_starts_nothing_needs_no_approval() -> None:
    assert approval_error(None) is None


@given(several_prices, prices)
def test_no_run_above_its_limit_is_ever_allowed(found: list[float], limit: float) -> None:
    passes = (
        price_error(quote(*found, balance=None), SpendLimits(20, max_price=limit), None) is None
    )
    assert passes == (max(found) <= limit + TOLERANCE)


@given(several_prices, prices)
def test_no_call_above_its_own_limit_is_ever_allowed(found: list[float], limit: float) -> None:
    if price_error(quote(*found), NO_LIMITS, limit) is None:
        assert math.fsum(found) <= limit + 2 * TOLERANCE


@given(several_prices, prices, prices)
def test_no_total_ever_exceeds_the_daily_limit(
    found: list[float], spent: float, limit: float
) -> None:
    limits = SpendLimits(20, max_spend_per_day=limit)
    if spending_error(quote(*found), limits, Spending(spent, {})) is None:
        assert spent + math.fsum(found) <= limit + 2 * TOLERANCE


@given(several_prices, prices, prices)
def test_no_total_ever_exceeds_the_balance(
    found: list[float], balance: float, in_flight: float
) -> None:
    spending = Spending(0, {WORKSPACE: in_flight})
    asked = quote(*found, balance=balance)
    errors = [price_error(asked, NO_LIMITS, None), spending_error(asked, NO_LIMITS, spending)]
    if errors == [None, None]:
        assert math.fsum(found) + in_flight <= balance + 2 * TOLERANCE


@given(several_prices, prices)
def test_single_runs_stop_at_the_daily_limit(found: list[float], limit: float) -> None:
    limits = SpendLimits(20, max_spend_per_day=limit)
    spent = 0.0
    for price in found:
        if spending_error(quote(price), limits, Spending(spent, {})) is None:
            spent += price
    assert spent <= limit + 2 * TOLERANCE
