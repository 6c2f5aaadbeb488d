"""Lists and totals of the runs of an account."""

from collections.abc import Set
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from layer_mcp import LayerError
from layer_mcp.api.polling import STOPPED_STATUSES
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.outcome import Outcome
from layer_mcp.runs.types.filters import RunFilter, StatusFilter
from layer_mcp.runs.types.request import RunKind, RunRequest

from ...support.recorded_runs import (
    API,
    OTHER_API,
    REQUEST,
    Clock,
    MakeJournal,
    another,
    ended_run,
    keys,
    not_sent_run,
    queued_run,
    running_run,
    sending_run,
    unknown_run,
)
from ...support.storages import Storage

pytestmark = pytest.mark.anyio

ELSEWHERE = RunRequest("inference", "model", "w2", REQUEST.body)
STATUSES: list[StatusFilter] = ["running", "complete", "failed", "stopped", "unknown", "not_sent"]


async def test_runs_are_listed_newest_first(journal: Journal, clock: Clock) -> None:
    made: list[str] = []
    for _ in range(3):
        made.append((await queued_run(journal, another())).key)
        clock.now += 1
    assert await keys(journal) == made[::-1]
    assert await keys(journal, limit=2) == made[:0:-1]


@pytest.mark.parametrize(
    ("api_url", "account"), [(OTHER_API, f"{OTHER_API}#account"), (API, f"{API}#another")]
)
async def test_the_runs_of_another_account_are_never_seen(
    api_url: str, account: str, make_journal: MakeJournal
) -> None:
    run = await ended_run(make_journal(), price=1)
    elsewhere = make_journal(api_url, account)
    assert await keys(elsewhere) == []
    assert await keys(elsewhere, RunFilter(run_ids=(run.key,))) == []
    assert await elsewhere.find(run.key) is None
    assert await elsewhere.reload(run) == run
    assert (await elsewhere.totals(RunFilter())).count == 0


@pytest.mark.parametrize(
    ("api_url", "account"), [(OTHER_API, f"{OTHER_API}#account"), (API, f"{API}#another")]
)
async def test_the_runs_of_another_account_are_never_changed(
    api_url: str, account: str, make_journal: MakeJournal
) -> None:
    journal, elsewhere = make_journal(), make_journal(api_url, account)
    queued, running = await queued_run(journal), await running_run(journal, another())
    assert await elsewhere.mark_sending(queued) is None
    assert not await elsewhere.outcomes.record(Outcome.confirmed(replace(queued, run_id="another")))
    await elsewhere.mark_ended(replace(running, state="failed"))
    await elsewhere.mark_not_found(running.key)
    assert [await journal.reload(run) for run in (queued, running)] == [queued, running]


async def test_pages_list_each_run_once_even_with_equal_times(
    journal: Journal, clock: Clock
) -> None:
    made: set[str] = set()
    for number in range(9):
        clock.now += number % 3 == 0
        made.add((await queued_run(journal, another())).key)
    seen: list[str] = []
    page = await journal.list_runs(RunFilter(), 2)
    while page:
        seen += [run.key for run in page]
        last = page[-1]
        page = await journal.list_runs(RunFilter(before=last.key), 2)
    assert sorted(seen) == sorted(made)


async def test_runs_since_a_time_are_listed(journal: Journal, clock: Clock) -> None:
    await queued_run(journal)
    clock.now += 10
    later = await queued_run(journal, another())
    assert await keys(journal, RunFilter(since=clock.time)) == [later.key]


async def test_runs_of_a_workspace_are_listed(journal: Journal) -> None:
    await queued_run(journal)
    there = await queued_run(journal, ELSEWHERE)
    assert await keys(journal, RunFilter(workspace_id="w2")) == [there.key]


async def test_runs_of_a_batch_are_listed(journal: Journal) -> None:
    await queued_run(journal)
    member = await queued_run(journal, another(), batch_id="batch-1")
    assert await keys(journal, RunFilter(batch_id="batch-1")) == [member.key]


async def test_runs_with_given_ids_are_listed(journal: Journal) -> None:
    first, _, third = [await running_run(journal) for _ in range(3)]
    wanted = RunFilter(run_ids=(first.key, third.key, "unknown"))
    assert set(await keys(journal, wanted)) == {first.key, third.key}


async def test_all_conditions_of_a_filter_hold_together(journal: Journal, clock: Clock) -> None:
    await ended_run(journal, ELSEWHERE)
    clock.now += 10
    await ended_run(journal)
    both = await ended_run(journal, ELSEWHERE)
    wanted = RunFilter(workspace_id="w2", since=clock.time, status="complete")
    assert await keys(journal, wanted) == [both.key]


async def one_of_each(journal: Journal) -> dict[StatusFilter, list[str]]:
    """Runs of every state, by their group."""
    return {
        "running": [
            (await queued_run(journal, another())).key,
            (await sending_run(journal, another())).key,
            (await running_run(journal)).key,
        ],
        "complete": [(await ended_run(journal, price=1)).key for _ in range(2)],
        "failed": [
            (await ended_run(journal, state="failed")).key,
            (await ended_run(journal, state="failed", price=0.5)).key,
        ],
        "stopped": [
            (await ended_run(journal, state="cancelled")).key,
            (await ended_run(journal, state="not_found")).key,
        ],
        "unknown": [(await unknown_run(journal)).key],
        "not_sent": [(await not_sent_run(journal)).key],
    }


@pytest.mark.parametrize("status", STATUSES)
async def test_runs_are_listed_by_their_status(status: StatusFilter, journal: Journal) -> None:
    made = await one_of_each(journal)
    assert sorted(await keys(journal, RunFilter(status=status))) == sorted(made[status])


@pytest.mark.parametrize(
    ("states", "status"),
    [({"complete"}, "complete"), ({"failed"}, "failed"), (STOPPED_STATUSES, "stopped")],
    ids=["complete", "failed", "stopped"],
)
async def test_every_end_that_layer_knows_is_in_a_group(
    states: Set[str], status: StatusFilter, journal: Journal
) -> None:
    for state in states:
        await ended_run(journal, state=state)
    assert len(await keys(journal, RunFilter(status=status))) == len(states)


async def test_every_run_is_in_exactly_one_group(journal: Journal) -> None:
    made = await one_of_each(journal)
    assert len(await keys(journal)) == sum(map(len, made.values()))


@pytest.mark.parametrize(
    ("wanted", "totals"),
    [
        (RunFilter(), (11, 3, 20.0, 2.5)),
        (RunFilter(status="complete"), (2, 0, 4.0, 2.0)),
        (RunFilter(status="running"), (3, 3, 6.0, 0.0)),
        (RunFilter(status="not_sent"), (1, 0, 0.0, 0.0)),
        (RunFilter(workspace_id="w2"), (0, 0, 0.0, 0.0)),
        (RunFilter(since=datetime.fromtimestamp(2_000_000, UTC)), (0, 0, 0.0, 0.0)),
    ],
    ids=["all", "complete", "running", "not sent", "elsewhere", "later"],
)
async def test_totals_are_those_of_the_filter(
    wanted: RunFilter, totals: tuple[int, int, float, float], journal: Journal
) -> None:
    await one_of_each(journal)
    found = await journal.totals(wanted)
    assert (found.count, found.running) == totals[:2]
    assert (found.estimated_creative_units, found.spent_creative_units) == totals[2:]


async def test_totals_of_decimal_fractions_are_decimal_fractions(journal: Journal) -> None:
    for price in (0.1, 0.2):
        await ended_run(journal, price=price, estimate=price)
    found = await journal.totals(RunFilter())
    assert (found.estimated_creative_units, found.spent_creative_units) == (0.3, 0.3)


@pytest.mark.parametrize("kind", ["inference", "workflow"])
async def test_a_listed_run_says_where_its_files_are(kind: RunKind, journal: Journal) -> None:
    run = await ended_run(journal, replace(REQUEST, kind=kind))
    await journal.files.note_folder(run.key.upper(), Path("/out"))
    [found] = await journal.list_runs(RunFilter(), 1)
    assert (found.folder, found.request.kind) == (Path("/out"), kind)


async def test_a_list_that_cannot_be_read_is_an_error(journal: Journal, storage: Storage) -> None:
    await journal.totals(RunFilter())
    storage.execute("DROP TABLE runs")
    with pytest.raises(LayerError, match="JOURNAL_UNAVAILABLE"):
        await journal.list_runs(RunFilter(), 1)
    with pytest.raises(LayerError, match="JOURNAL_UNAVAILABLE"):
        await journal.totals(RunFilter())
