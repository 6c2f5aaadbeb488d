"""Hosts that disconnect, cancel, or stop reading: their runs continue, and leave nothing behind."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import psutil
import pytest
from mcp import Client

from layer_mcp import Settings
from layer_mcp.sandbox import RunningSandbox
from layer_mcp.server.app import create_server

from ..support.hosts import SMALL_IMAGE, content_of, http_server
from ..support.raw_hosts import (
    RawConnection,
    StdioWire,
    call,
    notification,
    raw_http,
    raw_stdio,
    request,
)
from ..support.stdio_child import INITIALIZE, INITIALIZED

pytestmark = [pytest.mark.anyio, pytest.mark.process, pytest.mark.slow]

WARM_UPS, ROUNDS = 3, 12
LIMIT_SECONDS = 20
LISTING = request(99, "tools/list")


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(LIMIT_SECONDS):
        while not holds():  # noqa: ASYNC110
            await anyio.sleep(0.02)


async def started_run(raw: RawConnection) -> str:
    answer = await raw.ask(call(1, "execute_inference", SMALL_IMAGE))
    return answer["result"]["structuredContent"]["inference_id"]


def waiting_for(run_id: str, number: int = 2) -> dict[str, Any]:
    return call(number, "get_status", {"inference_id": run_id, "wait_seconds": 40})


@asynccontextmanager
async def stdio_host(environment: dict[str, str]) -> AsyncGenerator[StdioWire]:
    """A child process after its handshake."""
    async with raw_stdio(environment) as wire:
        await RawConnection(wire, "legacy").exchange(INITIALIZE, INITIALIZED)
        yield wire


async def test_waits_that_are_cancelled_leave_no_connection_behind(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    async with stdio_host(environment) as wire:
        raw = RawConnection(wire, "legacy")
        run_id = await started_run(raw)
        process = psutil.Process(wire.process.pid)

        async def cancelled_waits(numbers: range) -> None:
            for number in numbers:
                polls = sandbox.state.arrived["get_inference"]
                await wire.send(waiting_for(run_id, number))
                await until(lambda polls=polls: sandbox.state.arrived["get_inference"] > polls)
                await wire.send(notification("notifications/cancelled", requestId=number))

        await cancelled_waits(range(100, 100 + WARM_UPS))
        assert (await raw.ask(LISTING))["id"] == LISTING["id"]
        before = process.num_fds()
        await cancelled_waits(range(200, 200 + ROUNDS))
        # No answer to a cancelled wait comes before this one.
        assert (await raw.ask(LISTING))["id"] == LISTING["id"]
        await until(lambda: process.num_fds() <= before)
        status = {"inference_id": run_id, "wait_seconds": 0}
        answer = await raw.ask(call(3, "get_status", status))
    assert answer["result"]["structuredContent"]["status"] == "in_progress"
    assert sandbox.state.arrived["execute_inference"] == 1


async def test_waits_that_are_cancelled_leave_no_task_behind(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    async with Client(create_server(Settings.from_env(environment))) as client:
        started = content_of(await client.call_tool("execute_inference", SMALL_IMAGE))
        wait = {"inference_id": started["inference_id"], "wait_seconds": 40}

        async def cancelled_wait() -> None:
            polls = sandbox.state.arrived["get_inference"]
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.call_tool, "get_status", wait)
                await until(lambda: sandbox.state.arrived["get_inference"] > polls)
                tasks.cancel_scope.cancel()

        await cancelled_wait()
        await client.list_tools()
        before = len(asyncio.all_tasks())
        for _ in range(ROUNDS):
            await cancelled_wait()
        await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_http_hosts_that_hang_up_in_a_wait_leave_no_connection_behind(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    async with http_server(environment) as url, raw_http(url, "legacy") as wire:
        raw = RawConnection(wire, "legacy")
        run_id = await started_run(raw)
        [process] = [
            child
            for child in psutil.Process().children(recursive=True)
            if "serve" in child.cmdline() and "--http" in child.cmdline()
        ]

        async def hung_up_waits(count: int) -> None:
            for _ in range(count):
                polls = sandbox.state.arrived["get_inference"]
                async with raw_http(url, "legacy") as leaving, anyio.create_task_group() as tasks:
                    tasks.start_soon(leaving.post, waiting_for(run_id))
                    await until(lambda polls=polls: sandbox.state.arrived["get_inference"] > polls)
                    tasks.cancel_scope.cancel()

        await hung_up_waits(WARM_UPS)
        assert (await raw.ask(LISTING))["result"]["tools"]
        before = process.num_fds()
        await hung_up_waits(ROUNDS)
        assert (await raw.ask(LISTING))["result"]["tools"]
        await until(lambda: process.num_fds() <= before)
    assert sandbox.state.arrived["execute_inference"] == 1


async def test_a_host_that_reads_late_gets_every_answer(environment: dict[str, str]) -> None:
    async with stdio_host(environment) as wire:
        numbers = range(100)
        with anyio.fail_after(60):
            for number in numbers:
                await wire.send(LISTING | {"id": number})
            answers = [await wire.receive() for _ in numbers]
    assert {answer["id"] for answer in answers} == set(numbers)


async def test_a_host_that_never_reads_can_still_end_the_server(
    environment: dict[str, str],
) -> None:
    async with stdio_host(environment) as wire:
        for number in range(100):
            await wire.send(LISTING | {"id": number})
        wire.process.send_signal(signal.SIGTERM)
        with anyio.fail_after(5):
            assert await wire.process.wait() == -signal.SIGTERM


async def test_an_http_host_that_never_reads_does_not_block_others(
    environment: dict[str, str],
) -> None:
    async with (
        http_server(environment) as url,
        raw_http(url, "legacy") as wire,
        raw_http(url, "legacy") as silent,
    ):
        for _ in range(20):
            post = silent.http.build_request("POST", url, json=LISTING, headers=silent.headers)
            await silent.http.send(post, stream=True)
        answer = await RawConnection(wire, "legacy").ask(LISTING)
    assert answer["result"]["tools"]
