"""What is known of a run from its start and from its end; it goes into the record of its files."""

from collections.abc import Sequence
from typing import Any

from ..api.models import (
    Inference,
    InferenceRequest,
    Output,
    StartedInference,
    StartedWorkflowRun,
    WorkflowRun,
)
from ..runs.file_names import slug_of
from ..runs.sidecar import FinishedRun
from .run_results import RANDOM_SEED, changed_parameters


def request_facts(request: InferenceRequest, workspace_id: str) -> dict[str, Any]:
    """What is known of a run before it is sent, as plain JSON."""
    facts = {
        "workspace_id": workspace_id,
        "model_id": request.model_id,
        "prompt": request.prompt,
        "seed": None if request.seed == RANDOM_SEED else request.seed,
        "asked": request.body(),
    }
    return _given(facts)


def start_facts(
    request: InferenceRequest, started: StartedInference, workspace_id: str
) -> dict[str, Any]:
    """What only the start of a run knows, as plain JSON."""
    facts = {
        "created_at": started.created_at,
        "session_id": started.session_id,
        "estimated_price_creative_units": started.estimated_price_creative_units,
        "normalized": started.normalized_parameters,
        "changed": changed_parameters(request, started.normalized_parameters) or None,
    }
    return request_facts(request, workspace_id) | _given(facts)


def workflow_request_facts(
    workflow_id: str, inputs: dict[str, Any], workspace_id: str
) -> dict[str, Any]:
    """What is known of a workflow run before it is sent, as plain JSON."""
    return {"workspace_id": workspace_id, "workflow_id": workflow_id, "asked": inputs}


def workflow_start_facts(
    workflow_id: str, inputs: dict[str, Any], started: StartedWorkflowRun, workspace_id: str
) -> dict[str, Any]:
    """What only the start of a workflow run knows, as plain JSON."""
    facts = {
        "session_id": started.session_id,
        "estimated_price_creative_units": started.estimated_price_creative_units,
    }
    return workflow_request_facts(workflow_id, inputs, workspace_id) | _given(facts)


def state_after_start(started: StartedInference) -> Inference:
    """What the answer to a submission says of the run's state."""
    return Inference(
        inference_id=started.inference_id,
        status=started.status,
        poll_interval_seconds=started.poll_interval_seconds,
    )


def workflow_state_after_start(started: StartedWorkflowRun) -> WorkflowRun:
    """What the answer to a workflow's submission says of the run's state."""
    return WorkflowRun(
        run_id=started.run_id,
        status=started.status,
        poll_interval_seconds=started.poll_interval_seconds,
    )


def end_facts(state: Inference | WorkflowRun) -> dict[str, Any]:
    """What the end of a run adds."""
    facts = {
        "completed_at": state.completed_at,
        "actual_price_creative_units": state.actual_price_creative_units,
    }
    return _given(facts)


def finished_run(
    run_id: str, outputs: Sequence[Output], facts: dict[str, Any], state: dict[str, Any]
) -> FinishedRun:
    """A run as it is saved: `facts` are those of its start, `state` those of its end."""
    asked: dict[str, Any] = facts.get("asked") or {}
    prompt = asked.get("prompt")
    words = prompt if isinstance(prompt, str) else _name_in_url(outputs)
    return FinishedRun(run_id, outputs, slug_of(words), {**facts, **state})


def _given(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


def _name_in_url(outputs: Sequence[Output]) -> str | None:
    """Layer ends its addresses in `<slug>-<time>.<ext>`: the slug is better than no name."""
    name = (outputs[0].url or "").rpartition("/")[2] if outputs else ""
    stem = name.partition("?")[0].rpartition(".")[0]
    return stem.rstrip("0123456789").rstrip("-") or None
