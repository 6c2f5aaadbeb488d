"""What goes on in this process: waits that can be ended, poll times, paid requests, locks."""

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from weakref import WeakValueDictionary

import anyio

from ..api.polling import MIN_POLL_INTERVAL_SECONDS, poll_interval_seconds
from ..errors import LayerError

MAX_POLL_TIMES = 1_000


class WaitRegistry:
    """The calls that wait for a run, so that their waits can be ended early."""

    def __init__(self) -> None:
        self._scopes: dict[str, list[anyio.CancelScope]] = {}

    @contextmanager
    def register(self, run_id: str) -> Generator[None]:
        """Run a block that ends early when the waits for the run are stopped."""
        with anyio.CancelScope() as scope:
            scopes = self._scopes.setdefault(run_id, [])
            scopes.append(scope)
            try:
                yield
            finally:
                scopes.remove(scope)
                if not scopes:
                    self._scopes.pop(run_id, None)

    def stop(self, run_id: str) -> None:
        """End the waits for a run, as if their time were up."""
        for scope in list(self._scopes.get(run_id, [])):
            scope.cancel()


class PollTimes:
    """When each run may be read again, on anyio's clock: no sooner than Layer asks."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}

    def claim(self, run_id: str) -> bool:
        """Return whether the run may be read now, and let no other caller read it meanwhile."""
        now = anyio.current_time()
        if self._next.get(run_id, now) > now:
            return False
        self._next[run_id] = now + MIN_POLL_INTERVAL_SECONDS
        return True

    def seconds_until_due(self, run_ids: Iterable[str], most_seconds: float) -> float:
        """Return the time until the first of these runs may be read, at most `most_seconds`."""
        now = anyio.current_time()
        times = [self._next.get(run_id, now) for run_id in run_ids]
        return min(max(min(times, default=now + most_seconds) - now, 0.0), most_seconds)

    def note(self, run_id: str, asked_seconds: float | None) -> None:
        """Remember that a run was just read, and the pause that Layer asked for."""
        self._next.pop(run_id, None)
        self._next[run_id] = anyio.current_time() + poll_interval_seconds(asked_seconds)
        while len(self._next) > MAX_POLL_TIMES:
            self._next.pop(next(iter(self._next)))


class Submissions:
    """The paid requests that are out: a process that stops waits for their answers."""

    def __init__(self) -> None:
        self._count = 0
        self._none_left = anyio.Event()
        self._on_none_left: Callable[[], None] | None = None

    @property
    def are_out(self) -> bool:
        """Return whether an answer is awaited."""
        return self._count > 0

    @contextmanager
    def track(self) -> Generator[None]:
        """Count a paid request as long as the block lasts.

        Raises:
            LayerError: SERVER_STOPPED, once the process has been told to end.
        """
        if self._on_none_left is not None:
            raise LayerError("SERVER_STOPPED", "The server is being stopped. Nothing was sent.")
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
            if self._count == 0:
                self._none_left.set()
                self._none_left = anyio.Event()
                if self._on_none_left is not None:
                    self._on_none_left()

    async def wait(self) -> None:
        """Wait until no paid request is out; each of them is bounded in time."""
        while self._count:
            await self._none_left.wait()

    def stop_then(self, stop: Callable[[], None]) -> None:
        """Refuse new requests, and call `stop` once none is out: now, or after the last answer."""
        if self._count == 0:
            stop()
        self._on_none_left = stop


class KeyedLocks:
    """Locks by name: two calls about the same file or run wait for each other, others do not."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()

    def lock(self, *key: str) -> anyio.Lock:
        """Return the lock of a key."""
        name = "\0".join(key)
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = anyio.Lock()
        return lock
