"""What a call would cost: an estimate for each of its runs."""

from collections.abc import Sequence
from typing import Any

import anyio

from ..api.models import PriceEstimate
from ..errors import LayerError
from .at_once import each
from .orders import Order
from .price_gate import Quote

# Not a refusal of the request, which would be refused when it is sent too.
WITHOUT_PRICE = ("UNEXPECTED_RESPONSE", "UNEXPECTED_REDIRECT", "NOT_FOUND")


async def quoted(orders: Sequence[Order[Any]], total_seconds: float) -> Quote:
    """The prices of orders of one workspace, with references; None where none could be had.

    Raises:
        LayerError: Layer refuses one of the requests.
    """
    answers: dict[int, PriceEstimate | LayerError] = {}

    async def estimate(number: int) -> None:
        try:
            answers[number] = await orders[number].estimate()
        except LayerError as error:
            error.message = f"{orders[number].label}{error.message}"
            answers[number] = error

    with anyio.move_on_after(total_seconds):
        await each(range(len(orders)), estimate)
    late = LayerError("TIMEOUT", "Layer did not send the price in time.", transient=True)
    found = [answers.get(number, late) for number in range(len(orders))]
    return _quote(found, orders[0].intent.workspace_id)


def _quote(found: Sequence[PriceEstimate | LayerError], workspace_id: str) -> Quote:
    errors = [answer for answer in found if isinstance(answer, LayerError)]
    for error in errors:
        if not (error.transient or error.code in WITHOUT_PRICE):
            raise error
    estimates = [answer for answer in found if isinstance(answer, PriceEstimate)]
    balances = [
        estimate.workspace_balance_creative_units
        for estimate in estimates
        if estimate.workspace_balance_creative_units is not None
    ]
    refused = [estimate.references_refused for estimate in estimates]
    return Quote(
        prices=[
            answer.estimated_price_creative_units if isinstance(answer, PriceEstimate) else None
            for answer in found
        ],
        workspace_id=workspace_id,
        balance=min(balances, default=None),
        suffices=all(estimate.has_sufficient_creative_units is not False for estimate in estimates),
        why_unknown=errors[0].message if errors else None,
        references_refused=next((why for why in refused if why), None),
    )
