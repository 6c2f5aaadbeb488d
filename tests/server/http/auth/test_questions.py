"""A question about a price belongs to the caller who was asked."""

from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.types import ElicitRequestParams, ElicitResult

from layer_mcp.sandbox import RunningSandbox

from ....support.callers import entry, new_token, write_tokens
from ....support.hosts import SMALL_IMAGE, http_server

pytestmark = [pytest.mark.anyio, pytest.mark.process]

# A small one costs nothing.
LARGE_IMAGE = {**SMALL_IMAGE, "width": 1024, "height": 1024}


async def test_another_caller_cannot_answer_a_question(
    environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    file, alice, bob = tmp_path / "tokens.toml", new_token(), new_token()
    write_tokens(file, {"alice": entry(alice), "bob": entry(bob)})
    settings = {"LAYER_TOKENS_FILE": str(file), "LAYER_CONFIRM_ABOVE": "0"}
    headers = {"Authorization": f"Bearer {alice}"}

    async with (
        http_server({**environment, **settings}) as url,
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30) as http,
    ):
        # The second round of the call has the first round's sealed state.
        async def answer(
            context: ClientRequestContext, params: ElicitRequestParams
        ) -> ElicitResult:
            http.headers["Authorization"] = f"Bearer {answering}"
            return ElicitResult(action="accept", content={"approve": True})

        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode="2026-07-28", elicitation_callback=answer) as client:
            answering = bob
            with pytest.raises(MCPError, match="requestState"):
                await client.call_tool("execute_inference", LARGE_IMAGE)
            assert not sandbox.state.runs
            http.headers["Authorization"] = f"Bearer {alice}"
            answering = alice
            await client.call_tool("execute_inference", LARGE_IMAGE)
            assert len(sandbox.state.runs) == 1
