"""The values that runs are described with: plain data that can be stored, compared and sent."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import anyio

from ..api.models import (
    Inference,
    InferenceRequest,
    Output,
    StartedInference,
    StartedWorkflowRun,
    WorkflowRun,
    WorkflowRunRequest,
    WorkflowStep,
)
from ..api.polling import TERMINAL_STATUSES
from ..api.retry import Limits
from ..errors import one_sentence
from ..text.plain_text import remove_controls

RunKind = Literal["inference", "workflow"]
StatusFilter = Literal["running", "complete", "failed", "stopped", "unknown", "not_sent"]
"""The groups of states that a list of runs can be narrowed to; each run is in exactly one."""

QUEUED, SENDING = "queued", "sending"
IN_PROGRESS = "in_progress"
UNKNOWN, NOT_SENT = "unknown", "not_sent"
# Layer says that it has no such run.
NOT_FOUND = "not_found"
ENDED_STATES = (*sorted(TERMINAL_STATUSES), NOT_FOUND, NOT_SENT)

RANDOM_SEED = -1
MAX_CODE_LENGTH = 60
SUBMISSION_SECONDS = Limits().submit_total_seconds + Limits().retry_budget_seconds
MIN_UPLOAD_SECONDS = 5.0
MIN_PREPARING_SECONDS = 3.0
MAX_PREPARING_SECONDS = 10.0


@dataclass(frozen=True)
class RunRequest:
    """A run that can be paid for, as plain data: any process can send it from its journal row.

    `body` is the JSON for Layer with its defaults, `given` the names in it that the caller gave.
    `files` has the SHA-256 of uploaded local files by their ids. `subject_id` is the model or the
    workflow, `subject_name` what people call a workflow. `label` names one request of several.
    `copy_number` tells equal requests of one batch apart.
    """

    kind: RunKind
    subject_id: str
    workspace_id: str
    body: dict[str, Any] = field(default_factory=dict[str, Any])
    given: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    output_count: int | None = None
    subject_name: str | None = None
    label: str = ""
    copy_number: int = 0

    @classmethod
    def inference(
        cls, request: InferenceRequest, workspace_id: str, files: Mapping[str, str]
    ) -> "RunRequest":
        """Return the request for a run of a model."""
        return cls(
            "inference",
            request.model_id,
            workspace_id,
            request.body(),
            tuple(sorted(request.model_fields_set)),
            files,
            output_count=request.batch_size,
        )

    @classmethod
    def workflow(
        cls,
        workflow_id: str,
        request: WorkflowRunRequest,
        workspace_id: str,
        files: Mapping[str, str],
        name: str | None = None,
    ) -> "RunRequest":
        """Return the request for a run of a workflow."""
        body = request.model_dump(mode="json", exclude_none=True)
        return cls(
            "workflow", workflow_id.lower(), workspace_id, body, files=files, subject_name=name
        )

    @property
    def fingerprint(self) -> str:
        """The same text for requests that ask Layer for the same, in any order and spelling."""
        return fingerprint(self.kind, self.workspace_id, self.subject_id, self.body, self.files)

    @property
    def model_id(self) -> str | None:
        """The model; None for a workflow."""
        return self.subject_id if self.kind == "inference" else None

    @property
    def inputs(self) -> dict[str, Any]:
        """What was asked for: the whole body of an inference, the inputs of a workflow."""
        return self.body if self.kind == "inference" else self.body.get("inputs", {})

    @property
    def prompt(self) -> str | None:
        """The prompt of an inference, if it has one."""
        prompt = self.body.get("prompt") if self.kind == "inference" else None
        return prompt if isinstance(prompt, str) else None

    def facts(self) -> dict[str, Any]:
        """Return what a run's record says of its request, without nulls."""
        if self.kind == "workflow":
            given = {"workflow_id": self.subject_id or None, "asked": self.inputs or None}
            return {"workspace_id": self.workspace_id} | without_nulls(given)
        seed = self.body.get("seed")
        given = {
            "workspace_id": self.workspace_id,
            "model_id": self.subject_id or None,
            "prompt": self.body.get("prompt"),
            "seed": None if seed == RANDOM_SEED else seed,
            "asked": self.body or None,
        }
        return without_nulls(given)


@dataclass(frozen=True)
class RunError:
    """Why a run failed or was not sent."""

    code: str
    message: str


@dataclass(frozen=True)
class Run:
    """One submission, from its journal row to the answer about it.

    `key` is the journal's own id, empty for a run that no journal holds. `run_id` is Layer's.
    `state` is `queued`, `sending`, `unknown` or `not_sent` until Layer has confirmed the run, and
    then Layer's status. Times are seconds since 1970. `start` is what only Layer's answer to the
    submission says, as plain JSON.
    """

    request: RunRequest
    state: str
    created_at: float
    key: str = ""
    run_id: str | None = None
    batch_id: str | None = None
    attempt: int = 0
    estimated_price_creative_units: float | None = None
    actual_price_creative_units: float | None = None
    poll_interval_seconds: float | None = None
    completed_at: str | None = None
    outputs: tuple[Output, ...] = ()
    steps: tuple[WorkflowStep, ...] = ()
    error: RunError | None = None
    start: Mapping[str, Any] = field(default_factory=dict[str, Any])
    folder: Path | None = None
    is_duplicate: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def is_in_journal(self) -> bool:
        """Whether a journal holds it; the settings may allow runs without one."""
        return bool(self.key)

    @property
    def is_being_sent(self) -> bool:
        """Whether a live process is about to send it or waits for Layer's answer."""
        return self.state in (QUEUED, SENDING)

    @property
    def is_running(self) -> bool:
        """Whether Layer has it and its end was not seen."""
        return not self.has_ended and not self.is_being_sent and self.state != UNKNOWN

    @property
    def has_ended(self) -> bool:
        """Whether its state is final."""
        return self.state in ENDED_STATES

    @property
    def session_id(self) -> str | None:
        """Layer's session that the run was filed in."""
        return self.start.get("session_id")

    @property
    def changed_parameters(self) -> list[str] | None:
        """What the model runs differently from what was asked."""
        return self.start.get("changed")

    def facts(self) -> dict[str, Any]:
        """Return what is known from the request and the start, as the run's record says it."""
        facts = self.request.facts() | dict(self.start)
        estimate = self.estimated_price_creative_units
        return facts | without_nulls({"estimated_price_creative_units": estimate})

    def with_warnings(self, *sentences: str | None) -> "Run":
        """Return the run with more warnings beside it."""
        return replace(self, warnings=(*self.warnings, *(text for text in sentences if text)))

    def confirm(self, started: StartedInference | StartedWorkflowRun) -> "Run":
        """Return the run as Layer's answer to its submission describes it."""
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
        """Return the run in the state that Layer just gave."""
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


@dataclass(frozen=True)
class Quote:
    """The price of a call's runs and the money there is; None where Layer gave no price.

    `reason_unknown` says why a price is missing. `is_covered` is what Layer says of the balance,
    `references_refused` what it said instead of pricing references.
    """

    prices: Sequence[float | None]
    workspace_id: str
    balance: float | None = None
    is_covered: bool = True
    reason_unknown: str | None = None
    references_refused: str | None = None

    @property
    def total(self) -> float | None:
        """The price of all runs in Creative Units; None when one is unknown."""
        known = [price for price in self.prices if price is not None]
        return round(math.fsum(known), 4) if len(known) == len(self.prices) else None


@dataclass(frozen=True)
class SubmitOptions:
    """What a caller says about paying; `is_batch` leaves runs without a slot in the queue."""

    max_price_creative_units: float | None = None
    repeat: bool = False
    is_batch: bool = False


@dataclass(frozen=True)
class CallBudget:
    """The time that one call may take, from its start on anyio's clock.

    Hosts give up on a call as a whole, so looking up, uploading and submitting count too. A
    submission must not start so late that the host gives up before the answer: the run would be
    paid for, and the agent would not have its id.
    """

    start: float
    limit_seconds: float

    @classmethod
    def begin(cls, limit_seconds: float) -> "CallBudget":
        """Start the clock for a call."""
        return cls(anyio.current_time(), limit_seconds)

    @property
    def seconds_left(self) -> float:
        """The time that is left, never negative."""
        return max(self.limit_seconds - (anyio.current_time() - self.start), 0.0)

    @property
    def upload_seconds(self) -> float:
        """The time that local files may take, so that the call they are for still fits."""
        return max(self.seconds_left - SUBMISSION_SECONDS, MIN_UPLOAD_SECONDS)

    @property
    def submit_by(self) -> float:
        """When waiting and pricing must end, on anyio's clock, so that a submission still fits.

        Uploads may have used up the call; a little time is left all the same.
        """
        left_seconds = self.seconds_left - SUBMISSION_SECONDS
        prepare_seconds = min(max(left_seconds, MIN_PREPARING_SECONDS), MAX_PREPARING_SECONDS)
        return anyio.current_time() + prepare_seconds

    def cap(self, seconds: float) -> float:
        """Return a wait that fits into what is left of the call."""
        return max(min(seconds, self.seconds_left), 0.0)


@dataclass(frozen=True)
class Plan:
    """What a call would start: its requests, the runs that already cover some, the others' price.

    Planning is free and can be repeated: a question to a person takes the same call twice.
    """

    requests: Sequence[RunRequest]
    duplicates: Sequence[Run | None]
    quote: Quote | None
    options: SubmitOptions
    budget: CallBudget

    @property
    def new(self) -> list[RunRequest]:
        """The requests that no earlier run covers."""
        pairs = zip(self.requests, self.duplicates, strict=True)
        return [request for request, duplicate in pairs if duplicate is None]


@dataclass(frozen=True)
class Confirmation:
    """What a person has to agree to: `subject` would be started, such as "4 outputs in 2 runs".

    `names` are what Layer calls the first models or the workflow, and `more_names` counts the rest.
    They are Layer's words, so show them last and quoted.
    """

    subject: str
    quote: Quote
    names: tuple[str, ...] = ()
    more_names: int = 0


@dataclass(frozen=True)
class SpendLimits:
    """The price limits of the settings in Creative Units; None is no limit."""

    confirm_above: float
    max_price: float | None = None
    max_spend_per_day: float | None = None


@dataclass(frozen=True)
class RateLimits:
    """Layer's limits on starting runs."""

    runs_at_once: int = 5
    runs_per_minute: int = 60
    videos_per_minute: int = 30


@dataclass(frozen=True)
class Reservation:
    """A journal row for a request: a new one, or that of the run that already covers it."""

    run: Run
    created: bool
    has_slot: bool = False


@dataclass(frozen=True)
class Spending:
    """What counts against the limits in Creative Units.

    `day` is the last 24 hours with the estimates of unfinished runs. `in_flight` holds, for each
    workspace, the runs that Layer may not have charged yet.
    """

    day: float = 0.0
    in_flight: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Submitted:
    """A submission of the last minute: what it runs, and its age in seconds."""

    kind: RunKind
    subject_id: str
    age_seconds: float


@dataclass(frozen=True)
class Usage:
    """What counts against Layer's limits: the workspace's active runs, the last minute's starts."""

    active: Sequence[Run]
    last_minute: Sequence[Submitted]


@dataclass(frozen=True)
class RunFilter:
    """Which runs to list; None is no condition. `before` is the (time, key) a page ended at."""

    status: StatusFilter | None = None
    since: float | None = None
    workspace_id: str | None = None
    batch_id: str | None = None
    run_ids: tuple[str, ...] | None = None
    before: tuple[float, str] | None = None


@dataclass(frozen=True)
class RunTotals:
    """The number of runs that a filter finds, and their prices in Creative Units."""

    count: int
    running: int
    estimated_creative_units: float
    spent_creative_units: float


@dataclass(frozen=True)
class UploadedFile:
    """A local file that Layer has; `reused` when its content was uploaded before."""

    path: str
    file_id: str
    content_type: str
    size_bytes: int
    sha256: str
    reused: bool


def start_facts(
    request: RunRequest, started: StartedInference | StartedWorkflowRun
) -> dict[str, Any]:
    """Return what only the answer to a submission says, as plain JSON without nulls."""
    if isinstance(started, StartedWorkflowRun):
        return without_nulls({"session_id": started.session_id})
    return without_nulls(
        {
            "created_at": started.created_at,
            "session_id": started.session_id,
            "normalized": started.normalized_parameters,
            "changed": changed_parameters(request, started.normalized_parameters) or None,
        }
    )


def changed_parameters(request: RunRequest, normalized: Mapping[str, Any] | None) -> list[str]:
    """List what was asked for and will run otherwise, by Layer's echo of the request."""
    echo = normalized or {}
    asked = {name: value for name, value in request.body.items() if name in request.given}
    if asked.get("seed") == RANDOM_SEED:
        del asked["seed"]
    return [
        f"{name} asked {_short(value)}, "
        + ("not used" if echo[name] is None else f"runs {_short(echo[name])}")
        for name, value in asked.items()
        if name in echo and not _is_same(value, echo[name])
    ]


def fingerprint(
    kind: str,
    workspace_id: str,
    subject_id: str,
    body: Mapping[str, Any],
    files: Mapping[str, str],
) -> str:
    """Return the same digest for requests that ask Layer for the same.

    `body` is what goes to Layer, with its defaults written out. `files` has the SHA-256 of files
    by their ids: a file that is uploaded again stays the same.
    """
    asked = [kind, workspace_id.lower(), subject_id.lower(), _normalize(body, files)]
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is not None."""
    return {name: value for name, value in values.items() if value is not None}


def outputs_as_json(outputs: Sequence[Output]) -> list[dict[str, Any]]:
    """Return outputs as plain JSON without nulls."""
    return [output.model_dump(exclude_none=True) for output in outputs]


def error_as_json(error: RunError | None) -> dict[str, str] | None:
    """Return an error as plain JSON."""
    return asdict(error) if error else None


def _normalize(value: Any, files: Mapping[str, str]) -> Any:
    """Return a value in which 1.0 is 1, null is absent, and a known file is its content."""
    if isinstance(value, Mapping):
        given = cast("Mapping[str, Any]", value)
        return {name: _normalize(item, files) for name, item in given.items() if item is not None}
    if isinstance(value, list):
        return [_normalize(item, files) for item in cast("list[Any]", value)]
    if isinstance(value, str):
        return files.get(value, value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _is_same(asked: Any, echoed: Any) -> bool:
    """Return whether the echo is what was asked, also when it comes as text."""
    # The echo was cleaned.
    asked = remove_controls(asked) if isinstance(asked, str) else asked
    return asked == echoed or _short(asked) == _short(echoed)


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
