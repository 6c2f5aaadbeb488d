"""The sandbox's HTTP operations, as Layer's contract and practice describe them."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..api.models import InferenceRequest
from ..api.workspaces import is_workspace_id
from .catalog import SandboxModel, models_in_words
from .faults import Connections, spoiled
from .files import make_outputs
from .problems import RefusalError, refused_fields
from .state import Arrival, Operation, OutputFile, Run, SandboxState, SandboxWorkspace

CREATED_AT = "2026-01-01T00:00:00Z"
CAPABILITY_FILTERS = (
    "inpainting",
    "outpainting",
    "generate_audio",
    "text_to_speech",
    "sound_effect",
)

Handler = Callable[[SandboxState, Request], Awaitable[Response]]


def sandbox_app(state: SandboxState, connections: Connections) -> Starlette:
    """The simulated Layer as an ASGI application; the API below /api, files below /media."""
    operations: list[tuple[Operation, str, str, Handler]] = [
        ("list_workspaces", "GET", "/api/v1/workspaces", list_workspaces),
        ("get_workspace", "GET", f"/api/v1/workspaces/{WORKSPACE}", get_workspace),
        ("list_models", "GET", f"/api/v1/workspaces/{WORKSPACE}/models", list_models),
        ("get_model", "GET", f"/api/v1/workspaces/{WORKSPACE}/models/{{model_id}}", get_model),
        ("execute_inference", "POST", f"/api/v1/workspaces/{WORKSPACE}/inferences", execute),
        (
            "get_inference",
            "GET",
            f"/api/v1/workspaces/{WORKSPACE}/inferences/{{inference_id}}",
            get_inference,
        ),
        ("media", "GET", f"/media/workspaces/{WORKSPACE}/files/{{file_id}}/{{name}}", media),
    ]
    return Starlette(
        routes=[
            Route(path, _endpoint(state, connections, operation, handler), methods=[method])
            for operation, method, path, handler in operations
        ]
    )


WORKSPACE = "{workspace_id}"


def _endpoint(
    state: SandboxState, connections: Connections, operation: Operation, handler: Handler
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            if operation != "media":
                _check_token(state, request)
            state.settle()
            return await handler(state, request)
        except RefusalError as refusal:
            return refusal.response()

    async def serve(request: Request) -> Response:
        state.record(
            Arrival(operation, request.url.path, dict(request.headers), await request.body())
        )
        fault = state.next_fault(operation)
        if fault is None:
            return await answer(request)
        await anyio.sleep(fault.delay_seconds)
        if fault.effect == "slow":
            return await answer(request)
        response = await answer(request) if fault.works else Response()
        return spoiled(fault, response, connections, request)

    return serve


async def list_workspaces(state: SandboxState, request: Request) -> Response:
    """GET /v1/workspaces."""
    page, pagination = _page(request, state.workspaces)
    return JSONResponse(
        {"workspaces": [_workspace_json(state, w) for w in page], "pagination": pagination}
    )


async def get_workspace(state: SandboxState, request: Request) -> Response:
    """GET /v1/workspaces/{workspace_id}."""
    return JSONResponse(_workspace_json(state, _workspace(state, request)))


async def list_models(state: SandboxState, request: Request) -> Response:
    """GET /v1/workspaces/{workspace_id}/models, with its filters."""
    _workspace(state, request)
    models = [model for model in state.models if _matches(model, request)]
    page, pagination = _page(request, models)
    return JSONResponse({"models": [_model_json(m) for m in page], "pagination": pagination})


async def get_model(state: SandboxState, request: Request) -> Response:
    """GET /v1/workspaces/{workspace_id}/models/{model_id}."""
    _workspace(state, request)
    model = _model(state, _id(request, "model_id"))
    return JSONResponse({"model": {**_model_json(model), "capabilities": model.capabilities}})


async def execute(state: SandboxState, request: Request) -> Response:
    """POST /v1/workspaces/{workspace_id}/inferences; unknown keys are ignored, as Layer does."""
    workspace = _workspace(state, request)
    body = _inference_request(state, await request.body())
    model = _model(state, body.model_id)
    if len(state.running(workspace.workspace_id)) >= state.knobs.max_runs_at_once:
        limit = state.knobs.max_runs_at_once
        raise RefusalError(429, "RATE_LIMITED", f"At most {limit} runs at once.")
    run = state.submit(workspace, model, body)
    if _available(state, workspace) < 0:
        del state.runs[run.inference_id]
        needed = f"{run.price_creative_units:g} Creative Units are needed"
        raise RefusalError(
            402, "INSUFFICIENT_BALANCE", f"{needed}, which the workspace does not have."
        )
    return JSONResponse(
        {
            "inference_id": run.inference_id,
            "status": _spelled(state, "in_progress"),
            "poll_interval_seconds": state.knobs.poll_interval_seconds,
            "created_at": CREATED_AT,
            "estimated_price_creative_units": run.price_creative_units,
            "session_id": None,
            "normalized_parameters": run.normalized,
        },
        status_code=202,
    )


async def get_inference(state: SandboxState, request: Request) -> Response:
    """GET /v1/workspaces/{workspace_id}/inferences/{inference_id}."""
    workspace = _workspace(state, request)
    run = state.runs.get(_id(request, "inference_id"))
    if run is None or run.workspace_id != workspace.workspace_id:
        raise RefusalError(404, "INFERENCE_NOT_FOUND", "There is no such inference here.")
    if run.status == "complete" and not run.outputs:
        run.outputs = await anyio.to_thread.run_sync(make_outputs, run)
    return JSONResponse(_run_json(state, run, request))


async def media(state: SandboxState, request: Request) -> Response:
    """GET a finished file; needs no token."""
    for run in state.runs.values():
        for output in run.outputs:
            if output.file_id == request.path_params["file_id"]:
                return Response(output.data, media_type=output.content_type)
    return Response("Not found", status_code=404)


def _check_token(state: SandboxState, request: Request) -> None:
    if request.headers.get("authorization") != f"Bearer {state.token}":
        raise RefusalError(401, "UNAUTHENTICATED", "The token is missing or wrong.")


def _id(request: Request, name: str) -> str:
    value: str = request.path_params[name]
    if not is_workspace_id(value):
        raise RefusalError(422, "INVALID_INPUTS", f"{name}: must be a UUID.")
    return value.lower()


def _workspace(state: SandboxState, request: Request) -> SandboxWorkspace:
    wanted = _id(request, "workspace_id")
    for workspace in state.workspaces:
        if workspace.workspace_id == wanted:
            return workspace
    raise RefusalError(404, "WORKSPACE_NOT_FOUND", "There is no such workspace for this token.")


def _model(state: SandboxState, model_id: str) -> SandboxModel:
    for model in state.models:
        if model.model_id == model_id.lower():
            return model
    detail = f"No such model; there are {models_in_words()}."
    raise RefusalError(404, "MODEL_NOT_FOUND", detail)


def _inference_request(state: SandboxState, body: bytes) -> InferenceRequest:
    try:
        return InferenceRequest.model_validate(json.loads(body), extra="ignore")
    except ValidationError as error:
        raise refused_fields(error, state.knobs.validation_style) from None
    except ValueError:
        raise RefusalError(422, "INVALID_INPUTS", "The body is not JSON.") from None


def _available(state: SandboxState, workspace: SandboxWorkspace) -> float:
    reserved = state.reserved_creative_units(workspace.workspace_id)
    return round(workspace.balance_creative_units - reserved, 2)


def _workspace_json(state: SandboxState, workspace: SandboxWorkspace) -> dict[str, Any]:
    return {
        "workspace_id": workspace.workspace_id,
        "slug": workspace.slug,
        "name": workspace.name,
        "balance_creative_units": round(workspace.balance_creative_units, 2),
        "reserved_creative_units": state.reserved_creative_units(workspace.workspace_id),
        "available_creative_units": _available(state, workspace),
        "last_active_at": None,
    }


def _model_json(model: SandboxModel) -> dict[str, Any]:
    return {
        "model_id": model.model_id,
        "name": model.name,
        "modality": model.modality,
        "base_model_id": None,
        "description": model.description,
        "inference_timing": model.inference_timing,
    }


def _matches(model: SandboxModel, request: Request) -> bool:
    query = request.query_params
    if query.get("modality") not in (None, model.modality):
        return False
    words = f"{model.name} {model.description}".lower()
    if query.get("search", "").lower() not in words:
        return False
    return all(
        query.get(name) is None or (query[name] == "true") == has
        for name, has in _capabilities(model).items()
    )


def _capabilities(model: SandboxModel) -> dict[str, bool]:
    modes = model.capabilities.get("session_modes", [])
    references = model.capabilities.get("guidance_file_types", [])
    return {
        **{name: bool(model.capabilities.get(name)) for name in CAPABILITY_FILTERS},
        "supports_reference_images": "reference_image" in references,
        "text_to_3d": "create_3_d" in modes,
        "image_to_3d": "create_3_d" in modes and bool(references),
    }


def _page(request: Request, items: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    try:
        limit = int(request.query_params.get("limit", "20"))
        start = int(request.query_params.get("cursor", "0"))
    except ValueError:
        raise RefusalError(422, "INVALID_INPUTS", "limit and cursor are not usable.") from None
    if not 1 <= limit <= 100 or start < 0:
        raise RefusalError(422, "INVALID_INPUTS", "limit: must be from 1 to 100.")
    end = start + limit
    more = end < len(items)
    return items[start:end], {
        "next_cursor": str(end) if more else None,
        "has_more_results": more,
        "total_count": len(items),
    }


def _run_json(state: SandboxState, run: Run, request: Request) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "inference_id": run.inference_id,
        "status": _spelled(state, run.status),
    }
    if run.status == "in_progress":
        answer["poll_interval_seconds"] = state.knobs.poll_interval_seconds
    elif run.status == "complete":
        answer["completed_at"] = CREATED_AT
        answer["actual_price_creative_units"] = run.price_creative_units
        answer["outputs"] = [_output_json(run, output, request) for output in run.outputs]
    elif run.error is not None:
        answer["error_code"], answer["error"] = run.error
    return answer


def _output_json(run: Run, output: OutputFile, request: Request) -> dict[str, Any]:
    path = f"media/workspaces/{run.workspace_id}/files/{output.file_id}/{output.name}"
    return {
        "file_id": output.file_id,
        "url": f"{request.url.scheme}://{request.url.netloc}/{path}",
        "content_type": output.content_type,
        "width": output.width,
        "height": output.height,
        "duration_seconds": output.duration_seconds,
        "file_size_bytes": len(output.data),
    }


def _spelled(state: SandboxState, status: str) -> str:
    return state.knobs.status_spelling.get(status, status)
