"""One run as it would be paid for: what it asks, how it is priced, how it is sent."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Generic

from ..api.models import (
    Inference,
    InferenceRequest,
    PriceEstimate,
    Workflow,
    WorkflowRun,
    WorkflowRunRequest,
)
from ..api.retry import BeforeSending
from ..journal.entries import Intent, RunKind
from .fingerprint import fingerprint
from .following import Run, StateT, inference_run, workflow_run
from .provenance import (
    request_facts,
    start_facts,
    state_after_start,
    workflow_request_facts,
    workflow_start_facts,
    workflow_state_after_start,
)
from .references import References
from .state import App


@dataclass(frozen=True)
class Started(Generic[StateT]):
    """A run that was paid for: how it is followed, its first state, what only its start knew."""

    run: Run[StateT]
    state: StateT
    facts: dict[str, Any]
    warning: str | None = None


@dataclass(frozen=True)
class Order(Generic[StateT]):
    """A run that is asked for and not sent yet.

    `name` is what a person calls its model or workflow; `count` the number of outputs, where it is
    known before. `label` begins what is said of this one among several.
    """

    intent: Intent
    estimate: Callable[[], Awaitable[PriceEstimate]]
    submit: Callable[[BeforeSending], Awaitable[Started[StateT]]]
    name: Callable[[], Awaitable[str]]
    count: int | None = None
    label: str = ""

    @property
    def model_id(self) -> str | None:
        """The model; None for a workflow."""
        return self.intent.subject_id if self.intent.kind == "inference" else None

    def priced(self, price_creative_units: float | None, batch_id: str | None = None) -> Intent:
        """What the journal gets."""
        return replace(
            self.intent,
            estimated_price_creative_units=price_creative_units,
            batch_id=batch_id,
        )


def inference_order(
    app: App, request: InferenceRequest, references: References, workspace_id: str
) -> Order[Inference]:
    """A run of a model."""

    async def estimate() -> PriceEstimate:
        return await references.used_by(
            lambda: app.client.estimate_price(request, workspace=workspace_id)
        )

    async def submit(before_sending: BeforeSending) -> Started[Inference]:
        started = await references.used_by(
            lambda: app.client.execute_inference(
                request, workspace=workspace_id, before_sending=before_sending
            )
        )
        return Started(
            inference_run(app, started.inference_id, workspace_id),
            state_after_start(started),
            start_facts(request, started, workspace_id),
        )

    async def name() -> str:
        return (await app.models.facts(request.model_id, workspace_id)).name

    facts = request_facts(request, workspace_id)
    return Order(
        _intent("inference", request.model_id, request.body(), facts, references),
        estimate,
        submit,
        name,
        request.batch_size,
    )


def workflow_order(
    app: App,
    workflow: Workflow,
    request: WorkflowRunRequest,
    references: References,
    workspace_id: str,
) -> Order[WorkflowRun]:
    """A run of a workflow."""
    workflow_id = workflow.workflow_id.lower()

    async def estimate() -> PriceEstimate:
        return await references.used_by(
            lambda: app.client.estimate_workflow(
                workflow_id, request.inputs, workspace=workspace_id
            )
        )

    async def submit(before_sending: BeforeSending) -> Started[WorkflowRun]:
        started = await references.used_by(
            lambda: app.client.execute_workflow(
                workflow_id, request, workspace=workspace_id, before_sending=before_sending
            )
        )
        return Started(
            workflow_run(app, workflow_id, started.run_id, workspace_id),
            workflow_state_after_start(started),
            workflow_start_facts(workflow_id, request.inputs, started, workspace_id),
        )

    async def name() -> str:
        return workflow.name or workflow_id

    body = request.model_dump(mode="json", exclude_none=True)
    facts = workflow_request_facts(workflow_id, request.inputs, workspace_id)
    return Order(
        _intent("workflow", workflow_id, body, facts, references),
        estimate,
        submit,
        name,
    )


def _intent(
    kind: RunKind,
    subject_id: str,
    parameters: dict[str, Any],
    facts: dict[str, Any],
    references: References,
) -> Intent:
    workspace_id = references.workspace_id
    digest = fingerprint(kind, workspace_id, subject_id, parameters, references.contents)
    return Intent(kind, workspace_id, subject_id, digest, facts)
