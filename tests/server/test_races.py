"""Simultaneous equal calls, and calls that are abandoned while they're being sent."""

import shutil
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    closing,
    suppress,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp.types import CallToolResult

from layer_mcp.runs.journal.databases import sqlite as database_module
from layer_mcp.runs.journal.databases.sqlite import FILE_NAME
from layer_mcp.runs.sending import sender
from layer_mcp.runs.types.run import Run
from layer_mcp.sandbox import Fault, RunningSandbox

from ..support.hosts import (
    ALL_HOSTS,
    MEMORY,
    SMALL_IMAGE,
    Host,
    content_of,
    error_code,
    http_server,
    text_of,
)
from ..support.journals import list_runs
from ..support.sandbox_calls import png

pytestmark = [pytest.mark.anyio, pytest.mark.every_host]

STDIO = next(host for host in ALL_HOSTS if host.transport == "stdio")
PROCESSES = 4
CALLS = 50
WAIT_SECONDS = 40


@dataclass(frozen=True)
class Scene:
    """A sandbox, and the settings that point a server at it."""

    sandbox: RunningSandbox
    environment: dict[str, str]


@pytest.fixture
def scene(sandbox: RunningSandbox, environment: dict[str, str]) -> Scene:
    return Scene(sandbox, environment)


Connect = Callable[[], AbstractAsyncContextManager[Client]]


async def answers_of_all(
    environment: dict[str, str], call: dict[str, Any], *, calls: int, processes: int
) -> list[CallToolResult]:
    """Return the answers to equal calls that several server processes get simultaneously."""
    answers: list[CallToolResult] = []
    go = anyio.Event()

    async def one(client: Client) -> None:
        await go.wait()
        answers.append(await client.call_tool("execute_inference", call))

    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(STDIO.connect(environment)) for _ in range(processes)
        ]
        for client in clients:
            await client.list_tools()
        with anyio.fail_after(WAIT_SECONDS):
            async with anyio.create_task_group() as tasks:
                for number in range(calls):
                    tasks.start_soon(one, clients[number % processes])
                go.set()
    return answers


def check_that_one_was_sent(sandbox: RunningSandbox, answers: list[CallToolResult]) -> None:
    failed = [text_of(answer) for answer in answers if answer.is_error]
    assert failed == []
    assert sandbox.state.arrived["execute_inference"] == 1
    assert {content_of(answer)["inference_id"] for answer in answers} == set(sandbox.state.runs)
    assert sum("duplicate" in content_of(answer) for answer in answers) == CALLS - 1


@pytest.mark.slow
@pytest.mark.process
async def test_fifty_equal_calls_to_four_servers_are_sent_once(
    sandbox: RunningSandbox, environment: dict[str, str]
) -> None:
    answers = await answers_of_all(environment, SMALL_IMAGE, calls=CALLS, processes=PROCESSES)
    check_that_one_was_sent(sandbox, answers)


@pytest.mark.slow
async def test_fifty_equal_calls_with_a_local_file_to_four_servers_are_sent_once(
    sandbox: RunningSandbox, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "red.png").write_bytes(png("red"))
    settings = environment | {"LAYER_INPUT_DIRS": str(tmp_path)}
    reference = {"path": str(tmp_path / "red.png"), "type": "reference_image"}
    call = SMALL_IMAGE | {"guidance_files": [reference]}
    answers = await answers_of_all(settings, call, calls=CALLS, processes=PROCESSES)
    check_that_one_was_sent(sandbox, answers)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "code"), [(402, "INSUFFICIENT_BALANCE"), (422, "INVALID_INPUTS")], ids=str
)
async def test_equal_calls_that_layer_refuses_end_with_an_error_each(
    status: int, code: str, sandbox: RunningSandbox, environment: dict[str, str]
) -> None:
    refusal = Fault("status", status=status, code=code)
    sandbox.state.knobs.fail_next("execute_inference", *[refusal] * 6)
    answers = await answers_of_all(environment, SMALL_IMAGE, calls=6, processes=2)
    assert {error_code(answer) for answer in answers} <= {code, "SUBMISSION_UNDER_WAY"}
    assert sandbox.state.runs == {}


@asynccontextmanager
async def serving(host: Host, environment: dict[str, str]) -> AsyncGenerator[Connect]:
    """How clients reach a server; over HTTP one that stays when a client goes."""
    if host.transport == "http":
        async with http_server(environment) as url:
            yield lambda: Client(url, mode=host.era)
    else:
        yield lambda: host.connect(environment)


async def until_sent(sandbox: RunningSandbox) -> None:
    with anyio.fail_after(WAIT_SECONDS):
        # The sandbox runs in a separate thread, so there is no event to await.
        while not sandbox.state.arrived["execute_inference"]:  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def only_row(environment: dict[str, str]) -> Run:
    """What the journal says of the one call, once that is final."""
    with anyio.fail_after(WAIT_SECONDS):
        while True:
            rows = await list_runs(environment)
            if rows and not rows[0].is_being_sent:
                [row] = rows
                return row
            await anyio.sleep(0.05)


async def call_and_ignore_the_end(client: Client) -> None:
    with suppress(MCPError):
        await client.call_tool("execute_inference", SMALL_IMAGE)


async def give_up_by_cancelling(connect: Connect, scene: Scene) -> Run:
    async with connect() as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call_and_ignore_the_end, client)
            await until_sent(scene.sandbox)
            tasks.cancel_scope.cancel()
        return await only_row(scene.environment)


async def give_up_by_closing(connect: Connect, scene: Scene) -> Run:
    async with anyio.create_task_group() as tasks:
        async with connect() as client:
            tasks.start_soon(call_and_ignore_the_end, client)
            await until_sent(scene.sandbox)
        tasks.cancel_scope.cancel()
    return await only_row(scene.environment)


async def give_up_by_a_timeout(connect: Connect, scene: Scene) -> Run:
    async with connect() as client:
        # What a first call imports must not take the time that this one has.
        await client.call_tool("estimate_price", SMALL_IMAGE)
        with suppress(MCPError):
            await client.call_tool("execute_inference", SMALL_IMAGE, read_timeout_seconds=2)
        return await only_row(scene.environment)


GiveUp = Callable[[Connect, Scene], Awaitable[Run]]


async def check_that_its_run_is_kept(
    give_up: GiveUp, layer_seconds: float, host: Host, scene: Scene
) -> None:
    late = Fault("slow", delay_seconds=layer_seconds)
    scene.sandbox.state.knobs.fail_next("execute_inference", late)
    async with serving(host, scene.environment) as connect:
        row = await give_up(connect, scene)
        async with connect() as client:
            again = await client.call_tool("execute_inference", SMALL_IMAGE)
    assert [row.run_id] == list(scene.sandbox.state.runs)
    assert content_of(again)["inference_id"] == row.run_id
    assert content_of(again)["duplicate"] is True
    assert scene.sandbox.state.arrived["execute_inference"] == 1


async def test_cancelling_a_call_while_it_is_sent_keeps_its_run(host: Host, scene: Scene) -> None:
    await check_that_its_run_is_kept(give_up_by_cancelling, 1.0, host, scene)


async def test_a_host_timeout_while_a_call_is_sent_keeps_its_run(host: Host, scene: Scene) -> None:
    await check_that_its_run_is_kept(give_up_by_a_timeout, 4.0, host, scene)


async def test_closing_the_client_while_a_call_is_sent_keeps_its_run(
    host: Host, scene: Scene
) -> None:
    await check_that_its_run_is_kept(give_up_by_closing, 1.0, host, scene)


async def until_recorded(environment: dict[str, str], state: str) -> None:
    """Wait until the journal says this of the one call."""
    with anyio.fail_after(WAIT_SECONDS):
        # Another server writes it, so there is no event to await.
        while {run.state for run in await list_runs(environment)} != {state}:  # noqa: ASYNC110
            await anyio.sleep(0.05)


@asynccontextmanager
async def call_being_sent(scene: Scene, fault: Fault) -> AsyncGenerator[list[CallToolResult]]:
    """A call that Layer has and did not answer yet; its answer is there after the block."""
    answers: list[CallToolResult] = []
    scene.sandbox.state.knobs.fail_next("execute_inference", fault)

    async def call(client: Client) -> None:
        answers.append(await client.call_tool("execute_inference", SMALL_IMAGE))

    async with MEMORY.connect(scene.environment) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(call, client)
        await until_sent(scene.sandbox)
        yield answers


LATE = Fault("slow", delay_seconds=1)


def journal_file(scene: Scene) -> Path:
    return Path(scene.environment["LAYER_STATE_DIR"]) / FILE_NAME


async def test_two_repeats_at_the_same_moment_are_paid_once(scene: Scene) -> None:
    scene.sandbox.state.knobs.fail_next("execute_inference", LATE)
    answers: list[CallToolResult] = []
    again = SMALL_IMAGE | {"repeat": True}

    async def call(client: Client) -> None:
        answers.append(await client.call_tool("execute_inference", again))

    async with MEMORY.connect(scene.environment) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(call, client)
        tasks.start_soon(call, client)
    assert {content_of(answer)["inference_id"] for answer in answers} == set(
        scene.sandbox.state.runs
    )
    assert scene.sandbox.state.arrived["execute_inference"] == 1


@pytest.mark.parametrize("tool", ["execute_inference", "execute_batch"])
async def test_a_web_page_with_503_after_the_run_was_accepted_gives_one_run(
    tool: str, scene: Scene
) -> None:
    call = SMALL_IMAGE if tool == "execute_inference" else {"requests": [SMALL_IMAGE]}
    page = Fault("html", accepted=True, status=503)
    scene.sandbox.state.knobs.fail_next("execute_inference", page)
    async with MEMORY.connect(scene.environment) as client:
        for _ in range(2):
            assert "OUTCOME_UNKNOWN" in text_of(await client.call_tool(tool, call))
    assert len(scene.sandbox.state.runs) == 1
    assert scene.sandbox.state.arrived["execute_inference"] == 1


async def test_a_local_file_that_layer_lost_does_not_change_what_is_equal(
    scene: Scene, tmp_path: Path
) -> None:
    (tmp_path / "red.png").write_bytes(png("red"))
    settings = scene.environment | {"LAYER_INPUT_DIRS": str(tmp_path)}
    reference = {"path": str(tmp_path / "red.png"), "type": "reference_image"}
    call = SMALL_IMAGE | {"guidance_files": [reference]}
    unanswered = Fault("drop", accepted=True)
    scene.sandbox.state.knobs.fail_next("execute_inference", unanswered)
    async with MEMORY.connect(settings) as client:
        first = await client.call_tool("execute_inference", call)
        scene.sandbox.state.files.clear()
        await client.call_tool("execute_inference", call | {"prompt": "another"})
        again = await client.call_tool("execute_inference", call)
    assert [error_code(first), error_code(again)] == ["OUTCOME_UNKNOWN"] * 2
    prompts = [run.request.prompt for run in scene.sandbox.state.runs.values()]
    assert prompts.count(SMALL_IMAGE["prompt"]) == 1


async def test_servers_agree_again_after_their_state_folder_was_deleted(scene: Scene) -> None:
    async with (
        MEMORY.connect(scene.environment) as first,
        MEMORY.connect(scene.environment) as second,
    ):
        for client in (first, second):
            await client.call_tool("list_runs", {})
        shutil.rmtree(scene.environment["LAYER_STATE_DIR"])
        started = content_of(await first.call_tool("execute_inference", SMALL_IMAGE))
        again = content_of(await second.call_tool("execute_inference", SMALL_IMAGE))
    assert (again["inference_id"], again["duplicate"]) == (started["inference_id"], True)
    assert journal_file(scene).exists()
    assert scene.sandbox.state.arrived["execute_inference"] == 1


async def test_deleting_a_runs_row_while_it_is_sent_adds_a_warning(scene: Scene) -> None:
    async with call_being_sent(scene, LATE) as answers:
        with closing(sqlite3.connect(journal_file(scene))) as database, database:
            database.execute("DELETE FROM runs")
    [answer] = answers
    assert [content_of(answer)["inference_id"]] == list(scene.sandbox.state.runs)
    assert "could not be written" in text_of(answer)


@pytest.mark.parametrize("journal", ["required", "optional"])
async def test_damaging_the_journal_while_a_run_is_sent_adds_a_warning(
    journal: str, scene: Scene
) -> None:
    scene = Scene(scene.sandbox, scene.environment | {"LAYER_JOURNAL": journal})
    async with call_being_sent(scene, LATE) as answers:
        for part in journal_file(scene).parent.glob(f"{FILE_NAME}*"):
            with part.open("r+b") as content:
                content.write(b"\xff" * part.stat().st_size)
    [answer] = answers
    assert [content_of(answer)["inference_id"]] == list(scene.sandbox.state.runs)
    assert "could not be written" in text_of(answer)


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault("status", status=422, code="INVALID_INPUTS", delay_seconds=1), "not_sent"),
        (Fault("status", status=500, delay_seconds=1), "unknown"),
        (LATE, "in_progress"),
    ],
    ids=["refused", "unknown", "started"],
)
async def test_writes_a_calls_outcome_later_if_it_cannot_be_written_now(
    fault: Fault, state: str, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.05)
    async with call_being_sent(scene, fault) as answers:
        with closing(sqlite3.connect(journal_file(scene), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with anyio.fail_after(WAIT_SECONDS):
                while not answers:  # noqa: ASYNC110
                    await anyio.sleep(0.05)
        await until_recorded(scene.environment, state)
