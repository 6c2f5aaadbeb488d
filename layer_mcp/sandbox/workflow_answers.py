"""What the sandbox answers about workflows: the contract's JSON."""

from collections.abc import Mapping
from typing import Any

from .answers import CREATED_AT, output_json, price_json, spelled
from .records import SandboxWorkspace, StoredFile, WorkflowRun
from .state import SandboxState
from .workflow_progress import Status
from .workflows import (
    SandboxWorkflow,
    SandboxWorkflowInput,
    count_of_outputs,
    workflow_price_creative_units,
)


def workflow_json(workflow: SandboxWorkflow) -> dict[str, Any]:
    """A workflow in a list (WorkflowSummary)."""
    return {
        "workflow_id": workflow.workflow_id,
        "name": workflow.name,
        "description": workflow.description,
        "modality": workflow.modality,
        "created_at": CREATED_AT,
        "published_at": CREATED_AT,
        "inputs": [_input_json(item) for item in workflow.inputs],
        "outputs": [_output_parameter_json(workflow)],
    }


def workflow_price_json(
    state: SandboxState,
    workspace: SandboxWorkspace,
    workflow: SandboxWorkflow,
    inputs: Mapping[str, Any],
) -> dict[str, Any]:
    """A price and what it buys (EstimateWorkflowPriceOutput)."""
    counted = {"output": _output_parameter_json(workflow), "count": count_of_outputs(inputs)}
    price = workflow_price_creative_units(workflow, inputs)
    return {**price_json(state, workspace, price), "output_counts": [counted]}


def started_workflow_json(state: SandboxState, run: WorkflowRun) -> dict[str, Any]:
    """A run that was just submitted (ExecuteWorkflowOutput)."""
    return {
        "run_id": run.run_id,
        "status": spelled(state, run.status),
        "estimated_price_creative_units": run.price_creative_units,
        "poll_interval_seconds": state.knobs.poll_interval_seconds,
        "created_at": CREATED_AT,
        "session_id": run.session_id,
    }


def workflow_run_json(state: SandboxState, run: WorkflowRun) -> dict[str, Any]:
    """The state of a run (GetWorkflowRunOutput)."""
    answer: dict[str, Any] = {
        "run_id": run.run_id,
        "status": spelled(state, run.status),
        "steps": [
            _step_json(state, run, name, status)
            for name, status in zip(run.workflow.steps, run.steps, strict=True)
        ],
        "estimated_price_creative_units": run.price_creative_units,
    }
    if run.under_way:
        answer["poll_interval_seconds"] = state.knobs.poll_interval_seconds
    elif run.status == "success":
        answer["completed_at"] = CREATED_AT
        answer["actual_price_creative_units"] = state.actual_price(run)
        answer["outputs"] = [_asset_json(state, output) for output in run.outputs]
    elif run.error is not None:
        answer["error_code"], answer["error"] = run.error
    return answer


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


def _step_json(state: SandboxState, run: WorkflowRun, name: str, status: Status) -> dict[str, Any]:
    step: dict[str, Any] = {"name": name, "status": spelled(state, status)}
    if status == "failure" and run.error is not None:
        step["error_code"], step["error"] = run.error
    return step


def _asset_json(state: SandboxState, file: StoredFile) -> dict[str, Any]:
    return {"object_id": file.file_id, "object_type": "file", **output_json(state, file)}
