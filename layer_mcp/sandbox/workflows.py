"""The operations on workflows: list, estimate, start, get; and the files that a run makes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..api.fields import Id
from ..api.models import WorkflowQuery, WorkflowRunRequest
from .answers import ProblemError, format_time, output_json, page, price_json, spell_status
from .catalog import (
    CLIP_SECONDS,
    CONTENT_TYPES,
    SandboxWorkflow,
    SandboxWorkflowInput,
    output_count,
    workflow_price_creative_units,
)
from .inferences import make_outputs_once, output_id, output_name
from .pictures import Item, draw_picture, encode_picture, item_for, read_clip, reference_hue
from .requests import (
    check_limits,
    find_files,
    id_in_path,
    parse_body,
    parse_query,
    read_json,
    workspace_in_path,
)
from .state import SandboxState, SandboxWorkspace, StepStatus, StoredFile, WorkflowRun

ICON_SIDE_PIXELS = 256
MAX_DETAIL_LENGTH = 200


class WorkflowRunBody(WorkflowRunRequest):
    """The body of a run with every field that the contract allows."""

    session_id: Id | None = None


async def list_workflows(state: SandboxState, request: Request) -> Response:
    """Handle GET /v1/workspaces/{workspace_id}/workflows."""
    workspace_in_path(state, request)
    query = parse_query(state, request, WorkflowQuery)
    search = (query.search or "").lower()
    matching = [w for w in state.workflows if search in f"{w.name} {w.description}".lower()]
    workflows, pagination = page(matching, limit=query.limit, cursor=query.cursor)
    return JSONResponse(
        {"workflows": [_workflow_json(state, w) for w in workflows], "pagination": pagination}
    )


async def estimate_workflow(state: SandboxState, request: Request) -> Response:
    """Handle POST /v1/workspaces/{workspace_id}/workflows/{workflow_id}/estimate."""
    workspace = workspace_in_path(state, request)
    workflow = _workflow_in_path(state, request)
    body = parse_body(state, await read_json(request), WorkflowRunBody)
    inputs = _complete_inputs(workflow, body.inputs)
    _find_input_files(state, workspace, workflow, inputs)
    return JSONResponse(_price_json(state, workspace, workflow, inputs))


async def execute_workflow(state: SandboxState, request: Request) -> Response:
    """Handle POST /v1/workspaces/{workspace_id}/workflows/{workflow_id}/runs."""
    workspace = workspace_in_path(state, request)
    workflow = _workflow_in_path(state, request)
    body = parse_body(state, await read_json(request), WorkflowRunBody)
    inputs = _complete_inputs(workflow, body.inputs)
    references = _find_input_files(state, workspace, workflow, inputs)
    check_limits(state, workspace, workflow_price_creative_units(workflow, inputs))
    session_id = _session_id(workspace, body)
    run = state.submit_workflow(workspace, workflow, inputs, references, session_id)
    return JSONResponse(_started_run_json(state, run), status_code=202)


async def get_workflow_run(state: SandboxState, request: Request) -> Response:
    """Handle GET /v1/workspaces/{workspace_id}/workflows/{workflow_id}/runs/{run_id}."""
    workspace = workspace_in_path(state, request)
    workflow = _workflow_in_path(state, request)
    run = state.find_workflow_run(workspace.workspace_id, id_in_path(request, "run_id"))
    if run is None or run.workflow != workflow:
        raise ProblemError(404, "WORKFLOW_RUN_NOT_FOUND", "The sandbox has no such run.")
    if run.status == "success":
        await make_outputs_once(state, run, _make_outputs)
    return JSONResponse(_run_json(state, run))


def _workflow_in_path(state: SandboxState, request: Request) -> SandboxWorkflow:
    workflow_id = id_in_path(request, "workflow_id")
    for workflow in state.workflows:
        if workflow.workflow_id == workflow_id:
            return workflow
    raise ProblemError(404, "WORKFLOW_NOT_FOUND", "There is no such workflow here.")


def _session_id(workspace: SandboxWorkspace, body: WorkflowRunBody) -> str | None:
    """Return the given session ID, or the ID that belongs to the given session name."""
    if body.session_id is None and body.session_name is not None:
        return str(uuid5(NAMESPACE_URL, f"{workspace.workspace_id}/{body.session_name}"))
    return body.session_id


def _complete_inputs(workflow: SandboxWorkflow, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check the given inputs and add the defaults."""
    known = [item.name for item in workflow.inputs]
    for name in given:
        if name not in known:
            raise _invalid_input(name, f"is not an input; there are {', '.join(known)}.")
    for item in workflow.inputs:
        if item.name in given:
            _check_value(item, given[item.name])
        elif item.required:
            raise _invalid_input(item.name, "is required.")
    defaults = {item.name: item.default for item in workflow.inputs if item.default is not None}
    return {**defaults, **given}


def _check_value(item: SandboxWorkflowInput, value: object) -> None:
    # Imported when used, because it takes a tenth of a second that only workflows need.
    from jsonschema import Draft202012Validator  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415

    # An empty registry can't fetch schemas over the network.
    validator = Draft202012Validator(
        item.value_schema,
        registry=Registry[Any](),
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    error = next(validator.iter_errors(value), None)  # pyright: ignore[reportUnknownMemberType, reportArgumentType]
    if error is not None:
        raise _invalid_input(item.name, f"{error.message[:MAX_DETAIL_LENGTH]}.")


def _invalid_input(name: str, reason: str) -> ProblemError:
    return ProblemError(422, "INVALID_INPUTS", f"inputs.{name[:MAX_DETAIL_LENGTH]}: {reason}")


def _find_input_files(
    state: SandboxState,
    workspace: SandboxWorkspace,
    workflow: SandboxWorkflow,
    inputs: Mapping[str, Any],
) -> list[StoredFile]:
    names = [item.name for item in workflow.inputs if item.type == "file"]
    return find_files(state, workspace, (inputs[name] for name in names if name in inputs))


def _workflow_json(state: SandboxState, workflow: SandboxWorkflow) -> dict[str, Any]:
    """Return a workflow as lists show it (WorkflowSummary)."""
    return {
        "workflow_id": workflow.workflow_id,
        "name": workflow.name,
        "description": workflow.description,
        "modality": workflow.modality,
        "created_at": format_time(state.started_at),
        "published_at": format_time(state.started_at),
        "inputs": [_input_json(item) for item in workflow.inputs],
        "outputs": [_output_parameter_json(workflow)],
    }


def _input_json(item: SandboxWorkflowInput) -> dict[str, Any]:
    return {
        "name": item.name,
        "type": item.type,
        "value_schema": item.value_schema,
        "required": item.required,
        "description": item.description,
        "display_name": item.name.replace("_", " ").capitalize(),
        "default": item.default,
    }


def _output_parameter_json(workflow: SandboxWorkflow) -> dict[str, Any]:
    return {
        "name": workflow.output_name,
        "type": "file",
        "description": workflow.output_description,
        "display_name": workflow.output_name.capitalize(),
    }


def _price_json(
    state: SandboxState,
    workspace: SandboxWorkspace,
    workflow: SandboxWorkflow,
    inputs: Mapping[str, Any],
) -> dict[str, Any]:
    """Return an estimated price and what it buys (EstimateWorkflowPriceOutput)."""
    output_counts = [{"output": _output_parameter_json(workflow), "count": output_count(inputs)}]
    price = workflow_price_creative_units(workflow, inputs)
    return {**price_json(state, workspace, price), "output_counts": output_counts}


def _started_run_json(state: SandboxState, run: WorkflowRun) -> dict[str, Any]:
    """Return a run that was just submitted (ExecuteWorkflowOutput)."""
    return {
        "run_id": run.run_id,
        "status": spell_status(state, run.status),
        "estimated_price_creative_units": run.price_creative_units,
        "poll_interval_seconds": state.knobs.poll_interval_seconds,
        "created_at": format_time(run.submitted_at),
        "session_id": run.session_id,
    }


def _run_json(state: SandboxState, run: WorkflowRun) -> dict[str, Any]:
    """Return the status, the steps and the outputs of a run (GetWorkflowRunOutput)."""
    answer: dict[str, Any] = {
        "run_id": run.run_id,
        "status": spell_status(state, run.status),
        "steps": [
            _step_json(state, run, name, status)
            for name, status in zip(run.workflow.steps, run.steps, strict=True)
        ],
        "estimated_price_creative_units": run.price_creative_units,
    }
    if run.is_active:
        answer["poll_interval_seconds"] = state.knobs.poll_interval_seconds
    elif run.status == "success":
        answer["completed_at"] = format_time(run.submitted_at + state.knobs.run_seconds)
        answer["actual_price_creative_units"] = state.actual_price(run)
        answer["outputs"] = [_asset_json(state, output) for output in run.outputs]
    elif run.error is not None:
        answer["error_code"], answer["error"] = run.error
    return answer


def _step_json(
    state: SandboxState, run: WorkflowRun, name: str, status: StepStatus
) -> dict[str, Any]:
    step: dict[str, Any] = {"name": name, "status": spell_status(state, status)}
    if status == "failure" and run.error is not None:
        step["error_code"], step["error"] = run.error
    return step


def _asset_json(state: SandboxState, file: StoredFile) -> dict[str, Any]:
    return {"object_id": file.file_id, "object_type": "file", **output_json(state, file)}


def _make_outputs(run: WorkflowRun) -> list[StoredFile]:
    hue = reference_hue(file.data for file in run.references)
    return [_make_output(run, index, hue) for index in range(output_count(run.inputs))]


def _make_output(run: WorkflowRun, index: int, hue: float | None) -> StoredFile:
    prompt = run.inputs["prompt"]
    item = item_for(prompt, run.run_id, index)
    if hue is not None:
        item = replace(item, hue=hue)
    kind = "mp4" if run.workflow.modality == "video" else "png"
    file = StoredFile(
        file_id=output_id(run.run_id, index),
        workspace_id=run.workspace_id,
        name=output_name(prompt, index, kind),
        content_type=CONTENT_TYPES[kind],
        data=b"",
    )
    if kind == "mp4":
        return replace(file, data=read_clip(), duration_seconds=CLIP_SECONDS, item=item)
    side = ICON_SIDE_PIXELS
    return replace(file, data=_draw_icon(item), width=side, height=side)


def _draw_icon(item: Item) -> bytes:
    side = ICON_SIDE_PIXELS
    icon = draw_picture(item, caption="", width=side, height=side, transparent=True)
    return encode_picture(icon, "png")
