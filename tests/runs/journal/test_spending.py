"""Which runs count toward the spending limits."""

import pytest

from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.outcome import Outcome
from layer_mcp.runs.journal.spending import DAY_SECONDS
from layer_mcp.runs.types.limits import Spending
from layer_mcp.runs.types.request import RunRequest

from ...support.recorded_runs import (
    API,
    OTHER_API,
    REQUEST,
    UNFINISHED_RUNS,
    Clock,
    MakeJournal,
    MakeRun,
    another,
    ended,
    ended_run,
    not_sent_run,
    queued_run,
    running_run,
    sending_run,
    unknown_run,
)

pytestmark = pytest.mark.anyio

ELSEWHERE = RunRequest("inference", "model", "w2", REQUEST.body)


async def spent(journal: Journal) -> float:
    """Return what counts toward the daily limit."""
    return (await journal.spending()).day


async def test_nothing_is_spent_at_first(journal: Journal) -> None:
    assert await journal.spending() == Spending(0, {})


@pytest.mark.parametrize("make", UNFINISHED_RUNS)
async def test_a_run_counts_with_its_estimate_until_its_price_is_known(
    make: MakeRun, journal: Journal
) -> None:
    await make(journal)
    assert await spent(journal) == 2.0


async def test_a_run_counts_with_a_higher_price_of_its_confirmation(journal: Journal) -> None:
    await running_run(journal, confirmed_price=3.5)
    assert await spent(journal) == 3.5


async def test_a_confirmations_lower_price_frees_no_budget_before_the_end(journal: Journal) -> None:
    run = await running_run(journal, confirmed_price=0.5)
    assert await spent(journal) == 2.0
    await journal.mark_ended(ended(run, price=0.5))
    assert await spent(journal) == 0.5


@pytest.mark.parametrize(
    ("state", "price", "counted"),
    [
        ("complete", 1.25, 1.25),
        ("complete", None, 2.0),
        ("cancelled", None, 2.0),
        ("failed", 0.5, 0.5),
        ("failed", None, 0.0),
    ],
)
async def test_an_ended_run_counts_with_what_it_cost(
    state: str, price: float | None, counted: float, journal: Journal
) -> None:
    await ended_run(journal, state=state, price=price)
    assert await spent(journal) == counted


async def test_unsent_runs_do_not_count(journal: Journal) -> None:
    await not_sent_run(journal)
    assert await journal.spending() == Spending(0, {})


async def test_a_requeued_run_still_counts(journal: Journal) -> None:
    await journal.outcomes.record(Outcome.requeued(await sending_run(journal)))
    assert await spent(journal) == 2.0


async def test_a_run_without_an_estimate_counts_nothing_until_its_price_is_known(
    journal: Journal,
) -> None:
    run = await running_run(journal, price=None)
    assert await spent(journal) == 0
    await journal.mark_ended(ended(run, price=4))
    assert await spent(journal) == 4


async def test_prices_add_up(journal: Journal) -> None:
    await ended_run(journal, price=1)
    await running_run(journal)
    await queued_run(journal)
    assert await spent(journal) == 5


async def test_a_price_leaves_the_day_after_24_hours(journal: Journal, clock: Clock) -> None:
    await ended_run(journal, price=1)
    clock.now += DAY_SECONDS / 2
    await ended_run(journal, price=10)
    clock.now += DAY_SECONDS / 2 - 1
    assert await spent(journal) == 11
    clock.now += 1
    assert await spent(journal) == 10


async def test_a_new_token_gets_no_new_budget(make_journal: MakeJournal) -> None:
    await ended_run(make_journal(), price=1)
    assert await spent(make_journal(API, f"{API}#another")) == 1


async def test_another_api_address_has_its_own_budget(make_journal: MakeJournal) -> None:
    await queued_run(make_journal())
    elsewhere = make_journal(OTHER_API, f"{OTHER_API}#account")
    assert await elsewhere.spending() == Spending(0, {})


async def test_tracks_possibly_uncharged_runs_for_each_workspace(journal: Journal) -> None:
    await sending_run(journal)
    await queued_run(journal, another())
    await queued_run(journal, ELSEWHERE)
    await running_run(journal, another())
    await ended_run(journal, another(), price=1)
    await unknown_run(journal, another())
    assert (await journal.spending()).in_flight == {"w1": 4, "w2": 2}
