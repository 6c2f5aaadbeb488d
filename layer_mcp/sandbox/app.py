"""The sandbox's HTTP operations, as Layer's contract and practice describe them."""

import json
from collections.abc import Awaitable, Callable

import anyio
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..api.fields import is_uuid
from ..api.models import InferenceRequest
from .answers import CREATED_AT, matches, model_json, page, run_json, spelled, workspace_json
from .catalog import SandboxModel, models_in_words, price_creative_units
from .faults import Connections, spoiled
from .files import make_outputs
from .problems import RefusalError, refused_fields
from .state import Arrival, Operation, SandboxState, SandboxWorkspace

WORKSPACE = "{workspace_id}"

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
    items, pagination = page(request, state.workspaces)
    return JSONResponse(
        {"workspaces": [workspace_json(state, w) for w in items], "pagination": pagination}
    )


async def get_workspace(state: SandboxState, request: Request) -> Response:
    """GET /v1/workspaces/{workspace_id}."""
    return JSONResponse(workspace_json(state, _workspace(state, request)))


async def list_models(state: SandboxState, request: Request) -> Response:
    """GET /v1/workspaces/{workspace_id}/models, with its filters."""
    _workspace(state, request)
    models = [model for model in state.models if matches(model, request)]
    items, pagination = page(request, models)
    return JSONResponse({"models": [model_json(m) for m in items], "pagination": pagination})


async def get_model(state: SandboxState, request: Request) -> Response:
    """GET /v1/workspaces/{workspace_id}/models/{model_id}."""
    _workspace(state, request)
    model = _model(state, _id(request, "model_id"))
    return JSONResponse({"model": {**model_json(model), "capabilities": model.capabilities}})


async def execute(state: SandboxState, request: Request) -> Response:
    """POST /v1/workspaces/{workspace_id}/inferences; unknown keys are ignored, as Layer does."""
    workspace = _workspace(state, request)
    body = _inference_request(state, await request.body())
    model = _model(state, body.model_id)
    if len(state.running(workspace.workspace_id)) >= state.knobs.max_runs_at_once:
        limit = state.knobs.max_runs_at_once
        raise RefusalError(429, "RATE_LIMITED", f"At most {limit} runs at once.")
    price = price_creative_units(model, body)
    if price > state.available_creative_units(workspace):
        detail = f"{price:g} Creative Units are needed, which the workspace does not have."
        raise RefusalError(402, "INSUFFICIENT_BALANCE", detail)
    run = state.submit(workspace, model, body)
    return JSONResponse(
        {
            "inference_id": run.inference_id,
            "status": spelled(state, "in_progress"),
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
        made = await anyio.to_thread.run_sync(make_outputs, run)
        # Another request may have made them meanwhile; the first ones count.
        run.outputs = run.outputs or made
    return JSONResponse(run_json(state, run, request))


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
    if not is_uuid(value):
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
    detail = f"No such model; there are {models_in_words(state.models)}."
    raise RefusalError(404, "MODEL_NOT_FOUND", detail)


def _inference_request(state: SandboxState, body: bytes) -> InferenceRequest:
    try:
        return InferenceRequest.model_validate(json.loads(body), extra="ignore")
    except ValidationError as error:
        raise refused_fields(error, state.knobs.validation_style) from None
    except ValueError:
        raise RefusalError(422, "INVALID_INPUTS", "The body is not JSON.") from None
