"""What a get_status call adds to the GET that it makes, over each transport.

The reference for what is added is a call of a tool that does nothing, on an empty SDK server over
the same transport: that much is the SDK's own, on both ends.
"""

from collections.abc import Generator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import httpx
from mcp import Client, StdioServerParameters
from mcp.server.mcpserver import MCPServer

from layer_mcp import InferenceRequest, Settings
from layer_mcp.server.app import create_server

from .children import running_http_server, running_sandbox_child, script_command, server_command
from .finished_run import MODEL_ID, finished_run
from .interleaved import Call, interleaved_medians_ms
from .noop_server import noop_server

WARM_UP_CALLS = 20
LIMIT_SECONDS = 60

Servers = dict[str, MCPServer[Any] | StdioServerParameters | str]
"""What the SDK's client connects to, by transport."""


@dataclass(frozen=True)
class TransportOverhead:
    """Medians over one transport; what is added is the difference of two medians."""

    get_status_median_ms: float
    get_status_added_ms: float
    noop_tool_median_ms: float


@dataclass(frozen=True)
class CallOverhead:
    """The direct GET, and each transport (stdio, http, memory) beside it."""

    calls: int
    direct_get_median_ms: float
    by_transport: dict[str, TransportOverhead]


def measure_call_overhead(calls: int) -> CallOverhead:
    """Make each kind of call so many times in mixed order, after a few uncounted ones."""
    knobs = ("--run-seconds=0", "--poll-interval-seconds=1")
    with (
        running_sandbox_child(*knobs, limit_seconds=LIMIT_SECONDS) as sandbox,
        _layer_servers(sandbox.variables) as layer_servers,
        _noop_servers() as noop_servers,
    ):
        settings = Settings.from_env(sandbox.variables)
        return anyio.run(_measure, settings, layer_servers, noop_servers, calls)


@contextmanager
def _layer_servers(variables: Mapping[str, str]) -> Generator[Servers]:
    over_http = server_command("serve", "--http", "--port", "0")
    with running_http_server(over_http, limit_seconds=LIMIT_SECONDS, variables=variables) as url:
        yield {
            "stdio": StdioServerParameters(command=server_command()[0], env=dict(variables)),
            "http": url,
            "memory": create_server(Settings.from_env(variables)),
        }


@contextmanager
def _noop_servers() -> Generator[Servers]:
    command, *script = script_command("noop_server.py")
    over_http = script_command("noop_server.py", "--http")
    with running_http_server(over_http, limit_seconds=LIMIT_SECONDS) as url:
        yield {
            "stdio": StdioServerParameters(command=command, args=script),
            "http": url,
            "memory": noop_server(),
        }


async def _measure(
    settings: Settings, layer_servers: Servers, noop_servers: Servers, calls: int
) -> CallOverhead:
    request = InferenceRequest(model_id=MODEL_ID, batch_size=1, width=64, height=64)
    run = await finished_run(settings, request)
    # A preview would cost GETs of its own.
    arguments = {"inference_id": run.inference_id, "wait_seconds": 0, "preview": False}
    path = f"v1/workspaces/{settings.workspace}/inferences/{run.inference_id}"
    with anyio.fail_after(LIMIT_SECONDS):
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(_direct_http(settings))
            kinds: dict[str, Call] = {"get": partial(_get, http, path)}
            for transport, server in layer_servers.items():
                client = await stack.enter_async_context(Client(server))
                kinds[f"get_status {transport}"] = partial(_call, client, "get_status", arguments)
            for transport, server in noop_servers.items():
                client = await stack.enter_async_context(Client(server))
                kinds[f"noop {transport}"] = partial(_call, client, "noop", {})
            medians_ms = await interleaved_medians_ms(kinds, calls, warm_up_calls=WARM_UP_CALLS)
    return _summary(medians_ms, list(layer_servers), calls)


def _direct_http(settings: Settings) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {settings.api_token}"}
    return httpx.AsyncClient(base_url=settings.api_url, headers=headers, trust_env=False)


async def _get(http: httpx.AsyncClient, path: str) -> None:
    (await http.get(path)).raise_for_status()


async def _call(client: Client, tool: str, arguments: dict[str, Any]) -> None:
    result = await client.call_tool(tool, arguments)
    if result.is_error:
        raise RuntimeError(f"{tool} failed: {result.content}")


def _summary(medians_ms: dict[str, float], transports: list[str], calls: int) -> CallOverhead:
    direct_ms = medians_ms["get"]
    return CallOverhead(
        calls=calls,
        direct_get_median_ms=direct_ms,
        by_transport={
            transport: TransportOverhead(
                get_status_median_ms=medians_ms[f"get_status {transport}"],
                get_status_added_ms=medians_ms[f"get_status {transport}"] - direct_ms,
                noop_tool_median_ms=medians_ms[f"noop {transport}"],
            )
            for transport in transports
        },
    )
