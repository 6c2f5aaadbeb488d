"""The sandbox's faults: each happens once, on the wire, to any operation."""

from collections.abc import Callable
from typing import get_args

import httpx
import pytest

from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_workflows
from layer_mcp.sandbox.knobs import Operation

from ..support.hosts import IMAGE_MODEL, SMALL_IMAGE
from ..support.sandbox_calls import request_upload_url, run, start_headers, start_upload

DATA = b"ten bytes."
WORKFLOW = f"/workflows/{sandbox_workflows()[0].workflow_id}"
INPUTS = {"inputs": {"prompt": "a red potion"}}

Call = Callable[[], httpx.Response]


@pytest.fixture
def calls(api: httpx.Client, storage: httpx.Client) -> dict[Operation, Call]:
    """A valid request for each operation."""
    workspace = str(api.base_url).rstrip("/")
    made = run(api)
    output = made["outputs"][0]
    workflow_run = api.post(f"{WORKFLOW}/runs", json=INPUTS).json()["run_id"]
    upload_url = request_upload_url(api, DATA)["upload_url"]
    session = start_upload(upload_url, DATA)
    png = {"Content-Type": "image/png"}
    size = {"name": "a", "content_type": "image/png", "file_size_bytes": 10}
    question = {"Content-Range": "bytes */10"}
    return {
        "list_workspaces": lambda: api.get(workspace.rpartition("/")[0]),
        "get_workspace": lambda: api.get(workspace),
        "list_models": lambda: api.get("/models"),
        "get_model": lambda: api.get(f"/models/{IMAGE_MODEL}"),
        "estimate_price": lambda: api.post("/inferences/estimate", json=SMALL_IMAGE),
        "execute_inference": lambda: api.post("/inferences", json=SMALL_IMAGE),
        "get_inference": lambda: api.get(f"/inferences/{made['inference_id']}"),
        "request_upload_url": lambda: api.post("/files/upload-url", json=size),
        "start_upload": lambda: storage.post(upload_url, headers=start_headers(DATA)),
        "upload": lambda: storage.put(session, content=DATA, headers=png),
        "upload_status": lambda: storage.put(session, headers=question),
        "media": lambda: storage.get(output["url"]),
        "preview": lambda: storage.get(output["preview_url"]),
        "list_workflows": lambda: api.get("/workflows"),
        "estimate_workflow": lambda: api.post(f"{WORKFLOW}/estimate", json=INPUTS),
        "execute_workflow": lambda: api.post(f"{WORKFLOW}/runs", json=INPUTS),
        "get_workflow_run": lambda: api.get(f"{WORKFLOW}/runs/{workflow_run}"),
    }


def outcome_of(call: Call) -> str:
    """Return what the client gets."""
    try:
        answer = call()
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
        return "no answer"
    if "html" in answer.headers.get("content-type", ""):
        return f"page {answer.status_code}"
    if answer.status_code >= 400:
        return str(answer.json()["type"]).rpartition("/")[2]
    return "an answer"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (Fault("drop"), "no answer"),
        (Fault("cut"), "no answer"),
        (Fault("html", status=502), "page 502"),
        (Fault("status", status=418, code="TEAPOT"), "TEAPOT"),
        (Fault("slow", delay_seconds=0.01), "an answer"),
        (Fault("truncate"), "an answer"),
    ],
    ids=["drop", "cut", "html", "status", "slow", "truncate"],
)
@pytest.mark.parametrize("operation", ["list_models", "media", "start_upload", "upload"])
def test_each_fault_happens_once(
    operation: Operation,
    fault: Fault,
    seen: str,
    calls: dict[Operation, Call],
    sandbox: RunningSandbox,
) -> None:
    sandbox.state.knobs.fail_next(operation, fault)
    assert [outcome_of(calls[operation]), outcome_of(calls[operation])] == [seen, "an answer"]


@pytest.mark.parametrize("operation", get_args(Operation))
def test_every_operation_is_counted_and_can_fail(
    operation: Operation, calls: dict[Operation, Call], sandbox: RunningSandbox
) -> None:
    before = sandbox.state.arrived[operation]
    sandbox.state.knobs.fail_next(operation, Fault("drop"))
    assert [outcome_of(calls[operation]), outcome_of(calls[operation])] == [
        "no answer",
        "an answer",
    ]
    assert sandbox.state.arrived[operation] == before + 2


def test_a_truncated_answer_has_half_its_body_and_no_sign_of_it(
    calls: dict[Operation, Call], sandbox: RunningSandbox
) -> None:
    whole = calls["list_models"]()
    sandbox.state.knobs.fail_next("list_models", Fault("truncate"))
    half = calls["list_models"]()
    assert half.headers["content-type"] == "application/json"
    assert half.content == whole.content[: len(whole.content) // 2]
