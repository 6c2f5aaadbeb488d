"""Callers of one server over HTTP: each has its own runs, budgets, and questions, or own key."""

from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import (
    ElicitRequestParams,
    ElicitResult,
    PromptReference,
    ResourceTemplateReference,
    TextResourceContents,
)
from starlette.types import Receive, Scope, Send

from layer_mcp.sandbox import RunningSandbox
from layer_mcp.server.callers.caller import CALLER_KEY, KEY_HEADERS, Caller
from layer_mcp.server.http.caller_headers import read_caller_headers
from layer_mcp.server.http.settings import HttpSettings, Payer
from layer_mcp.server.resources import MODEL_TEMPLATE

from ...support.callers import message_of
from ...support.hosts import SMALL_IMAGE, Era, content_of, error_code, text_of
from ...support.team_server import TeamServer, team_server

pytestmark = pytest.mark.anyio

NAMES = [f"caller-{number}" for number in range(20)]
PAID = SMALL_IMAGE | {"width": 1000, "height": 1000}
OWN_KEYS = HttpSettings(payer="caller")
ERAS: list[Any] = ["2026-07-28", pytest.param("legacy", marks=pytest.mark.slow)]
HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
LISTING: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}


@pytest.fixture
def team(environment: dict[str, str], sandbox: RunningSandbox) -> dict[str, str]:
    """The settings of a server whose calls may wait for each other's slots."""
    sandbox.state.knobs.max_runs_at_once = 100
    sandbox.state.knobs.max_runs_a_minute = 1000
    return environment | {"LAYER_MAX_WAIT_SECONDS": "300", "LAYER_PREVIEW": "0"}


async def read_text(client: Client, uri: str) -> str:
    [content] = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    return content.text


async def use_everything(client: Client) -> tuple[str, str]:
    """Generate, wait, list and read as one caller; return the IDs of the run and its file."""
    answer = await client.call_tool("execute_inference", SMALL_IMAGE)
    # All callers share Layer's limit of five runs at a time.
    while answer.is_error and error_code(answer) == "RUNS_AT_LIMIT":
        answer = await client.call_tool("execute_inference", SMALL_IMAGE)
    assert not answer.is_error, text_of(answer)
    started = content_of(answer)
    assert "duplicate" not in started
    run_id = started["inference_id"]
    again = content_of(await client.call_tool("execute_inference", SMALL_IMAGE))
    assert (again["inference_id"], again["duplicate"]) == (run_id, True)
    arguments = {"inference_id": run_id, "wait_seconds": 60}
    ended = content_of(await client.call_tool("get_status", arguments))
    [output] = ended["outputs"]
    listed = content_of(await client.call_tool("list_runs", {}))
    assert [row["inference_id"] for row in listed["runs"]] == [run_id]
    assert listed["total"] == 1
    assert listed["spent_creative_units"] == ended["actual_price_creative_units"]
    assert run_id in await read_text(client, "layer://runs")
    await client.read_resource(f"layer://outputs/{output['file_id']}")
    return run_id, output["file_id"]


async def all_callers(
    server: TeamServer, era: Era, headers: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str]]:
    """Use everything as each of these callers at the same time, and return the IDs of each."""
    found: dict[int, tuple[str, str]] = {}

    async def one(number: int) -> None:
        async with server.connect(era=era, **headers[number]) as client:
            found[number] = await use_everything(client)

    async with anyio.create_task_group() as tasks:
        for number in range(len(headers)):
            tasks.start_soon(one, number)
    return [found[number] for number in range(len(headers))]


@pytest.mark.parametrize("era", ERAS)
async def test_nothing_crosses_between_callers_of_a_shared_account(
    era: Era, team: dict[str, str], sandbox: RunningSandbox
) -> None:
    with team_server(team) as server:
        ids = await all_callers(server, era, [{"name": name} for name in NAMES])
    assert {run_id for run_id, _ in ids} == set(sandbox.state.runs)
    assert sandbox.state.arrived["execute_inference"] == len(set(ids)) == len(NAMES)


@pytest.mark.parametrize("era", ERAS)
async def test_nothing_crosses_between_callers_with_their_own_keys(
    era: Era, team: dict[str, str], sandbox: RunningSandbox
) -> None:
    accounts = [sandbox.state.add_account(name) for name in NAMES]
    without_workspace = team | {"LAYER_WORKSPACE_ID": ""}
    with team_server(without_workspace, OWN_KEYS) as server:
        headers = [{"X_Layer_Api_Key": account.token} for account in accounts]
        ids = await all_callers(server, era, headers)
    runs = sandbox.state.runs
    workspaces = [runs[run_id].workspace_id for run_id, _ in ids]
    assert workspaces == [account.workspace_id for account in accounts]
    assert len(runs) == len(NAMES)


async def test_completions_name_only_the_workspaces_of_the_callers_key(
    team: dict[str, str], sandbox: RunningSandbox
) -> None:
    accounts = [sandbox.state.add_account(name) for name in ("Red", "Blue")]
    reference = ResourceTemplateReference(uri=MODEL_TEMPLATE)
    with team_server(team, OWN_KEYS) as server:
        for account in accounts:
            async with server.connect(X_Layer_Api_Key=account.token or "") as client:
                typed = {"name": "workspace_id", "value": ""}
                found = await client.complete(reference, typed)
            assert found.completion.values == [account.workspace_id]


async def test_a_caller_without_a_key_never_pays_with_the_servers(
    team: dict[str, str], sandbox: RunningSandbox
) -> None:
    with team_server(team, OWN_KEYS) as server:
        async with server.connect() as client:
            refused = await client.call_tool("execute_inference", SMALL_IMAGE)
            with pytest.raises(MCPError, match="X-Layer-Api-Key"):
                await client.read_resource("layer://workspaces")
    assert error_code(refused) == "MISSING_TOKEN"
    assert "X-Layer-Api-Key" in text_of(refused)
    assert not sandbox.state.arrived


async def test_a_rejected_key_is_not_replaced_by_the_servers(
    team: dict[str, str], sandbox: RunningSandbox
) -> None:
    with team_server(team, OWN_KEYS) as server:
        async with server.connect(X_API_Key="another-key") as client:
            refused = await client.call_tool("list_workspaces", {})
    assert error_code(refused) == "UNAUTHENTICATED"
    assert "X-Layer-Api-Key" in text_of(refused)
    tokens = {arrival.headers["authorization"] for arrival in sandbox.state.arrivals}
    assert tokens == {"Bearer another-key"}


async def test_a_key_is_ignored_if_the_server_pays(
    team: dict[str, str], sandbox: RunningSandbox
) -> None:
    with team_server(team) as server:
        async with server.connect("ann", X_API_Key="another-key") as client:
            await client.call_tool("list_workspaces", {})
    tokens = {arrival.headers["authorization"] for arrival in sandbox.state.arrivals}
    assert tokens == {f"Bearer {sandbox.token}"}


async def test_new_limits_of_a_caller_apply_to_its_next_call(team: dict[str, str]) -> None:
    with team_server(team) as server:
        async with server.connect("ann") as client:
            assert not (await client.call_tool("execute_inference", PAID)).is_error
            server.known["ann"] = Caller(max_price=0.0001)
            another = PAID | {"prompt": "another"}
            refused = await client.call_tool("execute_inference", another)
            assert error_code(refused) == "PRICE_ABOVE_LIMIT"
            assert content_of(await client.call_tool("list_runs", {}))["total"] == 1


async def test_the_servers_daily_limit_applies_to_each_key_by_itself(
    team: dict[str, str], sandbox: RunningSandbox
) -> None:
    ann, bob = (sandbox.state.add_account(name) for name in ("Ann", "Bob"))
    settings = team | {"LAYER_WORKSPACE_ID": ""}
    with team_server(settings, OWN_KEYS) as server:
        async with server.connect(X_Layer_Api_Key=ann.token or "") as client:
            answer = await client.call_tool("estimate_price", PAID)
    price = content_of(answer)["estimated_price_creative_units"]
    settings |= {"LAYER_MAX_SPEND_PER_DAY": str(price * 1.5)}
    with team_server(settings, OWN_KEYS) as server:
        for account in (ann, bob):
            async with server.connect(X_Layer_Api_Key=account.token or "") as client:
                assert not (await client.call_tool("execute_inference", PAID)).is_error
                refused = await client.call_tool("execute_inference", PAID | {"prompt": "another"})
                assert error_code(refused) == "SPENDING_LIMIT_REACHED"


async def test_headers_narrow_what_a_caller_sees(team: dict[str, str]) -> None:
    with team_server(team | {"LAYER_TOOLSETS": "generate,models"}) as server:
        async with server.connect(
            "ann", X_Layer_Toolsets="generate,workflows", X_Layer_Read_Only="1"
        ) as client:
            listed = await client.list_tools()
            names = {tool.name for tool in listed.tools}
            assert names == {"get_status", "list_runs", "estimate_price"}
            assert listed.cache_scope == "private"
            assert (await client.list_prompts()).prompts == []
            assert "execute_inference" not in (client.instructions or "")
            hidden = await client.call_tool("execute_inference", SMALL_IMAGE)
            unknown = await client.call_tool("no_such_tool", {})
            assert text_of(hidden).replace("execute_inference", "no_such_tool") == text_of(unknown)
            with pytest.raises(MCPError, match="Unknown prompt"):
                await client.get_prompt("icon_set", {"subjects": "sword"})
            typed = {"name": "model_id", "value": ""}
            found = await client.complete(PromptReference(name="icon_set"), typed)
            assert found.completion.values == []


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ([("X-Layer-Toolsets", "everything")], "X-Layer-Toolsets can name"),
        ([("X-Layer-Read-Only", "maybe")], "X-Layer-Read-Only must be 1 or 0."),
        ([("X-Layer-Read-Only", "1")] * 2, "X-Layer-Read-Only must be sent only once."),
        ([("X-Layer-Api-Key", "a")] * 2, "X-Layer-Api-Key must be sent only once."),
        ([("X-API-Key", "a"), ("X-API-Key", "b")], "X-API-Key must be sent only once."),
        ([("X-Layer-Api-Key", "two words")], "X-Layer-Api-Key must be one word"),
    ],
)
def test_invalid_headers_are_refused_in_one_sentence(
    headers: list[tuple[str, str]], sentence: str, team: dict[str, str]
) -> None:
    with team_server(team, OWN_KEYS) as server:
        sent = [*HEADERS.items(), *headers]
        answer = httpx.post(server.url, json=LISTING, headers=sent, trust_env=False)
    assert answer.status_code == 400
    assert message_of(answer).startswith(sentence)


@pytest.mark.parametrize("payer", ["caller", "server"])
@pytest.mark.parametrize("name", KEY_HEADERS)
async def test_a_key_is_removed_from_the_headers(name: str, payer: Payer) -> None:
    seen: list[Scope] = []

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    key, other = (name.lower().encode(), b"a-key"), (b"accept", b"*/*")
    app = read_caller_headers(note, HttpSettings(payer=payer))
    await app({"type": "http", "headers": [key, other]}, nothing, nothing)
    assert seen[0]["headers"] == [other]
    assert seen[0][CALLER_KEY].layer_key == ("a-key" if payer == "caller" else None)


async def test_a_team_cannot_reach_the_servers_disk(
    team: dict[str, str], sandbox: RunningSandbox
) -> None:
    folders = {"LAYER_OUTPUT_DIR": team["LAYER_STATE_DIR"], "LAYER_TOOLSETS": "all"}
    with team_server(team | folders) as server:
        async with server.connect("ann") as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert not names & {"save_outputs", "upload_file"}
            assert "save_outputs" not in (client.instructions or "")
            reference = [{"path": "/etc/hostname", "type": "reference_image"}]
            call = SMALL_IMAGE | {"guidance_files": reference}
            refused = await client.call_tool("execute_inference", call)
            assert error_code(refused) == "PATH_NOT_ALLOWED"
            assert "create_upload" in text_of(refused)
            await use_everything(client)
            said = text_of(await client.call_tool("list_runs", {}))
            assert "save_outputs" not in said
            assert team["LAYER_STATE_DIR"] not in said
    assert sandbox.state.arrived["media"] == 1


async def test_another_replica_accepts_the_answer_to_a_question(
    team: dict[str, str], sandbox: RunningSandbox
) -> None:
    keys = HttpSettings(is_insecure=True, server_keys=("k" * 40,))
    strict = team | {"LAYER_CONFIRM_ABOVE": "0"}
    with team_server(strict, keys) as first, team_server(strict, keys) as second:
        question = call_over_http(first, "ann")
        assert question["resultType"] == "input_required", question
        sandbox.state.workspaces[0].balance_creative_units -= 1
        [(key, asked)] = question["inputRequests"].items()
        assert "The balance is 1000 CU." in asked["params"]["message"]
        answer = {
            "inputResponses": {key: {"action": "accept", "content": {"approve": True}}},
            "requestState": question["requestState"],
        }
        foreign = call_over_http(second, "bob", **answer)
        assert foreign["code"] == -32602
        assert not sandbox.state.arrived["execute_inference"]
        done = call_over_http(second, "ann", **answer)
    assert done["structuredContent"]["inference_id"] in sandbox.state.runs
    assert sandbox.state.arrived["execute_inference"] == 1


def call_over_http(server: TeamServer, name: str, **more: Any) -> dict[str, Any]:
    """Start a run in the era of rounds, and return the result or the error."""
    meta: dict[str, Any] = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
    }
    params = {"name": "execute_inference", "arguments": PAID, "_meta": meta, **more}
    headers = HEADERS | {
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "execute_inference",
        "X-Test-Caller": name,
    }
    message = LISTING | {"method": "tools/call", "params": params}
    answer = httpx.post(server.url, json=message, headers=headers, timeout=60, trust_env=False)
    body = answer.json()
    return body.get("result") or body["error"]


async def test_questions_of_two_callers_are_answered_apart(team: dict[str, str]) -> None:
    asked: dict[str, list[str]] = {"ann": [], "bob": []}

    async def generate(server: TeamServer, name: str, action: Any) -> bool:
        async def answer(
            context: ClientRequestContext, params: ElicitRequestParams
        ) -> ElicitResult:
            asked[name].append(params.message)
            return ElicitResult(action=action, content={"approve": True})

        async with server.connect(name, elicitation_callback=answer) as client:
            return not (await client.call_tool("execute_inference", PAID)).is_error

    with team_server(team | {"LAYER_CONFIRM_ABOVE": "0"}) as server:
        assert await generate(server, "ann", "accept")
        assert not await generate(server, "bob", "decline")
    assert [len(questions) for questions in asked.values()] == [1, 1]
