"""A journal behind PgBouncer in transaction mode: each transaction may get another session."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import anyio
import pytest

from layer_mcp import LayerError, Settings, SettingsError
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.databases import postgres
from layer_mcp.runs.journal.databases.postgres import PostgresDatabase
from layer_mcp.runs.journal.outcome import Outcome
from layer_mcp.runs.opening import open_runs
from layer_mcp.runs.sending import takeover
from layer_mcp.runs.types.limits import SpendLimits
from layer_mcp.sandbox import RunningSandbox

from ...support.hosts import SMALL_IMAGE
from ...support.journals import list_runs
from ...support.library import prompts, until_sent
from ...support.pgbouncer import POOL_SIZE, PgBouncer, find_pgbouncer, running_pgbouncer
from ...support.postgres_server import PostgresServer
from ...support.recorded_runs import (
    ACCOUNT,
    API,
    PRICE,
    another,
    confirmed,
    keys,
    queued_run,
    reserve_all,
    sending_run,
)
from ...support.storages import PostgresStorage
from ...support.submitting_process import submitting_process

pytestmark = pytest.mark.anyio

SERVERS = 2 * POOL_SIZE
# More than psycopg sends before it prepares a statement, which belongs to a session.
OFTEN = 12
AT_ONCE = 5


@pytest.fixture(scope="module")
def pooler(postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    program = find_pgbouncer()
    if program is None:
        pytest.skip("PgBouncer is not installed")
    with running_pgbouncer(program, postgres_server) as running:
        yield running


@pytest.fixture
def storage(
    postgres_server: PostgresServer, pooler: PgBouncer, empty_database: str, state_folder: Path
) -> PostgresStorage:
    pooled_url = pooler.url(empty_database)
    return PostgresStorage(postgres_server, empty_database, state_folder, pooled_url=pooled_url)


@pytest.fixture
def journals(storage: PostgresStorage) -> Iterator[list[Journal]]:
    """The journals of several servers."""
    with ExitStack() as stack:
        made = [stack.enter_context(closing(storage.make_database())) for _ in range(SERVERS)]
        yield [journal_in(database) for database in made]


def journal_in(database: PostgresDatabase) -> Journal:
    return Journal(database, api_url=API, account=ACCOUNT)


async def test_servers_that_start_together_create_the_tables_once_and_share_few_sessions(
    journals: list[Journal], storage: PostgresStorage
) -> None:
    async def record(journal: Journal) -> None:
        for _ in range(OFTEN):
            await queued_run(journal, another())

    async with anyio.create_task_group() as tasks:
        for journal in journals:
            tasks.start_soon(record, journal)
    assert len(await keys(journals[0])) == SERVERS * OFTEN
    assert len(storage.execute("SELECT * FROM journal")) == 1
    assert len(storage.execute("SELECT * FROM processes")) == SERVERS
    [(sessions,)] = storage.execute(
        "SELECT COUNT(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert sessions == POOL_SIZE


async def test_the_rest_of_a_daily_limit_goes_to_one_of_the_servers_that_ask_together(
    journals: list[Journal],
) -> None:
    refused: list[str] = []

    async def spend(journal: Journal, max_per_day: float) -> None:
        limits = SpendLimits(confirm_above=20, max_spend_per_day=max_per_day)
        try:
            await reserve_all(journal, [another()], limits=limits)
        except LayerError as error:
            refused.append(error.code)

    for count in range(1, OFTEN + 1):
        async with anyio.create_task_group() as tasks:
            for journal in journals:
                tasks.start_soon(spend, journal, count * PRICE)
        assert (await journals[0].spending()).day == count * PRICE
    assert refused == ["SPENDING_LIMIT_REACHED"] * OFTEN * (SERVERS - 1)


async def test_many_answers_that_were_set_aside_are_recorded_by_each_next_server(
    storage: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(POOL_SIZE + 1):
        with closing(storage.make_database()) as ended:
            journal = journal_in(ended)
            sent = [await sending_run(journal, another()) for _ in range(OFTEN)]
            with storage.hold(), monkeypatch.context() as impatient:
                impatient.setattr(postgres, "LOCK_SECONDS", 0.05)
                for run in sent:
                    await journal.outcomes.record(Outcome.confirmed(confirmed(run)))
        with closing(storage.make_database()) as database:
            known = [await journal_in(database).reload(run) for run in sent]
        assert [run.state for run in known] == ["in_progress"] * OFTEN


@pytest.mark.process
async def test_the_same_call_of_two_servers_is_one_paid_request(
    environment: dict[str, str], storage: PostgresStorage, sandbox: RunningSandbox
) -> None:
    shared = environment | dict(storage.environment)
    async with open_runs(Settings.from_env(shared)) as runs:
        await runs.list()
        with submitting_process(shared, "each", [SMALL_IMAGE]) as child:
            child.wait_until_ready()
            child.go()
            here = await runs.generate(wait_seconds=0, **SMALL_IMAGE)
            [there] = child.runs()
    assert here.run_id == there["run_id"]
    assert sorted([here.is_duplicate, there["is_duplicate"]]) == [False, True]
    assert sandbox.state.arrived["execute_inference"] == 1


@pytest.mark.process
async def test_the_queue_of_a_killed_server_is_sent_once_by_another(
    environment: dict[str, str],
    storage: PostgresStorage,
    sandbox: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(takeover, "LOOK_SECONDS", 0.1)
    shared = environment | dict(storage.environment)
    sandbox.state.knobs.run_seconds = 600
    potions = [SMALL_IMAGE | {"prompt": f"potion {number}"} for number in range(AT_ONCE + 2)]
    async with open_runs(Settings.from_env(shared)) as runs:
        await runs.list()
        with submitting_process(shared, "batch", potions) as child:
            child.wait_until_ready()
            child.go()
            assert [run["state"] for run in child.runs()][AT_ONCE:] == ["queued"] * 2
            child.kill()
        storage.expire_lately()
        sandbox.state.knobs.run_seconds = 0
        await until_sent(sandbox, len(potions))
    assert sorted(prompts(sandbox)) == [potion["prompt"] for potion in potions]
    assert {run.run_id for run in await list_runs(shared)} == set(sandbox.state.runs)


def with_options(url: str) -> str:
    return f"{url}?options=-cstatement_timeout%3D1s"


def with_another_password(url: str) -> str:
    return url.replace(":", ":wrong-", 2).replace(":wrong-", ":", 1)


def of_another_user(url: str) -> str:
    return url.replace("layer:", "nobody:")


def of_a_missing_database(url: str) -> str:
    return f"{url}_missing"


@pytest.mark.parametrize(
    ("alter", "reason", "step"),
    [
        (with_another_password, "rejects the user or the password", "Fix the user"),
        (of_another_user, "rejects the user or the password", "Fix the user"),
        (of_a_missing_database, "doesn't exist", "create the database"),
        (with_options, "pooler refuses a parameter", "Remove options from LAYER_DATABASE_URL"),
    ],
)
async def test_what_the_pooler_refuses_is_refused_at_the_start(
    alter: Callable[[str], str], reason: str, step: str, pooler: PgBouncer
) -> None:
    url = alter(pooler.url(pooler.server.url()))
    with pytest.raises(SettingsError, match=f"{reason}.* {step}"):
        await PostgresDatabase(url, lambda: None).open()
