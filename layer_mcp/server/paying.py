"""The one way to a paid run: agreed to, written down, sent once, and followed to its answer.

Whatever becomes of the call meanwhile, the run is in the journal.
"""

import logging
import sqlite3
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

import anyio
from anyio.lowlevel import checkpoint
from mcp.server.elicitation import ElicitationResult

from ..errors import LayerError
from ..journal.entries import Delivery, Intent, Reservation, RunEntry, Spending
from ..journal.run_log import MayGo
from .approval import Approval, disagreement
from .following import StateT
from .journal_use import check_journal, kept
from .layer_limits import has_room
from .orders import Order, Started
from .planning import Plan
from .price_gate import price_limits, spending_refusal
from .shielding import shielded
from .state import App, ToolContext, app_of
from .turns import take_turn
from .twins import known_twin, twin_error
from .waiting import deadline_before_submission

LATER_ATTEMPTS = 60
LATER_SECONDS = 10.0
PRICE = "estimated_price_creative_units"
NOT_KEPT = "The journal could not be written, so keep the id of this run."

logger = logging.getLogger(__name__)


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
        may_go = partial(has_room, model_id=order.model_id)
        [reservation] = await reserved(app, plan, [order], approval, may_go=may_go)
        if reservation.is_new:
            return await _sent_in_turn(app, order, reservation, deadline)
        # Another call was faster. If it fails to send, it is our turn.
        twin = await known_twin(app, order.intent, deadline=deadline, repeat=plan.spending.repeat)
    error = twin_error(twin)
    if error is not None:
        raise error
    return twin


async def reserved(
    app: App,
    plan: Plan[StateT],
    orders: Sequence[Order[StateT]],
    approval: ElicitationResult[Approval],
    *,
    batch_id: str | None = None,
    may_go: MayGo | None = None,
) -> list[Reservation]:
    """Write down the orders of a plan that have no twin, within the limits, all or none.

    Those for which `may_go` holds have their turn; the others have to wait in line, all without it.

    Raises:
        LayerError: DECLINED, SPENDING_LIMIT_REACHED, INSUFFICIENT_BALANCE, JOURNAL_UNAVAILABLE.
    """
    error = disagreement(approval)
    if error is not None:
        raise error
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
    work = app.journal.runs.reserve(intents, check, repeat=plan.spending.repeat, may_go=may_go)
    return await kept(app, work, unwritten)


async def _sent_in_turn(
    app: App, order: Order[StateT], reservation: Reservation, deadline: float
) -> Started[StateT]:
    async with never_sent_if_it_fails(app, reservation.entry):
        if not reservation.has_turn:
            await take_turn(app, order, reservation.entry, deadline=deadline)
        # Whoever gave up by now need not pay.
        await checkpoint()
    return await sent(app, order, reservation.entry)


async def sent(
    app: App, order: Order[StateT], entry: RunEntry, *, try_later: bool = False
) -> Started[StateT]:
    """The run that an order starts; sent once, and followed to its answer whoever gives up waiting.

    With `try_later` a refusal for Layer's limits leaves it in line.

    Raises:
        LayerError: nothing was sent, or OUTCOME_UNKNOWN.
    """
    runs = app.journal.runs

    async def before_sending() -> None:
        if not entry.is_kept:
            return
        if not await kept(app, runs.note_sending(entry.local_id), instead=True):
            raise LayerError("NOT_SENT", "The journal says that it is not to be sent any more.")

    with shielded():
        try:
            with app.submissions.one():
                started = await order.submit(before_sending)
                return await _written_down(app, entry, started)
        except LayerError as error:
            if try_later and error.code == "RATE_LIMITED":
                await _surely(app, partial(runs.put_back, entry.local_id))
                raise
            unknown = error.code == "OUTCOME_UNKNOWN"
            await note_failure(app, entry, "unknown" if unknown else "not_sent", error)
            raise
        except Exception:
            await note_failure(app, entry, "unknown", crashed())
            raise


@asynccontextmanager
async def never_sent_if_it_fails(app: App, entry: RunEntry) -> AsyncGenerator[None]:
    """Whatever ends the block early, the journal says that nothing was sent."""
    try:
        yield
    except BaseException as error:
        with shielded():
            await note_failure(app, entry, "not_sent", _why_not_sent(error))
        raise


def crashed() -> LayerError:
    """What is said of a submission that failed in the server, whether it went out or not."""
    return LayerError("TOOL_CRASHED", "Sending it failed in the server.")


def _why_not_sent(error: BaseException) -> LayerError:
    if isinstance(error, LayerError):
        return error
    if isinstance(error, Exception):
        return LayerError("NOT_SENT", "It failed in the server before it was sent.")
    return LayerError("CANCELLED", "The call ended before it was sent.")


async def note_failure(app: App, entry: RunEntry, delivery: Delivery, error: LayerError) -> None:
    """Write down what became of a submission that Layer did not confirm."""
    await _surely(app, partial(app.journal.runs.note_failure, entry.local_id, delivery, error))


async def _written_down(app: App, entry: RunEntry, started: Started[StateT]) -> Started[StateT]:
    price = started.facts.get(PRICE, entry.estimated_price_creative_units)
    facts = started.facts if price is None else {**started.facts, PRICE: price}
    run_id = started.run.run_id
    app.polls.note(run_id, started.state)
    confirm = partial(
        app.journal.runs.confirm, entry.local_id, run_id, started.state.status, price, facts
    )
    if entry.is_kept and await _surely(app, confirm):
        return replace(started, facts=facts)
    logger.error("Run %s was started, but could not be written down", run_id)
    return replace(started, facts=facts, warning=NOT_KEPT)


async def _surely(app: App, write: Callable[[], Awaitable[None]]) -> bool:
    """Write what must not be forgotten: now, or as soon as the disk lets us. False for later."""
    try:
        await write()
    # The row is gone: it would be no more there later.
    except sqlite3.IntegrityError:
        return False
    except sqlite3.Error as error:
        logger.warning("The journal cannot be used: %s", error)
        app.background.start_soon(_later, write)
        return False
    return True


async def _later(write: Callable[[], Awaitable[None]]) -> None:
    for _ in range(LATER_ATTEMPTS):
        await anyio.sleep(LATER_SECONDS)
        with suppress(sqlite3.Error):
            await write()
            return


def _unwritten(intent: Intent) -> RunEntry:
    """The entry of an intent that no journal holds."""
    return RunEntry(
        local_id="",
        kind=intent.kind,
        workspace_id=intent.workspace_id,
        subject_id=intent.subject_id,
        delivery="intended",
        created_at=time.time(),
        estimated_price_creative_units=intent.estimated_price_creative_units,
        facts=intent.facts,
    )
