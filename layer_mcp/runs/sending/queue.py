"""The queue: send runs as Layer's limits allow, and the runs of a batch in order."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

import anyio

from ...errors import LayerError
from ..activity import for_each_limited
from ..journal import Journal
from ..operations import ModelLookup
from ..types.limits import RateLimits
from ..types.run import Run, RunError
from ..types.states import NOT_SENT, QUEUED, UNKNOWN

PAUSE_SECONDS = 0.5
LOOK_SECONDS = 5.0
# Layer may count runs that weren't started here.
PAUSE_AFTER_REFUSAL_SECONDS = 5.0
MAX_REFUSALS = 60
UNKNOWN_CODES = ("OUTCOME_UNKNOWN", "TOOL_CRASHED")

logger = logging.getLogger(__name__)


class SlotQueue:
    """Waits for a slot within Layer's limits.

    `refresh` reads an active run, because it may have ended.
    """

    def __init__(
        self,
        open_journal: Callable[[], Awaitable[Journal]],
        refresh: Callable[[Run], Awaitable[Run]],
        models: ModelLookup,
        rates: RateLimits,
    ) -> None:
        self._open_journal = open_journal
        self._refresh = refresh
        self._models = models
        self._rates = rates

    async def acquire_slot(
        self,
        run: Run,
        *,
        deadline: float | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> None:
        """Return once the run may be sent, and count it from then on.

        Waits until `deadline`, on anyio's clock, or without a limit. Calls `on_wait` when the run
        has to wait.

        Raises:
            LayerError: RUNS_AT_LIMIT or GENERATIONS_AT_LIMIT at the deadline; JOURNAL_UNAVAILABLE.
        """
        journal = await self._open_journal()
        modality: dict[str, str] = {}
        while True:
            blocked = await journal.acquire_slot(run, self._rates, modality)
            if blocked is None:
                return
            for model_id in blocked.unknown_models:
                modality[model_id] = ""
                with anyio.move_on_after(LOOK_SECONDS):
                    model = await self._models.find(model_id, run.request.workspace_id)
                    modality[model_id] = model.modality
            if blocked.unknown_models or await self._has_ended(blocked.active, deadline):
                continue
            if on_wait is not None:
                on_wait()
            pause_seconds = blocked.pause_seconds or PAUSE_SECONDS
            if deadline is not None and anyio.current_time() + pause_seconds > deadline:
                raise blocked.error
            await anyio.sleep(pause_seconds)

    async def _has_ended(self, active: Sequence[Run], deadline: float | None) -> bool:
        """Return whether an active run has ended; ask Layer about those that are due."""
        ended: list[Run] = []

        async def look(run: Run) -> None:
            if (await self._refresh(run)).has_ended:
                ended.append(run)

        seconds = LOOK_SECONDS if deadline is None else deadline - anyio.current_time()
        with anyio.move_on_after(seconds):
            await for_each_limited(active, look)
        return bool(ended)


@dataclass
class Batch:
    """Recorded runs, and the result of each one so far, by its key.

    `settled` is set once every remaining run has to wait for an earlier run to end.
    """

    runs: Sequence[Run]
    results: dict[str, Run] = field(default_factory=dict[str, Run])
    settled: anyio.Event = field(default_factory=anyio.Event)
    _sending: int = 0
    _is_waiting: bool = False

    def wait_for_slot(self) -> None:
        """Record that the next run has to wait for its slot."""
        self._is_waiting = True
        self._check()

    def begin(self) -> None:
        """Record that another run is being sent."""
        self._sending += 1

    def end(self, run: Run) -> None:
        """Record the result of a run; a queued one is back in the queue."""
        self._sending -= 1
        if run.state == QUEUED:
            self._is_waiting = True
        else:
            self.results[run.key] = run
            # A refused run frees its slot, so whatever is queued checks again.
            self._is_waiting = self._is_waiting and run.state not in (NOT_SENT, UNKNOWN)
        self._check()

    def current(self, run: Run) -> Run:
        """Return the latest known state of a run."""
        return self.results.get(run.key, run)

    def _check(self) -> None:
        is_done = len(self.results) == len(self.runs)
        if is_done or (self._is_waiting and not self._sending):
            self.settled.set()


async def send_batch(
    batch: Batch,
    acquire_slot: Callable[[Run, Callable[[], None]], Awaitable[None]],
    send: Callable[[Run], Awaitable[Run]],
    mark_not_sent: Callable[[Run, LayerError], Awaitable[None]],
) -> None:
    """Send all runs of a batch in order; return once each one has a response.

    `send` raises RATE_LIMITED for a run that it put back in the queue. If the process stops, the
    remaining runs are recorded as not sent.
    """

    async def wait(run: Run) -> LayerError | None:
        try:
            await acquire_slot(run, batch.wait_for_slot)
        except LayerError as error:
            return error
        # A run that crashes must not stop the others or the server.
        except Exception:
            logger.exception("A run of a batch crashed in the queue")
            return LayerError("NOT_SENT", "It failed in the server while it waited in line.")
        return None

    async def send_until_accepted(run: Run) -> None:
        for _ in range(MAX_REFUSALS):
            try:
                batch.end(await send(run))
                return
            except LayerError as error:
                refusal = error
            except Exception:
                logger.exception("A run of a batch crashed while it was sent")
                refusal = LayerError("TOOL_CRASHED", "Sending it failed in the server.")
            if refusal.code != "RATE_LIMITED":
                batch.end(failed_run(run, refusal))
                return
            batch.end(run)
            asked_seconds = refusal.retry_after_seconds or 0.0
            await anyio.sleep(max(asked_seconds, PAUSE_AFTER_REFUSAL_SECONDS))
            error = await wait(run)
            batch.begin()
            if error is not None:
                batch.end(failed_run(run, error))
                return
        error = LayerError("RATE_LIMITED", "Layer did not let it start for minutes.")
        await mark_not_sent(run, error)
        batch.end(failed_run(run, error))

    async with anyio.create_task_group() as tasks:
        for run in batch.runs:
            error = await wait(run)
            batch.begin()
            if error is not None:
                batch.end(failed_run(run, error))
            else:
                tasks.start_soon(send_until_accepted, run)


def failed_run(run: Run, error: LayerError) -> Run:
    """Return a run that wasn't started, or whose outcome is unknown."""
    return replace(
        run,
        state=UNKNOWN if error.code in UNKNOWN_CODES else NOT_SENT,
        run_id=error.inference_id or error.run_id or run.run_id,
        error=RunError(error.code, error.message),
    )
