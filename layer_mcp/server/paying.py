"""The one way to a paid run: planned, priced, agreed to, written down, sent once.

`planned` and `asked` come before anything is written or sent, so they may be taken again. From
`paid` on, whatever becomes of the call, the run is in the journal.
"""

import logging
import sqlite3
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic
from uuid import uuid4

import anyio
from mcp.server.elicitation import ElicitationResult
from mcp.server.mcpserver import Elicit
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import Field

from ..api.errors import LayerError
from ..api.fields import PositiveNumber, Request
from ..journal.entries import Intent, Reservation, RunEntry, Spending
from .approval import Approval, Unasked, can_ask, is_approved, question
from .common import counted
from .following import StateT
from .journal_use import check_journal, kept
from .orders import Order, Started
from .price_gate import (
    Quote,
    needs_a_yes,
    price_limits,
    refusal,
    spending_refusal,
    unasked_refusal,
)
from .quotes import quoted
from .shielding import shielded
from .state import App, ToolContext, app_of
from .turns import take_turn
from .twins import known_twin, twin_error
from .waiting import MIN_PREPARING_SECONDS, deadline_before_submission

MAX_NAMES = 3
LATER_ATTEMPTS = 60
LATER_SECONDS = 10.0
PRICE = "estimated_price_creative_units"
NOT_KEPT = "The journal could not be written, so keep the id of this run."
CANCELLED = LayerError("CANCELLED", "The call ended before it was sent.")
CRASHED = LayerError("TOOL_CRASHED", "Sending it failed in the server.")

logger = logging.getLogger(__name__)


class SpendingArguments(Request, ArgModelBase):
    """What a call says about paying."""

    max_price_creative_units: PositiveNumber | None = Field(
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
    twins = [
        None
        if spending.repeat
        else await known_twin(app, order.intent, deadline, wait_for_answer=wait_for_twins)
        for order in orders
    ]
    new = [order for order, twin in zip(orders, twins, strict=True) if twin is None]
    quote = None
    if new:
        left_seconds = max(deadline - anyio.current_time(), MIN_PREPARING_SECONDS)
        quote = await quoted(new, left_seconds)
        error = refusal(quote, price_limits(app.settings), spending.max_price_creative_units)
        if error is not None:
            raise error
    return Plan(orders, twins, quote, spending, began)


async def asked(plan: Plan[Any], context: ToolContext) -> Elicit[Approval] | Unasked:
    """The question that a person has to answer first, if one has to.

    Raises:
        LayerError: CONFIRMATION_REQUIRED or PRICE_UNKNOWN, when nobody can be asked.
    """
    limits = price_limits(app_of(context).settings)
    if plan.quote is None or not needs_a_yes(plan.quote, limits):
        return Unasked()
    if can_ask(context):
        return question(await in_words(plan.new), plan.quote)
    error = unasked_refusal(plan.quote, limits, plan.spending.max_price_creative_units)
    if error is not None:
        raise error
    return Unasked()


async def in_words(orders: Sequence[Order[Any]]) -> str:
    """What orders would start, for a person: how many of what, with which models."""
    different = list({order.intent.subject_id: order for order in orders}.values())
    names = [await order.name() for order in different[:MAX_NAMES]]
    names += [f"{len(different) - MAX_NAMES} more"] if len(different) > MAX_NAMES else []
    counts = [order.count for order in orders if order.count is not None]
    outputs = counted(sum(counts), "output") if counts else "a run"
    runs = f" in {counted(len(orders), 'run')}" if len(orders) > 1 else ""
    return f"{outputs}{runs} with {', '.join(names)}"


async def paid(
    plan: Plan[StateT], approval: ElicitationResult[Approval], context: ToolContext
) -> Started[StateT] | RunEntry:
    """The run that a plan of one order starts, or the earlier one that stands for it.

    Raises:
        LayerError: nothing was sent, or OUTCOME_UNKNOWN.
    """
    app = app_of(context)
    [order], [twin] = plan.orders, plan.twins
    deadline = deadline_before_submission(plan.began, context)
    while twin is None:
        [reservation] = await reserved(app, plan, [order], approval)
        if reservation.is_new:
            return await _sent_in_turn(app, order, reservation.entry, deadline)
        # Another call was faster. If it fails to send, it is our turn.
        twin = await known_twin(app, order.intent, deadline)
    error = twin_error(twin)
    if error is not None:
        raise error
    return twin


async def reserved(
    app: App,
    plan: Plan[StateT],
    orders: Sequence[Order[StateT]],
    approval: ElicitationResult[Approval],
    batch_id: str | None = None,
) -> list[Reservation]:
    """Write down the orders of a plan that have no twin, within the limits, all or none.

    Raises:
        LayerError: DECLINED, SPENDING_LIMIT_REACHED, INSUFFICIENT_BALANCE, JOURNAL_UNAVAILABLE.
    """
    if not is_approved(approval):
        raise LayerError("DECLINED", "The user did not agree to the price. Nothing was sent.")
    quote = plan.quote
    limits = price_limits(app.settings)

    def check(spending: Spending) -> None:
        check_journal(app)
        error = spending_refusal(quote, limits, spending) if quote else None
        if error is not None:
            raise error

    prices = quote.prices if quote else [None] * len(orders)
    intents = [order.priced(price, batch_id) for order, price in zip(orders, prices, strict=True)]
    unwritten = [Reservation(_unwritten(intent), is_new=True) for intent in intents]
    work = app.journal.runs.reserve(intents, check, repeat=plan.spending.repeat)
    return await kept(app, work, unwritten)


async def _sent_in_turn(
    app: App, order: Order[StateT], entry: RunEntry, deadline: float
) -> Started[StateT]:
    async with never_sent_if_it_fails(app, entry):
        await take_turn(app, order, entry, deadline=deadline)
    return await sent(app, order, entry)


async def sent(app: App, order: Order[StateT], entry: RunEntry) -> Started[StateT]:
    """The run that an order starts; sent once, and followed to its answer whoever gives up waiting.

    Raises:
        LayerError: nothing was sent, or OUTCOME_UNKNOWN.
    """
    runs = app.journal.runs

    async def before_sending() -> None:
        await kept(app, runs.note_sending(entry.local_id), None)

    with shielded():
        try:
            started = await order.submit(before_sending)
        except LayerError as error:
            unknown = error.code == "OUTCOME_UNKNOWN"
            await runs.note_failure(entry.local_id, "unknown" if unknown else "not_sent", error)
            raise
        except Exception:
            await runs.note_failure(entry.local_id, "unknown", CRASHED)
            raise
        return await _written_down(app, entry, started)


@asynccontextmanager
async def never_sent_if_it_fails(app: App, entry: RunEntry) -> AsyncGenerator[None]:
    """Whatever ends the block early, the journal says that nothing was sent."""
    try:
        yield
    except BaseException as error:
        why = error if isinstance(error, LayerError) else CANCELLED
        with shielded():
            await app.journal.runs.note_failure(entry.local_id, "not_sent", why)
        raise


async def _written_down(app: App, entry: RunEntry, started: Started[StateT]) -> Started[StateT]:
    price = started.facts.get(PRICE, entry.estimated_price_creative_units)
    facts = started.facts if price is None else {**started.facts, PRICE: price}
    run_id = started.run.run_id
    app.polls.note(run_id, started.state)
    confirm = partial(
        app.journal.runs.confirm, entry.local_id, run_id, started.state.status, price, facts
    )
    try:
        await confirm()
    except sqlite3.Error:
        logger.exception("Run %s was started, but could not be written down", run_id)
        app.background.start_soon(_written_down_later, confirm)
        return replace(started, facts=facts, warning=NOT_KEPT)
    return replace(started, facts=facts)


async def _written_down_later(confirm: Callable[[], Awaitable[None]]) -> None:
    """Try again as long as the disk may become free."""
    for _ in range(LATER_ATTEMPTS):
        await anyio.sleep(LATER_SECONDS)
        with suppress(sqlite3.Error):
            await confirm()
            return


def _unwritten(intent: Intent) -> RunEntry:
    """The entry of an intent that no journal holds."""
    return RunEntry(
        local_id=uuid4().hex,
        kind=intent.kind,
        workspace_id=intent.workspace_id,
        subject_id=intent.subject_id,
        delivery="intended",
        created_at=time.time(),
        estimated_price_creative_units=intent.estimated_price_creative_units,
        facts=intent.facts,
    )
