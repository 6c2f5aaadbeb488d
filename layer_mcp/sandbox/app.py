"""The sandbox's API: routes of all operations, and the operations on workspaces and models."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..api.models import ModelQuery, WorkflowQuery
from .answers import model_json, page, problem_response, workspace_json
from .catalog import SandboxModel
from .faults import Connections
from .inferences import estimate_price, execute_inference, get_inference
from .knobs import Operation
from .requests import (
    Handler,
    find_model,
    id_in_path,
    make_endpoint,
    parse_query,
    route,
    visible_workspaces,
    workspace_in_path,
)
from .state import SandboxState
from .uploads import request_upload_url
from .workflows import estimate_workflow, execute_workflow, get_workflow_run, list_workflows

WORKSPACES = "/api/v1/workspaces"
WORKSPACE = f"{WORKSPACES}/{{workspace_id}}"
WORKFLOW = f"{WORKSPACE}/workflows/{{workflow_id}}"
CAPABILITY_FILTERS = (
    "inpainting",
    "outpainting",
    "generate_audio",
    "text_to_speech",
    "sound_effect",
)
PICTURE_REFERENCES = ("reference_image", "init", "editing_reference")


def sandbox_app(state: SandboxState, connections: Connections) -> Starlette:
    """Return the simulated API as an ASGI application."""
    operations: list[tuple[Operation, str, str, Handler]] = [
        ("list_workspaces", "GET", WORKSPACES, list_workspaces),
        ("get_workspace", "GET", WORKSPACE, get_workspace),
        ("list_models", "GET", f"{WORKSPACE}/models", list_models),
        ("get_model", "GET", f"{WORKSPACE}/models/{{model_id}}", get_model),
        ("estimate_price", "POST", f"{WORKSPACE}/inferences/estimate", estimate_price),
        ("execute_inference", "POST", f"{WORKSPACE}/inferences", execute_inference),
        ("get_inference", "GET", f"{WORKSPACE}/inferences/{{inference_id}}", get_inference),
        ("request_upload_url", "POST", f"{WORKSPACE}/files/upload-url", request_upload_url),
        ("list_workflows", "GET", f"{WORKSPACE}/workflows", list_workflows),
        ("estimate_workflow", "POST", f"{WORKFLOW}/estimate", estimate_workflow),
        ("execute_workflow", "POST", f"{WORKFLOW}/runs", execute_workflow),
        ("get_workflow_run", "GET", f"{WORKFLOW}/runs/{{run_id}}", get_workflow_run),
    ]
    app = Starlette(
        routes=[
            route(
                method, path, make_endpoint(state, connections, operation, _require_token(handler))
            )
            for operation, method, path, handler in operations
        ],
        exception_handlers={HTTPException: _unknown_operation},
    )
    app.router.redirect_slashes = False
    return app


async def list_workspaces(state: SandboxState, request: Request) -> Response:
    """Handle GET /v1/workspaces."""
    query = parse_query(state, request, WorkflowQuery)
    visible = visible_workspaces(state, request)
    workspaces, pagination = page(visible, limit=query.limit, cursor=query.cursor)
    return JSONResponse(
        {"workspaces": [workspace_json(state, w) for w in workspaces], "pagination": pagination}
    )


async def get_workspace(state: SandboxState, request: Request) -> Response:
    """Handle GET /v1/workspaces/{workspace_id}."""
    return JSONResponse(workspace_json(state, workspace_in_path(state, request)))


async def list_models(state: SandboxState, request: Request) -> Response:
    """Handle GET /v1/workspaces/{workspace_id}/models, with its filters."""
    workspace_in_path(state, request)
    query = parse_query(state, request, ModelQuery)
    matching = [model for model in state.models if _matches(model, query)]
    models, pagination = page(matching, limit=query.limit, cursor=query.cursor)
    return JSONResponse({"models": [model_json(m) for m in models], "pagination": pagination})


async def get_model(state: SandboxState, request: Request) -> Response:
    """Handle GET /v1/workspaces/{workspace_id}/models/{model_id}."""
    workspace_in_path(state, request)
    model = find_model(state, id_in_path(request, "model_id"))
    return JSONResponse({"model": {**model_json(model), "capabilities": model.capabilities}})


def _matches(model: SandboxModel, query: ModelQuery) -> bool:
    if query.modality not in (None, model.modality):
        return False
    if (query.search or "").lower() not in f"{model.name} {model.description}".lower():
        return False
    return all(
        getattr(query, name) in (None, value) for name, value in _filter_values(model).items()
    )


def _filter_values(model: SandboxModel) -> dict[str, bool]:
    modes = model.capabilities.get("session_modes", [])
    references = model.capabilities.get("guidance_file_types", [])
    takes_pictures = any(kind in references for kind in PICTURE_REFERENCES)
    makes_meshes = "create_3_d" in modes
    return {
        **{name: bool(model.capabilities.get(name)) for name in CAPABILITY_FILTERS},
        "supports_reference_images": takes_pictures,
        "text_to_3d": makes_meshes and bool(model.capabilities.get("text_prompt")),
        "image_to_3d": makes_meshes and takes_pictures,
    }


def _require_token(handler: Handler) -> Handler:
    async def authenticate(state: SandboxState, request: Request) -> Response:
        visible_workspaces(state, request)
        state.advance_runs()
        return await handler(state, request)

    return authenticate


async def _unknown_operation(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return problem_response(status, "NOT_FOUND", "There is no such operation.", headers)
