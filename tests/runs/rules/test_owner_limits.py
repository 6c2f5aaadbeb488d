"""The limits of one owner of a shared account, and what an error must not reveal about others."""

import pytest

from layer_mcp import LayerError
from layer_mcp.runs.owners import Owner
from layer_mcp.runs.rules.prices import price_error, spending_error
from layer_mcp.runs.types.limits import Spending, SpendLimits
from layer_mcp.runs.types.plan import Quote

WORKSPACE = "w1"


def limits(
    own_price: float | None = None,
    own_day: float | None = None,
    *,
    price: float | None = None,
    day: float | None = None,
) -> SpendLimits:
    """Return limits of an owner, and those of the server."""
    return SpendLimits(20, price, day, Owner("alice", own_price, own_day))


def quote(*prices: float | None, balance: float | None = 1000, refused: str | None = None) -> Quote:
    return Quote(prices, WORKSPACE, balance, references_refused=refused)


def text_of(error: LayerError | None) -> str:
    """Return everything that the caller reads."""
    return f"{error} {error.facts}" if error else ""


@pytest.mark.parametrize(("own", "server"), [(5, None), (5, 8), (8, 5), (None, 5)])
def test_a_run_is_refused_above_the_lower_of_both_limits(
    own: float | None, server: float | None
) -> None:
    allowed = price_error(quote(5, 5), limits(own, price=server), None)
    refused = price_error(quote(6), limits(own, price=server), None)
    assert (allowed, refused and refused.code) == (None, "PRICE_ABOVE_LIMIT")


def test_the_owners_limit_for_a_run_is_called_its_own() -> None:
    text = text_of(price_error(quote(6.5), limits(5, price=8), None))
    assert "A run costs 6.5 CU; your limit is 5 CU a run." in text
    assert "LAYER_MAX_PRICE" not in text
    assert "administrator can raise the limit" in text


@pytest.mark.parametrize(
    ("own_day", "day", "spending"),
    [
        (10, None, Spending(50, own_day=6)),
        (10, 100, Spending(50, own_day=6)),
        (100, 10, Spending(6, own_day=0)),
        (None, 10, Spending(6, own_day=6)),
    ],
)
def test_runs_are_refused_above_either_daily_limit(
    own_day: float | None, day: float | None, spending: Spending
) -> None:
    allowed = spending_error(quote(4), limits(own_day=own_day, day=day), spending)
    refused = spending_error(quote(3, 2), limits(own_day=own_day, day=day), spending)
    assert (allowed, refused and refused.code) == (None, "SPENDING_LIMIT_REACHED")


def test_states_what_is_left_of_the_owners_daily_limit() -> None:
    error = spending_error(quote(7), limits(own_day=10, day=50), Spending(33, own_day=4))
    text = text_of(error)
    assert "The price is 7 CU, and 6 of 10 CU are left of your daily limit." in text
    assert "LAYER_MAX_SPEND_PER_DAY" not in text
    assert "administrator can raise the limit" in text


def test_does_not_reveal_what_others_spent_of_the_servers_daily_limit() -> None:
    text = text_of(spending_error(quote(7), limits(day=50), Spending(47, own_day=1)))
    assert "the server's daily limit" in text
    assert not {"47", "50", "3"} & set(text.replace(".", " ").split())


def test_does_not_reveal_the_price_of_others_runs_in_progress() -> None:
    error = spending_error(quote(5, balance=10), limits(), Spending(0, {WORKSPACE: 6}))
    assert error is not None
    assert error.code == "INSUFFICIENT_BALANCE"
    assert error.facts == {"estimated_price_creative_units": 5}
    assert not {"4", "6", "1"} & set(error.message.split())


@pytest.mark.parametrize("own", [(5, None), (None, 5)])
def test_an_unknown_price_is_above_the_owners_limits(
    own: tuple[float | None, float | None],
) -> None:
    for asked in (quote(None), quote(1, refused="No.")):
        error = price_error(asked, limits(*own), None)
        assert error is not None
        assert error.code == "PRICE_UNKNOWN"
        assert "LAYER_" not in str(error)


def test_an_owner_without_limits_may_start_a_run_of_unknown_price() -> None:
    assert price_error(quote(None), limits(), None) is None
