"""The locks of the processes that share a SQLite file."""

import os
import time
from pathlib import Path

import pytest

from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.databases.liveness import FOLDER_NAME, SWEEP_SECONDS

from ....support.journal_process import END_SECONDS, killed_process, recording_process
from ....support.recorded_runs import keys, states
from ....support.storages import SqliteStorage

pytestmark = [pytest.mark.anyio, pytest.mark.process]


@pytest.fixture
def storage(state_folder: Path) -> SqliteStorage:
    return SqliteStorage(state_folder)


def locks(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER_NAME).glob("*.lock"))


async def test_the_lock_of_a_dead_process_is_removed(
    storage: SqliteStorage, journal: Journal
) -> None:
    killed_process(storage, "queued", "sending")
    [dead] = locks(storage.folder)
    await keys(journal)
    assert dead not in locks(storage.folder)
    assert len(locks(storage.folder)) == 1


async def test_the_lock_of_a_living_process_stays(storage: SqliteStorage, journal: Journal) -> None:
    with recording_process(storage, "sending"):
        [living] = locks(storage.folder)
        await keys(journal)
        assert living in locks(storage.folder)


def make_old(lock: Path) -> None:
    """Let a lock look as if its process had started long ago."""
    before = time.time() - 2 * SWEEP_SECONDS
    os.utime(lock, (before, before))


async def test_the_lock_of_a_dead_process_that_left_nothing_is_removed_later(
    storage: SqliteStorage, journal: Journal
) -> None:
    killed_process(storage)
    [dead] = locks(storage.folder)
    make_old(dead)
    await keys(journal)
    assert dead not in locks(storage.folder)


async def test_the_lock_of_a_process_that_runs_for_long_stays(
    storage: SqliteStorage, journal: Journal
) -> None:
    with recording_process(storage, "sending"):
        [living] = locks(storage.folder)
        make_old(living)
        assert await states(journal) == {"sending": "sending"}
        assert living in locks(storage.folder)


async def test_a_normal_exit_removes_the_processs_lock(storage: SqliteStorage) -> None:
    with recording_process(storage) as process:
        assert len(locks(storage.folder)) == 1
        process.communicate(timeout=END_SECONDS)
        assert locks(storage.folder) == []
