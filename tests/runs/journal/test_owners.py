"""Owners share a Layer account and its limits, but none sees the runs or files of another."""

from dataclasses import replace

import pytest

from layer_mcp.api.models import Output
from layer_mcp.runs.journal import Journal, find_account
from layer_mcp.runs.owners import Owner
from layer_mcp.runs.types.filters import RunFilter

from ...support.recorded_runs import (
    ACCOUNT,
    API,
    OTHER_API,
    REQUEST,
    WORKSPACE,
    Clock,
    MakeJournal,
    active_runs,
    ages_of_last_minute,
    ended,
    ended_run,
    keys,
    queued_run,
    reserve,
    run_with_slot,
    running_run,
)
from ...support.storages import AnyDatabase

pytestmark = pytest.mark.anyio

OUTPUT = Output(file_id="FILE-1", url="https://media.test/a.png")


@pytest.fixture
def alice(make_journal: MakeJournal) -> Journal:
    return owned(make_journal, "alice")


@pytest.fixture
def bob(make_journal: MakeJournal) -> Journal:
    return owned(make_journal, "bob")


def owned(make_journal: MakeJournal, name: str, layer_account: str = ACCOUNT) -> Journal:
    account = Owner(name).account_in(layer_account)
    return make_journal(account=account, layer_account=layer_account)


async def test_the_runs_of_another_owner_are_not_found(alice: Journal, bob: Journal) -> None:
    run = await ended_run(alice)
    await alice.mark_ended(ended(run, outputs=(OUTPUT,)))
    assert await keys(bob) == []
    assert await bob.find(run.key) is None
    assert await bob.find_maker("file-1") is None
    assert not await bob.is_recorded(run.key)
    assert (await bob.totals(RunFilter())).count == 0
    assert await alice.is_recorded(run.key.upper())


async def test_the_runs_of_owners_are_not_those_of_the_only_user(
    alice: Journal, journal: Journal
) -> None:
    run, own = await ended_run(alice), await ended_run(journal)
    assert (await keys(alice), await keys(journal)) == ([run.key], [own.key])


async def test_a_page_after_a_run_of_another_owner_is_empty(
    alice: Journal, bob: Journal, clock: Clock
) -> None:
    await ended_run(bob)
    clock.now += 1
    run = await ended_run(alice)
    assert await keys(bob, RunFilter(before=run.key)) == []


async def test_equal_requests_of_two_owners_are_two_runs(alice: Journal, bob: Journal) -> None:
    assert (await reserve(alice)).created
    assert (await reserve(bob)).created
    assert not (await reserve(alice)).created


async def test_layers_limits_count_the_runs_of_all_owners(
    alice: Journal, bob: Journal, journal: Journal
) -> None:
    run = await run_with_slot(alice)
    for one in (alice, bob, journal):
        assert await active_runs(one) == [run]
        assert len(await ages_of_last_minute(one)) == 1


async def test_an_owner_of_another_layer_account_has_its_own_limits(
    alice: Journal, make_journal: MakeJournal
) -> None:
    await run_with_slot(alice)
    elsewhere = owned(make_journal, "alice", f"{API}#another")
    assert await active_runs(elsewhere) == []
    assert await keys(elsewhere, RunFilter(status="running")) == []


async def test_an_owner_that_waits_records_the_end_of_anothers_run(
    alice: Journal, bob: Journal
) -> None:
    run = await running_run(alice)
    await bob.mark_ended(ended(run, price=1.5, outputs=(OUTPUT,)))
    assert (await bob.reload(run)).has_ended
    assert (await alice.reload(run)).actual_price_creative_units == 1.5
    assert (await alice.find_maker("file-1") or run).key == run.key
    assert await bob.find_maker("file-1") is None
    assert await keys(bob) == []


async def test_an_owner_that_waits_records_that_anothers_run_was_not_found(
    alice: Journal, bob: Journal
) -> None:
    run = await running_run(alice)
    await bob.mark_not_found(run.key)
    assert (await alice.reload(run)).state == "not_found"


async def test_the_spending_of_an_owner_is_a_part_of_the_day(alice: Journal, bob: Journal) -> None:
    await ended_run(alice, price=1)
    await queued_run(bob)
    spending = await bob.spending()
    assert (spending.day, spending.own_day) == (3, 2)
    assert spending.in_flight == {WORKSPACE: 2}


async def test_a_file_is_uploaded_again_for_another_owner(alice: Journal, bob: Journal) -> None:
    await alice.files.note_upload(WORKSPACE, "sha", "file-1")
    assert await bob.files.find_upload(WORKSPACE, "sha") is None
    assert await bob.files.note_upload(WORKSPACE, "sha", "file-2") == "file-2"
    assert await alice.files.find_upload(WORKSPACE, "sha") == "file-1"


async def test_uploads_and_outputs_of_another_owner_are_foreign(
    alice: Journal, bob: Journal
) -> None:
    await alice.mark_ended(ended(await running_run(alice), outputs=(OUTPUT,)))
    await alice.files.note_upload(WORKSPACE, "sha", "FILE-2")
    assert await bob.find_foreign_files(["File-1", "file-2"]) == {"file-1", "file-2"}
    assert await alice.find_foreign_files(["file-1", "file-2"]) == set()


async def test_files_of_the_only_user_are_foreign_to_owners(
    alice: Journal, journal: Journal
) -> None:
    await journal.files.note_upload(WORKSPACE, "sha", "file-1")
    assert await alice.find_foreign_files(["file-1"]) == {"file-1"}


async def test_a_file_that_nobody_recorded_is_not_foreign(bob: Journal) -> None:
    assert await bob.find_foreign_files(["file-1"]) == set()
    assert await bob.find_foreign_files([]) == set()


async def test_a_file_that_both_owners_have_is_not_foreign(alice: Journal, bob: Journal) -> None:
    for one in (alice, bob):
        await one.files.note_upload(WORKSPACE, "sha", "file-1")
        assert await one.find_foreign_files(["file-1"]) == set()


@pytest.mark.parametrize("layer_account", [f"{API}#another", f"{ACCOUNT}s", f"{OTHER_API}#account"])
async def test_a_file_of_another_layer_account_is_not_foreign(
    layer_account: str, bob: Journal, make_journal: MakeJournal
) -> None:
    elsewhere = owned(make_journal, "alice", layer_account)
    await elsewhere.files.note_upload(WORKSPACE, "sha", "file-1")
    assert await bob.find_foreign_files(["file-1"]) == set()


async def test_the_session_of_another_owner_is_foreign(alice: Journal, bob: Journal) -> None:
    in_prompt = replace(REQUEST, body={"prompt": '"session_id": "session-1"'})
    run = await running_run(alice, in_prompt)
    session_id = (run.session_id or "").upper()
    assert await bob.is_foreign_session(session_id)
    assert not await alice.is_foreign_session(session_id)


async def test_a_session_that_both_owners_named_is_not_foreign(
    alice: Journal, bob: Journal
) -> None:
    for one in (alice, bob):
        run = await running_run(one)
    for one in (alice, bob):
        assert not await one.is_foreign_session(run.session_id or "")


async def test_a_session_that_no_run_made_is_not_foreign(
    alice: Journal, bob: Journal, make_journal: MakeJournal
) -> None:
    assert not await bob.is_foreign_session("session-1")
    await running_run(alice, replace(REQUEST, body={"session_id": "session-1"}))
    await running_run(owned(make_journal, "alice", f"{API}#another"))
    assert not await bob.is_foreign_session("session-1")


async def test_a_renewed_token_keeps_the_layer_account_of_the_owners(
    database: AnyDatabase,
) -> None:
    async def list_workspaces() -> list[str]:
        return ["w1", "w2"]

    layer_account = await find_account(database, API, "token-before", list_workspaces)
    for name, workspace_id in (("alice", "w1"), ("bob", "w2")):
        journal = Journal(
            database,
            api_url=API,
            account=Owner(name).account_in(layer_account),
            layer_account=layer_account,
        )
        await ended_run(journal, replace(REQUEST, workspace_id=workspace_id))
    assert await find_account(database, API, "token-after", list_workspaces) == layer_account


@pytest.mark.parametrize("name", ["alice", "A.b_c@d-1", "1a2b3c4d:client/a%20b", "x" * 160])
def test_a_plain_name_is_readable_in_the_account(name: str) -> None:
    assert Owner(name).account_in(ACCOUNT) == f"{ACCOUNT}/{name}"


@pytest.mark.parametrize("name", ["a b", "é", "x" * 161, "alice\n", "sha256:abc", "\ud800"])
def test_any_other_name_is_hashed(name: str) -> None:
    account = Owner(name).account_in(ACCOUNT)
    assert account.startswith(f"{ACCOUNT}/sha256:")
    assert name not in account
    assert account == Owner(name).account_in(ACCOUNT)


def test_no_name_is_taken_for_the_hash_of_another() -> None:
    hashed = Owner("a b").account_in("").removeprefix("/")
    assert Owner(hashed).account_in("").removeprefix("/") != hashed


def test_an_owner_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a name"):
        Owner("")
