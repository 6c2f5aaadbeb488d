"""Activity in this process: waits, poll times, paid requests, background tasks, and locks."""

from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, TypeVar, TypeVarTuple
from weakref import WeakValueDictionary

import anyio
from anyio.abc import TaskGroup

from ..api.polling import MIN_POLL_INTERVAL_SECONDS, poll_interval_seconds
from ..errors import LayerError

MAX_POLL_TIMES = 1_000
CONCURRENCY = 8

SubmissionOutcome = Literal["started", "not_started", "unknown"]
Arguments = TypeVarTuple("Arguments")
ItemT = TypeVar("ItemT")


class WaitRegistry:
    """The calls waiting for each run, so that their waits can be stopped early."""

    def __init__(self) -> None:
        self._scopes: dict[str, list[anyio.CancelScope]] = {}
        self.are_stopped = False

    @contextmanager
    def register(self, run_id: str) -> Generator[None]:
        """Run a block that ends early if the waits for the run are stopped."""
        with anyio.CancelScope() as scope:
            if self.are_stopped:
                scope.cancel()
            scopes = self._scopes.setdefault(run_id, [])
            scopes.append(scope)
            try:
                yield
            finally:
                scopes.remove(scope)
                if not scopes:
                    self._scopes.pop(run_id, None)

    def stop(self, run_id: str) -> None:
        """End the waits for a run as if they had timed out."""
        for scope in list(self._scopes.get(run_id, [])):
            scope.cancel()

    def stop_all(self) -> None:
        """End all waits, including later ones, as if they had timed out."""
        self.are_stopped = True
        for run_id in list(self._scopes):
            self.stop(run_id)


class PollTimes:
    """When each run may be read again, on anyio's clock: no sooner than Layer asks."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}

    def claim(self, run_id: str) -> bool:
        """Return whether the run may be read now; until it's noted, no other caller may read it."""
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

    def note(
        self, run_id: str, asked_seconds: float | None, *, margin_seconds: float = 0.0
    ) -> None:
        """Remember that a run was just read, and the pause that Layer asked for.

        A margin keeps other callers from reading a run that its follower is about to read again.
        """
        pause_seconds = poll_interval_seconds(asked_seconds) + margin_seconds
        self._next.pop(run_id, None)
        self._next[run_id] = anyio.current_time() + pause_seconds
        while len(self._next) > MAX_POLL_TIMES:
            self._next.pop(next(iter(self._next)))


class Submissions:
    """The paid requests in progress. A stopping process waits for their responses.

    `outcomes` counts those that have ended. With `all_accounts`, these are the requests of one
    account, and they count there too.
    """

    def __init__(self, all_accounts: "Submissions | None" = None) -> None:
        self._all_accounts = all_accounts
        self._count = 0
        self.outcomes: Counter[SubmissionOutcome] = Counter()
        self._none_left = anyio.Event()
        self._on_none_left: Callable[[], None] | None = None

    @property
    def count(self) -> int:
        """Return how many paid requests are in progress."""
        return self._count

    @property
    def are_out(self) -> bool:
        """Return whether any paid request is in progress."""
        return self._count > 0

    @contextmanager
    def track(self) -> Generator[None]:
        """Count a paid request as in progress until the block ends.

        Raises:
            LayerError: SERVER_STOPPED, once the process is stopping.
        """
        if self._on_none_left is not None:
            raise LayerError("SERVER_STOPPED", "The server is being stopped. Nothing was sent.")
        outcome: SubmissionOutcome = "unknown"
        with self._all_accounts.track() if self._all_accounts else nullcontext():
            self._count += 1
            try:
                yield
                outcome = "started"
            except LayerError as error:
                if error.code != "OUTCOME_UNKNOWN":
                    outcome = "not_started"
                raise
            finally:
                self.outcomes[outcome] += 1
                self._end()

    def _end(self) -> None:
        self._count -= 1
        if self._count == 0:
            self._none_left.set()
            self._none_left = anyio.Event()
            if self._on_none_left is not None:
                self._on_none_left()

    async def wait(self) -> None:
        """Wait until no paid request is in progress. Each one has a time limit."""
        while self._count:
            await self._none_left.wait()

    def stop_then(self, stop: Callable[[], None]) -> None:
        """Refuse new requests, and call `stop` once none is in progress."""
        if self._count == 0:
            stop()
        self._on_none_left = stop


class BackgroundTasks:
    """Tasks that continue after the calls that started them, and how many are running."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._count = 0

    @property
    def are_running(self) -> bool:
        """Return whether any task is running."""
        return self._count > 0

    def start_soon(
        self,
        work: Callable[[*Arguments], Awaitable[object]],
        *arguments: *Arguments,
    ) -> None:
        """Start a task."""
        # Counted from now on, because a task begins later.
        self._count += 1
        self._tasks.start_soon(self._run, work, arguments)

    def start_waiting(
        self,
        work: Callable[[*Arguments], Coroutine[Any, Any, object]],
        *arguments: *Arguments,
    ) -> None:
        """Start a task that may be cancelled whenever it isn't in a block of `count`."""
        self._tasks.start_soon(work, *arguments)

    @contextmanager
    def count(self) -> Generator[None]:
        """Count a block of a waiting task as a running task."""
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1

    async def _run(
        self,
        work: Callable[[*Arguments], Awaitable[object]],
        arguments: tuple[*Arguments],
    ) -> None:
        try:
            await work(*arguments)
        finally:
            self._count -= 1


class KeyedLocks:
    """Locks by name. Calls for the same file or run wait for each other; others don't."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()

    def lock(self, *key: str) -> anyio.Lock:
        """Return the lock of a key."""
        name = "\0".join(key)
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = anyio.Lock()
        return lock


async def for_each_limited(
    items: Iterable[ItemT], work: Callable[[ItemT], Awaitable[object]]
) -> None:
    """Do the work for every item, a few at a time."""
    slots = anyio.Semaphore(CONCURRENCY)

    async def do(item: ItemT) -> None:
        async with slots:
            await work(item)

    async with anyio.create_task_group() as tasks:
        for item in items:
            tasks.start_soon(do, item)
