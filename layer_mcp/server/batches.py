"""A batch on its way: sent in the order of its runs, as fast as Layer's limits allow.

It goes on in the background after the call has been answered. What was not sent when the server
stops is in the journal as not sent.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio

from ..api.models import Inference
from ..errors import LayerError
from ..journal.entries import RunEntry
from .orders import Order, Started
from .paying import crashed, never_sent_if_it_fails, note_failure, sent
from .state import App
from .turns import take_turn

# Layer may count runs that were not started from here.
PAUSE_AFTER_REFUSAL_SECONDS = 5.0
MAX_REFUSALS = 60

logger = logging.getLogger(__name__)

Result = Started[Inference] | LayerError


@dataclass
class Batch:
    """Orders that are written down, and what came of each so far, by its local id.

    `at_rest` is set once nothing more happens without an earlier run's end.
    """

    pairs: Sequence[tuple[Order[Inference], RunEntry]]
    results: dict[str, Result] = field(default_factory=dict[str, Result])
    at_rest: anyio.Event = field(default_factory=anyio.Event)
    _sending: int = 0
    _waits: bool = False

    def wait_in_line(self) -> None:
        """The next run has to wait for its turn."""
        self._waits = True
        self._look()

    def begin(self) -> None:
        """One more is being sent."""
        self._sending += 1

    def end(self, entry: RunEntry, result: Result | None) -> None:
        """One was answered; None when it is back in line."""
        self._sending -= 1
        if result is None:
            self._waits = True
        else:
            self.results[entry.local_id] = result
            # What is refused leaves its place: what waits in line looks again.
            self._waits = self._waits and not isinstance(result, LayerError)
        self._look()

    def _look(self) -> None:
        done = len(self.results) == len(self.pairs)
        if done or (self._waits and not self._sending):
            self.at_rest.set()


async def send_batch(app: App, batch: Batch) -> None:
    """Send all of a batch; returns when each run was answered."""
    async with anyio.create_task_group() as tasks:
        for order, entry in batch.pairs:
            error = await _turn(app, batch, order, entry)
            batch.begin()
            if error is not None:
                batch.end(entry, error)
            else:
                tasks.start_soon(_send, app, batch, order, entry)


async def _turn(
    app: App, batch: Batch, order: Order[Inference], entry: RunEntry
) -> LayerError | None:
    """Wait in line; the error when that cannot end well."""
    try:
        async with never_sent_if_it_fails(app, entry):
            await take_turn(app, order, entry, on_obstacle=batch.wait_in_line)
    except LayerError as error:
        return error
    # One that crashes must not take the others with it, nor the server.
    except Exception:
        logger.exception("A run of a batch crashed in line")
        return LayerError("NOT_SENT", "It failed in the server while it waited in line.")
    return None


async def _send(app: App, batch: Batch, order: Order[Inference], entry: RunEntry) -> None:
    for _ in range(MAX_REFUSALS):
        result = await _result(app, order, entry)
        if not isinstance(result, LayerError) or result.code != "RATE_LIMITED":
            batch.end(entry, result)
            return
        batch.end(entry, None)
        asked_seconds = result.retry_after_seconds or 0.0
        await anyio.sleep(max(asked_seconds, PAUSE_AFTER_REFUSAL_SECONDS))
        error = await _turn(app, batch, order, entry)
        batch.begin()
        if error is not None:
            batch.end(entry, error)
            return
    error = LayerError("RATE_LIMITED", "Layer did not let it start for minutes.")
    await note_failure(app, entry, "not_sent", error)
    batch.end(entry, error)


async def _result(app: App, order: Order[Inference], entry: RunEntry) -> Result:
    try:
        return await sent(app, order, entry, try_later=True)
    except LayerError as error:
        return error
    except Exception:
        logger.exception("A run of a batch crashed while it was sent")
        return crashed()
