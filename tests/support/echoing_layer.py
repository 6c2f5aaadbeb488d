"""A Layer, and file hosts, that repeat a text everywhere they can."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from .sandbox_calls import png
from .stub_layer import FILE_ID, RUN_ID, WORKSPACE, ReceivedRequest, Reply, StubLayer

MODEL_ID = "00000000-0000-4000-8000-0000000000b1"
WORKFLOW_ID = "00000000-0000-4000-8000-0000000000c1"
REFUSED_ID = "1234abcd-0000-4000-8000-0000000000e1"
LISTED_ID = "1234abcd-0000-4000-8000-0000000000e2"
TITLED_ID = "1234abcd-0000-4000-8000-0000000000e3"
HTML_ID = "1234abcd-0000-4000-8000-0000000000e4"
TEXT_ID = "1234abcd-0000-4000-8000-0000000000e5"
FAILED_ID = "1234abcd-0000-4000-8000-0000000000e7"
STRANGE_ID = "1234abcd-0000-4000-8000-0000000000e8"
REDIRECTED_ID = "1234abcd-0000-4000-8000-0000000000e9"
FAILING_IDS = (REFUSED_ID, LISTED_ID, TITLED_ID, HTML_ID, TEXT_ID)
CUT_PROMPT = "a cut answer"
PICTURE = {"content_type": "image/png", "width": 8, "height": 8}
IMAGE = {"model_id": MODEL_ID, "prompt": "a red potion", "width": 64, "batch_size": 1}
REFERENCE = {"guidance_files": [{"file_id": FILE_ID, "type": "init"}]}


def echo_everywhere(stub: StubLayer, text: str) -> None:
    """Make the stub answer every operation, and the file hosts, with this text."""
    # A header is one line of Latin characters.
    in_header = "".join(letter for letter in text if " " < letter < "\x7f")
    names = {"name": text, "description": text, "modality": text, text: text}
    price = {"estimated_price_creative_units": 1, "workspace_balance_creative_units": 99}
    model = names | {
        "model_id": MODEL_ID,
        "inference_timing": text,
        "prompt_format": text,
        "capabilities": {"guidance_file_types": [text], "session_modes": [text]},
    }
    entry = names | {"type": text, "value_schema": {"enum": [text]}, "default": text}
    workflow = names | {"workflow_id": WORKFLOW_ID, "inputs": [entry], "outputs": [names]}
    output = PICTURE | {"file_id": text, "url": f"{stub.address}/a.png?echo={text}"}
    page = {"pagination": {"next_cursor": text, "has_more_results": True}}
    step = {"name": text, "status": "in_progress", "error": text, "error_code": text}
    normalized = {"prompt": text, "width": text, text: text}
    started = {
        "session_id": text,
        "created_at": text,
        "status": "in_progress",
        "normalized_parameters": normalized,
    }
    failed = {"status": "failed", "error": text, "error_code": text}
    stub.answers |= {
        "/workspaces": Reply({"workspaces": [names | {"workspace_id": WORKSPACE, "slug": text}]}),
        "/models": Reply({"models": [model]} | page),
        f"/models/{MODEL_ID}": Reply({"model": model}),
        "/inferences/estimate": _estimate(price, text),
        "/inferences": _start(started, text),
        "/workflows": Reply({"workflows": [workflow]} | page),
        f"/workflows/{WORKFLOW_ID}/estimate": Reply(
            price | {"output_counts": [{"output": names, "count": 1}]}
        ),
        f"/workflows/{WORKFLOW_ID}/runs": Reply(started | {"run_id": RUN_ID}, 202),
        f"/runs/{RUN_ID}": Reply(
            {"run_id": RUN_ID, "status": "in_progress", "steps": [step], "error": text}
        ),
        "/files/upload-url": Reply(
            {"file_id": FILE_ID, "upload_url": f"{stub.address}/up", "content_type": text}
        ),
        "/up": Reply(b"", 201, {"Location": f"{stub.address}/session?echo={in_header}"}),
        "/session": Reply(f"<Code>{text}</Code><Message>{text}".encode(), 403),
        "/a.png": Reply(png("red"), headers={"X-Echo": in_header}),
        "/b.png": Reply(b"", 302, {"Location": f"https://{in_header}.test/{in_header}"}),
    }
    stub.finish(stub.file("/c.png", png("red")), output, session_id=text, error=text)
    stub.finish(PICTURE | {"url": f"{stub.address}/b.png"}, run_id=REDIRECTED_ID)
    runs = {
        REFUSED_ID: Reply({"type": f"https://x/{text}", "title": text, "detail": text}, 400),
        LISTED_ID: Reply({"detail": [{"loc": ["body", text], "msg": text}]}, 422),
        TITLED_ID: Reply({"type": text, "title": text}, 403),
        HTML_ID: Reply(f"<h1>{text}".encode(), 400, {"Content-Type": "text/html"}),
        TEXT_ID: Reply(text.encode(), 400, {"Content-Type": "text/plain", "X-Echo": in_header}),
        FAILED_ID: Reply(failed | {"inference_id": FAILED_ID}),
        STRANGE_ID: Reply({"inference_id": STRANGE_ID, "status": text}),
    }
    stub.answers |= {f"/inferences/{run_id}": reply for run_id, reply in runs.items()}


def _start(started: dict[str, Any], text: str) -> Callable[[ReceivedRequest], Reply]:
    """Answer a start; cut off the answer for one prompt."""

    def answer(request: ReceivedRequest) -> Reply:
        if CUT_PROMPT.encode() in request.body:
            return Reply(f'{{"echo": "{text}'.encode(), 202)
        return Reply(started | {"inference_id": RUN_ID}, 202)

    return answer


def _estimate(price: dict[str, Any], text: str) -> Callable[[ReceivedRequest], Reply]:
    def answer(request: ReceivedRequest) -> Reply:
        if b"guidance_files" in request.body:
            return Reply({"detail": f"guidance_files: {text}"}, 422)
        return Reply(price | {text: text})

    return answer


def calls(picture: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return calls that make Layer, its storage, and its media host say all they can."""
    yield "list_workspaces", {}
    yield "list_models", {}
    yield "get_model", {"model_id": MODEL_ID}
    yield "list_workflows", {}
    yield "estimate_price", IMAGE
    yield "estimate_price", IMAGE | REFERENCE
    yield "estimate_workflow", {"workflow_id": WORKFLOW_ID, "inputs": {}}
    yield "execute_inference", IMAGE | {"wait_seconds": 0}
    yield "execute_inference", IMAGE | {"prompt": CUT_PROMPT}
    yield "execute_batch", {"requests": [IMAGE | {"seed": 1}, IMAGE | {"seed": 2}]}
    yield "execute_workflow", {"workflow_id": WORKFLOW_ID, "inputs": {}, "wait_seconds": 0}
    yield "get_workflow_status", {"workflow_id": WORKFLOW_ID, "run_id": RUN_ID, "wait_seconds": 0}
    for run_id in (RUN_ID, FAILED_ID, STRANGE_ID, REDIRECTED_ID, *FAILING_IDS):
        yield "get_status", {"inference_id": run_id, "wait_seconds": 0}
    yield "save_outputs", {"inference_id": RUN_ID}
    yield "save_outputs", {"inference_id": REDIRECTED_ID}
    yield "upload_file", {"path": str(picture)}
    yield "list_runs", {}


def texts_in(value: object) -> Iterator[str]:
    """Yield every text of a JSON value, keys included."""
    if isinstance(value, dict):
        for name, item in cast("dict[str, object]", value).items():
            yield name
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from texts_in(item)
    elif isinstance(value, str):
        yield value
