"""Layer answers while the journal can't be written, and then the process ends.

Each way in which the journal is out of reach is combined with each way in which the process ends.
"""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import anyio
import pytest

from layer_mcp import Settings
from layer_mcp.runs.journal.databases.liveness import FOLDER_NAME
from layer_mcp.runs.journal.databases.sqlite import FILE_NAME
from layer_mcp.runs.opening import open_runs
from layer_mcp.sandbox import Fault, RunningSandbox

from ...support.hosts import SMALL_IMAGE
from ...support.journals import list_runs
from ...support.library import submit, until_sent
from ...support.storages import PostgresStorage, Storage
from ...support.submitting_process import SubmittingProcess, submitting_process

pytestmark = [pytest.mark.anyio, pytest.mark.process, pytest.mark.slow]

WAIT_SECONDS = 30


@contextmanager
def locked(storage: Storage, _child: SubmittingProcess) -> Generator[None]:
    """Hold the journal, as another process does that writes to it."""
    with storage.hold():
        yield


@contextmanager
def full(storage: Storage, child: SubmittingProcess) -> Generator[None]:
    """Let the journal not grow any more."""
    child.limit_files((storage.folder / f"{FILE_NAME}-wal").stat().st_size)
    yield


@contextmanager
def stopped(storage: Storage, _child: SubmittingProcess) -> Generator[None]:
    """Stop the database, as a power failure does."""
    assert isinstance(storage, PostgresStorage)
    storage.stop()
    try:
        yield
    finally:
        storage.start()


@pytest.fixture
def state_folder(tmp_path: Path) -> Path:
    """The folder in the settings."""
    return tmp_path / "state"


@pytest.fixture
def environment(environment: dict[str, str], storage: Storage) -> dict[str, str]:
    """The settings, with the journal in either database."""
    return {**environment, **storage.environment}


async def until_set_aside(folder: Path) -> None:
    """Wait until a process has set aside what it could not write."""
    with anyio.fail_after(WAIT_SECONDS):
        while not any(path.read_text().strip() for path in folder.glob("*.aside")):  # noqa: ASYNC110
            await anyio.sleep(0.05)


@pytest.mark.parametrize(
    ("storage", "out_of_reach"),
    [("sqlite", locked), ("sqlite", full), ("postgres", locked), ("postgres", stopped)],
    indirect=["storage"],
)
@pytest.mark.parametrize("end", [SubmittingProcess.kill, SubmittingProcess.interrupt])
@pytest.mark.parametrize("is_over", [True, False], ids=["free again", "still out of reach"])
async def test_a_run_is_recorded_and_never_paid_again(
    storage: Storage,
    out_of_reach: Callable[[Storage, SubmittingProcess], AbstractContextManager[None]],
    end: Callable[[SubmittingProcess], None],
    is_over: bool,
    environment: dict[str, str],
    sandbox: RunningSandbox,
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", Fault("slow", delay_seconds=0.5))
    with submitting_process(environment, "each", [SMALL_IMAGE]) as child:
        child.wait_until_ready()
        child.go()
        await until_sent(sandbox)
        with out_of_reach(storage, child):
            await until_set_aside(storage.folder / FOLDER_NAME)
            if not is_over:
                end(child)
        if is_over:
            end(child)
    [run_id] = sandbox.state.runs
    assert [(run.state, run.run_id) for run in await list_runs(environment)] == [
        ("in_progress", run_id)
    ]
    async with open_runs(Settings.from_env(environment)) as runs:
        again = await submit(runs)
    assert (again.run_id, again.is_duplicate) == (run_id, True)
    assert sandbox.state.arrived["execute_inference"] == 1
