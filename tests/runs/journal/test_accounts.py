"""Accounts: a renewed token is the same account, another's runs stay another's."""

from collections.abc import Collection
from dataclasses import replace

import pytest

from layer_mcp import LayerError
from layer_mcp.runs.journal import Journal, account_of, find_account
from layer_mcp.runs.journal.accounts import normalize_address

from ...support.recorded_runs import API, REQUEST, ended_run
from ...support.storages import AnyDatabase, Storage

pytestmark = pytest.mark.anyio

OLD, NEW = "token-before", "token-after"


class Workspaces:
    """What Layer shows to a token, and how often it was asked."""

    def __init__(self, *workspace_ids: str) -> None:
        self.workspace_ids: Collection[str] | None = workspace_ids
        self.asked = 0

    async def __call__(self) -> Collection[str] | None:
        self.asked += 1
        return self.workspace_ids


async def used(database: AnyDatabase, token: str, *workspace_ids: str) -> str:
    """Let a token start a run in each workspace, and return its account."""
    account = await find_account(database, API, token, Workspaces(*workspace_ids))
    journal = Journal(database, api_url=API, account=account)
    for workspace_id in workspace_ids:
        await ended_run(journal, replace(REQUEST, workspace_id=workspace_id))
    return account


async def test_the_first_token_begins_an_account_without_asking_layer(
    database: AnyDatabase,
) -> None:
    workspaces = Workspaces("w1")
    assert await find_account(database, API, OLD, workspaces) == account_of(API, OLD)
    assert workspaces.asked == 0


async def test_a_renewed_token_takes_over_the_account(database: AnyDatabase) -> None:
    account = await used(database, OLD, "w1", "w2")
    assert await find_account(database, API, NEW, Workspaces("W1", "w2", "w3")) == account


async def test_layer_is_asked_once_for_each_token(database: AnyDatabase) -> None:
    account = await used(database, OLD, "w1")
    workspaces = Workspaces("w1")
    for _ in range(2):
        assert await find_account(database, API, NEW, workspaces) == account
    assert workspaces.asked == 1


@pytest.mark.parametrize("visible", [("w2",), ("w1",), ()], ids=["another", "a part", "none"])
async def test_a_token_without_all_of_an_accounts_workspaces_gets_another_account(
    visible: tuple[str, ...], database: AnyDatabase
) -> None:
    await used(database, OLD, "w1", "w3")
    found = await find_account(database, API, NEW, Workspaces(*visible))
    assert found == account_of(API, NEW)


async def test_a_token_that_sees_two_accounts_takes_over_the_one_that_was_used_last(
    database: AnyDatabase,
) -> None:
    await used(database, OLD, "w1")
    later = await used(database, "token-of-w2", "w2")
    assert await find_account(database, API, NEW, Workspaces("w1", "w2")) == later


async def test_a_token_that_layer_refuses_is_not_remembered(database: AnyDatabase) -> None:
    account = await used(database, OLD, "w1")
    refused = Workspaces()
    refused.workspace_ids = None
    assert await find_account(database, API, NEW, refused) == account_of(API, NEW)
    assert await find_account(database, API, NEW, Workspaces("w1")) == account


async def test_a_token_is_not_guessed_while_layer_cannot_be_asked(database: AnyDatabase) -> None:
    async def fail() -> Collection[str]:
        raise LayerError("CONNECTION_FAILED", "No connection.", transient=True)

    account = await used(database, OLD, "w1")
    with pytest.raises(LayerError, match="CONNECTION_FAILED"):
        await find_account(database, API, NEW, fail)
    assert await find_account(database, API, NEW, Workspaces("w1")) == account


async def test_no_token_is_in_the_database(database: AnyDatabase, storage: Storage) -> None:
    await used(database, OLD, "w1")
    await find_account(database, API, NEW, Workspaces("w1"))
    tables = ("runs", "outputs", "folders", "uploads", "tokens")
    content = str([storage.execute(f"SELECT * FROM {table}") for table in tables])
    assert OLD not in content
    assert NEW not in content


@pytest.mark.parametrize(
    "spelling",
    [
        "http://127.0.0.1:8123/api",
        "http://localhost:8123/api",
        "http://LOCALHOST:8123/api/",
        "http://[::1]:8123/api",
        "HTTP://localhost.:8123//api//",
        "http://127.0.0.2:8123/api",
    ],
)
def test_every_spelling_of_a_loopback_address_is_one_address(spelling: str) -> None:
    assert normalize_address(spelling) == "http://127.0.0.1:8123/api"


@pytest.mark.parametrize(
    "spelling",
    [
        "https://api.app.layer.ai/api",
        "https://API.App.Layer.AI/api/",
        "https://api.app.layer.ai:443/api",
        "https://api.app.layer.ai./api",
        "https://api.app.layer.ai//api///",
    ],
)
def test_every_spelling_of_layers_address_is_one_address(spelling: str) -> None:
    assert normalize_address(spelling) == "https://api.app.layer.ai/api"


@pytest.mark.parametrize(
    "other",
    [
        "https://api.app.layer.ai:8443/api",
        "http://127.0.0.1/api",
        "https://api.app.layer.ai/API",
        "https://api.app.layer.ai/",
    ],
)
def test_other_addresses_stay_distinct(other: str) -> None:
    assert normalize_address(other) != "https://api.app.layer.ai/api"


def journal_at(database: AnyDatabase, api_url: str) -> Journal:
    return Journal(database, api_url=api_url, account=account_of(api_url, OLD))


async def test_all_spellings_of_an_address_share_runs_and_the_daily_limit(
    database: AnyDatabase,
) -> None:
    run = await ended_run(journal_at(database, "https://api.layer.test/api"), price=7.0)
    other = journal_at(database, "https://API.layer.test:443//api/")
    assert await other.find(run.run_id or "") == run
    assert (await other.spending()).day == 7.0
