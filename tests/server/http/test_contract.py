"""What clients can rely on over HTTP, however the server is served and callers authenticate."""

import json
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from layer_mcp.sandbox import RunningSandbox

from ...support.callers import challenge
from ...support.hosts import SMALL_IMAGE, Era, content_of
from ...support.ways_of_serving import AUTHENTICATED, WAYS, Serving

pytestmark = [pytest.mark.anyio, pytest.mark.process]

HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
LISTING: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
IMAGE = {**SMALL_IMAGE, "wait_seconds": 10}
CALL = LISTING | {
    "method": "tools/call",
    "params": {"name": "execute_inference", "arguments": IMAGE},
}
ERAS: tuple[Era, ...] = ("2026-07-28", "legacy")
# One way runs in `make test`.
EACH_WAY = [
    pytest.param(name, marks=() if name == "static tokens" else pytest.mark.slow) for name in WAYS
]
SCOPES = "layer:read layer:spend"


async def post(serving: Serving, token: str | None, body: Any = LISTING) -> httpx.Response:
    content = body if isinstance(body, str) else json.dumps(body)
    async with serving.client(token) as http:
        headers = {**HEADERS, "Content-Type": "application/json"}
        return await http.post(serving.url, content=content, headers=headers)


def tools_in(answer: httpx.Response) -> set[str]:
    """Return the names of the tools in an event stream."""
    [data] = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    return {tool["name"] for tool in json.loads(data)["result"]["tools"]}


async def check_both_eras(serving: Serving) -> None:
    """A client of each era attaches, lists the tools, and generates an image."""
    for era in ERAS:
        token = serving.spender
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30) as http:
            transport = streamable_http_client(serving.url, http_client=http)
            async with Client(transport, mode=era) as client:
                assert "get_status" in {tool.name for tool in (await client.list_tools()).tools}
                result = await client.call_tool("execute_inference", {**IMAGE, "prompt": era})
                assert content_of(result)["status"] == "complete"


async def check_no_sessions(serving: Serving) -> None:
    """A fresh server lists the tools without a handshake, keeps no session, and streams nothing."""
    answer = await post(serving, serving.spender)
    assert answer.status_code == 200
    assert "execute_inference" in tools_in(answer)
    assert "mcp-session-id" not in answer.headers
    async with serving.client(serving.spender) as http:
        for method in ("GET", "DELETE"):
            assert (await http.request(method, serving.url)).status_code == 405


async def check_refusals(serving: Serving) -> None:
    """Callers learn how to authenticate, and readers how to spend."""
    where = {"resource_metadata": serving.metadata_url} if serving.metadata_url else {}
    none = await post(serving, None)
    assert (none.status_code, challenge(none)) == (401, {**where, "scope": SCOPES})
    wrong = challenge(await post(serving, "wrong"))
    assert wrong.pop("error_description")
    assert wrong == {"error": "invalid_token", **where, "scope": SCOPES}
    assert "execute_inference" in tools_in(await post(serving, serving.reader))
    spending = await post(serving, serving.reader, CALL)
    needed = challenge(spending)
    assert needed.pop("error_description")
    assert spending.status_code == 403
    assert needed == {"error": "insufficient_scope", **where, "scope": SCOPES}


async def check_metadata(serving: Serving) -> None:
    """The metadata are at both paths, and name this server's URL."""
    for path in ("/mcp", ""):
        address = serving.url.removesuffix("/mcp") + "/.well-known/oauth-protected-resource" + path
        async with serving.client(None) as http:
            answer = await http.get(address)
        if serving.metadata_url is None:
            assert answer.status_code in (401, 404)
        else:
            assert answer.json()["resource"] == serving.url


@pytest.mark.parametrize("way", EACH_WAY)
async def test_every_way_of_serving_keeps_the_contract(
    way: str, environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    async with WAYS[way](environment, tmp_path) as serving:
        await check_no_sessions(serving)
        await check_both_eras(serving)
        await check_metadata(serving)
        if way in AUTHENTICATED:
            await check_refusals(serving)
    check_layer_saw_no_caller(serving, sandbox)


def check_layer_saw_no_caller(serving: Serving, sandbox: RunningSandbox) -> None:
    """Layer gets the server's token, and never a caller's."""
    arrived = [arrival.headers for arrival in sandbox.state.arrivals]
    credentials = {headers.get("authorization") for headers in arrived}
    # Outputs are downloaded without a token.
    assert credentials - {None} == {f"Bearer {sandbox.token}"}
    sent = [value for headers in arrived for value in headers.values()]
    for token in filter(None, (serving.spender, serving.reader)):
        assert not any(token in value for value in sent)
