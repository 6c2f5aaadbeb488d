"""Hosts that break the rules of the protocol: answered, and nothing is paid twice."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from layer_mcp.sandbox import RunningSandbox

from ..support.hosts import SMALL_IMAGE, Era, Host, content_of, http_server
from ..support.raw_hosts import (
    ENVELOPE,
    RAW_HOSTS,
    RawConnection,
    RawHost,
    call,
    notification,
    raw_http,
    raw_stdio,
    request,
)
from ..support.sandbox_calls import api_of, png, upload
from ..support.stdio_child import INITIALIZE

pytestmark = pytest.mark.anyio

METHOD_NOT_FOUND, INVALID_PARAMS, UNSUPPORTED_VERSION = -32601, -32602, -32022
FUTURE = "2099-01-01"
LATEST_WITH_HANDSHAKE = "2025-11-25"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
LISTING = request(99, "tools/list")


@pytest.fixture(params=RAW_HOSTS, ids=str)
async def raw(
    request: pytest.FixtureRequest, environment: dict[str, str]
) -> AsyncGenerator[RawConnection]:
    host: RawHost = request.param
    async with host.connect(environment) as connection:
        yield connection


def run_of(answer: dict[str, Any]) -> str:
    return answer["result"]["structuredContent"]["inference_id"]


async def assert_still_answers(raw: RawConnection) -> None:
    assert (await raw.ask(LISTING))["result"]["tools"]


@pytest.mark.smoke
async def test_pays_once_for_an_immediately_repeated_request_id(
    raw: RawConnection, sandbox: RunningSandbox
) -> None:
    answers = await raw.exchange(*[call(7, "execute_inference", SMALL_IMAGE)] * 3)
    assert {run_of(answer) for answer in answers} == set(sandbox.state.runs)
    assert [answer["id"] for answer in answers] == [7, 7, 7]
    assert sandbox.state.arrived["execute_inference"] == 1


@pytest.mark.slow
async def test_pays_once_for_a_request_id_reused_later(
    raw: RawConnection, sandbox: RunningSandbox
) -> None:
    first = await raw.ask(call(7, "execute_inference", SMALL_IMAGE))
    second = await raw.ask(call(7, "execute_inference", SMALL_IMAGE))
    assert run_of(first) == run_of(second)
    assert sandbox.state.arrived["execute_inference"] == 1


async def test_two_different_calls_with_one_id_are_both_answered(
    raw: RawConnection, sandbox: RunningSandbox
) -> None:
    other = SMALL_IMAGE | {"prompt": "a blue potion"}
    answers = await raw.exchange(
        call("a", "execute_inference", SMALL_IMAGE), call("a", "execute_inference", other)
    )
    assert {run_of(answer) for answer in answers} == set(sandbox.state.runs)
    assert len(answers) == len(sandbox.state.runs) == 2


async def test_an_unknown_method_is_refused_by_its_code(raw: RawConnection) -> None:
    answer = await raw.ask(request(3, "no/such/method"))
    assert (answer["id"], answer["error"]["code"]) == (3, METHOD_NOT_FOUND)
    await assert_still_answers(raw)


@pytest.mark.slow
async def test_a_call_of_the_wrong_shape_is_refused_and_nothing_is_sent(
    raw: RawConnection, sandbox: RunningSandbox
) -> None:
    answers = await raw.exchange(
        request(3, "tools/call"),
        request(4, "tools/call", name="get_status", arguments=[1]),
        request(5, "tools/call", name="execute_inference", arguments=json.dumps(SMALL_IMAGE)),
    )
    codes = {answer["id"]: answer["error"]["code"] for answer in answers}
    assert codes == dict.fromkeys((3, 4, 5), INVALID_PARAMS)
    assert not sandbox.state.arrived


async def test_a_prompt_with_half_an_emoji_is_refused_and_nothing_is_sent(
    raw: RawConnection, sandbox: RunningSandbox
) -> None:
    halved = SMALL_IMAGE | {"prompt": "a potion \ud83d"}
    answer = await raw.ask(call(3, "execute_inference", halved))
    assert "error" in answer or answer["result"]["isError"]
    assert not sandbox.state.arrived
    await assert_still_answers(raw)


@pytest.mark.slow
async def test_notifications_about_nothing_are_ignored(raw: RawConnection) -> None:
    await raw.exchange(
        notification("notifications/cancelled", requestId=777),
        notification("notifications/cancelled", requestId={"a": 1}),
        notification("notifications/cancelled"),
        notification("notifications/progress", progressToken="none", progress="much"),
        notification("notifications/no/such"),
    )
    await assert_still_answers(raw)


@pytest.mark.slow
async def test_without_a_progress_token_a_wait_sends_its_answer_and_nothing_else(
    raw: RawConnection, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 2
    sandbox.state.knobs.poll_interval_seconds = 1
    waiting = SMALL_IMAGE | {"wait_seconds": 20}
    answer = await raw.ask(call(3, "execute_inference", waiting))
    assert answer["id"] == 3
    assert answer["result"]["structuredContent"]["status"] == "complete"


async def test_json_in_strings_nulls_and_empties_make_the_run_that_was_meant(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    with api_of(sandbox) as api:
        file_id = upload(api, png("red"))
    guidance = [{"file_id": file_id, "type": "reference_image", "weight": None}]
    absent = {"mask": None, "quality": "null", "session_name": "", "workspace_id": "null"}
    sent = SMALL_IMAGE | absent | {"guidance_files": json.dumps(guidance), "width": "64"}
    async with host.connect(environment) as client:
        result = await client.call_tool("execute_inference", sent)
    made = sandbox.state.runs[content_of(result)["inference_id"]].request
    assert [str(file.file_id) for file in made.guidance_files] == [file_id]
    assert (made.width, made.mask, made.quality, made.session_name) == (64, None, None, None)


@pytest.mark.slow
@pytest.mark.parametrize("version", [FUTURE, "1999-01-01", ""])
async def test_a_handshake_of_an_unknown_version_is_answered_with_a_known_one_over_stdio(
    version: str, environment: dict[str, str]
) -> None:
    wanted = INITIALIZE | {"params": INITIALIZE["params"] | {"protocolVersion": version}}
    async with raw_stdio(environment) as wire:
        answer = await RawConnection(wire, "legacy").ask(wanted)
    assert answer["result"]["protocolVersion"] == LATEST_WITH_HANDSHAKE


@pytest.mark.slow
@pytest.mark.process
async def test_a_handshake_of_a_future_version_is_answered_with_a_known_one_over_http(
    environment: dict[str, str],
) -> None:
    wanted = INITIALIZE | {"params": INITIALIZE["params"] | {"protocolVersion": FUTURE}}
    async with http_server(environment) as url, raw_http(url, "legacy") as wire:
        del wire.headers["MCP-Protocol-Version"]
        answer = await RawConnection(wire, "legacy").ask(wanted)
    assert answer["result"]["protocolVersion"] == LATEST_WITH_HANDSHAKE


@pytest.mark.slow
@pytest.mark.process
async def test_rejects_a_future_version_and_lists_the_supported_ones(
    environment: dict[str, str],
) -> None:
    message = request(3, "tools/list")
    async with raw_stdio(environment) as wire:
        modern = RawConnection(wire, "2026-07-28")
        future = {"_meta": {**ENVELOPE, VERSION_KEY: FUTURE}}
        answer = await modern.ask(message | {"params": future})
        assert answer["error"]["code"] == UNSUPPORTED_VERSION
        assert answer["error"]["data"] == {"supported": ["2026-07-28"], "requested": FUTURE}
        await assert_still_answers(modern)


@pytest.mark.slow
@pytest.mark.parametrize("envelope", [False, True], ids=["header", "header-and-envelope"])
async def test_an_http_header_of_a_future_version_is_a_bad_request_with_the_requests_id(
    envelope: bool, environment: dict[str, str]
) -> None:
    params = {"_meta": {**ENVELOPE, VERSION_KEY: FUTURE}} if envelope else {}
    async with http_server(environment) as url, raw_http(url, "legacy") as wire:
        wire.headers["MCP-Protocol-Version"] = FUTURE
        response = await wire.post(request(3, "tools/list", **params))
    assert response.status_code == 400
    assert response.json()["id"] == 3
    assert response.json()["error"]["message"]


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("era", ["2026-07-28", "legacy"])
async def test_the_server_rejects_a_post_that_is_not_a_message_and_continues(
    era: Era, environment: dict[str, str]
) -> None:
    posts: list[tuple[bytes, dict[str, str]]] = [
        (b"this is not json", {}),
        (b"", {}),
        (b"\xff\xfe", {}),
        (b'[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]', {}),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[1]}', {}),
        (b"{}", {"Content-Type": "text/plain"}),
        (b"{}", {"Accept": "text/html"}),
        (b'"' + b"x" * 5_000_000 + b'"', {}),
    ]
    statuses: list[int] = []
    async with http_server(environment) as url, raw_http(url, era) as wire:
        for content, headers in posts:
            response = await wire.http.post(url, content=content, headers=wire.headers | headers)
            statuses.append(response.status_code)
        await assert_still_answers(RawConnection(wire, era))
    assert statuses == [400, 400, 400, 400, 400, 400, 406, 413]
