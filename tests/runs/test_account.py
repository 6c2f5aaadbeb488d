"""An account's journal is opened at first use, and belongs to the workspaces of its token."""

from pathlib import Path

import anyio
import pytest

from layer_mcp import LayerError, Settings
from layer_mcp.runs.activity import Submissions
from layer_mcp.runs.opening import open_account, open_runs, open_shared
from layer_mcp.runs.service import Runs
from layer_mcp.sandbox import RunningSandbox
from layer_mcp.sandbox.state import SandboxWorkspace

from ..support.hosts import SMALL_IMAGE
from ..support.library import submit

pytestmark = pytest.mark.anyio

OTHER_WORKSPACE = "00000000-0000-4000-8000-0000000000bb"


async def test_the_runs_of_another_token_are_not_listed(
    runs: Runs, environment: dict[str, str]
) -> None:
    await submit(runs)
    async with open_runs(Settings.from_env(environment | {"LAYER_API_KEY": "another"})) as others:
        assert await others.list() == []


async def test_a_renewed_token_knows_the_runs_and_duplicates_of_the_one_before(
    runs: Runs, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    first = await submit(runs)
    sandbox.state.token = "renewed-token"
    renewed = Settings.from_env(environment | {"LAYER_API_KEY": "renewed-token"})
    async with open_runs(renewed) as later:
        again = await submit(later)
        assert [run.run_id for run in await later.list()] == [first.run_id]
    assert (again.run_id, again.is_duplicate) == (first.run_id, True)
    assert sandbox.state.arrived["execute_inference"] == 1


async def test_simultaneous_calls_open_one_journal(
    environment: dict[str, str], tmp_path: Path
) -> None:
    settings = Settings.from_env(environment)
    reads: list[str] = []

    def read_token() -> str:
        reads.append("token")
        return "sandbox-token"

    async with (
        open_shared(settings) as shared,
        open_account(settings, shared, Submissions(), token=read_token) as runs,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(5):
            tasks.start_soon(runs.list)
    assert reads == ["token"]


async def test_the_token_of_another_persons_workspace_knows_nothing(
    runs: Runs, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    await submit(runs)
    sandbox.state.token = "another"
    sandbox.state.workspaces[:] = [SandboxWorkspace(OTHER_WORKSPACE, "other", "Other")]
    changed = {"LAYER_API_KEY": "another", "LAYER_WORKSPACE_ID": OTHER_WORKSPACE}
    async with open_runs(Settings.from_env(environment | changed)) as others:
        assert await others.list() == []
        assert not (await submit(others)).is_duplicate


async def test_never_pays_for_a_run_that_cannot_be_recorded(
    environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file in the way")
    async with open_runs(Settings.from_env(environment)) as runs:
        with pytest.raises(LayerError, match="JOURNAL_UNAVAILABLE"):
            await runs.generate(**SMALL_IMAGE)
        assert str(tmp_path / "state") in (runs.journal_problem or "")
    assert sandbox.state.arrived["execute_inference"] == 0


async def test_runs_without_a_journal_if_the_settings_allow_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file in the way")
    settings = Settings.from_env(environment | {"LAYER_JOURNAL": "optional"})
    async with open_runs(settings) as runs:
        assert (await runs.generate(**SMALL_IMAGE)).state == "complete"
