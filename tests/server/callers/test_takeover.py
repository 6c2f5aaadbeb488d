"""A server opens the accounts of callers whose queued runs another server left."""

import anyio
import pytest

from layer_mcp import Owner, Settings
from layer_mcp.runs.activity import Submissions
from layer_mcp.runs.opening import open_account, open_shared
from layer_mcp.runs.sending import takeover
from layer_mcp.sandbox import RunningSandbox
from layer_mcp.server.callers import accounts
from layer_mcp.server.callers.accounts import open_accounts
from layer_mcp.server.callers.caller import Caller

from ...support.library import WAIT_SECONDS, draft, prompts, submit_batch
from ...support.postgres_server import PostgresServer

pytestmark = pytest.mark.anyio

COUNT = 7


@pytest.mark.parametrize("name", ["alice", "1a2b3c4d:client/agent#1"])
async def test_the_queue_of_a_caller_is_sent_by_another_server(
    name: str,
    environment: dict[str, str],
    postgres_server: PostgresServer,
    sandbox: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(takeover, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(accounts, "LOOK_SECONDS", 0.1)
    database = {"LAYER_DATABASE_URL": postgres_server.create_database()}
    settings = Settings.from_env(environment | database)
    sandbox.state.knobs.run_seconds = 600
    async with (
        open_shared(settings) as shared,
        open_account(settings, shared, Submissions(), owner=Owner(name), hand_over=True) as runs,
    ):
        await submit_batch(runs, *[draft(prompt=f"potion {number}") for number in range(COUNT)])
    sandbox.state.knobs.run_seconds = 0
    async with open_accounts(settings, None) as others:
        with anyio.fail_after(WAIT_SECONDS):
            while len(prompts(sandbox)) < COUNT:  # noqa: ASYNC110
                await anyio.sleep(0.02)
        async with others.open(Caller(name)) as alice, others.open(Caller("bob")) as bob:
            assert (await alice.runs.totals()).count == COUNT
            assert (await bob.runs.totals()).count == 0
    assert sandbox.state.arrived["execute_inference"] == COUNT
