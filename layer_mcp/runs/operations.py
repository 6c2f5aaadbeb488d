"""Layer's operations for both kinds of runs, one function each: price, start, read, and wait."""

from dataclasses import dataclass

import anyio

from ..api.client import LayerClient
from ..api.models import (
    Inference,
    InferenceRequest,
    ModelDetail,
    PriceEstimate,
    RunSnapshot,
    StartedInference,
    StartedWorkflowRun,
    WorkflowRun,
    WorkflowRunRequest,
)
from ..api.polling import OnProgress
from ..api.retry import BeforeSending
from ..errors import LayerError
from ..text.plain_text import one_line
from .types.request import RunRequest
from .types.run import Run

MAX_NAME_LENGTH = 60
KEPT_SECONDS = 600


async def estimate_price(client: LayerClient, request: RunRequest) -> PriceEstimate:
    """Ask Layer for the price of a run, including its references; free of charge.

    Raises:
        LayerError: Layer rejects the request or can't be reached.
    """
    workspace = request.workspace_id
    if request.kind == "workflow":
        return await client.estimate_workflow(
            request.subject_id, request.inputs, workspace=workspace
        )
    return await client.estimate_price(
        InferenceRequest.model_validate(request.body), workspace=workspace
    )


async def start_run(
    client: LayerClient, request: RunRequest, before_sending: BeforeSending
) -> StartedInference | StartedWorkflowRun:
    """Start a run, which is charged; retry only if Layer definitely didn't accept it.

    Raises:
        LayerError: nothing was started, or OUTCOME_UNKNOWN.
    """
    workspace = request.workspace_id
    if request.kind == "workflow":
        return await client.execute_workflow(
            request.subject_id,
            WorkflowRunRequest.model_validate(request.body),
            workspace=workspace,
            before_sending=before_sending,
        )
    return await client.execute_inference(
        InferenceRequest.model_validate(request.body),
        workspace=workspace,
        before_sending=before_sending,
    )


async def wait_for_run(
    client: LayerClient,
    run: Run,
    seconds: float,
    *,
    known: Inference | WorkflowRun | None = None,
    on_progress: OnProgress[RunSnapshot] | None = None,
) -> Inference | WorkflowRun:
    """Read a run, or wait up to `seconds` for it to end; `known` is a state that just arrived.

    Raises:
        LayerError: no state arrived.
    """
    run_id, workspace = run.run_id or "", run.request.workspace_id
    if run.request.kind == "workflow":
        return await client.wait_for_workflow_run(
            run.request.subject_id,
            run_id,
            seconds,
            workspace=workspace,
            known=known if isinstance(known, WorkflowRun) else None,
            on_progress=on_progress,
        )
    return await client.wait(
        run_id,
        seconds,
        workspace=workspace,
        known=known if isinstance(known, Inference) else None,
        on_progress=on_progress,
    )


def state_of(run: Run) -> Inference | WorkflowRun:
    """Return what's known about a run's state in the form of Layer's response."""
    state = {"status": run.state, "poll_interval_seconds": run.poll_interval_seconds}
    if run.request.kind == "workflow":
        return WorkflowRun.model_validate({"run_id": run.run_id, **state})
    return Inference.model_validate({"inference_id": run.run_id, **state})


@dataclass(frozen=True)
class ModelInfo:
    """A model's name and modality; its ID and an empty string if Layer doesn't say."""

    name: str
    modality: str


class ModelLookup:
    """Reads each model once per ten minutes; a failed read is retried next time."""

    def __init__(self, client: LayerClient) -> None:
        self._client = client
        self._known: dict[str, tuple[ModelDetail, float]] = {}

    def known(self, model_id: str) -> ModelDetail | None:
        """Return a model that was read in the last ten minutes."""
        model, asked_at = self._known.get(model_id.lower(), (None, 0.0))
        return model if anyio.current_time() - asked_at < KEPT_SECONDS else None

    async def get(self, model_id: str, workspace_id: str) -> ModelDetail:
        """Return a model with its capabilities.

        Raises:
            LayerError: MODEL_NOT_FOUND, or Layer can't be reached.
        """
        model = self.known(model_id)
        if model is None:
            model = await self._client.get_model(model_id, workspace=workspace_id)
            self._known[model_id.lower()] = (model, anyio.current_time())
        return model

    async def find(self, model_id: str, workspace_id: str) -> ModelInfo:
        """Return a model's name and modality; its ID and no modality if Layer doesn't respond."""
        try:
            model = await self.get(model_id, workspace_id)
        except LayerError:
            return ModelInfo(model_id, "")
        name = one_line(model.name or model_id, MAX_NAME_LENGTH)
        return ModelInfo(name, model.modality or "")
