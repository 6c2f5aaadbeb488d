"""A journal of thousands of runs is as fast as a new one: no operation reads all rows."""

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.databases.database import ResultT, Work
from layer_mcp.runs.journal.databases.sqlite import FILE_NAME, SqliteDatabase
from layer_mcp.runs.journal.outcome import Outcome
from layer_mcp.runs.types.filters import RunFilter

from ...support.recorded_runs import (
    ACCOUNT,
    API,
    ERROR,
    REQUEST,
    Clock,
    another,
    ended,
    ended_run,
    give_slot,
    queued_run,
    running_run,
    sending_run,
)

pytestmark = pytest.mark.anyio

ROWS = 5_000
# Reading a row takes SQLite several steps.
MAX_STEPS = ROWS
STEPS_EACH = 10
COPIES = """
WITH RECURSIVE numbers (number) AS (
    SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < ?
)
INSERT INTO runs (
    key, sequence, api_url, account, process_id, workspace_id, kind, subject_id, fingerprint,
    state, created_at, slot_at, run_id, counted_price, request, layer_account
)
SELECT
    'copy ' || number, 1000 + number, api_url, account, process_id, workspace_id, kind, subject_id,
    'fingerprint ' || number, state, created_at - number * 1000, created_at - number * 1000,
    'run ' || number, counted_price, request, layer_account
FROM runs, numbers
"""


class CountingDatabase(SqliteDatabase):
    """Counts the steps of SQLite's virtual machine."""

    steps = 0

    async def write(self, work: Work[ResultT]) -> ResultT:
        return await super().write(lambda connection: self._count(connection, work))

    async def read(self, work: Work[ResultT]) -> ResultT:
        return await super().read(lambda connection: self._count(connection, work))

    def _count(self, connection: Any, work: Work[ResultT]) -> ResultT:
        def count() -> None:
            self.steps += STEPS_EACH

        raw = cast("sqlite3.Connection", connection)
        raw.set_progress_handler(count, STEPS_EACH)
        try:
            return work(raw)
        finally:
            raw.set_progress_handler(None, 0)


@pytest.fixture
def database(state_folder: Path) -> Iterator[CountingDatabase]:
    with closing(CountingDatabase(lambda: state_folder)) as opened:
        yield opened


@pytest.fixture
async def journal(database: CountingDatabase, state_folder: Path, clock: Clock) -> Journal:
    """A journal of many ended runs, most of them of the last days."""
    long = Journal(database, api_url=API, account=ACCOUNT, clock=clock)
    await ended_run(long, another())
    with closing(sqlite3.connect(state_folder / FILE_NAME)) as other, other:
        other.execute(COPIES, (ROWS,))
    return long


async def submit(journal: Journal) -> None:
    await journal.mark_ended(ended(await running_run(journal), price=1))


async def refuse(journal: Journal) -> None:
    run = await sending_run(journal)
    await journal.outcomes.record(Outcome.requeued(run))
    await journal.outcomes.record(Outcome.not_sent(run, ERROR))


async def acquire_slot(journal: Journal) -> None:
    await give_slot(journal, await queued_run(journal))


OPERATIONS: dict[str, Callable[[Journal], Awaitable[object]]] = {
    "submit": submit,
    "refuse": refuse,
    "acquire_slot": acquire_slot,
    "find_duplicate": lambda journal: journal.find_duplicate(REQUEST),
    "spending": lambda journal: journal.spending(),
    "find": lambda journal: journal.find("run 4000"),
    "is_recorded": lambda journal: journal.is_recorded("run 4000"),
    "find_foreign_files": lambda journal: journal.find_foreign_files(["file-1"]),
    "mark_not_found": lambda journal: journal.mark_not_found("run 4000"),
    "find_maker": lambda journal: journal.find_maker("file-1"),
    "list_runs": lambda journal: journal.list_runs(RunFilter(), 10),
    "list_runs of a batch": lambda journal: journal.list_runs(RunFilter(batch_id="b"), 10),
}


@pytest.mark.parametrize("name", OPERATIONS)
async def test_no_operation_reads_the_whole_journal(
    name: str, journal: Journal, database: CountingDatabase
) -> None:
    database.steps = 0
    await OPERATIONS[name](journal)
    assert 0 < database.steps < MAX_STEPS


async def test_reading_the_whole_journal_would_be_noticed(
    journal: Journal, database: CountingDatabase
) -> None:
    database.steps = 0
    await journal.totals(RunFilter())
    assert database.steps > MAX_STEPS
