"""What Layer does with runs of both kinds: price, start, read and wait, one function each."""

from dataclasses import dataclass

from ..api.client import LayerClient
from ..api.models import (
    Inference,
    InferenceRequest,
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
from .types import Run, RunRequest

MAX_NAME_LENGTH = 60


async def estimate_price(client: LayerClient, request: RunRequest) -> PriceEstimate:
    """Ask Layer for the price of a run, with its references; free of charge.

    Raises:
        LayerError: Layer refuses the request or cannot be reached.
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
    """Start a run, which is charged; sent again only when Layer surely did not accept it.

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
    """Read a run, or wait for its end up to `seconds`; `known` is a state that just arrived.

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
    """Return what is known of a run's state as Layer would answer it."""
    if run.request.kind == "workflow":
        return WorkflowRun(
            run_id=run.run_id or "",
            status=run.state,
            poll_interval_seconds=run.poll_interval_seconds,
        )
    return Inference(
        inference_id=run.run_id or "",
        status=run.state,
        poll_interval_seconds=run.poll_interval_seconds,
    )


@dataclass(frozen=True)
class ModelInfo:
    """What people call a model, and what it makes; its id and "" when Layer does not say."""

    name: str
    modality: str


class ModelLookup:
    """Asks Layer for each model once; what it does not answer is asked again next time."""

    def __init__(self, client: LayerClient) -> None:
        self._client = client
        self._known: dict[str, ModelInfo] = {}

    async def find(self, model_id: str, workspace_id: str) -> ModelInfo:
        """Return a model's name and modality; its id and no modality without an answer."""
        known = self._known.get(model_id)
        if known is not None:
            return known
        try:
            model = await self._client.get_model(model_id, workspace=workspace_id)
        except LayerError:
            return ModelInfo(model_id, "")
        name = one_line(model.name or model_id, MAX_NAME_LENGTH)
        self._known[model_id] = ModelInfo(name, model.modality or "")
        return self._known[model_id]
