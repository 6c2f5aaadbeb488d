"""A database that is lost before or during a commit: nothing is paid that may not be recorded."""

import pytest

from layer_mcp import LayerError, Settings
from layer_mcp.runs.opening import open_runs
from layer_mcp.sandbox import RunningSandbox

from ...support.cutting_proxy import cutting_proxy
from ...support.library import submit
from ...support.postgres_server import PostgresServer

pytestmark = pytest.mark.anyio


async def test_nothing_is_paid_while_the_database_is_away(
    environment: dict[str, str],
    sandbox: RunningSandbox,
    postgres_server: PostgresServer,
    empty_database: str,
) -> None:
    settings = Settings.from_env({**environment, "LAYER_DATABASE_URL": empty_database})
    async with open_runs(settings) as runs:
        first = await submit(runs)
        postgres_server.stop()
        try:
            with pytest.raises(LayerError, match="JOURNAL_UNAVAILABLE"):
                await submit(runs, prompt="another potion")
        finally:
            postgres_server.start()
        again = await submit(runs)
    assert (again.run_id, again.is_duplicate) == (first.run_id, True)
    assert sandbox.state.arrived["execute_inference"] == 1


async def test_a_run_is_not_sent_if_its_start_may_not_be_recorded(
    environment: dict[str, str], sandbox: RunningSandbox, empty_database: str
) -> None:
    with cutting_proxy(empty_database) as proxy:
        settings = Settings.from_env({**environment, "LAYER_DATABASE_URL": proxy.url})
        async with open_runs(settings) as runs:
            await runs.list()
            proxy.lose_commit_of("SET state = 'sending'")
            with pytest.raises(LayerError, match="JOURNAL_UNAVAILABLE"):
                await submit(runs)
            assert proxy.cuts == 1
            assert sandbox.state.arrived["execute_inference"] == 0
            assert [run.state for run in await runs.list()] == ["not_sent"]
            again = await submit(runs)
    assert (again.is_duplicate, sandbox.state.arrived["execute_inference"]) == (False, 1)


async def test_a_run_whose_answer_may_not_be_recorded_is_paid_once(
    environment: dict[str, str], sandbox: RunningSandbox, empty_database: str
) -> None:
    with cutting_proxy(empty_database) as proxy:
        settings = Settings.from_env({**environment, "LAYER_DATABASE_URL": proxy.url})
        async with open_runs(settings) as runs:
            await runs.list()
            proxy.lose_commit_of("UPDATE runs SET state = $1, run_id = $2")
            first = await submit(runs)
            assert proxy.cuts == 1
            again = await submit(runs)
    assert (again.run_id, again.is_duplicate) == (first.run_id, True)
    assert sandbox.state.arrived["execute_inference"] == 1
