"""The spans of requests to Layer and to the hosts of files: what they say and never say."""

import io
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest
from mcp import MCPError
from opentelemetry.trace import SpanKind, StatusCode

from layer_mcp import InferenceRequest, LayerClient, LayerError
from layer_mcp.api.models import WorkflowRunRequest
from layer_mcp.api.retry import Limits
from layer_mcp.api.tracing import parse_path
from layer_mcp.network import listen
from layer_mcp.sandbox import Fault, RunningSandbox

from ..support.contract import paths
from ..support.hosts import MEMORY, SMALL_IMAGE, content_of
from ..support.recorded_spans import RecordedSpans, parent_of, recorded_spans
from ..support.sandbox_calls import png
from ..support.stub_layer import FILE_ID, RUN_ID, Reply, StubLayer, stub_layer

pytestmark = pytest.mark.anyio

REQUEST = InferenceRequest.model_validate(SMALL_IMAGE)
EXECUTE = "POST /v1/workspaces/{workspace_id}/inferences"
GET_RUN = "GET /v1/workspaces/{workspace_id}/inferences/{inference_id}"
UNKNOWN_ID = "00000000-0000-4000-8000-0000000000ff"
TOKEN = "pat_0123456789abcdef0123456789abcdef"
SIGNATURE = "c2lnbmF0dXJl"
PROMPT = "a potion nobody must hear of"
ICON_SET = "00000000-0000-4000-8000-0000000000c1"


@pytest.fixture
def spans() -> Generator[RecordedSpans]:
    with recorded_spans() as recorded:
        yield recorded


@pytest.fixture
async def layer(sandbox: RunningSandbox) -> AsyncGenerator[LayerClient]:
    async with LayerClient(
        sandbox.token,
        workspace=sandbox.workspace_id,
        api_url=sandbox.api_url,
        limits=Limits(read_total_seconds=2, submit_total_seconds=2, retry_budget_seconds=2),
    ) as client:
        yield client


@pytest.fixture
def signed(tmp_path: Path) -> Generator[StubLayer]:
    """An API that signs its addresses, with a finished run, and a file to upload."""
    with stub_layer() as stub:
        ticket = {"file_id": FILE_ID, "upload_url": f"{stub.address}/up?signature={SIGNATURE}"}
        session = {"Location": f"{stub.address}/session?signature={SIGNATURE}"}
        started = {"inference_id": RUN_ID, "status": "in_progress"}
        stub.answers |= {
            "/files/upload-url": Reply(ticket),
            "/up": Reply(status=201, headers=session),
            "/session": Reply(),
            "/inferences": Reply(started, status=202),
        }
        output = stub.file(f"/{FILE_ID}.png", png("red"))
        stub.finish(output | {"url": f"{output['url']}?signature={SIGNATURE}"})
        (tmp_path / "red.png").write_bytes(png("red"))
        yield stub


async def whole_job(stub: StubLayer, folder: Path, **settings: str) -> None:
    """An upload, a run and its download, through the tools."""
    environment = stub.environment(
        folder,
        LAYER_API_KEY=TOKEN,
        LAYER_INPUT_DIRS=str(folder),
        LAYER_OUTPUT_DIR=str(folder / "out"),
        **settings,
    )
    async with MEMORY.connect(environment) as client:
        reference = {"path": "red.png", "type": "init"}
        call = SMALL_IMAGE | {"prompt": PROMPT, "guidance_files": [reference]}
        started = content_of(await client.call_tool("execute_inference", call))
        assert started["inference_id"] == RUN_ID
        run = content_of(await client.call_tool("get_status", {"inference_id": RUN_ID}))
        assert run["outputs"][0]["path"]


def test_the_parse_path_each_operation_is_the_path_in_the_contract() -> None:
    for template in paths():
        names = [part[1:-1] for part in template.split("/") if part.startswith("{")]
        ids = {name: f"{name} of 1" for name in names}
        path = template.format(**ids).replace(" ", "%20").removeprefix("/")
        assert parse_path(path) == (template, ids)


async def test_a_request_is_a_client_span_with_its_route_address_and_status(
    layer: LayerClient, sandbox: RunningSandbox, spans: RecordedSpans
) -> None:
    started = await layer.execute_inference(REQUEST)
    await layer.get_inference(started.inference_id)
    span = spans.one(GET_RUN)
    run_path = f"v1/workspaces/{sandbox.workspace_id}/inferences/{started.inference_id}"
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": urlsplit(sandbox.api_url).port,
        "url.full": f"{sandbox.api_url}/{run_path}",
        "url.template": GET_RUN.removeprefix("GET "),
        "layer.workspace_id": sandbox.workspace_id,
        "layer.inference_id": started.inference_id,
    }


async def test_the_span_of_a_submission_names_the_run_that_it_started(
    layer: LayerClient, spans: RecordedSpans
) -> None:
    started = await layer.execute_inference(REQUEST)
    assert (spans.one(EXECUTE).attributes or {})["layer.inference_id"] == started.inference_id


async def test_the_span_of_a_workflow_submission_names_its_run(
    layer: LayerClient, spans: RecordedSpans
) -> None:
    request = WorkflowRunRequest(inputs={"prompt": "potions"})
    started = await layer.execute_workflow(ICON_SET, request)
    attributes = spans.one("POST").attributes or {}
    assert attributes["layer.run_id"] == started.run_id
    assert attributes["layer.workflow_id"] == ICON_SET


async def test_each_attempt_is_a_span_that_says_how_often_it_was_sent_before(
    layer: LayerClient, sandbox: RunningSandbox, spans: RecordedSpans
) -> None:
    again = Fault("status", status=503, headers={"Retry-After": "0"})
    sandbox.state.knobs.fail_next("execute_inference", again, again)
    await layer.execute_inference(REQUEST)
    said = [
        tuple(
            (span.attributes or {}).get(name)
            for name in ("http.request.resend_count", "http.response.status_code", "error.type")
        )
        for span in spans.named(EXECUTE)
    ]
    assert said == [(None, 503, "503"), (1, 503, "503"), (2, 202, None)]


@pytest.mark.parametrize(
    ("fault", "status", "error_type"),
    [
        (Fault("drop"), None, "CONNECTION_LOST"),
        (Fault("slow", delay_seconds=4), None, "TIMEOUT"),
        (Fault("status", status=402), 402, "402"),
        (Fault("cut"), 202, "CONNECTION_LOST"),
    ],
    ids=lambda value: getattr(value, "effect", None),
)
async def test_a_submission_that_fails_is_an_error_with_its_status_or_its_fault(
    fault: Fault,
    status: int | None,
    error_type: str,
    layer: LayerClient,
    sandbox: RunningSandbox,
    spans: RecordedSpans,
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", fault)
    with suppress(LayerError):
        await layer.execute_inference(REQUEST)
    span = spans.one(EXECUTE)
    attributes = span.attributes or {}
    assert span.status.status_code is StatusCode.ERROR
    assert attributes["error.type"] == error_type
    assert attributes.get("http.response.status_code") == status


async def test_no_connection_is_an_error_without_a_status(spans: RecordedSpans) -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    limits = Limits(retry_budget_seconds=0)
    async with LayerClient("t", api_url=f"http://127.0.0.1:{port}", limits=limits) as layer:
        with pytest.raises(LayerError):
            await layer.list_workspaces()
    attributes = spans.one("GET /v1/workspaces").attributes or {}
    assert attributes["error.type"] == "CONNECTION_FAILED"
    assert "http.response.status_code" not in attributes


async def test_a_request_that_is_cancelled_says_so(
    layer: LayerClient, sandbox: RunningSandbox, spans: RecordedSpans
) -> None:
    sandbox.state.knobs.fail_next("get_inference", Fault("slow", delay_seconds=5))
    with anyio.move_on_after(0.5):
        await layer.get_inference(UNKNOWN_ID)
    assert (spans.one(GET_RUN).attributes or {})["error.type"] == "CancelledError"


async def test_the_requests_of_a_tool_are_children_of_its_call(
    environment: dict[str, str], spans: RecordedSpans
) -> None:
    async with MEMORY.connect(environment) as client:
        await client.call_tool("execute_inference", SMALL_IMAGE | {"wait_seconds": 5})
    call = spans.one("tools/call execute_inference")
    requests = [span for span in spans.all() if "url.template" in (span.attributes or {})]
    assert {span.name for span in requests} >= {EXECUTE, f"{EXECUTE}/estimate", GET_RUN}
    assert {parent_of(span, spans.all()) for span in requests} == {call}


async def test_a_request_to_a_host_of_files_says_its_host_its_bytes_and_its_status(
    signed: StubLayer, tmp_path: Path, spans: RecordedSpans
) -> None:
    await whole_job(signed, tmp_path)
    [put], [get] = (
        [span for span in spans.all() if span.name == method] for method in ("PUT", "GET")
    )
    size = len(png("red"))
    place = {"server.address": "127.0.0.1", "server.port": signed.server_port}
    assert dict(get.attributes or {}) == place | {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.response.body.size": size,
    }
    assert dict(put.attributes or {}) == place | {
        "http.request.method": "PUT",
        "http.request.body.size": size,
        "http.response.status_code": 200,
        "http.response.body.size": 0,
    }


async def test_a_missing_file_is_an_error_with_its_status(
    signed: StubLayer, spans: RecordedSpans
) -> None:
    async with LayerClient("t", api_url=signed.address) as layer:
        with pytest.raises(LayerError):
            await layer.download(f"{signed.address}/gone.png", io.BytesIO())
    span = spans.one("GET")
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "404"


async def test_spans_hold_no_token_no_prompt_and_no_signed_address(
    signed: StubLayer, tmp_path: Path, spans: RecordedSpans
) -> None:
    await whole_job(signed, tmp_path)
    text = spans.text()
    assert EXECUTE in text
    assert TOKEN not in text
    assert PROMPT not in text
    assert SIGNATURE not in text


async def test_errors_put_no_prompt_and_no_token_into_a_span(
    signed: StubLayer, tmp_path: Path, spans: RecordedSpans
) -> None:
    echo = Reply({"detail": f"Bad {TOKEN}: {PROMPT}"}, status=500)
    signed.answers = {"/inferences": echo, "/models": echo, **signed.answers, "/estimate": echo}
    environment = signed.environment(tmp_path, LAYER_API_KEY=TOKEN, LAYER_MAX_PRICE="1")
    async with MEMORY.connect(environment) as client:
        call = SMALL_IMAGE | {"prompt": PROMPT}
        await client.call_tool("execute_inference", call)
        await client.call_tool("execute_inference", call | {"promt": PROMPT})
        await client.call_tool("execute_batch", {"requests": [call]})
        with suppress(MCPError):
            await client.call_tool("no_such_tool", call)
        await client.call_tool("list_models", {"search": PROMPT})
    text = spans.text()
    assert '"error.type": "500"' in text
    assert TOKEN not in text
    assert PROMPT not in text


async def test_prompts_are_in_the_spans_when_the_setting_asks_for_them(
    signed: StubLayer, tmp_path: Path, spans: RecordedSpans
) -> None:
    await whole_job(signed, tmp_path, LAYER_TRACE_PROMPTS="1")
    [span] = [span for span in spans.all() if span.name == EXECUTE]
    assert (span.attributes or {})["layer.prompt"] == PROMPT


async def test_no_request_carries_headers_of_tracing(
    signed: StubLayer, tmp_path: Path, spans: RecordedSpans
) -> None:
    await whole_job(signed, tmp_path)
    assert spans.named(EXECUTE)
    names = {name for question in signed.requests for name in question.headers}
    assert names.isdisjoint({"traceparent", "tracestate", "baggage", "b3"})


async def test_without_a_recorder_a_request_is_answered_as_before(layer: LayerClient) -> None:
    started = await layer.execute_inference(REQUEST)
    assert (await layer.get_inference(started.inference_id)).status == "complete"
