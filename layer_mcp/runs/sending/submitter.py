"""Start the requests of a plan, each at most once."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import uuid4

import anyio
from anyio.lowlevel import checkpoint

from ...errors import LayerError
from ..activity import BackgroundTasks
from ..journal import Journal
from ..planning import Planner, plan_warnings
from ..rules.duplicates import answer_duplicate
from ..rules.prices import check_approval
from ..types.budget import MAX_PREPARING_SECONDS
from ..types.limits import RateLimits, SpendLimits
from ..types.plan import Plan
from ..types.run import Run
from .queue import PAUSE_AFTER_REFUSAL_SECONDS, Batch, SlotQueue
from .sender import Sender

BATCH_ID_LENGTH = 12


class Submitter:
    """Checks limits and approval, records the requests, and has them sent."""

    def __init__(
        self,
        open_journal: Callable[[], Awaitable[Journal]],
        *,
        planner: Planner,
        queue: SlotQueue,
        sender: Sender,
        background: BackgroundTasks,
        limits: SpendLimits,
        rates: RateLimits,
    ) -> None:
        self._open_journal = open_journal
        self._planner = planner
        self._queue = queue
        self._sender = sender
        self._background = background
        self._limits = limits
        self._rates = rates

    async def submit(self, plan: Plan, *, approved: bool) -> Run:
        """Start the plan's only request, or return its duplicate; see `Runs.submit`."""
        if len(plan.requests) != 1:
            sentence = f"submit starts one request, and the plan has {len(plan.requests)}."
            step = "Call submit_batch."
            raise LayerError("INVALID_ARGUMENTS", sentence, next_step=step)
        check_approval(plan, self._limits, approved=approved)
        journal = await self._open_journal()
        [request], [existing], options = plan.requests, plan.duplicates, plan.options
        deadline = plan.budget.submit_by
        while existing is None:
            [reservation] = await journal.reserve(
                [request], plan.quote, self._limits, self._rates, repeat=options.repeat
            )
            run = reservation.run
            if reservation.created:
                sent = await self._send_in_turn(run, deadline, has_slot=reservation.has_slot)
                return sent.with_warnings(*plan_warnings(plan, sent))
            # Another call was faster. If it fails to send, send this one.
            existing = await self._planner.find_duplicate(request, options, deadline, awaited=run)
        return answer_duplicate(existing)

    async def submit_batch(self, plan: Plan, *, approved: bool) -> list[Run]:
        """Record all requests of a plan, and send them in order; see `Runs.submit_batch`."""
        check_approval(plan, self._limits, approved=approved)
        journal = await self._open_journal()
        reservations = (
            await journal.reserve(
                plan.new,
                plan.quote,
                self._limits,
                self._rates,
                repeat=plan.options.repeat,
                batch_id=uuid4().hex[:BATCH_ID_LENGTH],
            )
            if plan.new
            else []
        )
        recorded = iter(reservations)
        taken = [
            (run, False) if run else ((next_one := next(recorded)).run, next_one.created)
            for run in plan.duplicates
        ]
        batch = Batch([run for run, created in taken if created])
        if batch.runs:
            self._background.start_soon(self._sender.send_batch, batch)
            with anyio.move_on_at(plan.budget.submit_by):
                await batch.settled.wait()
        return [
            batch.current(run) if created else replace(run, is_duplicate=True)
            for run, created in taken
        ]

    async def _send_in_turn(self, run: Run, deadline: float, *, has_slot: bool) -> Run:
        """Send a run once it has a slot; if Layer's limits reject it, wait for another slot."""
        while True:
            async with self._sender.not_sent_on_failure(run):
                if not has_slot:
                    await self._queue.acquire_slot(run, deadline=deadline)
                # Don't pay for a caller that has already given up.
                await checkpoint()
            can_wait = anyio.current_time() + MAX_PREPARING_SECONDS < deadline
            try:
                return await self._sender.send(run, requeue_if_limited=can_wait)
            except LayerError as error:
                if error.code != "RATE_LIMITED" or not can_wait:
                    raise
                pause_seconds = max(error.retry_after_seconds or 0.0, PAUSE_AFTER_REFUSAL_SECONDS)
            has_slot = False
            async with self._sender.not_sent_on_failure(run):
                await anyio.sleep(pause_seconds)
