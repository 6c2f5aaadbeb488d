"""Save outputs in the background, beyond the calls that wait for them."""

import logging
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field

import anyio

from ...errors import LayerError
from ..activity import BackgroundTasks
from .record import SavedOutputs
from .save import OnBytes

REPORT_SECONDS = 0.5

Save = Callable[[OnBytes], Awaitable[SavedOutputs]]

logger = logging.getLogger(__name__)


@dataclass
class SavingJob:
    """A save in the background; `arrived_bytes` is the progress of each output, by number."""

    arrived_bytes: dict[int, int] = field(default_factory=dict[int, int])
    done: anyio.Event = field(default_factory=anyio.Event)
    saved: SavedOutputs | None = None
    error: Exception | None = None

    async def wait(self, seconds: float | None, on_bytes: OnBytes | None) -> SavedOutputs | None:
        """Wait for the save with a time limit and report progress; return None if it continues.

        Raises:
            LayerError: the save failed.
        """
        with anyio.move_on_after(seconds):
            while not self.done.is_set():
                with anyio.move_on_after(REPORT_SECONDS):
                    await self.done.wait()
                if on_bytes is not None:
                    for number, arrived_bytes in sorted(self.arrived_bytes.items()):
                        await on_bytes(number, arrived_bytes)
        if self.error is not None:
            raise self.error
        return self.saved


class SavingJobs:
    """The running saves of this process; calls for the same outputs share one."""

    def __init__(self, background: BackgroundTasks) -> None:
        self._background = background
        self._jobs: dict[Hashable, SavingJob] = {}

    def start(self, key: Hashable, save: Save) -> SavingJob:
        """Start a save in the background, or return the running one with this key."""
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = SavingJob()
            self._background.start_soon(self._run, key, job, save)
        return job

    async def _run(self, key: Hashable, job: SavingJob, save: Save) -> None:
        async def report(number: int, arrived_bytes: int) -> None:
            job.arrived_bytes[number] = arrived_bytes

        try:
            job.saved = await save(report)
        except LayerError as error:
            job.error = error
        except Exception as error:
            logger.exception("Saving files crashed")
            job.error = error
        finally:
            if job.saved is None and job.error is None:
                job.error = LayerError("DOWNLOAD_FAILED", "The download was stopped.")
            del self._jobs[key]
            job.done.set()
