"""A server that ends in the middle of a batch: another one sends the rest, each run once."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from layer_mcp import Settings
from layer_mcp.runs.activity import Submissions
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.databases.postgres import PostgresDatabase
from layer_mcp.runs.journal.databases.sqlite import SqliteDatabase
from layer_mcp.runs.opening import open_account, open_runs, open_shared
from layer_mcp.runs.sending import takeover
from layer_mcp.runs.sending.takeover import find_left_accounts
from layer_mcp.runs.types.run import Run
from layer_mcp.sandbox import RunningSandbox

from ...support.hosts import SMALL_IMAGE
from ...support.journals import list_runs
from ...support.library import WAIT_SECONDS, draft, prompts, submit_batch
from ...support.recorded_runs import ACCOUNT, API, another, queued_run, run_with_slot, sending_run
from ...support.storages import PostgresStorage
from ...support.submitting_process import submitting_process

pytestmark = pytest.mark.anyio

COUNT = 7
AT_ONCE = 5


@pytest.fixture
def shared(environment: dict[str, str], postgres_storage: PostgresStorage) -> dict[str, str]:
    """The settings of servers that share a database."""
    return {**environment, **postgres_storage.environment}


@pytest.fixture
def databases(postgres_storage: PostgresStorage) -> Iterator[list[PostgresDatabase]]:
    with ExitStack() as stack:
        yield [stack.enter_context(closing(postgres_storage.make_database())) for _ in range(3)]


def journal_in(database: PostgresDatabase | SqliteDatabase) -> Journal:
    return Journal(database, api_url=API, account=ACCOUNT)


def potions() -> list[dict[str, Any]]:
    return [SMALL_IMAGE | {"prompt": f"potion {number}"} for number in range(COUNT)]


@pytest.mark.process
async def test_another_server_sends_the_rest_of_a_killed_servers_batch_once(
    shared: dict[str, str],
    sandbox: RunningSandbox,
    postgres_storage: PostgresStorage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(takeover, "LOOK_SECONDS", 0.1)
    sandbox.state.knobs.run_seconds = 600
    async with open_runs(Settings.from_env(shared)) as runs:
        await runs.list()
        with submitting_process(shared, "batch", potions()) as child:
            child.wait_until_ready()
            child.go()
            states = [run["state"] for run in child.runs()]
            assert states == ["in_progress"] * AT_ONCE + ["queued"] * (COUNT - AT_ONCE)
            child.kill()
        postgres_storage.expire_lately()
        sandbox.state.knobs.run_seconds = 0
        await until_sent_all(sandbox)
    found = await list_runs(shared)
    assert sorted(prompts(sandbox)) == [f"potion {number}" for number in range(COUNT)]
    assert sandbox.state.arrived["execute_inference"] == COUNT
    assert [run.attempt for run in found] == [1] * COUNT
    assert {run.run_id for run in found} == set(sandbox.state.runs)


async def until_sent_all(sandbox: RunningSandbox) -> None:
    with anyio.fail_after(WAIT_SECONDS):
        while len(prompts(sandbox)) < COUNT:  # noqa: ASYNC110
            await anyio.sleep(0.02)


async def leave_batch(settings: Settings, *, hand_over: bool) -> None:
    """Submit a batch, and end before all runs are sent."""
    async with (
        open_shared(settings) as opened,
        open_account(settings, opened, Submissions(), hand_over=hand_over) as runs,
    ):
        drafts = [draft(prompt=f"potion {number}") for number in range(COUNT)]
        await submit_batch(runs, *drafts)


async def test_a_server_that_stops_leaves_its_queue_to_others(
    shared: dict[str, str], sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "LOOK_SECONDS", 0.1)
    sandbox.state.knobs.run_seconds = 600
    await leave_batch(Settings.from_env(shared), hand_over=True)
    sandbox.state.knobs.run_seconds = 0
    async with open_runs(Settings.from_env(shared)) as runs:
        await runs.list()
        await until_sent_all(sandbox)
    assert sandbox.state.arrived["execute_inference"] == COUNT


async def test_a_command_that_ends_withdraws_its_queue(
    shared: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    await leave_batch(Settings.from_env(shared), hand_over=False)
    async with open_runs(Settings.from_env(shared)) as runs:
        states = [run.state for run in (await runs.list())[::-1]]
    assert states == ["in_progress"] * AT_ONCE + ["not_sent"] * (COUNT - AT_ONCE)


async def test_each_queued_run_is_taken_over_by_one_server_only(
    databases: list[PostgresDatabase], postgres_storage: PostgresStorage
) -> None:
    ended, *others = map(journal_in, databases)
    left = [await queued_run(ended, another()) for _ in range(3)]
    postgres_storage.expire_lately()
    taken: list[list[Run]] = []

    async def take(journal: Journal) -> None:
        taken.append(await journal.take_over_queued())

    async with anyio.create_task_group() as tasks:
        for journal in others:
            tasks.start_soon(take, journal)
    assert sorted(taken, key=len) == [[], left]


async def test_a_run_that_was_being_sent_is_not_taken_over(
    databases: list[PostgresDatabase], postgres_storage: PostgresStorage
) -> None:
    ended, other, _ = map(journal_in, databases)
    run = await sending_run(ended)
    postgres_storage.expire_lately()
    assert await other.take_over_queued() == []
    assert (await other.reload(run)).state == "unknown"


async def test_a_live_servers_queue_is_left_alone(databases: list[PostgresDatabase]) -> None:
    first, second, _ = map(journal_in, databases)
    await queued_run(first)
    assert await second.take_over_queued() == []
    assert await first.take_over_queued() == []


async def test_a_queue_that_was_left_long_ago_is_not_sent(
    databases: list[PostgresDatabase], postgres_storage: PostgresStorage
) -> None:
    ended, other, _ = map(journal_in, databases)
    run = await queued_run(ended)
    postgres_storage.expire()
    assert await other.take_over_queued() == []
    assert (await other.reload(run)).state == "not_sent"


async def test_a_run_that_was_taken_over_waits_for_a_slot_of_its_own(
    databases: list[PostgresDatabase], postgres_storage: PostgresStorage
) -> None:
    ended, other, _ = map(journal_in, databases)
    await run_with_slot(ended)
    postgres_storage.expire_lately()
    await other.take_over_queued()
    assert postgres_storage.execute("SELECT slot_at FROM runs") == [(None,)]


async def test_a_server_that_was_taken_for_ended_does_not_send_what_others_took_over(
    databases: list[PostgresDatabase], postgres_storage: PostgresStorage
) -> None:
    ended, other, _ = map(journal_in, databases)
    run = await queued_run(ended)
    postgres_storage.expire_lately()
    await other.take_over_queued()
    assert await other.mark_sending(run) == 1
    assert await ended.mark_sending(run) is None


async def test_finds_the_accounts_whose_queue_was_left(
    databases: list[PostgresDatabase], postgres_storage: PostgresStorage
) -> None:
    ended, asking, _ = databases
    await queued_run(journal_in(ended))
    assert await find_left_accounts(asking, with_downloads=False) == set()
    postgres_storage.expire_lately()
    assert await find_left_accounts(asking, with_downloads=False) == {ACCOUNT}
    await journal_in(asking).take_over_queued()
    assert await find_left_accounts(asking, with_downloads=False) == set()


async def test_a_file_shared_by_processes_is_never_taken_over(state_folder: Path) -> None:
    with closing(SqliteDatabase(lambda: state_folder)) as first:
        run = await queued_run(journal_in(first))
    with closing(SqliteDatabase(lambda: state_folder)) as second:
        assert await journal_in(second).take_over_queued() == []
        assert (await journal_in(second).reload(run)).state == "not_sent"
