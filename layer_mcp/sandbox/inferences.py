"""The operations on inferences: estimate, start, get; and the files that a run makes."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar, cast
from uuid import NAMESPACE_URL, uuid5

import anyio
from PIL import Image
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..api.models import InferenceRequest
from .answers import ProblemError, price_json, run_json, started_run_json
from .catalog import CONTENT_TYPES, MAX_SIZE, MIN_SIZE, price_creative_units, upscale_ratio
from .mesh import make_mesh
from .pictures import (
    Item,
    draw_picture,
    encode_picture,
    item_for,
    open_picture,
    read_clip,
    reference_hue,
)
from .requests import (
    check_limits,
    find_files,
    find_model,
    id_in_path,
    parse_body,
    read_json,
    workspace_in_path,
)
from .sound import make_chime
from .state import Run, SandboxState, StoredFile, WorkflowRun

REFERENCE_FIELDS = ("guidance_files", "mask")
MAX_SLUG_LENGTH = 40

EitherRun = TypeVar("EitherRun", Run, WorkflowRun)


async def estimate_price(state: SandboxState, request: Request) -> Response:
    """Handle POST /v1/workspaces/{workspace_id}/inferences/estimate."""
    workspace = workspace_in_path(state, request)
    value = _apply_reference_knobs(state, await read_json(request))
    body = parse_body(state, value, InferenceRequest)
    price = price_creative_units(find_model(state, body.model_id), body)
    return JSONResponse(price_json(state, workspace, price))


async def execute_inference(state: SandboxState, request: Request) -> Response:
    """Handle POST /v1/workspaces/{workspace_id}/inferences."""
    workspace = workspace_in_path(state, request)
    body = parse_body(state, await read_json(request), InferenceRequest)
    model = find_model(state, body.model_id)
    references = find_files(state, workspace, (file.file_id for file in body.guidance_files))
    if body.mask is not None and body.mask.file_id is not None:
        find_files(state, workspace, [body.mask.file_id])
    if model.upscales and not any(file.type == "init" for file in body.guidance_files):
        detail = f"guidance_files: {model.name} needs one of type init."
        raise ProblemError(422, "INVALID_INPUTS", detail)
    price = price_creative_units(model, body)
    check_limits(state, workspace, price, is_video=model.modality == "video")
    run = state.submit(workspace, model, body, references)
    return JSONResponse(started_run_json(state, run), status_code=202)


async def get_inference(state: SandboxState, request: Request) -> Response:
    """Handle GET /v1/workspaces/{workspace_id}/inferences/{inference_id}."""
    workspace = workspace_in_path(state, request)
    run = state.find_run(workspace.workspace_id, id_in_path(request, "inference_id"))
    if run is None:
        raise ProblemError(404, "INFERENCE_NOT_FOUND", "The sandbox has no such run.")
    if run.status == "complete":
        await make_outputs_once(state, run, _make_outputs)
    return JSONResponse(run_json(state, run))


async def make_outputs_once(
    state: SandboxState, run: EitherRun, make: Callable[[EitherRun], list[StoredFile]]
) -> None:
    """Make the outputs of a completed run in a thread, unless they exist."""
    if run.outputs:
        return
    made = await anyio.to_thread.run_sync(make, run)
    # If another request made them at the same time, keep the first ones.
    run.outputs = run.outputs or state.store_files(made)


def output_id(run_id: str, index: int) -> str:
    """Return the file ID of an output, the same one whenever it's made."""
    return str(uuid5(NAMESPACE_URL, f"{run_id}/{index}"))


def output_name(prompt: str, index: int, extension: str) -> str:
    """Return a file name that starts with the prompt's letters and digits."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in prompt.lower()).split()
    slug = "-".join(words)[:MAX_SLUG_LENGTH].strip("-") or "output"
    return f"{slug}-{index + 1}.{extension}"


def _apply_reference_knobs(state: SandboxState, value: object) -> object:
    """Return the body of an estimate, without its references if the sandbox ignores them."""
    if not isinstance(value, dict):
        return value
    body = cast("dict[str, object]", value)
    named = [name for name in REFERENCE_FIELDS if name in body]
    if named and state.knobs.estimate_refuses_references:
        raise ProblemError(422, "INVALID_INPUTS", f"{named[0]}: is not a field of an estimate.")
    if state.knobs.estimate_ignores_references:
        return {name: body[name] for name in body if name not in REFERENCE_FIELDS}
    return body


def _make_outputs(run: Run) -> list[StoredFile]:
    hue = reference_hue(file.data for file in run.references)
    return [_make_output(run, index, hue) for index in range(run.request.batch_size)]


def _make_output(run: Run, index: int, hue: float | None) -> StoredFile:
    prompt, kind = run.request.prompt or "", run.model.kind
    seed = run.inference_id if run.request.seed == -1 else str(run.request.seed)
    item = item_for(prompt, seed, index)
    if hue is not None:
        item = replace(item, hue=hue)
    file = StoredFile(
        file_id=output_id(run.inference_id, index),
        workspace_id=run.workspace_id,
        name=output_name(prompt, index, kind),
        content_type=CONTENT_TYPES[kind],
        data=b"",
        duration_seconds=run.normalized_parameters["duration_seconds"],
    )
    return _add_data(file, run, item)


def _add_data(file: StoredFile, run: Run, item: Item) -> StoredFile:
    parameters, kind = run.normalized_parameters, run.model.kind
    if kind == "glb":
        return replace(file, data=make_mesh(item), item=item)
    if kind == "wav":
        return replace(file, data=make_chime(item, parameters["duration_seconds"]))
    if kind == "mp4":
        width, height = parameters["width"], parameters["height"]
        return replace(file, data=read_clip(), width=width, height=height, item=item)
    picture = _enlarge_reference(run) if run.model.upscales else _draw(run, item)
    data = encode_picture(picture, kind)
    return replace(file, data=data, width=picture.width, height=picture.height)


def _draw(run: Run, item: Item) -> Image.Image:
    return draw_picture(
        item,
        caption=run.request.prompt or "",
        width=run.normalized_parameters["width"],
        height=run.normalized_parameters["height"],
        transparent=bool(run.request.remove_background),
    )


def _enlarge_reference(run: Run) -> Image.Image:
    guides = zip(run.request.guidance_files, run.references, strict=True)
    reference = next(file for guide, file in guides if guide.type == "init")
    picture = open_picture(reference.data) or Image.new("RGBA", (MIN_SIZE, MIN_SIZE))
    ratio = min(upscale_ratio(run.request), MAX_SIZE / max(picture.size))
    width, height = (max(round(side * ratio), 1) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)
