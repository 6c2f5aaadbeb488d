"""What a call would start and cost, before anything is written down or sent.

It may be planned again: a question to a person takes the same call twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic

import anyio
from mcp.server.mcpserver import Elicit
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import Field

from ..api.fields import NonNegativeNumber, Request
from ..journal.entries import RunEntry, Spending
from .approval import Answered, Approval, Unasked, asked_person, can_ask
from .common import counted
from .following import StateT
from .journal_use import kept
from .orders import Order
from .price_gate import Quote, needs_a_yes, price_limits, refusal, spending_refusal, unasked_refusal
from .quotes import quoted
from .state import ToolContext, app_of
from .twins import known_twin
from .waiting import MIN_PREPARING_SECONDS, deadline_before_submission

MAX_NAMES = 3
NAME_SECONDS = 3.0


class SpendingArguments(Request, ArgModelBase):
    """What a call says about paying."""

    max_price_creative_units: NonNegativeNumber | None = Field(
        default=None,
        description="Refuse if it costs more. After the user's yes to a price: that price.",
    )
    repeat: bool = Field(
        default=False, description="true pays again for a call that was made before."
    )


@dataclass(frozen=True)
class Plan(Generic[StateT]):
    """What a call would start: its orders, the earlier runs that stand for some of them, and what
    the others cost.

    `began` is the time on anyio's clock at which the call began.
    """

    orders: Sequence[Order[StateT]]
    twins: Sequence[RunEntry | None]
    quote: Quote | None
    spending: SpendingArguments
    began: float

    @property
    def new(self) -> list[Order[StateT]]:
        """The orders that have no twin."""
        return [order for order, twin in zip(self.orders, self.twins, strict=True) if twin is None]


async def planned(
    orders: Sequence[Order[StateT]],
    spending: SpendingArguments,
    context: ToolContext,
    *,
    began: float,
    wait_for_twins: bool = True,
) -> Plan[StateT]:
    """Look for twins, and price what has none.

    Raises:
        LayerError: Layer refuses a request, a limit does not allow the price, the balance is too
            low, or the journal cannot be used.
    """
    app = app_of(context)
    deadline = deadline_before_submission(began, context)
    find = partial(
        known_twin, app, deadline=deadline, repeat=spending.repeat, wait_for_answer=wait_for_twins
    )
    twins = [await find(order.intent) for order in orders]
    new = [order for order, twin in zip(orders, twins, strict=True) if twin is None]
    quote = None
    if new:
        left_seconds = max(deadline - anyio.current_time(), MIN_PREPARING_SECONDS)
        quote = await quoted(new, left_seconds)
        error = refusal(quote, price_limits(app.settings), spending.max_price_creative_units)
        if error is not None:
            raise error
    return Plan(orders, twins, quote, spending, began)


async def asked(plan: Plan[Any], context: ToolContext) -> Elicit[Approval] | Answered:
    """The question that a person has to answer first, if one has to.

    Raises:
        LayerError: a limit does not allow it whatever the answer; CONFIRMATION_REQUIRED or
            PRICE_UNKNOWN, when nobody can be asked.
    """
    app = app_of(context)
    limits = price_limits(app.settings)
    if plan.quote is None or not needs_a_yes(plan.quote, limits):
        return Unasked()
    # Looked at again when it is written down; before that, nobody is asked in vain.
    spending = await kept(app, app.journal.runs.spending(), Spending(0.0, {}))
    error = spending_refusal(plan.quote, limits, spending)
    if error is not None:
        raise error
    if can_ask(context):
        answer = await asked_person(await in_words(plan.new), plan.quote, context)
        if answer is not None:
            return answer
    error = unasked_refusal(plan.quote, limits, plan.spending.max_price_creative_units)
    if error is not None:
        raise error
    return Unasked()


async def in_words(orders: Sequence[Order[Any]]) -> str:
    """What orders would start, for a person: how many of what, with which models."""
    different = list({order.intent.subject_id: order for order in orders}.values())
    names = [order.intent.subject_id for order in different[:MAX_NAMES]]
    with anyio.move_on_after(NAME_SECONDS):
        names = [await order.name() for order in different[:MAX_NAMES]]
    names += [f"{len(different) - MAX_NAMES} more"] if len(different) > MAX_NAMES else []
    counts = [order.count for order in orders if order.count is not None]
    outputs = counted(sum(counts), "output") if counts else "a run"
    runs = f" in {counted(len(orders), 'run')}" if len(orders) > 1 else ""
    return f"{outputs}{runs} with {', '.join(names)}"
