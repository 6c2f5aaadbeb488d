"""The sandbox's API: Layer's operations at their addresses, for one token."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..api.models import ModelQuery, WorkflowQuery
from .answers import model_json, workspace_json
from .capabilities import matches
from .endpoints import Handler, endpoint, route
from .faults import Connections
from .inferences import estimate_price, execute_inference, get_inference
from .knobs import Operation
from .lookups import id_in_path, model_with, workspace_in_path
from .pages import page, query_of
from .problems import RefusalError, problem
from .state import SandboxState
from .uploads import request_upload_url
from .workflow_runs import estimate_workflow, execute_workflow, get_workflow_run, list_workflows

WORKSPACES = "/api/v1/workspaces"
WORKSPACE = f"{WORKSPACES}/{{workspace_id}}"
WORKFLOW = f"{WORKSPACE}/workflows/{{workflow_id}}"


def sandbox_app(state: SandboxState, connections: Connections) -> Starlette:
    """The simulated Layer as an ASGI application."""
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
            route(method, path, endpoint(state, connections, operation, _with_token(handler)))
            for operation, method, path, handler in operations
        ],
        exception_handlers={HTTPException: _no_such_operation},
    )
    app.router.redirect_slashes = False
    return app


async def list_workspaces(state: SandboxState, request: Request) -> Response:
    """GET /v1/workspaces."""
    query = query_of(state, request, WorkflowQuery)
    items, pagination = page(state.workspaces, limit=query.limit, cursor=query.cursor)
    return JSONResponse(
        {"workspaces": [workspace_json(state, w) for w in items], "pagination": pagination}
    )


async def get_workspace(state: SandboxState, request: Request) -> Response:
    """GET /v1/workspaces/{workspace_id}."""
    return JSONResponse(workspace_json(state, workspace_in_path(state, request)))


async def list_models(state: SandboxState, request: Request) -> Response:
    """GET /v1/workspaces/{workspace_id}/models, with its filters."""
    workspace_in_path(state, request)
    query = query_of(state, request, ModelQuery)
    models = [model for model in state.models if matches(model, query)]
    items, pagination = page(models, limit=query.limit, cursor=query.cursor)
    return JSONResponse({"models": [model_json(m) for m in items], "pagination": pagination})


async def get_model(state: SandboxState, request: Request) -> Response:
    """GET /v1/workspaces/{workspace_id}/models/{model_id}."""
    workspace_in_path(state, request)
    model = model_with(state, id_in_path(request, "model_id"))
    return JSONResponse({"model": {**model_json(model), "capabilities": model.capabilities}})


def _with_token(handler: Handler) -> Handler:
    async def checked(state: SandboxState, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {state.token}":
            raise RefusalError(401, "UNAUTHENTICATED", "The token is missing or wrong.")
        state.settle()
        return await handler(state, request)

    return checked


async def _no_such_operation(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return problem(status, "NOT_FOUND", "There is no such operation.", headers)
