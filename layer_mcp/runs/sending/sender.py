"""Send paid requests once each, and always record the response in the journal."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import anyio

from ...api.client import LayerClient
from ...errors import LayerError
from ..activity import BackgroundTasks, PollTimes, Submissions
from ..journal import Journal
from ..journal.outcome import Outcome
from ..operations import start_run
from ..types.run import Run
from ..uploads import Uploads
from .queue import Batch, SlotQueue, send_batch

RETRY_SECONDS = 10.0
NOT_RECORDED = "The journal could not be written, so keep the id of this run."

logger = logging.getLogger(__name__)


@dataclass
class _Answer:
    """The result of sending a run: the run or an error, once it has arrived."""

    arrived: anyio.Event = field(default_factory=anyio.Event)
    run: Run | None = None
    error: Exception | None = None


class Sender:
    """Sends runs from the journal, and records their outcomes."""

    def __init__(
        self,
        client: LayerClient,
        open_journal: Callable[[], Awaitable[Journal]],
        *,
        queue: SlotQueue,
        uploads: Uploads,
        polls: PollTimes,
        submissions: Submissions,
        background: BackgroundTasks,
    ) -> None:
        self._client = client
        self._open_journal = open_journal
        self._queue = queue
        self._uploads = uploads
        self._polls = polls
        self._submissions = submissions
        self._background = background
        self._is_retrying = False

    async def send(self, run: Run, *, requeue_if_limited: bool = False) -> Run:
        """Send the request once and record the response, even if the caller is cancelled.

        A background task sends it. A shielded scope in the caller's task isn't enough, because
        asyncio can still cancel that task.

        Raises:
            LayerError: nothing was sent, or OUTCOME_UNKNOWN.
        """
        answer = _Answer()
        self._background.start_soon(self._send_in_background, run, requeue_if_limited, answer)
        with anyio.CancelScope(shield=True):
            await answer.arrived.wait()
        if answer.run is None:
            raise answer.error or AssertionError("An answer is a run or an error.")
        return answer.run

    async def _send_in_background(
        self, run: Run, requeue_if_limited: bool, answer: "_Answer"
    ) -> None:
        with anyio.CancelScope(shield=True):
            try:
                answer.run = await self._send(run, requeue_if_limited=requeue_if_limited)
            except Exception as error:
                answer.error = error
            answer.arrived.set()

    async def _send(self, run: Run, *, requeue_if_limited: bool) -> Run:
        journal = await self._open_journal()

        async def before_sending() -> None:
            nonlocal run
            if not run.is_in_journal:
                return
            try:
                attempt = await journal.mark_sending(run)
            except LayerError:
                # It may be recorded all the same, if the database was lost during the commit.
                run = replace(run, attempt=run.attempt + 1)
                raise
            if attempt is None:
                raise LayerError("NOT_SENT", "The journal says that it is not to be sent any more.")
            run = replace(run, attempt=attempt)

        try:
            with self._submissions.track():
                started = await start_run(self._client, run.request, before_sending)
                return await self._confirm(run.confirm(started))
        except LayerError as error:
            await self._uploads.forget_lost_files(error, run.request)
            if requeue_if_limited and error.code == "RATE_LIMITED":
                await self._record(Outcome.requeued(run))
            elif error.code == "OUTCOME_UNKNOWN":
                await self._record(Outcome.unknown(run, error))
            else:
                await self._record(Outcome.not_sent(run, error))
            raise
        except Exception:
            crash = LayerError("TOOL_CRASHED", "Sending it failed in the server.")
            await self._record(Outcome.unknown(run, crash))
            raise

    async def send_batch(self, batch: Batch) -> None:
        """Send all runs of a batch in order, as Layer's limits allow.

        If it's cancelled, the rest stays in the queue, because another server may take it over.
        """
        journal = await self._open_journal()

        async def acquire_slot(run: Run, on_wait: Callable[[], None]) -> None:
            if journal.is_shared:
                await self._acquire_shared_slot(run, on_wait)
                return
            async with self.not_sent_on_failure(run):
                await self._queue.acquire_slot(run, on_wait=on_wait)

        async def mark_not_sent(run: Run, error: LayerError) -> None:
            await self._record(Outcome.not_sent(run, error))

        send = partial(self.send, requeue_if_limited=True)
        await send_batch(batch, acquire_slot, send, mark_not_sent)

    async def _acquire_shared_slot(self, run: Run, on_wait: Callable[[], None]) -> None:
        try:
            await self._queue.acquire_slot(run, on_wait=on_wait)
        except Exception as error:
            with anyio.CancelScope(shield=True):
                await self._record(Outcome.not_sent(run, _reason_not_sent(error)))
            raise

    @asynccontextmanager
    async def not_sent_on_failure(self, run: Run) -> AsyncGenerator[None]:
        """Record that nothing was sent if the block ends early for any reason."""
        try:
            yield
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await self._record(Outcome.not_sent(run, _reason_not_sent(error)))
            raise

    async def _confirm(self, run: Run) -> Run:
        self._polls.note((run.run_id or "").lower(), run.poll_interval_seconds)
        if run.is_in_journal and await self._record(Outcome.confirmed(run)):
            return run
        logger.error("Run %s was started, but could not be recorded", run.run_id)
        return run.with_warnings(NOT_RECORDED)

    async def _record(self, outcome: Outcome) -> bool:
        """Record an outcome now, or as soon as the disk allows; return False if it's delayed."""
        journal = await self._open_journal()
        is_recorded = await journal.outcomes.record(outcome)
        if journal.outcomes.has_pending and not self._is_retrying:
            self._is_retrying = True
            self._background.start_soon(self._retry, journal)
        return is_recorded

    async def _retry(self, journal: Journal) -> None:
        while journal.outcomes.has_pending:
            await anyio.sleep(RETRY_SECONDS)
            await journal.outcomes.record_pending()
        self._is_retrying = False


def _reason_not_sent(error: BaseException) -> LayerError:
    if isinstance(error, LayerError):
        return error
    if isinstance(error, Exception):
        return LayerError("NOT_SENT", "It failed in the server before it was sent.")
    return LayerError("CANCELLED", "The call ended before it was sent.")
