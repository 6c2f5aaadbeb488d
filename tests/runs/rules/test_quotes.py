"""How Layer's estimates determine the price of a call."""

from typing import Any

import pytest

from layer_mcp import LayerError, PriceEstimate
from layer_mcp.runs.rules.quotes import make_quote, unpriced_references
from layer_mcp.runs.types.plan import Quote

WORKSPACE = "w1"


def estimate(price: float, balance: float | None = 100, **more: Any) -> PriceEstimate:
    return PriceEstimate(
        estimated_price_creative_units=price, workspace_balance_creative_units=balance, **more
    )


def test_a_quote_has_the_price_of_each_run_and_the_lowest_balance() -> None:
    found = make_quote([estimate(1, 90), estimate(2, 80), estimate(3, None)], WORKSPACE)
    assert found == Quote([1, 2, 3], WORKSPACE, 80)


def test_a_quote_is_covered_only_if_layer_says_so_for_each_run() -> None:
    short = estimate(1, has_sufficient_creative_units=False)
    assert not make_quote([estimate(1), short], WORKSPACE).is_covered


@pytest.mark.parametrize(
    "error",
    [
        LayerError("TIMEOUT", "Too late.", transient=True),
        LayerError("UNEXPECTED_RESPONSE", "A web page."),
        LayerError("NOT_FOUND", "Nothing there."),
    ],
    ids=str,
)
def test_a_missing_price_makes_the_total_unknown(error: LayerError) -> None:
    found = make_quote([estimate(1), error], WORKSPACE)
    assert (found.prices, found.total) == ([1, None], None)
    assert found.reason_unknown == error.message


def test_a_request_that_layer_refuses_has_no_quote() -> None:
    refused = LayerError("INVALID_INPUTS", "No such model.")
    with pytest.raises(LayerError, match="INVALID_INPUTS"):
        make_quote([estimate(1), refused], WORKSPACE)


def test_references_without_a_price_are_named_in_a_warning() -> None:
    found = make_quote([estimate(1), estimate(1, references_refused="No files.")], WORKSPACE)
    assert found.references_refused == "No files."
    warning = unpriced_references(found.references_refused)
    assert warning is not None
    assert warning.endswith("It said: No files.")
    assert unpriced_references(None) is None
