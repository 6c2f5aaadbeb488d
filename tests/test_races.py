"""Equal calls that come at once, and calls that are given up while they are being sent."""

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

from layer_mcp import Settings
from layer_mcp.journal.entries import RunEntry, RunFilter
from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.server.state import journal_of

from .hosts import (
    ALL_HOSTS,
    SMALL_IMAGE,
    Host,
    content_of,
    error_code,
    http_server,
    text_of,
)
from .sandbox_calls import png

pytestmark = pytest.mark.anyio

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
    """The answers to equal calls that several server processes get at once."""
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


async def test_fifty_equal_calls_to_four_servers_are_sent_once(
    sandbox: RunningSandbox, environment: dict[str, str]
) -> None:
    answers = await answers_of_all(environment, SMALL_IMAGE, calls=CALLS, processes=PROCESSES)
    check_that_one_was_sent(sandbox, answers)


async def test_fifty_equal_calls_with_a_local_file_to_four_servers_are_sent_once(
    sandbox: RunningSandbox, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "red.png").write_bytes(png("red"))
    settings = environment | {"LAYER_INPUT_DIRS": str(tmp_path)}
    reference = {"path": str(tmp_path / "red.png"), "type": "reference_image"}
    call = SMALL_IMAGE | {"guidance_files": [reference]}
    answers = await answers_of_all(settings, call, calls=CALLS, processes=PROCESSES)
    check_that_one_was_sent(sandbox, answers)


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
        # The sandbox is a thread of its own, so there is no event to await.
        while not sandbox.state.arrived["execute_inference"]:  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def only_row(environment: dict[str, str]) -> RunEntry:
    """What the journal says of the one call, once that is final."""
    with (
        closing(journal_of(Settings.from_env(environment))) as journal,
        anyio.fail_after(WAIT_SECONDS),
    ):
        while True:
            rows = await journal.runs.listed(RunFilter(), 10)
            if rows and not rows[0].is_on_its_way:
                [row] = rows
                return row
            await anyio.sleep(0.05)


async def call_and_ignore_the_end(client: Client) -> None:
    with suppress(MCPError):
        await client.call_tool("execute_inference", SMALL_IMAGE)


async def give_up_by_cancelling(connect: Connect, scene: Scene) -> RunEntry:
    async with connect() as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call_and_ignore_the_end, client)
            await until_sent(scene.sandbox)
            tasks.cancel_scope.cancel()
        return await only_row(scene.environment)


async def give_up_by_closing(connect: Connect, scene: Scene) -> RunEntry:
    async with anyio.create_task_group() as tasks:
        async with connect() as client:
            tasks.start_soon(call_and_ignore_the_end, client)
            await until_sent(scene.sandbox)
        tasks.cancel_scope.cancel()
    return await only_row(scene.environment)


async def give_up_by_a_timeout(connect: Connect, scene: Scene) -> RunEntry:
    async with connect() as client:
        # What a first call imports must not take the time that this one has.
        await client.call_tool("estimate_price", SMALL_IMAGE)
        with suppress(MCPError):
            await client.call_tool("execute_inference", SMALL_IMAGE, read_timeout_seconds=2)
        return await only_row(scene.environment)


GiveUp = Callable[[Connect, Scene], Awaitable[RunEntry]]


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


async def test_a_call_that_is_cancelled_while_it_is_sent_keeps_its_run(
    host: Host, scene: Scene
) -> None:
    await check_that_its_run_is_kept(give_up_by_cancelling, 1.0, host, scene)


async def test_a_call_whose_host_gives_up_while_it_is_sent_keeps_its_run(
    host: Host, scene: Scene
) -> None:
    await check_that_its_run_is_kept(give_up_by_a_timeout, 4.0, host, scene)


async def test_a_call_whose_client_closes_while_it_is_sent_keeps_its_run(
    host: Host, scene: Scene
) -> None:
    await check_that_its_run_is_kept(give_up_by_closing, 1.0, host, scene)
