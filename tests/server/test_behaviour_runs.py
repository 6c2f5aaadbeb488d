"""What an agent sees of many runs: the list, the wait for several, the batch, the resources."""

import json
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from layer_mcp import LayerClient
from layer_mcp.runs.journal.databases.liveness import FOLDER_NAME
from layer_mcp.runs.journal.databases.sqlite import FILE_NAME
from layer_mcp.runs.sending import queue
from layer_mcp.runs.sending.queue import SlotQueue
from layer_mcp.sandbox import Fault, RunningSandbox

from ..support.hosts import MEMORY, SMALL_IMAGE, Host, content_of, error_code, text_of
from ..support.stub_layer import RUN_ID, Reply, stub_layer

pytestmark = pytest.mark.anyio

PRICED = SMALL_IMAGE | {"width": 512, "height": 512}
PRICE = 0.03


@asynccontextmanager
async def connected(environment: dict[str, str], **settings: str) -> AsyncGenerator[Client]:
    async with MEMORY.connect(environment | settings) as client:
        yield client


async def start(client: Client, prompt: str, **more: Any) -> dict[str, Any]:
    started = await client.call_tool("execute_inference", PRICED | {"prompt": prompt} | more)
    assert not started.is_error, text_of(started)
    return content_of(started)


async def listed(client: Client, **arguments: Any) -> dict[str, Any]:
    found = await client.call_tool("list_runs", arguments)
    assert not found.is_error, text_of(found)
    return content_of(found)


def batch_of(*prompts: str, **more: Any) -> dict[str, Any]:
    return {"defaults": PRICED, "requests": [{"prompt": prompt} for prompt in prompts]} | more


def prompts_of(found: dict[str, Any]) -> list[str]:
    return [row["prompt"] for row in found["runs"]]


async def test_a_list_without_runs_says_so(environment: dict[str, str]) -> None:
    async with connected(environment) as client:
        found = await listed(client)
    assert (found["runs"], found["total"]) == ([], 0)


async def test_two_calls_start_and_await_ten_pictures(
    environment: dict[str, str], sandbox: RunningSandbox, host: Host
) -> None:
    sandbox.state.knobs.run_seconds = 0.3
    prompts = [f"potion {number}" for number in range(10)]
    async with host.connect(environment) as client:
        batch = content_of(await client.call_tool("execute_batch", batch_of(*prompts)))
        found = await listed(client, batch_id=batch["batch_id"], wait_for="all")
    assert [row["status"] for row in found["runs"]] == ["complete"] * 10
    assert prompts_of(found) == prompts[::-1]
    assert sandbox.state.arrived["execute_inference"] == 10
    assert all(row["files"] for row in found["runs"])


async def test_a_wait_for_several_runs_reports_how_many_have_ended(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 0.3
    told: list[tuple[float, float | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        assert message
        told.append((progress, total))

    async with connected(environment) as client:
        batch = content_of(await client.call_tool("execute_batch", batch_of("one", "two")))
        wait = {"batch_id": batch["batch_id"], "wait_for": "all"}
        await client.call_tool("list_runs", wait, progress_callback=note)
    assert told[-1] == (2, 2)
    assert [progress for progress, _ in told] == sorted({progress for progress, _ in told})


async def test_the_newest_run_comes_first(environment: dict[str, str]) -> None:
    async with connected(environment) as client:
        for prompt in ("one", "two", "three"):
            await start(client, prompt)
        found = await listed(client)
    assert prompts_of(found) == ["three", "two", "one"]


async def test_runs_of_an_earlier_server_are_listed(environment: dict[str, str]) -> None:
    async with connected(environment) as client:
        run = await start(client, "earlier")
    async with connected(environment) as client:
        [row] = (await listed(client))["runs"]
    assert row["inference_id"] == run["inference_id"]


async def test_a_run_that_ended_unseen_is_listed_as_ended(environment: dict[str, str]) -> None:
    async with connected(environment) as client:
        await start(client, "unseen")
        [row] = (await listed(client, wait_for="all"))["runs"]
    assert (row["status"], row["actual_price_creative_units"]) == ("complete", PRICE)


async def test_the_totals_count_what_is_spent_and_what_is_estimated(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with connected(environment) as client:
        await start(client, "done")
        await listed(client, wait_for="all")
        sandbox.state.knobs.run_seconds = 60
        await start(client, "under way")
        found = await listed(client)
    assert (found["total"], found["running"]) == (2, 1)
    assert found["spent_creative_units"] == PRICE
    assert found["estimated_creative_units"] == 2 * PRICE


async def test_waiting_for_any_ends_with_the_first(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with connected(environment) as client:
        sandbox.state.knobs.run_seconds = 60
        await start(client, "slow")
        sandbox.state.runs[next(iter(sandbox.state.runs))].submitted_at = 1e12
        sandbox.state.knobs.run_seconds = 1
        await start(client, "quick")
        found = await listed(client, wait_for="any", wait_seconds=30)
    assert [row["status"] for row in found["runs"]] == ["complete", "in_progress"]


async def test_a_wait_that_timed_out_says_how_to_continue(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 60
    async with connected(environment) as client:
        await start(client, "slow")
        found = await listed(client, wait_for="all", wait_seconds=1)
    assert found["next_step"] == "1 run still in progress: call list_runs again with wait_for all."


async def test_waiting_polls_no_tighter_than_layer_asks(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 60
    sandbox.state.knobs.poll_interval_seconds = 60
    async with connected(environment) as client:
        await start(client, "slow")
        await listed(client, wait_for="all", wait_seconds=2)
    assert sandbox.state.arrived["get_inference"] == 0


@pytest.mark.parametrize(
    ("wanted", "prompts"),
    [
        ({"status": "complete"}, ["good"]),
        ({"status": "failed"}, ["bad"]),
        ({"status": "unknown"}, ["lost"]),
        ({"status": "not_sent"}, ["refused"]),
        ({"status": "running"}, []),
        ({"since": "1h"}, ["refused", "lost", "bad", "good"]),
        ({"since": "2100-01-01"}, []),
        ({"inference_ids": ["00000000-0000-4000-8000-00000000dead"]}, []),
        ({"workspace_id": "00000000-0000-4000-8000-0000000000ab"}, []),
    ],
)
async def test_a_filter_lists_its_runs(
    environment: dict[str, str],
    sandbox: RunningSandbox,
    wanted: dict[str, Any],
    prompts: list[str],
) -> None:
    knobs = sandbox.state.knobs
    async with connected(environment) as client:
        await start(client, "good")
        await listed(client, wait_for="all")
        knobs.run_error = ("NO_MEDIA_GENERATED", "Nothing came out.")
        await start(client, "bad")
        await listed(client, wait_for="all")
        knobs.fail_next("execute_inference", Fault("drop"), Fault("status", status=422))
        for prompt in ("lost", "refused"):
            await client.call_tool("execute_inference", PRICED | {"prompt": prompt})
        found = await listed(client, **wanted)
    assert prompts_of(found) == prompts


async def test_a_run_whose_answer_was_lost_says_to_look_in_layer(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", Fault("drop", accepted=True))
    async with connected(environment) as client:
        await client.call_tool("execute_inference", PRICED)
        found = await listed(client)
    assert found["runs"][0]["status"] == "unknown"
    assert "app.layer.ai" in found["next_step"]


async def test_a_time_that_cannot_be_read_is_refused(environment: dict[str, str]) -> None:
    async with connected(environment) as client:
        refused = await client.call_tool("list_runs", {"since": "yesterday"})
    assert error_code(refused) == "INVALID_ARGUMENTS"


@pytest.mark.parametrize("cursor", ["x", "1.5", "1.5-", "nan-abc"])
async def test_rejects_or_ignores_an_invalid_cursor(
    environment: dict[str, str], cursor: str
) -> None:
    async with connected(environment) as client:
        answer = await client.call_tool("list_runs", {"cursor": cursor})
    assert answer.is_error or content_of(answer)["runs"] == []


async def test_pages_follow_one_another_to_the_end(environment: dict[str, str]) -> None:
    seen: list[str] = []
    cursor = None
    async with connected(environment) as client:
        for number in range(5):
            await start(client, f"potion {number}")
        while True:
            page = await listed(client, limit=2, **({"cursor": cursor} if cursor else {}))
            seen += prompts_of(page)
            cursor = page.get("next_cursor")
            if cursor is None:
                break
    assert seen == [f"potion {number}" for number in (4, 3, 2, 1, 0)]


async def test_a_list_of_long_prompts_stays_small(environment: dict[str, str]) -> None:
    async with connected(environment) as client:
        for number in range(3):
            await start(client, f"{number} " + "potion " * 10_000)
        answer = await client.call_tool("list_runs", {})
    assert len(json.dumps(answer.structured_content)) < 10_000


async def test_files_of_finished_runs_are_saved_by_the_list(
    environment: dict[str, str], tmp_path: Path
) -> None:
    async with connected(environment, LAYER_OUTPUT_DIR=str(tmp_path / "out")) as client:
        for prompt in ("one", "two"):
            await start(client, prompt)
        found = await listed(client, wait_for="all")
    assert all(Path(row["files"][0]).exists() for row in found["runs"])


async def test_a_folder_that_cannot_be_written_does_not_hide_the_runs(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("no folder")
    async with connected(environment, LAYER_OUTPUT_DIR=str(tmp_path / "out")) as client:
        await start(client, "one")
        [row] = (await listed(client, wait_for="all"))["runs"]
    assert row["files"][0].startswith("http://127.0.0.1")


@pytest.mark.parametrize("absent", [None, "", "null"])
async def test_an_argument_that_a_request_leaves_empty_is_that_of_the_defaults(
    absent: str | None, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    request = {"prompt": "a red potion", "width": absent}
    async with MEMORY.connect(environment) as client:
        await client.call_tool("execute_batch", {"defaults": PRICED, "requests": [request]})
        await client.call_tool("list_runs", {"wait_for": "all"})
    [run] = sandbox.state.runs.values()
    assert run.request.width == PRICED["width"]


@pytest.mark.parametrize("absent", [None, "", "null"])
async def test_a_client_may_fill_in_every_key_of_a_batch(
    absent: str | None, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with MEMORY.connect(environment) as client:
        listed_tools = (await client.list_tools()).tools
        [schema] = [tool.input_schema for tool in listed_tools if tool.name == "execute_batch"]
        keys = schema["properties"]["defaults"]["properties"]
        empty: dict[str, Any] = dict.fromkeys(keys, absent)
        empty["mask"] = dict.fromkeys(("file_id", "path", "for_transparency"), absent)
        empty["guidance_files"] = [absent]
        batch = {"defaults": empty | PRICED, "requests": [empty | {"prompt": "a red potion"}]}
        answer = await client.call_tool("execute_batch", batch | {"workspace_id": absent})
    assert not answer.is_error, text_of(answer)
    [run] = sandbox.state.runs.values()
    assert (run.request.prompt, run.request.mask) == ("a red potion", None)


async def test_a_batch_takes_local_references_from_the_defaults(
    environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    (tmp_path / "style.png").write_bytes((Path(__file__).parents[2] / "docs/demo.png").read_bytes())
    reference = {"path": "style.png", "type": "reference_image"}
    batch = batch_of("one", "two")
    batch["defaults"] = PRICED | {"guidance_files": [reference]}
    async with connected(environment, LAYER_INPUT_DIRS=str(tmp_path)) as client:
        started = await client.call_tool("execute_batch", batch)
    assert not started.is_error, text_of(started)
    assert [len(run.references) for run in sandbox.state.runs.values()] == [1, 1]
    assert len(sandbox.state.uploads) == 1


async def test_a_batch_queues_for_layers_limit(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 60
    async with connected(environment) as client:
        batch = content_of(
            await client.call_tool("execute_batch", batch_of(*(f"{n}" for n in range(7))))
        )
        assert sandbox.state.arrived["execute_inference"] == 5
    assert [row["status"] for row in batch["runs"]] == ["in_progress"] * 5 + ["queued"] * 2


async def test_queued_runs_of_a_stopped_server_are_recorded_as_not_sent(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 60
    async with connected(environment) as client:
        await client.call_tool("execute_batch", batch_of(*(f"{n}" for n in range(7))))
    async with connected(environment) as client:
        found = await listed(client, status="not_sent")
    assert prompts_of(found) == ["6", "5"]
    assert sandbox.state.arrived["execute_inference"] == 5


async def test_repeating_a_batch_starts_only_missing_runs(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with connected(environment) as client:
        first = content_of(await client.call_tool("execute_batch", batch_of("one", "two")))
        again = content_of(await client.call_tool("execute_batch", batch_of("two", "three")))
    assert [row.get("duplicate") for row in again["runs"]] == [True, None]
    assert again["runs"][0]["inference_id"] == first["runs"][1]["inference_id"]
    assert sandbox.state.arrived["execute_inference"] == 3


async def test_repeating_a_batch_returns_its_batch_id(environment: dict[str, str]) -> None:
    async with connected(environment) as client:
        first = content_of(await client.call_tool("execute_batch", batch_of("one", "two")))
        again = content_of(await client.call_tool("execute_batch", batch_of("one", "two")))
    assert again["batch_id"] == first["batch_id"]


async def test_a_batch_pays_again_only_with_repeat(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with connected(environment) as client:
        await client.call_tool("execute_batch", batch_of("one"))
        await client.call_tool("execute_batch", batch_of("one", "one", repeat=True))
    assert sandbox.state.arrived["execute_inference"] == 3


async def test_one_refused_run_of_a_batch_leaves_the_others(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    refusal = Fault("status", status=422, code="CONTENT_POLICY_VIOLATION", detail="Not this one.")
    sandbox.state.knobs.fail_next("execute_inference", refusal)
    async with connected(environment) as client:
        batch = content_of(await client.call_tool("execute_batch", batch_of("one", "two", "three")))
        found = await listed(client, batch_id=batch["batch_id"], wait_for="all")
    assert sorted(row["status"] for row in batch["runs"]) == [
        "in_progress",
        "in_progress",
        "not_sent",
    ]
    assert sorted(row["status"] for row in found["runs"]) == ["complete", "complete", "not_sent"]
    assert "Not started: " in batch["next_step"]


async def test_a_rate_limit_from_layer_requeues_a_batch(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    limited = Fault("status", status=429, code="RATE_LIMITED", headers={"Retry-After": "6"})
    sandbox.state.knobs.fail_next("execute_inference", limited)
    async with connected(environment) as client:
        batch = content_of(await client.call_tool("execute_batch", batch_of("one")))
        found = await listed(client, batch_id=batch["batch_id"], wait_for="all", wait_seconds=30)
    assert batch["runs"][0]["status"] == "queued"
    assert found["runs"][0]["status"] == "complete"
    assert len(sandbox.state.runs) == 1


@pytest.mark.parametrize(
    ("batch", "sentence"),
    [
        (batch_of("one", "one"), "Requests 1 and 2 are equal."),
        ({"requests": [{"promt": "x"}], "defaults": PRICED}, "request 1: promt is not an argument"),
        ({"requests": [{"prompt": "x"}]}, "request 1: model_id is missing"),
        ({"requests": []}, "requests must have at least 1 item"),
        ({"requests": [PRICED] * 51}, "requests must have at most 50 items"),
        (
            {"requests": [PRICED | {"wait_seconds": 3}]},
            "request 1: wait_seconds is not an argument",
        ),
        ({"requests": [PRICED | {"workspace_id": "x"}]}, "workspace_id next to requests"),
    ],
)
async def test_a_wrong_batch_is_refused_before_anything_is_sent(
    environment: dict[str, str], sandbox: RunningSandbox, batch: dict[str, Any], sentence: str
) -> None:
    async with connected(environment) as client:
        refused = await client.call_tool("execute_batch", batch)
    assert error_code(refused) == "INVALID_ARGUMENTS"
    assert sentence in text_of(refused)
    assert not sandbox.state.arrived["estimate_price"] + sandbox.state.arrived["execute_inference"]


async def test_a_batch_is_priced_as_a_whole_before_the_first_is_sent(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with connected(environment) as client:
        refused = await client.call_tool(
            "execute_batch", batch_of("one", "two", "three", max_price_creative_units=2.5 * PRICE)
        )
    assert error_code(refused) == "PRICE_ABOVE_MAX"
    assert sandbox.state.arrived["execute_inference"] == 0


async def test_a_batch_above_the_daily_limit_starts_nothing(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with connected(environment, LAYER_MAX_SPEND_PER_DAY=str(2.5 * PRICE)) as client:
        refused = await client.call_tool("execute_batch", batch_of("one", "two", "three"))
    assert error_code(refused) == "SPENDING_LIMIT_REACHED"
    assert sandbox.state.arrived["execute_inference"] == 0


async def test_the_runs_are_a_resource(environment: dict[str, str], host: Host) -> None:
    async with host.connect(environment) as client:
        assert [str(one.uri) for one in (await client.list_resources()).resources] == [
            "layer://runs",
            "layer://workspaces",
            "ui://gallery",
        ]
        run = await start(client, "a resource")
        [content] = (await client.read_resource("layer://runs")).contents
    [row] = json.loads(getattr(content, "text", ""))
    assert row["inference_id"] == run["inference_id"]


async def test_one_run_is_a_resource_with_what_was_asked(environment: dict[str, str]) -> None:
    async with connected(environment) as client:
        run = await start(client, "a resource")
        await listed(client, wait_for="all")
        address = f"layer://runs/{run['inference_id'].upper()}"
        [content] = (await client.read_resource(address)).contents
    known = json.loads(getattr(content, "text", ""))
    assert known["facts"]["asked"]["width"] == 512
    assert known["outputs"][0]["url"].startswith("http://")


async def test_a_run_that_was_not_started_here_is_not_a_resource(
    environment: dict[str, str],
) -> None:
    async with connected(environment) as client:
        with pytest.raises(MCPError, match="No run"), anyio.fail_after(10):
            await client.read_resource("layer://runs/00000000-0000-4000-8000-00000000dead")


async def test_a_rate_limited_run_keeps_its_place_in_the_batch_and_its_price(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    limited = Fault("status", status=429, code="RATE_LIMITED", headers={"Retry-After": "600"})
    sandbox.state.knobs.fail_next("execute_inference", limited)
    settings = environment | {"LAYER_MAX_SPEND_PER_DAY": str(1.5 * PRICE)}
    async with connected(settings) as first, connected(settings) as second:
        batch = content_of(await first.call_tool("execute_batch", batch_of("one")))
        same = content_of(await second.call_tool("execute_batch", batch_of("one")))
        another = await second.call_tool("execute_batch", batch_of("two"))
    assert [row["status"] for row in batch["runs"]] == ["queued"]
    assert same["batch_id"] == batch["batch_id"]
    assert same["runs"][0]["duplicate"] is True
    assert error_code(another) == "SPENDING_LIMIT_REACHED"
    assert sandbox.state.arrived["execute_inference"] == 1


@pytest.mark.slow
async def test_a_run_that_layer_does_not_know_right_after_its_start_has_not_ended(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    unknown = Fault("status", status=404, code="INFERENCE_NOT_FOUND")
    async with connected(environment) as client:
        await start(client, "new")
        sandbox.state.knobs.fail_next("get_inference", unknown)
        found = await listed(client, wait_for="all", wait_seconds=30)
    assert sandbox.state.arrived["get_inference"] == 2
    assert found["runs"][0]["status"] == "complete"


async def test_a_run_of_a_batch_whose_answer_was_lost_is_not_called_not_started(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", Fault("drop", accepted=True))
    async with connected(environment) as client:
        batch = content_of(await client.call_tool("execute_batch", batch_of("one")))
    assert batch["runs"][0]["status"] == "unknown"
    assert "Outcome unknown: 1." in batch["next_step"]
    assert "Not started" not in batch["next_step"]


async def test_sends_runs_queued_behind_refused_ones_before_answering(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    # Slow enough that as many are out as Layer allows, and the others wait.
    refusal = Fault("status", status=422, code="CONTENT_POLICY_VIOLATION", delay_seconds=0.3)
    sandbox.state.knobs.fail_next("execute_inference", *[refusal] * 8)
    async with connected(environment) as client:
        prompts = [f"potion {number}" for number in range(8)]
        batch = content_of(await client.call_tool("execute_batch", batch_of(*prompts)))
    assert ["error" in row for row in batch["runs"]] == [True] * 8


async def test_a_batchs_answer_has_all_runs_even_with_long_errors(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    refusal = Fault("status", status=422, code="CONTENT_POLICY_VIOLATION", detail="x" * 290)
    sandbox.state.knobs.fail_next("execute_inference", *[refusal] * 50)
    async with connected(environment) as client:
        prompts = [f"potion {number}" for number in range(50)]
        batch = content_of(await client.call_tool("execute_batch", batch_of(*prompts)))
    assert [row["number"] for row in batch["runs"]] == list(range(1, 51))
    assert all(row["error"].startswith("CONTENT_POLICY_VIOLATION") for row in batch["runs"])


def add_newer_runs(environment: dict[str, str], count: int) -> None:
    """Let so many runs that have ended be newer than the one in the journal."""
    path = Path(environment["LAYER_STATE_DIR"]) / FILE_NAME
    with closing(sqlite3.connect(path)) as database, database:
        database.row_factory = sqlite3.Row
        row = dict(database.execute("SELECT * FROM runs").fetchone())
        marks = ", ".join(f":{name}" for name in row)
        ended = {"state": "complete", "created_at": row["created_at"] + 1}
        database.executemany(
            f"INSERT INTO runs VALUES ({marks})",
            [
                row
                | ended
                | {"key": f"{n}", "run_id": f"run-{n}", "fingerprint": f"{n}"}
                | {"sequence": row["sequence"] + 1 + n}
                for n in range(count)
            ],
        )


async def test_also_refreshes_runs_older_than_the_newest_hundred(
    environment: dict[str, str],
) -> None:
    async with connected(environment) as client:
        old = await start(client, "old")
        add_newer_runs(environment, 101)
        found = await listed(client, wait_for="all", wait_seconds=30, limit=1)
        [row] = (await listed(client, inference_ids=[old["inference_id"]]))["runs"]
    assert (found["running"], found["total"]) == (0, 102)
    assert row["status"] == "complete"


async def test_waiting_for_any_is_not_fooled_by_runs_that_begin_meanwhile(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    state = sandbox.state
    state.knobs.run_seconds = 2

    async def start_long_ones(client: Client) -> None:
        with anyio.fail_after(30):
            # The sandbox runs in a separate thread, so there is no event to await.
            while not state.arrived["get_inference"]:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        for prompt in ("long", "longer"):
            run = await start(client, prompt)
            state.runs[run["inference_id"]].submitted_at += 20

    found: dict[str, Any] = {}
    async with connected(environment) as client, connected(environment) as another:
        await start(client, "quick")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start_long_ones, another)
            found = await listed(client, wait_for="any", wait_seconds=40)
    statuses = {row["prompt"]: row["status"] for row in found["runs"]}
    assert statuses == {"quick": "complete", "long": "in_progress", "longer": "in_progress"}


def crashing_once(work: Callable[..., Awaitable[Any]], error: Exception) -> Callable[..., Any]:
    """The same work, which crashes at first."""
    crashes = iter([error])

    async def call(*arguments: Any, **more: Any) -> Any:
        for crash in crashes:
            raise crash
        return await work(*arguments, **more)

    return call


async def test_a_crash_in_the_queue_does_not_affect_other_runs_or_the_server(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire_slot = crashing_once(SlotQueue.acquire_slot, PermissionError("no folder"))
    monkeypatch.setattr(SlotQueue, "acquire_slot", acquire_slot)
    async with connected(environment) as client:
        batch = content_of(await client.call_tool("execute_batch", batch_of("one", "two")))
        found = await listed(client, batch_id=batch["batch_id"], wait_for="all")
    assert {row["prompt"]: row["status"] for row in found["runs"]} == {
        "one": "not_sent",
        "two": "complete",
    }


async def test_a_crash_while_sending_does_not_affect_other_runs_or_the_server(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    execute_inference = crashing_once(LayerClient.execute_inference, RuntimeError("a fault"))
    monkeypatch.setattr(LayerClient, "execute_inference", execute_inference)
    async with connected(environment) as client:
        batch = content_of(await client.call_tool("execute_batch", batch_of("one", "two")))
        found = await listed(client, batch_id=batch["batch_id"], wait_for="all")
    assert sorted(row["status"] for row in batch["runs"]) == ["in_progress", "unknown"]
    assert sorted(row["status"] for row in found["runs"]) == ["complete", "unknown"]


async def test_an_id_in_capitals_of_a_failed_start_leads_to_its_run(tmp_path: Path) -> None:
    with stub_layer() as stub:
        stub.answers["/inferences"] = Reply({"inference_id": RUN_ID.upper()}, status=500)
        stub.finish(actual_price_creative_units=2)
        async with connected(stub.environment(tmp_path)) as client:
            unknown = await client.call_tool("execute_inference", PRICED)
            await client.call_tool("get_status", {"inference_id": RUN_ID})
            [row] = (await listed(client))["runs"]
            again = content_of(await client.call_tool("execute_inference", PRICED))
        sent = [one for one in stub.requests_to("/inferences") if one.method == "POST"]
    assert error_code(unknown) == "OUTCOME_UNKNOWN"
    assert (row["status"], row["actual_price_creative_units"]) == ("complete", 2)
    assert (again["inference_id"], again["duplicate"]) == (RUN_ID, True)
    assert len(sent) == 1


async def test_a_run_that_crashed_in_the_queue_is_reported_as_not_sent(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire_slot = crashing_once(SlotQueue.acquire_slot, PermissionError("no folder"))
    monkeypatch.setattr(SlotQueue, "acquire_slot", acquire_slot)
    async with connected(environment) as client:
        batch = content_of(await client.call_tool("execute_batch", batch_of("one")))
    assert [row["status"] for row in batch["runs"]] == ["not_sent"]


async def test_a_queued_run_whose_server_is_considered_dead_is_not_sent(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    async with connected(environment) as first, connected(environment) as second:
        await first.call_tool("execute_batch", batch_of("1", "2", "3", "4", "5", "6"))
        for lock in (Path(environment["LAYER_STATE_DIR"]) / FOLDER_NAME).glob("*.lock"):
            lock.unlink()
        [row] = (await listed(second, status="not_sent"))["runs"]
        sandbox.state.knobs.run_seconds = 0
        await listed(second, wait_for="all", wait_seconds=30)
        # Four times as long as the queue pauses between its looks.
        await anyio.sleep(4 * queue.PAUSE_SECONDS)
    assert row["prompt"] == "6"
    assert sandbox.state.arrived["execute_inference"] == 5
