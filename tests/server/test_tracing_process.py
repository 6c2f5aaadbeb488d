"""The server as a child process that exports its spans, started as docs/settings.md says."""

import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import anyio
import pytest
from mcp import Client, StdioServerParameters

from layer_mcp.sandbox import RunningSandbox

from ..support.hosts import SCRIPT, SMALL_IMAGE, http_server
from ..support.raw_hosts import RawConnection, call, raw_http, raw_stdio
from ..support.span_collector import ENDPOINT, PROTOCOL, SpanCollector, span_collector, texts_of
from ..support.stdio_child import INITIALIZE, INITIALIZED

pytestmark = [pytest.mark.anyio, pytest.mark.process, pytest.mark.slow]

Transport = Literal["stdio", "http"]

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
INSTRUMENT = str(Path(sys.executable).with_name("opentelemetry-instrument"))
EXECUTE = "POST /v1/workspaces/{workspace_id}/inferences"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


@pytest.fixture
def collector() -> Generator[SpanCollector]:
    with span_collector() as collected:
        yield collected


@asynccontextmanager
async def traced_server(
    transport: Transport, environment: dict[str, str]
) -> AsyncGenerator[RawConnection]:
    """A connection to a server that was started with `opentelemetry-instrument`.

    A raw one: the SDK's client would tell of spans of this process.
    """
    if transport == "http":
        async with http_server(environment, INSTRUMENT) as url, raw_http(url, "legacy") as wire:
            yield RawConnection(wire, "legacy")
        return
    async with raw_stdio(environment, INSTRUMENT) as wire:
        raw = RawConnection(wire, "legacy")
        await raw.exchange(INITIALIZE, INITIALIZED)
        yield raw
        assert wire.process.stdin is not None
        await wire.process.stdin.aclose()
        with anyio.fail_after(30):
            await wire.process.wait()


async def started_run(raw: RawConnection) -> str:
    message = call(2, "execute_inference", SMALL_IMAGE)
    message["params"]["_meta"] = {"traceparent": TRACEPARENT}
    return (await raw.ask(message))["result"]["structuredContent"]["inference_id"]


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_the_calls_to_layer_are_exported_as_children_of_the_hosts_call(
    transport: Transport, environment: dict[str, str], collector: SpanCollector
) -> None:
    async with traced_server(transport, environment | collector.environment) as raw:
        run_id = await started_run(raw)
    call, request = collector.one("tools/call execute_inference"), collector.one(EXECUTE)
    assert request.parent_span_id == call.span_id
    assert {call.trace_id.hex(), request.trace_id.hex()} == {TRACE_ID}
    assert texts_of(request)["layer.inference_id"] == run_id


async def test_exported_spans_contain_no_prompt_and_no_token(
    environment: dict[str, str], collector: SpanCollector, sandbox: RunningSandbox
) -> None:
    async with traced_server("stdio", environment | collector.environment) as raw:
        await started_run(raw)
    exported = b"".join(collector.bodies)
    assert EXECUTE.encode() in exported
    assert sandbox.token.encode() not in exported
    assert SMALL_IMAGE["prompt"].encode() not in exported


async def test_a_missing_collector_does_not_change_answers(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    with span_collector() as gone:
        nowhere = gone.environment
    async with traced_server("stdio", environment | nowhere) as raw:
        run_id = await started_run(raw)
    assert list(sandbox.state.runs) == [run_id]


async def test_without_an_exporter_the_server_exports_nothing(
    environment: dict[str, str], collector: SpanCollector
) -> None:
    child = StdioServerParameters(command=SCRIPT, env=environment | collector.environment)
    async with Client(child) as client:
        await client.call_tool("execute_inference", SMALL_IMAGE)
    assert collector.bodies == []


def test_the_page_of_settings_names_what_these_tests_start_and_set() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in (
        "`opentelemetry-distro`",
        "`opentelemetry-exporter-otlp-proto-http`",
        "`opentelemetry-instrument layer-mcp`",
        f"`{PROTOCOL}=http/protobuf`",
        f"`{ENDPOINT}`",
    ):
        assert name in text, name
