"""The operations on runs: price, start, look."""

from typing import cast

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..api.models import InferenceRequest
from .answers import price_json, run_json, started_json
from .catalog import price_creative_units
from .files import make_outputs
from .lookups import (
    as_model,
    check_limits,
    files_with,
    id_in_path,
    json_body,
    model_with,
    workspace_in_path,
)
from .problems import RefusalError
from .records import Run
from .state import SandboxState

REFERENCE_FIELDS = ("guidance_files", "mask")


async def estimate_price(state: SandboxState, request: Request) -> Response:
    """POST /v1/workspaces/{workspace_id}/inferences/estimate."""
    workspace = workspace_in_path(state, request)
    value = _estimated(state, await json_body(request))
    body = as_model(state, value, InferenceRequest)
    price = price_creative_units(model_with(state, body.model_id), body)
    return JSONResponse(price_json(state, workspace, price))


async def execute_inference(state: SandboxState, request: Request) -> Response:
    """POST /v1/workspaces/{workspace_id}/inferences; unknown keys are ignored, as Layer does."""
    workspace = workspace_in_path(state, request)
    body = as_model(state, await json_body(request), InferenceRequest)
    model = model_with(state, body.model_id)
    references = files_with(state, workspace, (file.file_id for file in body.guidance_files))
    if body.mask is not None and body.mask.file_id is not None:
        files_with(state, workspace, [body.mask.file_id])
    if model.upscales and not any(file.type == "init" for file in body.guidance_files):
        detail = f"guidance_files: {model.name} needs one of type init."
        raise RefusalError(422, "INVALID_INPUTS", detail)
    price = price_creative_units(model, body)
    check_limits(state, workspace, price, is_video=model.modality == "video")
    run = state.submit(workspace, model, body, references)
    return JSONResponse(started_json(state, run), status_code=202)


async def get_inference(state: SandboxState, request: Request) -> Response:
    """GET /v1/workspaces/{workspace_id}/inferences/{inference_id}."""
    workspace = workspace_in_path(state, request)
    run = state.runs.get(id_in_path(request, "inference_id"))
    if run is None or run.workspace_id != workspace.workspace_id:
        raise RefusalError(404, "INFERENCE_NOT_FOUND", "There is no such inference here.")
    if run.status == "complete":
        await _make_outputs_once(state, run)
    return JSONResponse(run_json(state, run))


async def _make_outputs_once(state: SandboxState, run: Run) -> None:
    if run.outputs:
        return
    made = await anyio.to_thread.run_sync(make_outputs, run)
    # Another request may have made them meanwhile; the first ones count.
    run.outputs = run.outputs or state.keep(made)


def _estimated(state: SandboxState, value: object) -> object:
    """The body of an estimate, as the knobs treat its references."""
    if not isinstance(value, dict):
        return value
    given = cast("dict[str, object]", value)
    named = [name for name in REFERENCE_FIELDS if name in given]
    if named and state.knobs.estimate_refuses_references:
        raise RefusalError(422, "INVALID_INPUTS", f"{named[0]}: is not a field of an estimate.")
    if state.knobs.estimate_ignores_references:
        return {name: given[name] for name in given if name not in REFERENCE_FIELDS}
    return given
