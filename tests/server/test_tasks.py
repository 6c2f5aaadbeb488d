"""Runs as tasks, for clients that take them: nothing is kept in memory, and any process answers."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolResult,
    ElicitRequestParams,
    ElicitResult,
)

from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.sandbox.knobs import Operation
from layer_mcp.server.tasks import EXTENSION_ID

from ..support.hosts import (
    ALL_HOSTS,
    MEMORY,
    SMALL_IMAGE,
    Host,
    content_of,
    error_code,
    http_server,
)
from ..support.task_client import TakesTasks, call, get_task, task_of, tell_task, until_ended

pytestmark = pytest.mark.anyio

MODERN_HOSTS = [host for host in ALL_HOSTS if host.era != "legacy"]
LEGACY_HOSTS = [host for host in ALL_HOSTS if host.era == "legacy"]
UNKNOWN = "00000000-0000-4000-8000-000000000000"
WORKFLOW_CALL: dict[str, Any] = {
    "workflow_id": "00000000-0000-4000-8000-0000000000c1",
    "inputs": {"prompt": "potions", "count": 2},
}


@asynccontextmanager
async def taking_tasks(
    environment: dict[str, str], host: Host = MEMORY, **settings: str
) -> AsyncGenerator[Client]:
    async with host.connect(environment | settings, extensions=[TakesTasks()]) as client:
        yield client


async def arrived(sandbox: RunningSandbox, operation: Operation) -> None:
    """Returns when a request has come."""
    while True:
        if sandbox.state.arrived[operation]:
            return
        await anyio.sleep(0.01)


async def ended(client: Client, task_id: str) -> CallToolResult:
    """Return the final state of a task."""
    with anyio.fail_after(20):
        task = await until_ended(client.session, task_id)
    assert (task.status, task.result is not None) == ("completed", True)
    assert task.result is not None
    return task.result


@pytest.mark.smoke
@pytest.mark.parametrize("host", MODERN_HOSTS, ids=str)
async def test_a_run_is_a_task_and_its_answer_that_of_get_status(
    environment: dict[str, str], sandbox: RunningSandbox, host: Host
) -> None:
    async with taking_tasks(environment, host) as client:
        handle = await task_of(client, "execute_inference", SMALL_IMAGE)
        result = await ended(client, handle.task_id)
        status = await client.call_tool("get_status", {"inference_id": handle.task_id})
    assert [*sandbox.state.runs] == [handle.task_id]
    assert result.structured_content == status.structured_content
    assert [block.type for block in result.content] == [block.type for block in status.content]


async def test_a_workflow_run_is_a_task_too(environment: dict[str, str]) -> None:
    async with taking_tasks(environment, LAYER_TOOLSETS="workflows") as client:
        handle = await task_of(client, "execute_workflow", WORKFLOW_CALL)
        result = content_of(await ended(client, handle.task_id))
    assert result["run_id"] == handle.task_id
    assert len(result["outputs"]) == 2


async def test_a_running_run_is_a_working_task_with_layers_interval(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    sandbox.state.knobs.poll_interval_seconds = 7
    async with taking_tasks(environment) as client:
        handle = await task_of(client, "execute_inference", SMALL_IMAGE | {"wait_seconds": 30})
        task = await get_task(client, handle.task_id)
    assert (handle.status, task.status) == ("working", "working")
    assert handle.poll_interval_ms is not None
    assert 6_000 < handle.poll_interval_ms <= 7_000
    assert task.created_at == handle.created_at
    assert (handle.ttl_ms, task.ttl_ms) == (None, None)


async def test_a_client_that_polls_too_often_does_not_reach_layer(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    async with taking_tasks(environment) as client:
        handle = await task_of(client, "execute_inference", SMALL_IMAGE)
        sandbox.state.knobs.poll_interval_seconds = 600
        for _ in range(20):
            await get_task(client, handle.task_id)
    assert sandbox.state.arrived["get_inference"] <= 1


@pytest.mark.parametrize("host", MODERN_HOSTS, ids=str)
async def test_a_task_is_read_by_a_server_that_did_not_start_it(
    environment: dict[str, str], host: Host
) -> None:
    async with taking_tasks(environment) as client:
        handle = await task_of(client, "execute_inference", SMALL_IMAGE)
    async with taking_tasks(environment, host) as client:
        result = await ended(client, handle.task_id)
        task = await get_task(client, handle.task_id)
    assert content_of(result)["inference_id"] == handle.task_id
    assert task.created_at == handle.created_at


async def test_a_task_without_a_journal_is_asked_of_layer(
    environment: dict[str, str], tmp_path: Path
) -> None:
    async with taking_tasks(environment) as client:
        handle = await task_of(client, "execute_inference", SMALL_IMAGE)
    async with taking_tasks(environment, LAYER_STATE_DIR=str(tmp_path / "other")) as client:
        result = await ended(client, handle.task_id)
    assert content_of(result)["inference_id"] == handle.task_id


async def test_a_failed_run_is_a_completed_task_with_an_error_of_the_tool(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_error = ("NO_MEDIA_GENERATED", "Nothing came out.")
    async with taking_tasks(environment) as client:
        handle = await task_of(client, "execute_inference", SMALL_IMAGE)
        result = await ended(client, handle.task_id)
    assert error_code(result) == "NO_MEDIA_GENERATED"


async def test_repeating_a_call_returns_the_same_task(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with taking_tasks(environment) as client:
        first = await task_of(client, "execute_inference", SMALL_IMAGE)
        await ended(client, first.task_id)
        second = await task_of(client, "execute_inference", SMALL_IMAGE)
    assert second.task_id == first.task_id
    assert sandbox.state.arrived["execute_inference"] == 1


async def test_a_call_that_sends_nothing_is_answered_without_a_task(
    environment: dict[str, str],
) -> None:
    async with taking_tasks(environment) as client:
        refused = await call(client, "execute_inference", SMALL_IMAGE | {"promt": "x"})
    assert isinstance(refused, CallToolResult)
    assert refused.is_error


@pytest.mark.parametrize("host", MODERN_HOSTS, ids=str)
async def test_a_person_is_asked_before_the_task_exists(
    environment: dict[str, str], sandbox: RunningSandbox, host: Host
) -> None:
    asked: list[int] = []

    async def yes(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.append(sandbox.state.arrived["execute_inference"])
        return ElicitResult(action="accept", content={"approve": True})

    settings = environment | {"LAYER_CONFIRM_ABOVE": "0"}
    dear = SMALL_IMAGE | {"width": 512, "height": 512}
    async with host.connect(
        settings, elicitation_callback=yes, extensions=[TakesTasks()]
    ) as client:
        result = await client.call_tool("execute_inference", dear)
    assert asked == [0]
    assert content_of(result)["status"] == "complete"


async def test_other_tools_answer_as_usual(environment: dict[str, str]) -> None:
    async with taking_tasks(environment) as client:
        found = await call(client, "list_models", {})
    assert isinstance(found, CallToolResult)


@pytest.mark.parametrize("host", LEGACY_HOSTS, ids=str)
async def test_an_older_connection_gets_an_ordinary_answer(
    environment: dict[str, str], host: Host
) -> None:
    async with taking_tasks(environment, host) as client:
        answer = await client.call_tool("execute_inference", SMALL_IMAGE | {"wait_seconds": 20})
    assert content_of(answer)["status"] == "complete"


@pytest.mark.slow
@pytest.mark.parametrize("host", LEGACY_HOSTS, ids=str)
async def test_an_older_connection_has_no_tasks(environment: dict[str, str], host: Host) -> None:
    async with taking_tasks(environment, host) as client:
        with pytest.raises(MCPError) as refused:
            await get_task(client, UNKNOWN)
    assert refused.value.error.code == METHOD_NOT_FOUND


@pytest.mark.parametrize("host", MODERN_HOSTS, ids=str)
async def test_a_client_that_does_not_declare_tasks_gets_an_ordinary_answer(
    environment: dict[str, str], host: Host
) -> None:
    async with host.connect(environment) as client:
        answer = await client.call_tool("execute_inference", SMALL_IMAGE | {"wait_seconds": 20})
    assert content_of(answer)["status"] == "complete"


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_tasks_are_for_clients_that_declare_them(
    environment: dict[str, str], method: str
) -> None:
    async with MEMORY.connect(environment) as client:
        with pytest.raises(MCPError) as refused:
            await tell_task(client, method, UNKNOWN)
    assert refused.value.error.code == MISSING_REQUIRED_CLIENT_CAPABILITY


@pytest.mark.parametrize("task_id", [UNKNOWN, "no-such-task", "x" * 10_000, "../../etc"])
@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_an_unknown_task_is_an_invalid_parameter(
    environment: dict[str, str], method: str, task_id: str
) -> None:
    async with taking_tasks(environment) as client:
        with pytest.raises(MCPError) as refused:
            await tell_task(client, method, task_id)
    assert refused.value.error.code == INVALID_PARAMS
    assert len(refused.value.error.message) < 200


@pytest.mark.parametrize(("status", "code"), [(404, "NOT_FOUND"), (422, "INVALID_INPUTS")])
async def test_an_id_that_is_not_a_run_in_layer_is_an_unknown_task(
    environment: dict[str, str], sandbox: RunningSandbox, status: int, code: str
) -> None:
    sandbox.state.knobs.fail_next("get_inference", Fault("status", status=status, code=code))
    async with taking_tasks(environment) as client:
        with pytest.raises(MCPError) as refused:
            await get_task(client, UNKNOWN)
    assert refused.value.error.code == INVALID_PARAMS


@pytest.mark.parametrize("method", ["tasks/update", "tasks/cancel"])
async def test_requests_about_a_task_are_acknowledged(
    environment: dict[str, str], method: str
) -> None:
    async with taking_tasks(environment) as client:
        handle = await task_of(client, "execute_inference", SMALL_IMAGE)
        answer = await tell_task(client, method, handle.task_id)
    assert answer == {}


@pytest.mark.parametrize("method", ["tasks/update", "tasks/cancel"])
async def test_a_run_of_the_journal_is_acknowledged_without_asking_layer(
    environment: dict[str, str], sandbox: RunningSandbox, method: str
) -> None:
    async with taking_tasks(environment) as client:
        handle = await task_of(client, "execute_inference", SMALL_IMAGE)
        await ended(client, handle.task_id)
        before = sandbox.state.arrived.copy()
        await tell_task(client, method, handle.task_id)
    assert sandbox.state.arrived == before


async def test_cancelling_a_task_ends_the_wait_but_not_the_run(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    answers: list[CallToolResult] = []
    async with taking_tasks(environment) as client:
        handle = await task_of(client, "execute_inference", SMALL_IMAGE)

        async def wait() -> None:
            status = {"inference_id": handle.task_id, "wait_seconds": 40}
            answers.append(await client.call_tool("get_status", status))

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await arrived(sandbox, "get_inference")
                await tell_task(client, "tasks/cancel", handle.task_id)
        task = await get_task(client, handle.task_id)
    assert content_of(answers[0])["status"] == "in_progress"
    assert task.status == "working"


async def test_layer_down_leaves_a_task_working(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with taking_tasks(environment) as client:
        handle = await task_of(client, "execute_inference", SMALL_IMAGE)
    sandbox.state.knobs.fail_next("get_inference", *[Fault("status") for _ in range(50)])
    async with taking_tasks(environment) as client:
        task = await get_task(client, handle.task_id)
    assert task.status == "working"
    assert task.status_message == "Layer couldn't be asked: Something broke."


@pytest.mark.parametrize("journal", ["state", "another"])
@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"LAYER_API_KEY": "pat_wrong"}, "UNAUTHENTICATED"),
        ({"LAYER_API_KEY": ""}, "MISSING_TOKEN"),
    ],
    ids=["a wrong token", "no token"],
)
async def test_a_paid_run_that_cannot_be_read_is_not_an_unknown_task(
    settings: dict[str, str],
    code: str,
    journal: str,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    async with taking_tasks(environment) as client:
        handle = await task_of(client, "execute_inference", SMALL_IMAGE)
    settings = settings | {"LAYER_STATE_DIR": str(tmp_path / journal)}
    async with taking_tasks(environment | settings) as client:
        with pytest.raises(MCPError) as refused:
            await get_task(client, handle.task_id)
    assert refused.value.error.code == INTERNAL_ERROR
    assert refused.value.error.message.startswith(f"{code}: ")


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize(("named", "status"), [({}, 200), ({"Mcp-Name": UNKNOWN}, 400)])
async def test_a_header_may_be_missing_but_not_name_another_task(
    environment: dict[str, str], named: dict[str, str], status: int
) -> None:
    async with taking_tasks(environment) as client:
        handle = await task_of(client, "execute_inference", SMALL_IMAGE)
    meta: dict[str, Any] = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "a test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {EXTENSION_ID: {}}},
    }
    params = {"taskId": handle.task_id, "_meta": meta}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": params}
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tasks/get",
    }
    async with http_server(environment) as url, httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(url, json=body, headers=headers | named)
    assert answer.status_code == status, answer.text
