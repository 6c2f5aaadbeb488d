"""A replica that's killed while it saves: another one finishes, though nobody calls it."""

from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from layer_mcp.sandbox import RunningSandbox

from ...support.callers import entry, new_token, write_tokens
from ...support.hosts import SMALL_IMAGE, with_constant
from ...support.http_process import message
from ...support.ports import free_port
from ...support.postgres_server import PostgresServer
from ...support.replicas import Replica
from ...support.sandbox_calls import replace_outputs
from ...support.slow_outputs import (
    LARGE,
    SLOWEST_BYTES_A_SECOND,
    asked_ranges,
    until_a_part_arrived,
    until_saved,
)
from ...support.storages import PostgresStorage

pytestmark = [pytest.mark.anyio, pytest.mark.process]

HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "MCP-Protocol-Version": "2025-11-25",
}
LOOKS_OFTEN = with_constant("layer_mcp.runs.sending.takeover", "LOOK_SECONDS", 0.2)


async def test_another_replica_finishes_the_download_of_a_killed_one(
    environment: dict[str, str],
    sandbox: RunningSandbox,
    postgres_server: PostgresServer,
    tmp_path: Path,
) -> None:
    folder, token = tmp_path / "home" / "Layer", new_token()
    write_tokens(tmp_path / "tokens.toml", {"alice": entry(token)})
    storage = PostgresStorage(postgres_server, postgres_server.create_database(), tmp_path)
    variables = {
        **environment,
        **storage.environment,
        "LAYER_HTTP_DISK": "1",
        "LAYER_TOKENS_FILE": str(tmp_path / "tokens.toml"),
    }
    replicas = [
        Replica(free_port(), variables, tmp_path / f"{number}.log", launcher=LOOKS_OFTEN)
        for number in range(2)
    ]
    saving, other = replicas

    async def call(tool: str, arguments: dict[str, Any]) -> None:
        body = message("tools/call", name=tool, arguments=arguments)
        headers = HEADERS | {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(trust_env=False, headers=headers, timeout=60) as http:
            await http.post(f"http://127.0.0.1:{saving.port}/mcp", content=body)

    try:
        saving.start()
        await call("execute_inference", {**SMALL_IMAGE, "wait_seconds": 10})
        [run_id] = sandbox.state.runs
        replace_outputs(sandbox, run_id, LARGE)
        sandbox.state.knobs.media_bytes_a_second = SLOWEST_BYTES_A_SECOND
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, "save_outputs", {"inference_id": run_id})
            await until_a_part_arrived(folder)
            saving.kill()
            tasks.cancel_scope.cancel()
        sandbox.state.knobs.media_bytes_a_second = None
        storage.expire_lately()
        other.start()
        assert (await until_saved(folder)).read_bytes() == LARGE
    finally:
        for replica in replicas:
            replica.kill()
    assert len(asked_ranges(sandbox)) == 2
