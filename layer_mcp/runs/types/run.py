"""A run, from its journal row to the final answer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ...api.models import (
    Inference,
    Output,
    StartedInference,
    StartedWorkflowRun,
    WorkflowRun,
    WorkflowStep,
)
from ...errors import one_sentence
from .plain import without_nulls
from .request import RunRequest
from .start import start_facts
from .states import ENDED_STATES, QUEUED, SENDING, UNKNOWN, RunState

MAX_CODE_LENGTH = 60


@dataclass(frozen=True)
class RunError:
    """Why a run failed or wasn't sent."""

    code: str
    message: str


@dataclass(frozen=True)
class Run:
    """One submission, from its journal row to the final answer.

    `key` is the journal's own ID, empty for a run that isn't in a journal. `run_id` is Layer's.
    `state` is `queued`, `sending`, `unknown` or `not_sent` until Layer has confirmed the run, and
    then Layer's status. `start` holds the facts that only Layer's response to the submission has,
    as plain JSON.
    """

    request: RunRequest
    state: RunState
    created_at: datetime
    key: str = ""
    run_id: str | None = None
    batch_id: str | None = None
    attempt: int = 0
    estimated_price_creative_units: float | None = None
    actual_price_creative_units: float | None = None
    poll_interval_seconds: float | None = None
    completed_at: datetime | None = None
    outputs: tuple[Output, ...] = ()
    steps: tuple[WorkflowStep, ...] = ()
    error: RunError | None = None
    start: Mapping[str, Any] = field(default_factory=dict[str, Any])
    folder: Path | None = None
    is_duplicate: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def is_in_journal(self) -> bool:
        """Whether the run is in a journal; the settings may allow runs without one."""
        return bool(self.key)

    @property
    def is_being_sent(self) -> bool:
        """Whether a live process is about to send the run or is waiting for Layer's response."""
        return self.state in (QUEUED, SENDING)

    @property
    def is_running(self) -> bool:
        """Whether Layer has the run and it isn't known to have ended."""
        return not self.has_ended and not self.is_being_sent and self.state != UNKNOWN

    @property
    def has_ended(self) -> bool:
        """Whether the state is final."""
        return self.state in ENDED_STATES

    @property
    def session_id(self) -> str | None:
        """The ID of the run's session in Layer."""
        return self.start.get("session_id")

    @property
    def changed_parameters(self) -> list[str] | None:
        """The parameters that the model changed."""
        return self.start.get("changed")

    def facts(self) -> dict[str, Any]:
        """Return what the request and the start say, as in the run's record."""
        facts = self.request.facts() | dict(self.start)
        estimate = self.estimated_price_creative_units
        return facts | without_nulls({"estimated_price_creative_units": estimate})

    def with_warnings(self, *sentences: str | None) -> "Run":
        """Return the run with additional warnings."""
        return replace(self, warnings=(*self.warnings, *(text for text in sentences if text)))

    def confirm(self, started: StartedInference | StartedWorkflowRun) -> "Run":
        """Return the run with the facts from Layer's response to its submission."""
        run_id = started.inference_id if isinstance(started, StartedInference) else started.run_id
        price = started.estimated_price_creative_units
        return replace(
            self,
            run_id=run_id,
            state=started.status,
            poll_interval_seconds=started.poll_interval_seconds,
            estimated_price_creative_units=self.estimated_price_creative_units
            if price is None
            else price,
            start=start_facts(self.request, started),
        )

    def update(self, state: Inference | WorkflowRun) -> "Run":
        """Return the run in a state that Layer just reported."""
        run_id = state.run_id if isinstance(state, WorkflowRun) else state.inference_id
        estimate = state.estimated_price_creative_units if isinstance(state, WorkflowRun) else None
        return replace(
            self,
            run_id=run_id,
            state=state.status,
            poll_interval_seconds=state.poll_interval_seconds,
            completed_at=state.completed_at,
            estimated_price_creative_units=estimate or self.estimated_price_creative_units,
            actual_price_creative_units=state.actual_price_creative_units,
            outputs=tuple(state.outputs),
            steps=tuple(state.steps) if isinstance(state, WorkflowRun) else (),
            error=RunError(
                (state.error_code or "RUN_FAILED")[:MAX_CODE_LENGTH],
                one_sentence(state.error or "Layer gave no reason"),
            )
            if state.status == "failed"
            else None,
        )


def outputs_as_json(outputs: Sequence[Output]) -> list[dict[str, Any]]:
    """Return outputs as plain JSON without nulls."""
    return [output.model_dump(exclude_none=True) for output in outputs]


def error_as_json(error: RunError | None) -> dict[str, str] | None:
    """Return an error as plain JSON."""
    return asdict(error) if error else None
