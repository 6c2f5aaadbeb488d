"""Runs in a journal, in every state that calls can leave them in, without Layer."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

from layer_mcp import LayerError
from layer_mcp.api.models import Output
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.outcome import Outcome
from layer_mcp.runs.journal.reservations import Reservation
from layer_mcp.runs.types.filters import RunFilter
from layer_mcp.runs.types.limits import RateLimits, SpendLimits
from layer_mcp.runs.types.plan import Quote
from layer_mcp.runs.types.request import RunRequest
from layer_mcp.runs.types.run import Run, RunError
from layer_mcp.runs.types.states import NOT_SENT, UNKNOWN

API = "https://api.layer.test/api"
ACCOUNT = f"{API}#account"
OTHER_API = "http://127.0.0.1:1/api"
WORKSPACE = "w1"
PRICE = 2.0
REQUEST = RunRequest("inference", "model", WORKSPACE, {"prompt": "a red potion"})
ERROR = LayerError("RATE_LIMITED", "Too many.")
NO_LIMITS = SpendLimits(confirm_above=20)
NO_SLOTS = RateLimits(runs_at_once=0)
MANY_RUNS = 1_000


@dataclass
class Clock:
    """A clock that a test sets."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    @property
    def time(self) -> datetime:
        """Return the clock's time as a datetime."""
        return datetime.fromtimestamp(self.now, UTC)


def another(request: RunRequest = REQUEST) -> RunRequest:
    """Return a request that differs from all earlier ones."""
    return replace(request, body={"prompt": uuid4().hex})


async def reserve_all(
    journal: Journal,
    requests: Sequence[RunRequest],
    *,
    price: float | None = PRICE,
    limits: SpendLimits = NO_LIMITS,
    rates: RateLimits = NO_SLOTS,
    repeat: bool = False,
    batch_id: str | None = None,
) -> list[Reservation]:
    """Reserve requests with the same price; by default, none gets a slot."""
    quote = Quote([price] * len(requests), requests[0].workspace_id)
    return await journal.reserve(requests, quote, limits, rates, repeat=repeat, batch_id=batch_id)


async def reserve(
    journal: Journal,
    request: RunRequest = REQUEST,
    *,
    price: float | None = PRICE,
    repeat: bool = False,
    batch_id: str | None = None,
) -> Reservation:
    """Reserve one request."""
    [reservation] = await reserve_all(
        journal, [request], price=price, repeat=repeat, batch_id=batch_id
    )
    return reservation


async def queued_run(
    journal: Journal,
    request: RunRequest = REQUEST,
    *,
    price: float | None = PRICE,
    batch_id: str | None = None,
) -> Run:
    """Record a run in its own row. If an equal one is being sent, the test fails."""
    reservation = await reserve(journal, request, price=price, repeat=True, batch_id=batch_id)
    assert reservation.created
    return reservation.run


async def run_with_slot(journal: Journal, request: RunRequest = REQUEST) -> Run:
    """Record a run that may be sent."""
    run = await queued_run(journal, request)
    await give_slot(journal, run)
    return run


async def sending_run(
    journal: Journal, request: RunRequest = REQUEST, *, price: float | None = PRICE
) -> Run:
    """Record a run whose first byte is about to be sent."""
    run = await queued_run(journal, request, price=price)
    assert await journal.mark_sending(run) is not None
    return await journal.reload(run)


async def running_run(
    journal: Journal,
    request: RunRequest = REQUEST,
    *,
    price: float | None = PRICE,
    confirmed_price: float | None = None,
) -> Run:
    """Record a run that Layer confirmed. Its ID is its row's key."""
    run = await sending_run(journal, request, price=price)
    assert await journal.outcomes.record(Outcome.confirmed(confirmed(run, price=confirmed_price)))
    return await journal.reload(run)


async def ended_run(
    journal: Journal,
    request: RunRequest = REQUEST,
    *,
    state: str = "complete",
    price: float | None = None,
    estimate: float | None = PRICE,
) -> Run:
    """Record a run and its end."""
    run = await running_run(journal, request, price=estimate)
    await journal.mark_ended(ended(run, state=state, price=price))
    return await journal.reload(run)


async def refused_run(journal: Journal, state: str, request: RunRequest = REQUEST) -> Run:
    """Record a submission that failed: `not_sent` or `unknown`."""
    run = await sending_run(journal, request)
    outcome = Outcome.unknown if state == UNKNOWN else Outcome.not_sent
    await journal.outcomes.record(outcome(run, ERROR))
    return await journal.reload(run)


async def unknown_run(journal: Journal, request: RunRequest = REQUEST) -> Run:
    """Record a run whose outcome is unknown."""
    return await refused_run(journal, UNKNOWN, request)


async def not_sent_run(journal: Journal, request: RunRequest = REQUEST) -> Run:
    """Record a run that definitely wasn't started."""
    return await refused_run(journal, NOT_SENT, request)


def confirmed(run: Run, *, run_id: str | None = None, price: float | None = None) -> Run:
    """Return a run with the facts from Layer's response to its submission."""
    return replace(
        run,
        state="in_progress",
        run_id=run_id or run.key,
        estimated_price_creative_units=price,
        start={"session_id": "session-1"},
    )


def ended(
    run: Run,
    *,
    state: str = "complete",
    price: float | None = None,
    outputs: tuple[Output, ...] = (),
    error: RunError | None = None,
) -> Run:
    """Return a run as Layer describes it when it has ended."""
    return replace(
        run, state=state, actual_price_creative_units=price, outputs=outputs, error=error
    )


async def keys(
    journal: Journal, wanted: RunFilter | None = None, limit: int = MANY_RUNS
) -> list[str]:
    """Return the keys of the matching runs, newest first."""
    return [run.key for run in await journal.list_runs(wanted or RunFilter(), limit)]


async def states(journal: Journal) -> dict[str, str]:
    """Return the state of each run by its prompt."""
    runs = await journal.list_runs(RunFilter(), MANY_RUNS)
    return {run.request.prompt or "": run.state for run in runs}


async def give_slot(journal: Journal, run: Run) -> None:
    """Let a queued run be sent."""
    assert await journal.acquire_slot(run, RateLimits(), {}) is None


async def active_runs(journal: Journal, request: RunRequest = REQUEST) -> Sequence[Run]:
    """Return the active runs that a new one would have to wait for."""
    probe = await queued_run(journal, another(request), price=None)
    blocked = await journal.acquire_slot(probe, NO_SLOTS, {})
    assert blocked is not None
    await journal.outcomes.record(Outcome.not_sent(probe, ERROR))
    return blocked.active


async def ages_of_last_minute(journal: Journal, request: RunRequest = REQUEST) -> list[float]:
    """Return how long ago each run of the last minute got its slot, newest first."""
    probe = await queued_run(journal, another(request), price=None)
    ages: list[float] = []
    while True:
        rates = RateLimits(MANY_RUNS, len(ages) + 1, MANY_RUNS)
        blocked = await journal.acquire_slot(probe, rates, {})
        if blocked is None:
            await journal.outcomes.record(Outcome.not_sent(probe, ERROR))
            return ages
        assert blocked.pause_seconds is not None
        ages.append(60 - blocked.pause_seconds)


MakeJournal = Callable[..., Journal]
MakeRun = Callable[[Journal], Awaitable[Run]]
SENDING_RUNS: list[MakeRun] = [queued_run, sending_run]
SENT_RUNS: list[MakeRun] = [unknown_run, running_run]
UNFINISHED_RUNS: list[MakeRun] = [*SENDING_RUNS, *SENT_RUNS]
