"""Every submission as it is written down: twins, turns, prices, lists, and servers that die."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Set
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from layer_mcp.journal import Journal, new_journal
from layer_mcp.journal.entries import (
    Delivery,
    Intent,
    Outcome,
    Reservation,
    RunEntry,
    RunFilter,
    RunKind,
    Spending,
    Traffic,
)
from layer_mcp.journal.owners import FOLDER_NAME, SWEEP_SECONDS
from layer_mcp.journal.run_log import TWIN_SECONDS, RunLog
from layer_mcp.journal.usage import (
    DAY_SECONDS,
    LONGEST_RUN_SECONDS,
    MINUTE_SECONDS,
    UNKNOWN_SECONDS,
)

from layer_mcp import LayerError
from layer_mcp.api.polling import STOPPED_STATUSES
from layer_mcp.runs import sqlite as database_module
from layer_mcp.runs.sqlite import FILE_NAME, Database

pytestmark = pytest.mark.anyio

API = "https://api.layer.test/api"
ACCOUNT = "account"
INTENT = Intent("inference", "w1", "model", "equal", {"prompt": "a red potion"}, 2.0)
ERROR = LayerError("RATE_LIMITED", "Too many.")
# Writes down a submission for each word, then lives until it is killed or its stdin is closed.
SERVER = """
import sys
from pathlib import Path
import anyio
from layer_mcp.journal import new_journal
from layer_mcp.journal.entries import Intent
async def serve():
    journal = new_journal(lambda: Path(sys.argv[1]), sys.argv[2], sys.argv[3])
    await journal.uploads.file_id("w", "sha")
    for moment in sys.argv[4:]:
        intent = Intent("inference", "w1", "model", moment, {}, 2.0)
        [reservation] = await journal.runs.reserve([intent], lambda _: None)
        local_id = reservation.entry.local_id
        if moment != "intended":
            await journal.runs.note_sending(local_id)
        if moment == "confirmed":
            await journal.runs.confirm(local_id, "run-1", "in_progress", None, {})
    print("ready", flush=True)
    sys.stdin.read()
    journal.close()
anyio.run(serve)
"""


@dataclass
class Clock:
    """A clock that a test turns."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


MakeLog = Callable[..., RunLog]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_log(folder: Path, clock: Clock) -> Iterator[MakeLog]:
    """Logs in one folder, as several servers have them."""
    made: list[Database] = []

    def make(api_url: str = API, account: str = ACCOUNT) -> RunLog:
        made.append(Database(lambda: folder))
        return RunLog(made[-1], api_url, account, clock=clock)

    yield make
    for database in made:
        database.close()


@pytest.fixture
def log(make_log: MakeLog) -> RunLog:
    return make_log()


@pytest.fixture
def journal(folder: Path) -> Iterator[Journal]:
    """The journal of a server beside the children."""
    made = new_journal(lambda: folder, API, ACCOUNT)
    yield made
    made.close()


def allow(spending: Spending) -> None:
    """Let whatever is asked be written down."""


async def reserved(log: RunLog, intent: Intent = INTENT, *, repeat: bool = False) -> Reservation:
    [reservation] = await log.reserve([intent], allow, repeat=repeat)
    return reservation


async def new_entry(log: RunLog, intent: Intent = INTENT) -> RunEntry:
    """A row of its own: an equal one that is on its way would be the answer."""
    reservation = await reserved(log, intent, repeat=True)
    assert reservation.is_new
    return reservation.entry


def other(intent: Intent = INTENT) -> Intent:
    """An intent that is equal to none before."""
    return replace(intent, fingerprint=uuid4().hex)


async def sent(log: RunLog, intent: Intent = INTENT, *, price: float | None = None) -> RunEntry:
    """A run that Layer confirmed; its id is that of its row."""
    entry = await new_entry(log, intent)
    await log.note_sending(entry.local_id)
    await log.confirm(entry.local_id, entry.local_id, "in_progress", price, entry.facts)
    return await log.known(entry)


async def ended(
    log: RunLog, intent: Intent = INTENT, *, price: float | None = None, status: str = "complete"
) -> RunEntry:
    """A run that went to its end."""
    entry = await sent(log, intent)
    has_failed = status == "failed"
    await log.note_end(entry.local_id, status, price, Outcome(), has_failed=has_failed)
    return await log.known(entry)


async def failed(log: RunLog, delivery: Delivery, intent: Intent = INTENT) -> RunEntry:
    """A submission that went wrong."""
    entry = await new_entry(log, intent)
    await log.note_sending(entry.local_id)
    await log.note_failure(entry.local_id, delivery, ERROR)
    return await log.known(entry)


async def spending(log: RunLog) -> Spending:
    """What a new submission would find spent."""
    seen: list[Spending] = []
    probe = replace(INTENT, fingerprint="probe", estimated_price_creative_units=None)

    def look(found: Spending) -> None:
        seen.append(found)
        raise ERROR

    with pytest.raises(LayerError):
        await log.reserve([probe], look)
    return seen[0]


async def traffic(log: RunLog, intent: Intent = INTENT) -> Traffic:
    """What a new submission would find in its way."""
    entry = await new_entry(log, replace(intent, fingerprint="probe"))
    found = await log.take_turn(entry.local_id, lambda traffic: traffic)
    assert found is not None
    await log.note_failure(entry.local_id, "not_sent", ERROR)
    return found


async def given_a_turn(log: RunLog, entry: RunEntry) -> None:
    assert await log.take_turn(entry.local_id, lambda _: None) is None


async def local_ids(log: RunLog, wanted: RunFilter | None = None, limit: int = 100) -> list[str]:
    return [entry.local_id for entry in await log.listed(wanted or RunFilter(), limit)]


async def test_an_intent_is_written_down_as_it_is_meant(log: RunLog, clock: Clock) -> None:
    intent = replace(INTENT, batch_id="batch-1")
    reservation = await reserved(log, intent)
    entry = reservation.entry
    assert reservation.is_new
    assert (entry.kind, entry.workspace_id, entry.subject_id) == ("inference", "w1", "model")
    assert (entry.delivery, entry.created_at, entry.batch_id) == ("intended", clock.now, "batch-1")
    assert (entry.estimated_price_creative_units, entry.facts) == (2.0, INTENT.facts)
    assert (entry.run_id, entry.status, entry.has_ended) == (None, None, False)


async def test_what_is_written_down_is_known_to_a_server_beside_it(make_log: MakeLog) -> None:
    first, second = make_log(), make_log()
    entry = await new_entry(first)
    assert await local_ids(second) == [entry.local_id]


async def test_when_the_check_raises_nothing_is_written(log: RunLog) -> None:
    def refuse(_: Spending) -> None:
        raise ERROR

    with pytest.raises(LayerError):
        await log.reserve([INTENT, replace(INTENT, fingerprint="other")], refuse)
    assert await local_ids(log) == []


async def test_the_check_is_not_called_when_nothing_is_new(log: RunLog) -> None:
    await new_entry(log)

    def refuse(_: Spending) -> None:
        raise ERROR

    [reservation] = await log.reserve([INTENT], refuse)
    assert not reservation.is_new


async def test_of_several_intents_each_gets_a_row_or_its_twins(log: RunLog) -> None:
    entry = await new_entry(log)
    others = [replace(INTENT, fingerprint=name) for name in ("other", "another")]
    found = await log.reserve([others[0], INTENT, others[1]], allow)
    assert [one.is_new for one in found] == [True, False, True]
    assert found[1].entry == entry


async def a_run_on_its_way(log: RunLog) -> RunEntry:
    return await new_entry(log)


async def a_run_being_sent(log: RunLog, intent: Intent = INTENT) -> RunEntry:
    entry = await new_entry(log, intent)
    await log.note_sending(entry.local_id)
    return await log.known(entry)


async def a_run_of_unknown_outcome(log: RunLog) -> RunEntry:
    return await failed(log, "unknown")


async def a_run_that_goes_on(log: RunLog) -> RunEntry:
    return await sent(log)


OPEN_RUNS = [a_run_on_its_way, a_run_being_sent, a_run_of_unknown_outcome, a_run_that_goes_on]


@pytest.mark.parametrize("age_seconds", [0, TWIN_SECONDS + 1, 10 * DAY_SECONDS])
@pytest.mark.parametrize("run", OPEN_RUNS)
async def test_an_equal_run_that_may_still_be_charged_stands_in_the_way_however_old(
    run: Callable[[RunLog], Any], age_seconds: float, log: RunLog, clock: Clock
) -> None:
    entry = await run(log)
    clock.now += age_seconds
    assert await reserved(log) == Reservation(entry, is_new=False)
    assert await log.twin(INTENT) == entry


@pytest.mark.parametrize("status", ["complete", "failed", "cancelled"])
async def test_an_equal_run_that_has_ended_stands_in_the_way_for_two_minutes(
    status: str, log: RunLog, clock: Clock
) -> None:
    entry = await ended(log, status=status)
    clock.now += TWIN_SECONDS - 1
    assert await log.twin(INTENT) == entry
    clock.now += 1
    assert await log.twin(INTENT) is None


async def test_an_older_run_that_has_ended_makes_room_for_a_new_one(
    log: RunLog, clock: Clock
) -> None:
    entry = await ended(log)
    clock.now += TWIN_SECONDS
    reservation = await reserved(log)
    assert reservation.is_new
    assert reservation.entry.local_id != entry.local_id


async def test_a_clock_that_was_set_back_does_not_make_an_old_run_young(
    log: RunLog, clock: Clock
) -> None:
    await ended(log)
    clock.now -= DAY_SECONDS
    assert await log.twin(INTENT) is None


async def test_a_run_that_was_not_sent_stands_in_nobodys_way(log: RunLog) -> None:
    await failed(log, "not_sent")
    assert (await reserved(log)).is_new


@pytest.mark.parametrize("run", OPEN_RUNS[:2])
async def test_a_repeat_of_a_run_that_is_just_being_sent_gets_its_row(
    run: Callable[[RunLog], Any], log: RunLog
) -> None:
    entry = await run(log)
    assert await reserved(log, repeat=True) == Reservation(entry, is_new=False)
    assert await log.twin(INTENT, repeat=True) == entry


@pytest.mark.parametrize("run", OPEN_RUNS[2:])
async def test_a_repeat_gets_a_row_of_its_own(run: Callable[[RunLog], Any], log: RunLog) -> None:
    entry = await run(log)
    assert await log.twin(INTENT, repeat=True) is None
    reservation = await reserved(log, repeat=True)
    assert reservation.is_new
    assert reservation.entry.local_id != entry.local_id


async def test_a_repeat_is_the_twin_of_what_comes_after_it(log: RunLog, clock: Clock) -> None:
    await ended(log)
    clock.now += 1
    repeated = (await reserved(log, repeat=True)).entry
    assert await log.twin(INTENT) == repeated


async def test_an_equal_run_that_goes_on_stands_even_if_a_newer_one_has_ended(
    log: RunLog, clock: Clock
) -> None:
    running = await sent(log)
    clock.now += 1
    await ended(log)
    assert await log.twin(INTENT) == running
    clock.now += TWIN_SECONDS
    assert await reserved(log) == Reservation(running, is_new=False)


async def test_of_equal_runs_that_have_ended_the_newest_decides(log: RunLog, clock: Clock) -> None:
    await failed(log, "unknown")
    clock.now += 1
    await ended(log)
    clock.now += TWIN_SECONDS
    assert await log.twin(INTENT) is None


async def test_a_run_that_was_started_after_the_clock_was_set_back_stands(
    log: RunLog, clock: Clock
) -> None:
    await ended(log)
    clock.now -= DAY_SECONDS
    running = await sent(log)
    assert await reserved(log) == Reservation(running, is_new=False)


async def test_a_run_that_ended_after_the_clock_was_set_back_is_the_newest(
    log: RunLog, clock: Clock
) -> None:
    await ended(log)
    clock.now -= DAY_SECONDS
    again = await ended(log)
    assert await log.twin(INTENT) == again


async def test_a_newest_equal_run_that_was_not_sent_leaves_it_to_the_one_before(
    log: RunLog, clock: Clock
) -> None:
    running = await sent(log)
    clock.now += 1
    await failed(log, "not_sent")
    assert await log.twin(INTENT) == running


@pytest.mark.parametrize(
    ("api_url", "account"), [("http://127.0.0.1:1/api", ACCOUNT), (API, "another")]
)
async def test_the_same_request_elsewhere_is_no_twin(
    api_url: str, account: str, make_log: MakeLog
) -> None:
    await new_entry(make_log())
    assert (await reserved(make_log(api_url, account))).is_new


async def test_another_fingerprint_is_no_twin(log: RunLog) -> None:
    await new_entry(log)
    assert (await reserved(log, replace(INTENT, fingerprint="other"))).is_new


async def test_a_submission_that_was_confirmed_has_its_id_and_its_price(log: RunLog) -> None:
    entry = await new_entry(log)
    await log.note_sending(entry.local_id)
    await log.confirm(entry.local_id, "RUN-1", "in_progress", 2.5, {"prompt": "x"})
    found = await log.known(entry)
    assert (found.delivery, found.run_id, found.status) == ("confirmed", "run-1", "in_progress")
    assert (found.estimated_price_creative_units, found.facts) == (2.5, {"prompt": "x"})
    assert found.is_running


async def test_an_answer_without_a_price_keeps_the_estimate(log: RunLog) -> None:
    assert (await sent(log, price=None)).estimated_price_creative_units == 2.0


async def test_a_submission_that_is_being_sent_is_on_its_way(log: RunLog) -> None:
    entry = await new_entry(log)
    await log.note_sending(entry.local_id)
    found = await log.known(entry)
    assert (found.delivery, found.is_on_its_way) == ("sending", True)


@pytest.mark.parametrize(
    ("delivery", "has_ended"), [("not_sent", True), ("unknown", False)], ids=str
)
async def test_a_failed_submission_says_why(
    delivery: Delivery, has_ended: bool, log: RunLog
) -> None:
    found = await failed(log, delivery)
    assert (found.delivery, found.has_ended) == (delivery, has_ended)
    assert found.outcome.error == {"code": "RATE_LIMITED", "message": "Too many."}
    assert not found.is_on_its_way
    assert not found.is_running


async def test_the_id_of_a_run_of_unknown_outcome_is_the_same_in_any_case(log: RunLog) -> None:
    entry = await new_entry(log)
    error = LayerError("OUTCOME_UNKNOWN", "Layer broke.", inference_id="RUN-1")
    await log.note_failure(entry.local_id, "unknown", error)
    assert (await log.known(entry)).run_id == "run-1"
    assert await log.record("RUN-1") is not None


async def test_a_run_of_unknown_outcome_whose_end_was_seen_is_known_to_have_been_sent(
    log: RunLog, clock: Clock
) -> None:
    entry = await new_entry(log)
    error = LayerError("OUTCOME_UNKNOWN", "Layer broke.", inference_id="run-1")
    await log.note_failure(entry.local_id, "unknown", error)
    await log.note_end("run-1", "complete", 1.5, Outcome(), has_failed=False)
    assert (await log.known(entry)).delivery == "confirmed"
    assert await local_ids(log, RunFilter(state="complete")) == [entry.local_id]
    clock.now += TWIN_SECONDS
    assert await log.twin(INTENT) is None


async def test_the_end_of_a_run_says_what_it_made(log: RunLog) -> None:
    entry = await sent(log)
    outcome = Outcome(outputs=[{"file_id": "file-1"}])
    await log.note_end(entry.local_id.upper(), "complete", 2.5, outcome, has_failed=False)
    found = await log.known(entry)
    assert (found.status, found.has_ended, found.is_running) == ("complete", True, False)
    assert (found.actual_price_creative_units, found.outcome) == (2.5, outcome)


async def test_the_end_of_a_run_from_elsewhere_is_nobodys(log: RunLog) -> None:
    entry = await sent(log)
    await log.note_end("another", "complete", 1, Outcome(), has_failed=False)
    assert await log.known(entry) == entry


async def test_a_submission_that_is_put_back_in_line_is_on_its_way_as_at_first(
    log: RunLog,
) -> None:
    entry = await new_entry(log)
    await given_a_turn(log, entry)
    assert await log.note_sending(entry.local_id)
    await log.put_back(entry.local_id)
    assert await log.known(entry) == entry
    assert await log.twin(INTENT) == entry
    assert (await spending(log)).day == 2.0
    assert await traffic(log) == Traffic([], [])


@pytest.mark.parametrize("delivery", ["not_sent", "unknown", "confirmed"])
async def test_a_submission_that_was_settled_is_not_to_be_sent_any_more(
    delivery: Delivery, log: RunLog
) -> None:
    entry = await (sent(log) if delivery == "confirmed" else failed(log, delivery))
    assert not await log.note_sending(entry.local_id)
    assert await log.known(entry) == entry


async def test_a_submission_whose_row_is_gone_is_not_to_be_sent(log: RunLog) -> None:
    assert not await log.note_sending("gone")


async def test_a_run_whose_row_is_gone_cannot_be_confirmed(log: RunLog) -> None:
    with pytest.raises(sqlite3.Error, match="not in the journal any more"):
        await log.confirm("gone", "run-1", "in_progress", None, {})


async def test_what_must_not_be_forgotten_is_an_error_when_it_cannot_be_written(
    folder: Path, log: RunLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.05)
    entry = await new_entry(log)
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as another:
        another.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            await log.note_failure(entry.local_id, "not_sent", ERROR)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            await log.put_back(entry.local_id)


async def test_a_turn_is_given_when_nothing_is_in_the_way(log: RunLog, clock: Clock) -> None:
    entry = await new_entry(log)
    await given_a_turn(log, entry)
    clock.now += 10
    found = await traffic(log)
    assert found.under_way == [entry]
    assert found.minute == [("inference", "model", 10)]


async def test_who_waits_for_a_turn_is_in_nobodys_way(log: RunLog) -> None:
    entry = await new_entry(log)
    assert await log.take_turn(entry.local_id, lambda _: "an obstacle") == "an obstacle"
    assert await traffic(log) == Traffic([], [])


async def test_what_was_not_sent_is_under_way_no_longer(log: RunLog) -> None:
    entry = await new_entry(log)
    await given_a_turn(log, entry)
    await log.note_failure(entry.local_id, "not_sent", ERROR)
    assert (await traffic(log)).under_way == []


async def test_a_run_of_unknown_outcome_is_taken_to_be_under_way_for_five_minutes(
    log: RunLog, clock: Clock
) -> None:
    entry = await new_entry(log)
    await given_a_turn(log, entry)
    await log.note_failure(entry.local_id, "unknown", ERROR)
    clock.now += UNKNOWN_SECONDS - 1
    assert (await traffic(log)).under_way == [await log.known(entry)]
    clock.now += 1
    assert (await traffic(log)).under_way == []


async def test_what_began_before_the_clock_was_set_back_is_in_nobodys_way(
    log: RunLog, clock: Clock
) -> None:
    await given_a_turn(log, await new_entry(log))
    clock.now -= 1
    assert await traffic(log) == Traffic([], [])


@pytest.mark.parametrize(("delivery", "count"), [("not_sent", 0), ("unknown", 1)])
async def test_only_what_was_surely_not_sent_does_not_count_for_the_minute(
    delivery: Delivery, count: int, log: RunLog
) -> None:
    entry = await new_entry(log)
    await given_a_turn(log, entry)
    await log.note_failure(entry.local_id, delivery, ERROR)
    assert len((await traffic(log)).minute) == count


async def test_a_run_that_has_ended_makes_room_but_counts_for_the_minute(log: RunLog) -> None:
    entry = await new_entry(log)
    await given_a_turn(log, entry)
    await log.confirm(entry.local_id, "run-1", "in_progress", None, {})
    assert len((await traffic(log)).under_way) == 1
    await log.note_end("run-1", "complete", 1, Outcome(), has_failed=False)
    found = await traffic(log)
    assert (len(found.under_way), len(found.minute)) == (0, 1)


async def test_the_minute_begins_with_the_turn_and_not_with_the_call(
    log: RunLog, clock: Clock
) -> None:
    entry = await new_entry(log)
    clock.now += 2 * MINUTE_SECONDS
    await given_a_turn(log, entry)
    clock.now += MINUTE_SECONDS - 1
    assert [age for _, _, age in (await traffic(log)).minute] == [MINUTE_SECONDS - 1]
    clock.now += 1
    assert (await traffic(log)).minute == []


async def test_the_oldest_of_the_minute_comes_first(log: RunLog, clock: Clock) -> None:
    for model in ("first", "second"):
        entry = await new_entry(log, replace(other(), subject_id=model))
        await given_a_turn(log, entry)
        clock.now += 5
    found = await traffic(log)
    assert found.minute == [("inference", "first", 10), ("inference", "second", 5)]


async def test_runs_of_another_workspace_count_for_the_minute_only(log: RunLog) -> None:
    await given_a_turn(log, await new_entry(log))
    found = await traffic(log, replace(INTENT, workspace_id="w2"))
    assert (len(found.under_way), len(found.minute)) == (0, 1)


@pytest.mark.parametrize(("api_url", "account"), [("http://127.0.0.1:1/api", ACCOUNT), (API, "b")])
async def test_runs_of_another_account_or_address_do_not_count_for_layers_limits(
    api_url: str, account: str, make_log: MakeLog
) -> None:
    log = make_log()
    await given_a_turn(log, await new_entry(log))
    assert await traffic(make_log(api_url, account)) == Traffic([], [])


async def test_a_run_whose_end_nobody_saw_blocks_for_an_hour_at_most(
    log: RunLog, clock: Clock
) -> None:
    await given_a_turn(log, await new_entry(log))
    clock.now += LONGEST_RUN_SECONDS
    assert len((await traffic(log)).under_way) == 1
    clock.now += 1
    assert (await traffic(log)).under_way == []


async def test_nothing_is_spent_at_first(log: RunLog) -> None:
    assert await spending(log) == Spending(0, {})


@pytest.mark.parametrize("run", OPEN_RUNS)
async def test_a_run_counts_with_its_estimate_until_its_price_is_known(
    run: Callable[[RunLog], Any], log: RunLog
) -> None:
    await run(log)
    assert (await spending(log)).day == 2.0


async def test_a_run_counts_with_the_price_that_its_start_was_answered_with(log: RunLog) -> None:
    await sent(log, price=3.5)
    assert (await spending(log)).day == 3.5


async def test_a_start_that_names_a_lower_price_makes_no_room_before_the_end(log: RunLog) -> None:
    entry = await sent(log, price=0.5)
    assert (await spending(log)).day == 2.0
    await log.note_end(entry.local_id, "complete", 0.5, Outcome(), has_failed=False)
    assert (await spending(log)).day == 0.5


@pytest.mark.parametrize(
    ("status", "price", "counted"),
    [
        ("complete", 1.25, 1.25),
        ("complete", None, 2.0),
        ("cancelled", None, 2.0),
        ("failed", 0.5, 0.5),
        ("failed", None, 0.0),
    ],
)
async def test_at_its_end_a_run_counts_with_what_it_cost(
    status: str, price: float | None, counted: float, log: RunLog
) -> None:
    await ended(log, status=status, price=price)
    assert (await spending(log)).day == counted


async def test_what_was_not_sent_counts_nothing(log: RunLog) -> None:
    await failed(log, "not_sent")
    assert await spending(log) == Spending(0, {})


async def test_a_run_without_an_estimate_counts_nothing_until_its_price_is_known(
    log: RunLog,
) -> None:
    intent = replace(INTENT, estimated_price_creative_units=None)
    entry = await sent(log, intent)
    assert (await spending(log)).day == 0
    await log.note_end(entry.local_id, "complete", 4, Outcome(), has_failed=False)
    assert (await spending(log)).day == 4


async def test_prices_add_up(log: RunLog) -> None:
    await ended(log, price=1)
    await sent(log)
    await new_entry(log)
    assert (await spending(log)).day == 5


async def test_a_price_leaves_the_day_after_24_hours(log: RunLog, clock: Clock) -> None:
    await ended(log, price=1)
    clock.now += DAY_SECONDS / 2
    await ended(log, price=10)
    clock.now += DAY_SECONDS / 2 - 1
    assert (await spending(log)).day == 11
    clock.now += 1
    assert (await spending(log)).day == 10


async def test_a_new_token_gets_no_new_budget(make_log: MakeLog) -> None:
    await ended(make_log(), price=1)
    assert (await spending(make_log(account="another"))).day == 1


async def test_another_api_address_has_a_budget_of_its_own(make_log: MakeLog) -> None:
    await new_entry(make_log())
    assert await spending(make_log("http://127.0.0.1:1/api")) == Spending(0, {})


async def test_what_layer_may_not_have_counted_yet_is_told_by_workspace(log: RunLog) -> None:
    await a_run_being_sent(log)
    await new_entry(log, other())
    await new_entry(log, replace(other(), workspace_id="w2"))
    await sent(log, other())
    await ended(log, other(), price=1)
    await failed(log, "unknown", other())
    assert (await spending(log)).on_its_way == {"w1": 4, "w2": 2}


async def test_runs_are_listed_newest_first(log: RunLog, clock: Clock) -> None:
    made: list[str] = []
    for _ in range(3):
        made.append((await new_entry(log, other())).local_id)
        clock.now += 1
    assert await local_ids(log) == made[::-1]
    assert await local_ids(log, limit=2) == made[:0:-1]


async def test_runs_of_another_api_address_are_not_listed(make_log: MakeLog) -> None:
    await new_entry(make_log())
    assert await local_ids(make_log("http://127.0.0.1:1/api")) == []


async def test_pages_hold_each_run_once_even_if_many_came_at_the_same_time(
    log: RunLog, clock: Clock
) -> None:
    made: set[str] = set()
    for number in range(9):
        clock.now += number % 3 == 0
        made.add((await new_entry(log, other())).local_id)
    seen: list[str] = []
    page = await log.listed(RunFilter(), 2)
    while page:
        seen += [entry.local_id for entry in page]
        last = page[-1]
        page = await log.listed(RunFilter(before=(last.created_at, last.local_id)), 2)
    assert sorted(seen) == sorted(made)


async def test_runs_since_a_time_are_listed(log: RunLog, clock: Clock) -> None:
    await new_entry(log)
    clock.now += 10
    later = await new_entry(log, other())
    assert await local_ids(log, RunFilter(since=clock.now)) == [later.local_id]


async def test_runs_of_a_workspace_are_listed(log: RunLog) -> None:
    await new_entry(log)
    there = await new_entry(log, replace(other(), workspace_id="w2"))
    assert await local_ids(log, RunFilter(workspace_id="w2")) == [there.local_id]


async def test_runs_of_a_batch_are_listed(log: RunLog) -> None:
    await new_entry(log)
    member = await new_entry(log, replace(other(), batch_id="batch-1"))
    assert await local_ids(log, RunFilter(batch_id="batch-1")) == [member.local_id]


async def test_runs_with_given_ids_are_listed(log: RunLog) -> None:
    first, _, third = [await sent(log) for _ in range(3)]
    wanted = RunFilter(run_ids=(first.local_id, third.local_id, "unknown"))
    assert set(await local_ids(log, wanted)) == {first.local_id, third.local_id}


async def test_conditions_hold_together(log: RunLog, clock: Clock) -> None:
    await ended(log, replace(INTENT, workspace_id="w2"))
    clock.now += 10
    await ended(log)
    both = await ended(log, replace(INTENT, workspace_id="w2"))
    wanted = RunFilter(workspace_id="w2", since=clock.now, state="complete")
    assert await local_ids(log, wanted) == [both.local_id]


async def one_of_each(log: RunLog) -> dict[str, list[str]]:
    """Runs of every state, by it."""
    return {
        "running": [
            (await new_entry(log, other())).local_id,
            (await a_run_being_sent(log, other())).local_id,
            (await sent(log)).local_id,
        ],
        "complete": [
            (await ended(log, price=1)).local_id,
            (await ended(log, status="success", price=1)).local_id,
        ],
        "failed": [
            (await ended(log, status="failed")).local_id,
            (await ended(log, status="failure", price=0.5)).local_id,
        ],
        "stopped": [
            (await ended(log, status="cancelled")).local_id,
            (await ended(log, status="not_found")).local_id,
        ],
        "unknown": [(await failed(log, "unknown")).local_id],
        "not_sent": [(await failed(log, "not_sent")).local_id],
    }


@pytest.mark.parametrize(
    "state", ["running", "complete", "failed", "stopped", "unknown", "not_sent"]
)
async def test_runs_are_listed_by_their_state(state: Any, log: RunLog) -> None:
    made = await one_of_each(log)
    assert sorted(await local_ids(log, RunFilter(state=state))) == sorted(made[state])


@pytest.mark.parametrize(
    ("statuses", "state"),
    [({"complete"}, "complete"), ({"failed"}, "failed"), (STOPPED_STATUSES, "stopped")],
    ids=["done", "failed", "stopped"],
)
async def test_every_end_that_layer_knows_is_a_state(
    statuses: Set[str], state: Any, log: RunLog
) -> None:
    for status in statuses:
        await ended(log, status=status)
    assert len(await local_ids(log, RunFilter(state=state))) == len(statuses)


async def test_every_run_has_exactly_one_state(log: RunLog) -> None:
    made = await one_of_each(log)
    assert len(await local_ids(log)) == sum(map(len, made.values()))


@pytest.mark.parametrize(
    ("wanted", "totals"),
    [
        (RunFilter(), (11, 3, 20.0, 2.5)),
        (RunFilter(state="complete"), (2, 0, 4.0, 2.0)),
        (RunFilter(state="running"), (3, 3, 6.0, 0.0)),
        (RunFilter(state="not_sent"), (1, 0, 0.0, 0.0)),
        (RunFilter(workspace_id="w2"), (0, 0, 0.0, 0.0)),
        (RunFilter(since=2_000_000), (0, 0, 0.0, 0.0)),
    ],
    ids=["all", "complete", "running", "not sent", "elsewhere", "later"],
)
async def test_totals_are_those_of_the_filter(
    wanted: RunFilter, totals: tuple[int, int, float, float], log: RunLog
) -> None:
    await one_of_each(log)
    found = await log.totals(wanted)
    assert (found.count, found.running) == totals[:2]
    assert (found.estimated_creative_units, found.spent_creative_units) == totals[2:]


async def test_totals_of_decimal_fractions_are_decimal_fractions(log: RunLog) -> None:
    for price in (0.1, 0.2):
        await ended(log, replace(INTENT, estimated_price_creative_units=price), price=price)
    found = await log.totals(RunFilter())
    assert (found.estimated_creative_units, found.spent_creative_units) == (0.3, 0.3)


@pytest.mark.parametrize("kind", ["inference", "workflow"])
async def test_a_listed_run_says_where_its_files_are(kind: RunKind, log: RunLog) -> None:
    entry = await ended(log, replace(INTENT, kind=kind))
    await log.note_folder(entry.local_id.upper(), Path("/out"))
    [found] = await log.listed(RunFilter(), 1)
    assert (found.folder, found.kind) == (Path("/out"), kind)


@contextmanager
def server(folder: Path, *moments: str) -> Generator[subprocess.Popen[str]]:
    """A server of its own process that has written submissions down up to these moments."""
    command = [sys.executable, "-c", SERVER, str(folder), API, ACCOUNT, *moments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def killed_server(folder: Path, *moments: str) -> None:
    """A server that ends without a chance to say anything."""
    with server(folder, *moments) as process:
        process.kill()
        process.wait(30)


async def deliveries(journal: Journal) -> dict[str, str]:
    """How far each submission got, by its fingerprint, without looking at it as a list."""
    return {
        moment: entry.delivery
        for moment in ("intended", "sending", "confirmed")
        if (entry := await journal.runs.twin(replace(INTENT, fingerprint=moment))) is not None
    }


async def test_what_a_killed_server_had_not_begun_to_send_was_not_sent(
    folder: Path, journal: Journal
) -> None:
    killed_server(folder, "intended")
    [entry] = await journal.runs.listed(RunFilter(), 10)
    assert (entry.delivery, entry.has_ended) == ("not_sent", True)
    assert entry.outcome.error is not None
    assert entry.outcome.error["code"] == "SERVER_STOPPED"


async def test_what_a_killed_server_was_sending_is_of_unknown_outcome(
    folder: Path, journal: Journal
) -> None:
    killed_server(folder, "sending")
    [entry] = await journal.runs.listed(RunFilter(), 10)
    assert (entry.delivery, entry.has_ended) == ("unknown", False)


async def test_what_a_killed_server_had_confirmed_stays(folder: Path, journal: Journal) -> None:
    killed_server(folder, "confirmed")
    [entry] = await journal.runs.listed(RunFilter(), 10)
    assert (entry.delivery, entry.run_id, entry.is_running) == ("confirmed", "run-1", True)


async def test_only_what_a_killed_server_may_have_sent_counts_as_spent(
    folder: Path, journal: Journal
) -> None:
    killed_server(folder, "intended", "sending", "confirmed")
    assert await spending(journal.runs) == Spending(4.0, {})


async def test_the_same_call_after_a_kill_is_sent_only_if_the_first_was_not(
    folder: Path, journal: Journal
) -> None:
    killed_server(folder, "intended", "sending", "confirmed")
    intents = [replace(INTENT, fingerprint=name) for name in ("intended", "sending", "confirmed")]
    found = await journal.runs.reserve(intents, allow)
    assert [one.is_new for one in found] == [True, False, False]


async def test_a_killed_server_is_in_nobodys_way(folder: Path, journal: Journal) -> None:
    killed_server(folder, "intended", "sending")
    assert (await traffic(journal.runs)).under_way == []


async def test_what_a_living_server_is_sending_stays(folder: Path, journal: Journal) -> None:
    with server(folder, "intended", "sending"):
        assert await deliveries(journal) == {"intended": "intended", "sending": "sending"}
        assert (await spending(journal.runs)).on_its_way == {"w1": 4.0}


async def test_a_server_that_dies_is_noticed_by_the_one_beside_it(
    folder: Path, journal: Journal
) -> None:
    with server(folder, "intended", "sending") as process:
        assert await deliveries(journal) == {"intended": "intended", "sending": "sending"}
        process.kill()
        process.wait(30)
        assert await deliveries(journal) == {"sending": "unknown"}


async def test_a_dead_server_does_not_take_a_living_one_with_it(
    folder: Path, journal: Journal
) -> None:
    killed_server(folder, "sending")
    with server(folder, "intended"):
        assert await deliveries(journal) == {"intended": "intended", "sending": "unknown"}


async def test_a_server_that_closes_its_journal_leaves_what_it_was_sending_as_unknown(
    folder: Path, journal: Journal
) -> None:
    with server(folder, "sending") as process:
        process.communicate(timeout=30)
    assert await deliveries(journal) == {"sending": "unknown"}


def locks(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER_NAME).glob("*.lock"))


async def test_the_lock_of_a_dead_server_is_taken_away(folder: Path, journal: Journal) -> None:
    killed_server(folder, "intended", "sending")
    [dead] = locks(folder)
    await journal.runs.listed(RunFilter(), 10)
    assert dead not in locks(folder)
    assert len(locks(folder)) == 1


async def test_the_lock_of_a_living_server_stays(folder: Path, journal: Journal) -> None:
    with server(folder, "sending"):
        [living] = locks(folder)
        await journal.runs.listed(RunFilter(), 10)
        assert living in locks(folder)


def make_old(lock: Path) -> None:
    """Let a lock look as if its server had started long ago."""
    before = time.time() - 2 * SWEEP_SECONDS
    os.utime(lock, (before, before))


async def test_the_lock_of_a_dead_server_that_left_nothing_behind_is_swept_later(
    folder: Path, journal: Journal
) -> None:
    killed_server(folder)
    [dead] = locks(folder)
    make_old(dead)
    await journal.runs.listed(RunFilter(), 10)
    assert dead not in locks(folder)


async def test_the_lock_of_a_server_that_lives_long_is_not_swept(
    folder: Path, journal: Journal
) -> None:
    with server(folder, "sending"):
        [living] = locks(folder)
        make_old(living)
        assert await deliveries(journal) == {"sending": "sending"}
        assert living in locks(folder)


async def test_a_server_that_ends_takes_its_lock_away(folder: Path) -> None:
    with server(folder) as process:
        assert len(locks(folder)) == 1
        process.communicate(timeout=30)
        assert locks(folder) == []


async def test_several_servers_in_one_process_know_of_each_other(make_log: MakeLog) -> None:
    first, second = make_log(), make_log()
    entry = await new_entry(first)
    assert await second.twin(INTENT) == entry
    assert (await first.known(entry)).delivery == "intended"


async def test_a_journal_that_was_closed_and_opened_again_owns_what_it_writes_then(
    folder: Path,
) -> None:
    journal = new_journal(lambda: folder, API, ACCOUNT)
    await new_entry(journal.runs)
    journal.close()
    entry = await new_entry(journal.runs)
    found = await journal.runs.listed(RunFilter(), 10)
    assert {one.delivery for one in found} == {"intended", "not_sent"}
    assert (await journal.runs.known(entry)).delivery == "intended"
    journal.close()


async def test_a_server_that_was_taken_for_dead_does_not_send(
    make_log: MakeLog, folder: Path
) -> None:
    first, second = make_log(), make_log()
    entry = await new_entry(first)
    for lock in locks(folder):
        lock.unlink()
    again = (await reserved(second)).entry
    assert again.local_id != entry.local_id
    assert not await first.note_sending(entry.local_id)
    assert await second.note_sending(again.local_id)
