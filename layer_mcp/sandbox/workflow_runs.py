"""The operations on workflows: list, price, start, look."""

from uuid import NAMESPACE_URL, uuid5

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..api.fields import Id
from ..api.models import WorkflowQuery, WorkflowRunRequest
from .lookups import as_model, check_limits, id_in_path, json_body, workspace_in_path
from .pages import page, query_of
from .problems import RefusalError
from .records import SandboxWorkspace, WorkflowRun
from .state import SandboxState
from .workflow_answers import (
    started_workflow_json,
    workflow_json,
    workflow_price_json,
    workflow_run_json,
)
from .workflow_files import make_workflow_outputs
from .workflow_inputs import complete_inputs, input_files
from .workflows import SandboxWorkflow, workflow_price_creative_units


class WorkflowRunBody(WorkflowRunRequest):
    """The body of a run with all that the contract allows."""

    session_id: Id | None = None


async def list_workflows(state: SandboxState, request: Request) -> Response:
    """GET /v1/workspaces/{workspace_id}/workflows."""
    workspace_in_path(state, request)
    query = query_of(state, request, WorkflowQuery)
    words = (query.search or "").lower()
    found = [w for w in state.workflows if words in f"{w.name} {w.description}".lower()]
    items, pagination = page(found, limit=query.limit, cursor=query.cursor)
    return JSONResponse({"workflows": [workflow_json(w) for w in items], "pagination": pagination})


async def estimate_workflow(state: SandboxState, request: Request) -> Response:
    """POST /v1/workspaces/{workspace_id}/workflows/{workflow_id}/estimate."""
    workspace = workspace_in_path(state, request)
    workflow = _workflow(state, request)
    body = as_model(state, await json_body(request), WorkflowRunBody)
    inputs = complete_inputs(workflow, body.inputs)
    input_files(state, workspace, workflow, inputs)
    return JSONResponse(workflow_price_json(state, workspace, workflow, inputs))


async def execute_workflow(state: SandboxState, request: Request) -> Response:
    """POST /v1/workspaces/{workspace_id}/workflows/{workflow_id}/runs."""
    workspace = workspace_in_path(state, request)
    workflow = _workflow(state, request)
    body = as_model(state, await json_body(request), WorkflowRunBody)
    inputs = complete_inputs(workflow, body.inputs)
    references = input_files(state, workspace, workflow, inputs)
    check_limits(state, workspace, workflow_price_creative_units(workflow, inputs))
    run = state.submit_workflow(
        workspace, workflow, inputs, references, _session_id(workspace, body)
    )
    return JSONResponse(started_workflow_json(state, run), status_code=202)


async def get_workflow_run(state: SandboxState, request: Request) -> Response:
    """GET /v1/workspaces/{workspace_id}/workflows/{workflow_id}/runs/{run_id}."""
    workspace = workspace_in_path(state, request)
    workflow = _workflow(state, request)
    run = state.workflow_runs.get(id_in_path(request, "run_id"))
    if run is None or (run.workspace_id, run.workflow) != (workspace.workspace_id, workflow):
        raise RefusalError(404, "WORKFLOW_RUN_NOT_FOUND", "There is no such run here.")
    if run.status == "success":
        await _make_outputs_once(state, run)
    return JSONResponse(workflow_run_json(state, run))


async def _make_outputs_once(state: SandboxState, run: WorkflowRun) -> None:
    if run.outputs:
        return
    made = await anyio.to_thread.run_sync(make_workflow_outputs, run)
    # Another request may have made them meanwhile; the first ones count.
    run.outputs = run.outputs or state.keep(made)


def _workflow(state: SandboxState, request: Request) -> SandboxWorkflow:
    wanted = id_in_path(request, "workflow_id")
    for workflow in state.workflows:
        if workflow.workflow_id == wanted:
            return workflow
    raise RefusalError(404, "WORKFLOW_NOT_FOUND", "There is no such workflow here.")


def _session_id(workspace: SandboxWorkspace, body: WorkflowRunBody) -> str | None:
    """The session that was named by its id, or the one that has this name."""
    if body.session_id is None and body.session_name is not None:
        return str(uuid5(NAMESPACE_URL, f"{workspace.workspace_id}/{body.session_name}"))
    return body.session_id
