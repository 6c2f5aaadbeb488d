"""The values that describe runs: plain data that can be stored, compared, and sent."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, TypedDict, cast

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
from ..api.polling import LONGEST_WAIT_SECONDS, TERMINAL_STATUSES
from ..api.retry import Limits
from ..errors import one_sentence
from ..text.plain_text import remove_controls
from .owners import Owner

RunKind = Literal["inference", "workflow"]
StatusFilter = Literal["running", "complete", "failed", "stopped", "unknown", "not_sent"]
"""Groups of states to filter runs by; each run is in exactly one group."""
WaitFor = Literal["none", "any", "all"]
RunState = Literal[
    "queued",
    "sending",
    "in_progress",
    "complete",
    "failed",
    "cancelled",
    "deleted",
    "unknown",
    "not_sent",
    "not_found",
]
"""The state of a run: a `RunStatus` once Layer has it. Unknown states stay as text."""

QUEUED: Final = "queued"
SENDING: Final = "sending"
IN_PROGRESS: Final = "in_progress"
UNKNOWN: Final = "unknown"
NOT_SENT: Final = "not_sent"
# Layer reports no such run.
NOT_FOUND: Final = "not_found"
ENDED_STATES = (*sorted(TERMINAL_STATUSES), NOT_FOUND, NOT_SENT)

RANDOM_SEED = -1
MAX_CODE_LENGTH = 60
SUBMISSION_SECONDS = Limits().submit_total_seconds + Limits().retry_budget_seconds
MIN_UPLOAD_SECONDS = 5.0
MIN_PREPARING_SECONDS = 3.0
MAX_PREPARING_SECONDS = 10.0


@dataclass(frozen=True)
class RunRequest:
    """A run to pay for, as plain data: any process can send it from its journal row.

    `body` is the JSON for Layer with its defaults, and `given` holds the names of the fields that
    the caller set. `files` maps the IDs of uploaded local files to their SHA-256. `subject_id` is
    the model or the workflow, and `subject_name` is a workflow's name. `label` identifies one of
    several requests. `copy_number` distinguishes equal requests in a batch. `name` is used for the
    saved files. `ignored` are the given arguments that the model ignores; a journal row doesn't
    have them.
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
    name: str | None = None
    ignored: tuple[str, ...] = ()

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
        """A digest that's the same for equal requests, in any order and spelling."""
        return fingerprint(self.kind, self.workspace_id, self.subject_id, self.body, self.files)

    @property
    def model_id(self) -> str | None:
        """The model; None for a workflow."""
        return self.subject_id if self.kind == "inference" else None

    @property
    def inputs(self) -> dict[str, Any]:
        """What was requested: the whole body of an inference, or the inputs of a workflow."""
        return self.body if self.kind == "inference" else self.body.get("inputs", {})

    @property
    def prompt(self) -> str | None:
        """The prompt of an inference, if it has one."""
        prompt = self.body.get("prompt") if self.kind == "inference" else None
        return prompt if isinstance(prompt, str) else None

    def facts(self) -> dict[str, Any]:
        """Return a run's record of its request, without nulls."""
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


@dataclass(frozen=True)
class Quote:
    """The price of a call's runs and the available balance; None where Layer gave no price.

    `reason_unknown` says why a price is missing. `is_covered` is Layer's verdict on the balance.
    `references_refused` is Layer's message if it didn't price the references.
    """

    prices: Sequence[float | None]
    workspace_id: str
    balance: float | None = None
    is_covered: bool = True
    reason_unknown: str | None = None
    references_refused: str | None = None

    @property
    def total(self) -> float | None:
        """The price of all runs in Creative Units; None if any price is unknown."""
        known = [price for price in self.prices if price is not None]
        return round(math.fsum(known), 4) if len(known) == len(self.prices) else None


@dataclass(frozen=True)
class SubmitOptions:
    """A caller's options for paying; `is_batch` leaves runs without a slot in the queue."""

    max_price_creative_units: float | None = None
    repeat: bool = False
    is_batch: bool = False


@dataclass(frozen=True)
class CallBudget:
    """The time that one call may take, from its start on anyio's clock.

    Hosts time out a call as a whole, so lookups, uploads, and the submission count too. A
    submission must not start so late that the host times out before the response: the run would be
    paid for, but the agent wouldn't have its ID.
    """

    start: float
    limit_seconds: float
    queue_seconds: float = MAX_PREPARING_SECONDS

    @classmethod
    def begin(
        cls, limit_seconds: float, *, queue_seconds: float = MAX_PREPARING_SECONDS
    ) -> "CallBudget":
        """Start the clock for a call that waits at most `queue_seconds` for a slot."""
        return cls(anyio.current_time(), limit_seconds, queue_seconds)

    @classmethod
    def of_a_program(cls) -> "CallBudget":
        """Start the clock for a call without a host's timeout, which waits for a slot."""
        return cls.begin(LONGEST_WAIT_SECONDS, queue_seconds=LONGEST_WAIT_SECONDS)

    @property
    def seconds_left(self) -> float:
        """The remaining time, never negative."""
        return max(self.limit_seconds - (anyio.current_time() - self.start), 0.0)

    @property
    def upload_seconds(self) -> float:
        """How long uploads may take, so that there's time for the submission."""
        return max(self.seconds_left - SUBMISSION_SECONDS, MIN_UPLOAD_SECONDS)

    @property
    def submit_by(self) -> float:
        """When waiting and pricing must end, on anyio's clock, to leave time for the submission.

        Even if uploads used up the call's time, this leaves a few seconds.
        """
        left_seconds = self.seconds_left - SUBMISSION_SECONDS
        prepare_seconds = min(max(left_seconds, MIN_PREPARING_SECONDS), self.queue_seconds)
        return anyio.current_time() + prepare_seconds

    def cap(self, seconds: float) -> float:
        """Limit a wait to the remaining time of the call."""
        return max(min(seconds, self.seconds_left), 0.0)


@dataclass(frozen=True)
class Plan:
    """What a call would start: its requests, the runs that already cover some, and a quote.

    Planning is free and can be repeated: a question to a person takes the same call twice.
    """

    requests: Sequence[RunRequest]
    duplicates: Sequence[Run | None]
    quote: Quote | None
    options: SubmitOptions
    budget: CallBudget

    @property
    def new(self) -> list[RunRequest]:
        """The requests that aren't covered by an earlier run."""
        pairs = zip(self.requests, self.duplicates, strict=True)
        return [request for request, duplicate in pairs if duplicate is None]

    @property
    def ignored(self) -> tuple[str, ...]:
        """The arguments of the new requests that a model ignores."""
        return tuple(dict.fromkeys(name for one in self.new for name in one.ignored))


@dataclass(frozen=True)
class Confirmation:
    """What a person has to approve: `subject` would start, such as "4 outputs in 2 runs".

    `ignored` are the arguments that a model ignores. `names` are Layer's names for the first models
    or the workflow, and `more_names` counts the rest. They come from Layer, so show them last and
    quoted.
    """

    subject: str
    quote: Quote
    names: tuple[str, ...] = ()
    more_names: int = 0
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class SpendLimits:
    """The price limits of the settings in Creative Units; None means no limit.

    The `owner` of the runs may have limits too, and must not learn what others spend.
    """

    confirm_above: float
    max_price: float | None = None
    max_spend_per_day: float | None = None
    owner: Owner | None = None


@dataclass(frozen=True)
class RateLimits:
    """Layer's limits on starting runs."""

    runs_at_once: int = 5
    runs_per_minute: int = 60
    videos_per_minute: int = 30


@dataclass(frozen=True)
class Reservation:
    """A request's journal row: a new one, or that of the run that already covers it."""

    run: Run
    created: bool
    has_slot: bool = False


@dataclass(frozen=True)
class Spending:
    """What counts toward the limits, in Creative Units.

    `day` is the last 24 hours with the estimates of unfinished runs, and `own_day` is the owner's
    part of it. `in_flight` holds, for each workspace, the runs that Layer may not have charged yet.
    """

    day: float = 0.0
    in_flight: Mapping[str, float] = field(default_factory=dict[str, float])
    own_day: float = 0.0


@dataclass(frozen=True)
class Submitted:
    """A submission in the last minute: its model or workflow, and its age in seconds."""

    kind: RunKind
    subject_id: str
    age_seconds: float


@dataclass(frozen=True)
class Usage:
    """What counts toward Layer's limits: active runs in the workspace, and starts per minute."""

    active: Sequence[Run]
    last_minute: Sequence[Submitted]


@dataclass(frozen=True)
class RunFilter:
    """Which runs to list; None means no condition. `before` is the key of a page's last run.

    `id_prefix` is the beginning of an ID in lower case, or empty for any run that has an ID.
    """

    status: StatusFilter | None = None
    since: datetime | None = None
    workspace_id: str | None = None
    batch_id: str | None = None
    run_ids: tuple[str, ...] | None = None
    id_prefix: str | None = None
    before: str | None = None


class RunFilters(TypedDict, total=False):
    """The fields of a `RunFilter` as keyword arguments."""

    status: StatusFilter | None
    since: datetime | None
    workspace_id: str | None
    batch_id: str | None
    run_ids: tuple[str, ...] | None
    id_prefix: str | None


@dataclass(frozen=True)
class RunTotals:
    """The number of matching runs, and their total prices in Creative Units."""

    count: int
    running: int
    estimated_creative_units: float
    spent_creative_units: float


@dataclass(frozen=True)
class UploadedFile:
    """A local file in Layer; `reused` if its content was uploaded before."""

    path: str
    file_id: str
    content_type: str
    size_bytes: int
    sha256: str
    reused: bool


def start_facts(
    request: RunRequest, started: StartedInference | StartedWorkflowRun
) -> dict[str, Any]:
    """Return the facts that only the response to a submission has, as plain JSON without nulls."""
    if isinstance(started, StartedWorkflowRun):
        return without_nulls({"session_id": started.session_id})
    return without_nulls(
        {
            "created_at": time_as_text(started.created_at),
            "session_id": started.session_id,
            "normalized": started.normalized_parameters,
            "changed": changed_parameters(request, started.normalized_parameters) or None,
        }
    )


def changed_parameters(request: RunRequest, normalized: Mapping[str, Any] | None) -> list[str]:
    """List the parameters that differ from the request, according to Layer's echo of it."""
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
    """Return a digest that's the same for requests that ask Layer for the same.

    `body` is sent to Layer, with its defaults written out. `files` maps file IDs to SHA-256, so a
    file that's uploaded again counts as the same file.
    """
    asked = [kind, workspace_id.lower(), subject_id.lower(), _normalize(body, files)]
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the items that aren't None."""
    return {name: value for name, value in values.items() if value is not None}


def time_as_text(when: datetime | None) -> str | None:
    """Return a time as ISO 8601 in UTC."""
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z") if when else None


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
    """Return whether the echo matches the request, even if it's text."""
    # The echo was cleaned.
    asked = remove_controls(asked) if isinstance(asked, str) else asked
    return asked == echoed or _short(asked) == _short(echoed)


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
