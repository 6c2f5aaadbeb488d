"""Runs are opened as a block, and closed however it ends."""

import pytest

from layer_mcp import Settings, SettingsError
from layer_mcp.runs.opening import open_runs
from layer_mcp.sandbox import RunningSandbox

from ..support.library import draft, submit_batch

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt])
async def test_an_error_leaves_the_block_unwrapped(
    error: type[BaseException], environment: dict[str, str]
) -> None:
    with pytest.raises(error, match="of the caller"):
        async with open_runs(Settings.from_env(environment)):
            raise error("of the caller")


async def fail_while_a_batch_waits(environment: dict[str, str]) -> None:
    async with open_runs(Settings.from_env(environment)) as runs:
        await submit_batch(runs, *(draft(prompt=f"potion {number}") for number in range(6)))
        raise LookupError("of the caller")


async def test_an_error_leaves_the_block_unwrapped_while_a_batch_waits(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    with pytest.raises(LookupError, match="of the caller"):
        await fail_while_a_batch_waits(environment)


async def test_rejects_an_address_that_is_not_a_sandbox(environment: dict[str, str]) -> None:
    paid = environment | {"LAYER_SANDBOX": "1", "LAYER_API_URL": "https://api.layer.test/api"}
    with pytest.raises(SettingsError, match="LAYER_SANDBOX"):
        async with open_runs(Settings.from_env(paid)):
            pass
