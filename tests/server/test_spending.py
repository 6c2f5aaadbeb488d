"""Spending limits: no agent exceeds them, no matter how many calls and servers there are."""

import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import anyio
import platformdirs
import pytest
from mcp import Client
from mcp.types import CallToolResult

from layer_mcp.runs.journal.databases import sqlite as database_module
from layer_mcp.runs.journal.databases.sqlite import FILE_NAME
from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_models

from ..support.hosts import ALL_HOSTS, MEMORY, SMALL_IMAGE, content_of, error_code, text_of
from ..support.sandbox_calls import api_of, png, upload
from ..support.stub_layer import Reply, stub_layer

pytestmark = pytest.mark.anyio

STDIO = next(host for host in ALL_HOSTS if host.transport == "stdio")
CALLS = 500
CALLS_AT_ONCE = 6
DAY_LIMIT = 20.0
WAIT_SECONDS = 200
CHEAP_CREATIVE_UNITS = 0.1
SOUND = sandbox_models()[4].model_id
VIDEO = sandbox_models()[2].model_id


def cheap(prompt: str = "a bell") -> dict[str, Any]:
    """A call that costs a tenth of a Creative Unit."""
    return {"model_id": SOUND, "prompt": prompt, "batch_size": 1}


def dear(prompt: str = "a turning coin", *, outputs: int = 1) -> dict[str, Any]:
    """A call that costs two Creative Units for each output."""
    return {"model_id": VIDEO, "prompt": prompt, "batch_size": outputs}


def random_call(chance: random.Random) -> dict[str, Any]:
    """Any model, size and number of outputs; some calls are equal."""
    side = chance.choice([512, 1024, 2048])
    model = chance.choice(sandbox_models()[:6])
    size = {"width": side, "height": side} if model.modality == "image" else {}
    words = f"thing {chance.randrange(CALLS)}"
    return {
        "model_id": model.model_id,
        "prompt": words,
        "batch_size": chance.randint(1, 4),
        **size,
    }


def spent(sandbox: RunningSandbox) -> float:
    """Return the total price of all runs in the sandbox."""
    return round(sum(run.price_creative_units for run in sandbox.state.runs.values()), 2)


async def start(client: Client, call: dict[str, Any]) -> CallToolResult:
    return await client.call_tool("execute_inference", call)


async def answers_at_once(
    clients: list[Client], calls: list[dict[str, Any]], *, at_once: int
) -> list[CallToolResult]:
    """Return the answers to calls sent to several servers in turn, some of them simultaneously."""
    answers: list[CallToolResult] = []
    waiting = iter(list(enumerate(calls)))

    async def work() -> None:
        for number, call in waiting:
            answers.append(await start(clients[number % len(clients)], call))

    with anyio.fail_after(WAIT_SECONDS):
        async with anyio.create_task_group() as tasks:
            for _ in range(at_once * len(clients)):
                tasks.start_soon(work)
    return answers


async def refused_at_last(client: Client) -> CallToolResult:
    """The first cheap call that is refused."""
    number = 0
    while not (answer := await start(client, cheap(f"one more, {number}"))).is_error:
        number += 1
    return answer


@pytest.fixture
def limited(environment: dict[str, str]) -> dict[str, str]:
    """Settings with a limit a day."""
    return environment | {"LAYER_MAX_SPEND_PER_DAY": f"{DAY_LIMIT:g}"}


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1])
async def test_five_hundred_random_calls_to_three_servers_never_exceed_the_daily_limit(
    seed: int, sandbox: RunningSandbox, limited: dict[str, str]
) -> None:
    chance = random.Random(seed)
    calls = [random_call(chance) for _ in range(CALLS)]
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(host.connect(limited))
            for host in (STDIO, STDIO, MEMORY)
        ]
        answers = await answers_at_once(clients, calls, at_once=CALLS_AT_ONCE)
        codes = Counter(error_code(answer) if answer.is_error else "started" for answer in answers)
        last = await refused_at_last(clients[0])
    assert error_code(last) == "SPENDING_LIMIT_REACHED"
    assert DAY_LIMIT - CHEAP_CREATIVE_UNITS < spent(sandbox) <= DAY_LIMIT
    assert codes["SPENDING_LIMIT_REACHED"] > 0
    assert sandbox.state.arrived["execute_inference"] == len(sandbox.state.runs)


@pytest.mark.slow
@pytest.mark.process
async def test_simultaneous_calls_to_two_servers_share_one_limit(
    sandbox: RunningSandbox, limited: dict[str, str]
) -> None:
    limited = limited | {"LAYER_MAX_SPEND_PER_DAY": "4"}
    async with STDIO.connect(limited) as first, STDIO.connect(limited) as second:
        calls = [dear(f"coin {number}") for number in range(5)]
        answers = await answers_at_once([first, second], calls, at_once=5)
    refused = [error_code(answer) for answer in answers if answer.is_error]
    assert refused == ["SPENDING_LIMIT_REACHED"] * 3
    assert spent(sandbox) == 4


async def test_a_failed_run_releases_its_price(
    sandbox: RunningSandbox, limited: dict[str, str]
) -> None:
    sandbox.state.knobs.run_error = ("NO_MEDIA_GENERATED", "Nothing came of it.")
    async with MEMORY.connect(limited | {"LAYER_MAX_SPEND_PER_DAY": "2"}) as client:
        failed = content_of(await start(client, dear("one")))
        refused = await start(client, dear("two"))
        await client.call_tool("get_status", {"inference_id": failed["inference_id"]})
        after = await start(client, dear("three"))
    assert error_code(refused) == "SPENDING_LIMIT_REACHED"
    assert not after.is_error


async def test_a_refused_submission_releases_its_price(
    sandbox: RunningSandbox, limited: dict[str, str]
) -> None:
    refusal = Fault("status", status=422, code="CONTENT_POLICY_VIOLATION")
    sandbox.state.knobs.fail_next("execute_inference", refusal)
    async with MEMORY.connect(limited | {"LAYER_MAX_SPEND_PER_DAY": "2"}) as client:
        refused = await start(client, dear("one"))
        after = await start(client, dear("two"))
    assert error_code(refused) == "CONTENT_POLICY_VIOLATION"
    assert not after.is_error


async def test_a_submission_with_an_unknown_outcome_keeps_its_price(
    sandbox: RunningSandbox, limited: dict[str, str]
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", Fault("drop"))
    async with MEMORY.connect(limited | {"LAYER_MAX_SPEND_PER_DAY": "2"}) as client:
        unknown = await start(client, dear("one"))
        after = await start(client, dear("two"))
    assert error_code(unknown) == "OUTCOME_UNKNOWN"
    assert error_code(after) == "SPENDING_LIMIT_REACHED"


@pytest.mark.parametrize(
    "more", [{}, {"max_price_creative_units": 1_000}, {"repeat": True}], ids=str
)
async def test_no_argument_raises_the_limit_per_run(
    more: dict[str, Any], sandbox: RunningSandbox, environment: dict[str, str]
) -> None:
    async with MEMORY.connect(environment | {"LAYER_MAX_PRICE": "3"}) as client:
        allowed = await start(client, dear(outputs=1) | more)
        refused = await start(client, dear(outputs=2) | more)
    assert not allowed.is_error
    assert error_code(refused) == "PRICE_ABOVE_LIMIT"
    assert spent(sandbox) == 2


@pytest.mark.parametrize("more", [{"max_price_creative_units": 1_000}, {"repeat": True}], ids=str)
async def test_no_argument_raises_the_daily_limit(
    more: dict[str, Any], sandbox: RunningSandbox, limited: dict[str, str]
) -> None:
    async with MEMORY.connect(limited | {"LAYER_MAX_SPEND_PER_DAY": "3"}) as client:
        await start(client, dear() | more)
        refused = await start(client, dear("another") | more)
    assert error_code(refused) == "SPENDING_LIMIT_REACHED"
    assert spent(sandbox) == 2


@pytest.mark.parametrize("limit", ["LAYER_MAX_PRICE", "LAYER_MAX_SPEND_PER_DAY"])
@pytest.mark.parametrize("effect", ["html", "truncate"])
async def test_an_unavailable_price_is_above_any_limit(
    limit: str, effect: Any, sandbox: RunningSandbox, environment: dict[str, str]
) -> None:
    sandbox.state.knobs.fail_next("estimate_price", *[Fault(effect, status=200)] * 10)
    async with MEMORY.connect(environment | {limit: "1000"}) as client:
        refused = await start(client, cheap())
    assert error_code(refused) == "PRICE_UNKNOWN"
    assert sandbox.state.arrived["execute_inference"] == 0


@pytest.mark.process
async def test_a_restart_does_not_reset_the_limit(
    sandbox: RunningSandbox, limited: dict[str, str]
) -> None:
    limited = limited | {"LAYER_MAX_SPEND_PER_DAY": "2"}
    async with STDIO.connect(limited) as client:
        await start(client, dear())
    async with STDIO.connect(limited) as client:
        refused = await start(client, cheap())
    assert error_code(refused) == "SPENDING_LIMIT_REACHED"
    assert spent(sandbox) == 2


@pytest.mark.parametrize(
    ("factor", "passes"), [(0.5, True), (1.0, False), (2.0, False)], ids=["less", "same", "more"]
)
async def test_the_actual_price_replaces_the_estimate(
    factor: float, passes: bool, sandbox: RunningSandbox, limited: dict[str, str]
) -> None:
    sandbox.state.knobs.actual_price_factor = factor
    async with MEMORY.connect(limited | {"LAYER_MAX_SPEND_PER_DAY": "3.5"}) as client:
        run = content_of(await start(client, dear("one")))
        await client.call_tool("get_status", {"inference_id": run["inference_id"]})
        second = await start(client, dear("two"))
    assert (not second.is_error) == passes, text_of(second)


async def test_a_higher_actual_price_leaves_no_budget_for_a_cheap_call(
    sandbox: RunningSandbox, limited: dict[str, str]
) -> None:
    sandbox.state.knobs.actual_price_factor = 2.0
    async with MEMORY.connect(limited | {"LAYER_MAX_SPEND_PER_DAY": "4"}) as client:
        run = content_of(await start(client, dear()))
        await client.call_tool("get_status", {"inference_id": run["inference_id"]})
        refused = await start(client, cheap())
    assert error_code(refused) == "SPENDING_LIMIT_REACHED"


def in_the_way(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("a file in the way")


def damaged(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / FILE_NAME).write_bytes(b"not a database" * 1000)


def newer(folder: Path) -> None:
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        database.execute("PRAGMA user_version = 99")


@pytest.fixture(params=[in_the_way, damaged, newer], ids=["in the way", "damaged", "newer"])
def unusable(request: pytest.FixtureRequest, environment: dict[str, str]) -> dict[str, str]:
    """Settings whose journal cannot be used."""
    spoil: Callable[[Path], None] = request.param
    spoil(Path(environment["LAYER_STATE_DIR"]))
    return environment


async def test_never_spends_what_cannot_be_recorded(
    unusable: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with MEMORY.connect(unusable) as client:
        refused = await start(client, cheap())
    assert error_code(refused) == "JOURNAL_UNAVAILABLE"
    assert sandbox.state.arrived["execute_inference"] == 0


async def test_a_setting_lets_runs_start_without_a_journal(
    unusable: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with MEMORY.connect(unusable | {"LAYER_JOURNAL": "optional"}) as client:
        started = content_of(await start(client, cheap()))
    assert [started["inference_id"]] == list(sandbox.state.runs)


async def test_a_daily_limit_always_requires_the_journal(
    unusable: dict[str, str], sandbox: RunningSandbox
) -> None:
    limited = unusable | {"LAYER_JOURNAL": "optional", "LAYER_MAX_SPEND_PER_DAY": "100"}
    async with MEMORY.connect(limited) as client:
        refused = await start(client, cheap())
    assert error_code(refused) == "JOURNAL_UNAVAILABLE"
    assert sandbox.state.arrived["execute_inference"] == 0


@pytest.fixture
def locked(environment: dict[str, str]) -> Iterator[sqlite3.Connection]:
    """A journal that another process writes without end."""
    folder = Path(environment["LAYER_STATE_DIR"])
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield database


async def test_nothing_is_spent_while_the_journal_is_locked(
    locked: sqlite3.Connection, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with MEMORY.connect(environment) as client:
        refused = await start(client, cheap())
        locked.execute("ROLLBACK")
        after = await start(client, cheap())
    assert error_code(refused) == "JOURNAL_UNAVAILABLE"
    assert [content_of(after)["inference_id"]] == list(sandbox.state.runs)


async def test_damaging_the_journal_while_the_server_runs_stops_the_spending(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    file = Path(environment["LAYER_STATE_DIR"]) / FILE_NAME
    async with MEMORY.connect(environment) as client:
        await start(client, cheap("before"))
        for part in file.parent.glob(f"{FILE_NAME}*"):
            with part.open("r+b") as content:
                content.write(b"\xff" * part.stat().st_size)
        refused = await start(client, cheap("after"))
    assert error_code(refused) == "JOURNAL_UNAVAILABLE"
    assert sandbox.state.arrived["execute_inference"] == 1


async def test_without_a_home_folder_nothing_is_spent(
    environment: dict[str, str], sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_home(name: str, *, appauthor: bool) -> Path:
        """What some versions answer when the system knows of no home."""
        return Path("~/state")

    monkeypatch.setattr(platformdirs, "user_state_path", without_home)
    del environment["LAYER_STATE_DIR"]
    async with MEMORY.connect(environment) as client:
        refused = await start(client, cheap())
    assert error_code(refused) == "JOURNAL_UNAVAILABLE"
    assert "there is no home folder" in text_of(refused)
    assert sandbox.state.arrived["execute_inference"] == 0


async def test_a_run_without_a_journal_has_a_warning(
    locked: sqlite3.Connection,
    environment: dict[str, str],
    sandbox: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("BUSY_SECONDS", "OPEN_SECONDS"):
        monkeypatch.setattr(database_module, name, 0.05)
    async with MEMORY.connect(environment | {"LAYER_JOURNAL": "optional"}) as client:
        started = await start(client, cheap())
    assert [content_of(started)["inference_id"]] == list(sandbox.state.runs)
    assert "keep the id of this run" in content_of(started)["warning"]
    assert locked.in_transaction


async def test_a_negative_estimate_counts_as_no_price(tmp_path: Path) -> None:
    with stub_layer() as stub:
        stub.answers["/inferences/estimate"] = Reply({"estimated_price_creative_units": -1000})
        limits = {"LAYER_MAX_PRICE": "5", "LAYER_MAX_SPEND_PER_DAY": "5"}
        async with MEMORY.connect(stub.environment(tmp_path, **limits)) as client:
            refused = await start(client, cheap())
        sent = stub.requests_to("/inferences")
    assert error_code(refused) == "PRICE_UNKNOWN"
    assert sent == []


@pytest.mark.parametrize("limit", ["LAYER_MAX_PRICE", "LAYER_MAX_SPEND_PER_DAY"])
async def test_references_that_layer_does_not_price_are_above_any_limit(
    limit: str, sandbox: RunningSandbox, environment: dict[str, str]
) -> None:
    sandbox.state.knobs.estimate_refuses_references = True
    with api_of(sandbox) as api:
        reference = {"file_id": upload(api, png("red")), "type": "reference_image"}
    call = SMALL_IMAGE | {"guidance_files": [reference], "max_price_creative_units": 1000}
    async with MEMORY.connect(environment | {limit: "1000"}) as client:
        refused = await start(client, call)
    assert error_code(refused) == "PRICE_UNKNOWN"
    assert sandbox.state.arrived["execute_inference"] == 0


@pytest.mark.slow
@pytest.mark.process
async def test_rejects_more_simultaneous_calls_than_layer_allows_before_sending(
    sandbox: RunningSandbox, environment: dict[str, str]
) -> None:
    sandbox.state.knobs.run_seconds = 600
    calls = [cheap(f"bell {number}") for number in range(12)]
    async with STDIO.connect(environment) as first, STDIO.connect(environment) as second:
        answers = await answers_at_once([first, second], calls, at_once=6)
    refused = [error_code(answer) for answer in answers if answer.is_error]
    assert refused == ["RUNS_AT_LIMIT"] * 7
    assert sandbox.state.arrived["execute_inference"] == len(sandbox.state.runs) == 5


@pytest.mark.slow
@pytest.mark.process
async def test_calls_wait_for_runs_that_end_soon(
    sandbox: RunningSandbox, environment: dict[str, str]
) -> None:
    sandbox.state.knobs.run_seconds = 0.5
    calls = [cheap(f"bell {number}") for number in range(12)]
    async with STDIO.connect(environment) as first, STDIO.connect(environment) as second:
        answers = await answers_at_once([first, second], calls, at_once=6)
    assert [text_of(answer) for answer in answers if answer.is_error] == []
    assert sandbox.state.arrived["execute_inference"] == len(sandbox.state.runs) == 12


async def test_a_run_that_ended_unseen_frees_a_slot_for_another(
    sandbox: RunningSandbox, environment: dict[str, str]
) -> None:
    sandbox.state.knobs.run_seconds = 600
    async with MEMORY.connect(environment) as client:
        for number in range(5):
            await start(client, cheap(f"bell {number}"))
    sandbox.state.knobs.run_seconds = 0
    async with MEMORY.connect(environment) as client:
        sixth = await start(client, cheap("bell 6"))
    assert not sixth.is_error
    assert sandbox.state.arrived["execute_inference"] == len(sandbox.state.runs) == 6
