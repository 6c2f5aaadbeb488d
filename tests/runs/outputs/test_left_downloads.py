"""A server that ends in the middle of a download: another one resumes it, in the same folder."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from layer_mcp import Settings
from layer_mcp.runs.activity import Submissions
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.databases.postgres import PostgresDatabase
from layer_mcp.runs.journal.files import Download
from layer_mcp.runs.opening import open_account, open_runs, open_shared
from layer_mcp.runs.sending import takeover
from layer_mcp.runs.sending.takeover import find_left_accounts
from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.settings import SettingsWithoutDisk

from ...support.recorded_runs import ACCOUNT, API
from ...support.slow_outputs import (
    LARGE,
    SLOWEST_BYTES_A_SECOND,
    asked_ranges,
    large_run,
    until_a_part_arrived,
    until_saved,
)
from ...support.storages import PostgresStorage

pytestmark = pytest.mark.anyio

SHORT_SECONDS = 0.3
COUNT = "SELECT COUNT(*) FROM downloads"


@pytest.fixture
def settings(
    environment: dict[str, str], postgres_storage: PostgresStorage, tmp_path: Path
) -> Settings:
    """The settings of servers that share a database and a folder."""
    folder = {"LAYER_OUTPUT_DIR": str(tmp_path / "out")}
    return Settings.from_env({**environment, **postgres_storage.environment, **folder})


@pytest.fixture
def journals(postgres_storage: PostgresStorage) -> Iterator[list[Journal]]:
    """Journals of one account, each with its own process."""
    with ExitStack() as stack:
        databases = [
            stack.enter_context(closing(postgres_storage.make_database())) for _ in range(3)
        ]
        yield [Journal(database, api_url=API, account=ACCOUNT) for database in databases]


async def leave_download(settings: Settings, sandbox: RunningSandbox, *, hand_over: bool) -> None:
    """Save a run, and end before its output has arrived."""
    async with (
        open_shared(settings) as shared,
        open_account(settings, shared, Submissions(), hand_over=hand_over) as runs,
    ):
        run = await large_run(runs, sandbox, SLOWEST_BYTES_A_SECOND)
        await runs.save(run, name="sword", seconds=SHORT_SECONDS)
        await until_a_part_arrived(Path(settings.output_dir or ""))
    sandbox.state.knobs.media_bytes_a_second = None


async def leave(journal: Journal, download: Download) -> None:
    """Note a download, and end as a process does that is killed."""
    with anyio.CancelScope() as scope:
        async with journal.files.note_download(download):
            scope.cancel()
            await anyio.lowlevel.checkpoint()


def download_in(folder: Path) -> Download:
    return Download("00000000-0000-4000-8000-000000000001", folder, frozenset({1, 3}), "sword")


async def test_another_server_resumes_a_download_under_the_same_name(
    settings: Settings, sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "LOOK_SECONDS", 0.1)
    await leave_download(settings, sandbox, hand_over=True)
    [part] = (tmp_path / "out").glob(".*.part")
    arrived_bytes = part.stat().st_size
    async with open_runs(settings) as runs:
        await runs.list()
        path = await until_saved(tmp_path / "out")
    assert (path.name, path.read_bytes()) == ("sword.png", LARGE)
    assert asked_ranges(sandbox) == [None, f"bytes={arrived_bytes}-"]


async def test_nobody_resumes_the_download_of_a_command_that_ends(
    settings: Settings, sandbox: RunningSandbox, postgres_storage: PostgresStorage
) -> None:
    await leave_download(settings, sandbox, hand_over=False)
    assert postgres_storage.execute(COUNT) == [(0,)]


async def test_a_server_without_a_disk_leaves_downloads_to_others(
    settings: Settings,
    sandbox: RunningSandbox,
    postgres_storage: PostgresStorage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(takeover, "LOOK_SECONDS", 0.1)
    await leave_download(settings, sandbox, hand_over=True)
    async with open_runs(SettingsWithoutDisk.of(settings)) as runs:
        await runs.list()
        await anyio.sleep(SHORT_SECONDS)
    assert postgres_storage.execute(COUNT) == [(1,)]


async def test_a_download_is_noted_until_it_ends(
    journals: list[Journal], postgres_storage: PostgresStorage, tmp_path: Path
) -> None:
    async with journals[0].files.note_download(download_in(tmp_path)):
        assert postgres_storage.execute(COUNT) == [(1,)]
    assert postgres_storage.execute(COUNT) == [(0,)]


async def test_a_download_that_fails_is_forgotten(
    settings: Settings, sandbox: RunningSandbox, postgres_storage: PostgresStorage
) -> None:
    async with open_runs(settings) as runs:
        run = await large_run(runs, sandbox)
        sandbox.state.knobs.fail_next("media", *[Fault("status", status=404)] * 10)
        assert (await runs.save(run)).failures
    assert postgres_storage.execute(COUNT) == [(0,)]


async def test_each_download_is_taken_over_by_one_server_only(
    journals: list[Journal], postgres_storage: PostgresStorage, tmp_path: Path
) -> None:
    ended, *others = journals
    await leave(ended, download_in(tmp_path))
    postgres_storage.expire_lately()
    taken: list[list[Download]] = []

    async def take(journal: Journal) -> None:
        taken.append(await journal.files.take_over_downloads())

    async with anyio.create_task_group() as tasks:
        for journal in others:
            tasks.start_soon(take, journal)
    assert sorted(taken, key=len) == [[], [download_in(tmp_path)]]


async def test_a_live_servers_download_is_left_alone(
    journals: list[Journal], tmp_path: Path
) -> None:
    first, second, _ = journals
    async with first.files.note_download(download_in(tmp_path)):
        assert await second.files.take_over_downloads() == []
        assert await first.files.take_over_downloads() == []


async def test_a_download_that_was_left_long_ago_is_forgotten(
    journals: list[Journal], postgres_storage: PostgresStorage, tmp_path: Path
) -> None:
    ended, other, _ = journals
    await leave(ended, download_in(tmp_path))
    postgres_storage.expire()
    assert await other.files.take_over_downloads() == []
    assert postgres_storage.execute(COUNT) == [(0,)]


async def test_a_server_that_stops_stays_known_while_it_leaves_a_download(
    journals: list[Journal], postgres_storage: PostgresStorage, tmp_path: Path
) -> None:
    _, other, _ = journals
    with closing(postgres_storage.make_database()) as database:
        await leave(Journal(database, api_url=API, account=ACCOUNT), download_in(tmp_path))
    assert await other.files.take_over_downloads() == [download_in(tmp_path)]


async def test_finds_the_accounts_whose_downloads_were_left(
    postgres_storage: PostgresStorage, tmp_path: Path
) -> None:
    def journal_in(database: PostgresDatabase) -> Journal:
        return Journal(database, api_url=API, account=ACCOUNT)

    with (
        closing(postgres_storage.make_database()) as ended,
        closing(postgres_storage.make_database()) as asking,
    ):
        await leave(journal_in(ended), download_in(tmp_path))
        assert await find_left_accounts(asking, with_downloads=True) == set()
        postgres_storage.expire_lately()
        assert await find_left_accounts(asking, with_downloads=True) == {ACCOUNT}
        assert await find_left_accounts(asking, with_downloads=False) == set()
        await journal_in(asking).files.take_over_downloads()
        assert await find_left_accounts(asking, with_downloads=True) == set()
