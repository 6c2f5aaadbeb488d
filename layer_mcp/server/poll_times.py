"""When runs may be looked at again: no tighter than Layer asks, whichever call looks."""

from collections.abc import Iterable

import anyio

from ..api.models import RunSnapshot
from ..api.polling import MIN_POLL_INTERVAL_SECONDS, poll_interval_seconds

MAX_KEPT = 1_000


class PollTimes:
    """The next time at which each run may be read, by anyio's clock."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}

    def take(self, run_id: str) -> bool:
        """Whether a run may be read now, by this caller and no other; a run never read may."""
        now = anyio.current_time()
        if self._next.get(run_id, now) > now:
            return False
        self._next[run_id] = now + MIN_POLL_INTERVAL_SECONDS
        return True

    def pause_seconds(self, run_ids: Iterable[str], most: float) -> float:
        """The time until the first of these runs may be read, and at most `most`."""
        now = anyio.current_time()
        times = [self._next.get(run_id, now) for run_id in run_ids]
        return min(max(min(times, default=now + most) - now, 0.0), most)

    def note(self, run_id: str, state: RunSnapshot) -> None:
        """Remember what was just read."""
        self.pause(run_id, poll_interval_seconds(state.poll_interval_seconds))

    def pause(self, run_id: str, pause_seconds: float) -> None:
        """Leave a run alone for so long."""
        self._next.pop(run_id, None)
        self._next[run_id] = anyio.current_time() + pause_seconds
        while len(self._next) > MAX_KEPT:
            self._next.pop(next(iter(self._next)))
