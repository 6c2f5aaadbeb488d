"""The open accounts of a server: one for each caller, opened once, and closed when idle."""

import dataclasses
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from layer_mcp import Settings
from layer_mcp.runs.activity import Submissions
from layer_mcp.runs.service import Runs
from layer_mcp.sandbox import RunningSandbox
from layer_mcp.server.callers import accounts as accounts_module
from layer_mcp.server.callers.accounts import Accounts, open_accounts
from layer_mcp.server.callers.caller import Caller
from layer_mcp.server.http.settings import Payer

from ...support.held_requests import held_answer
from ...support.library import draft, prepare, submit, until_sent

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(
    environment: dict[str, str], payer: Payer = "server", submissions: Submissions | None = None
) -> AsyncGenerator[Accounts]:
    settings = Settings.from_env(environment)
    async with open_accounts(settings, submissions, payer) as accounts:
        yield accounts


async def runs_of(accounts: Accounts, caller: Caller) -> Runs:
    async with accounts.open(caller) as app:
        return app.runs


async def test_opens_one_account_for_simultaneous_calls(environment: dict[str, str]) -> None:
    found: list[Runs] = []

    async def use(accounts: Accounts) -> None:
        found.append(await runs_of(accounts, Caller("ann")))

    async with opened(environment) as accounts:
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(use, accounts)
        assert accounts.count == 1
    assert len(set(map(id, found))) == 1


async def test_new_limits_open_another_account_with_the_same_runs(
    environment: dict[str, str],
) -> None:
    async with opened(environment) as accounts:
        run = await submit(await runs_of(accounts, Caller("ann")))
        limited = await runs_of(accounts, Caller("ann", max_price=1))
        assert [one.run_id for one in await limited.list()] == [run.run_id]


async def test_closes_the_least_recently_used_accounts(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts_module, "MAX_OPEN", 2)
    async with opened(environment) as accounts:
        first = await runs_of(accounts, Caller("first"))
        second = await runs_of(accounts, Caller("second"))
        assert await runs_of(accounts, Caller("first")) is first
        await runs_of(accounts, Caller("third"))
        assert accounts.count == 2
        assert await runs_of(accounts, Caller("first")) is first
        assert await runs_of(accounts, Caller("second")) is not second


async def test_never_closes_an_account_in_use(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts_module, "MAX_OPEN", 1)
    async with opened(environment) as accounts, accounts.open(Caller("ann")) as app:
        await runs_of(accounts, Caller("bob"))
        await runs_of(accounts, Caller("eve"))
        assert await runs_of(accounts, Caller("ann")) is app.runs


async def test_never_closes_an_account_whose_batch_is_being_sent(
    environment: dict[str, str], sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts_module, "MAX_OPEN", 1)
    async with opened(environment) as accounts:
        with held_answer(sandbox) as release:
            runs = await runs_of(accounts, Caller("ann"))
            plan = await prepare(runs, draft(), is_batch=True)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(runs.submit_batch, plan)
                await until_sent(sandbox)
                tasks.cancel_scope.cancel()
            await runs_of(accounts, Caller("bob"))
            assert not runs.are_idle
            assert await runs_of(accounts, Caller("ann")) is runs
            release.set()
    [run_id] = sandbox.state.runs
    async with opened(environment) as accounts:
        [run] = await (await runs_of(accounts, Caller("ann"))).list()
    assert run.run_id == run_id


async def test_paid_requests_of_every_account_count_for_the_process(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    submissions = Submissions()
    async with opened(environment, submissions=submissions) as accounts:
        await submit(await runs_of(accounts, Caller("ann")))
        await submit(await runs_of(accounts, Caller("bob")))
    assert submissions.outcomes == {"started": 2}


async def test_a_failing_account_does_not_stop_the_others(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(environment) as accounts:
        await runs_of(accounts, Caller("ann"))
        with monkeypatch.context() as broken:
            broken.setattr(accounts_module, "open_account", None)
            with pytest.raises(TypeError):
                await runs_of(accounts, Caller("bob"))
        assert await (await runs_of(accounts, Caller("ann"))).list() == []
        assert await (await runs_of(accounts, Caller("bob"))).list() == []


async def test_a_key_is_in_no_log_repr_or_file(
    environment: dict[str, str],
    sandbox: RunningSandbox,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    workspace = sandbox.state.add_account("Ann")
    key = workspace.token or ""
    caller = Caller("ann", layer_key=key)
    texts = [repr(caller), str(caller.identity)]
    async with opened(environment | {"LAYER_WORKSPACE_ID": ""}, "caller") as accounts:
        run = await submit(await runs_of(accounts, caller))
        texts += [str(vars(accounts)), repr(accounts), repr(dataclasses.asdict(run))]
    texts += [record.getMessage() for record in caplog.records]
    texts += [file.read_bytes().decode("latin-1") for file in tmp_path.rglob("*") if file.is_file()]
    assert run.request.workspace_id == workspace.workspace_id
    assert not [text for text in texts if key in text]
