"""The SDK's client logs in: it finds the issuer, registers, and gets a token with the scopes."""

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from layer_mcp.sandbox import RunningSandbox

from ....support.authorization_server import authorization_server, login
from ....support.hosts import SMALL_IMAGE, Era, content_of, http_server
from ....support.issuer import JWKS_PATH

pytestmark = [pytest.mark.anyio, pytest.mark.process, pytest.mark.slow]


@pytest.mark.parametrize("era", ["2026-07-28", "legacy"])
async def test_a_client_that_only_knows_the_url_logs_in_and_generates(
    era: Era, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    with authorization_server() as issuer:
        settings = {
            "LAYER_OAUTH_ISSUER": issuer.url,
            "LAYER_OAUTH_JWKS_URL": issuer.url + JWKS_PATH,
        }
        async with (
            http_server({**environment, **settings}) as url,
            httpx2.AsyncClient(auth=login(url), trust_env=False, timeout=30) as http,
            Client(streamable_http_client(url, http_client=http), mode=era) as client,
        ):
            result = await client.call_tool("execute_inference", SMALL_IMAGE)
    assert content_of(result)["inference_id"] in sandbox.state.runs
