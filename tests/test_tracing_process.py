"""The server as a child process that exports its spans, started as the README says."""

import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult

from layer_mcp.sandbox import RunningSandbox

from .hosts import SCRIPT, SMALL_IMAGE, child_environment, content_of, http_server
from .span_collector import ENDPOINT, PROTOCOL, SpanCollector, span_collector, texts_of

pytestmark = pytest.mark.anyio

README = Path(__file__).parents[1] / "README.md"
INSTRUMENT = str(Path(sys.executable).with_name("opentelemetry-instrument"))
EXECUTE = "POST /v1/workspaces/{workspace_id}/inferences"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


@pytest.fixture
def collector() -> Generator[SpanCollector]:
    with span_collector() as collected:
        yield collected


@asynccontextmanager
async def traced_client(
    transport: Literal["stdio", "http"], environment: dict[str, str]
) -> AsyncGenerator[Client]:
    """A client of a server that was started with `opentelemetry-instrument`."""
    if transport == "http":
        async with http_server(environment, INSTRUMENT) as url, Client(url) as client:
            yield client
    else:
        child = StdioServerParameters(
            command=INSTRUMENT, args=[SCRIPT], env=child_environment(environment)
        )
        async with Client(child) as client:
            yield client


async def executed(client: Client) -> CallToolResult:
    return await client.call_tool(
        "execute_inference", SMALL_IMAGE, meta={"traceparent": TRACEPARENT}
    )


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_the_calls_to_layer_are_exported_as_children_of_the_hosts_call(
    transport: Literal["stdio", "http"],
    environment: dict[str, str],
    collector: SpanCollector,
) -> None:
    async with traced_client(transport, environment | collector.environment) as client:
        started = content_of(await executed(client))
    call, request = collector.one("tools/call execute_inference"), collector.one(EXECUTE)
    assert request.parent_span_id == call.span_id
    assert {call.trace_id.hex(), request.trace_id.hex()} == {TRACE_ID}
    assert texts_of(request)["layer.inference_id"] == started["inference_id"]


async def test_what_is_exported_holds_no_prompt_and_no_token(
    environment: dict[str, str], collector: SpanCollector, sandbox: RunningSandbox
) -> None:
    async with traced_client("stdio", environment | collector.environment) as client:
        await executed(client)
    exported = b"".join(collector.bodies)
    assert EXECUTE.encode() in exported
    assert sandbox.token.encode() not in exported
    assert SMALL_IMAGE["prompt"].encode() not in exported


async def test_a_collector_that_is_not_there_changes_no_answer(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    with span_collector() as gone:
        nowhere = gone.environment
    async with traced_client("stdio", environment | nowhere) as client:
        started = content_of(await executed(client))
    assert list(sandbox.state.runs) == [started["inference_id"]]


async def test_without_an_exporter_the_server_exports_nothing(
    environment: dict[str, str], collector: SpanCollector
) -> None:
    child = StdioServerParameters(command=SCRIPT, env=environment | collector.environment)
    async with Client(child) as client:
        await executed(client)
    assert collector.bodies == []


def test_the_readme_names_what_these_tests_start_and_set() -> None:
    text = README.read_text(encoding="utf-8")
    for name in (
        "`opentelemetry-distro`",
        "`opentelemetry-exporter-otlp-proto-http`",
        "`opentelemetry-instrument layer-mcp`",
        f"`{PROTOCOL}=http/protobuf`",
        f"`{ENDPOINT}`",
    ):
        assert name in text, name
