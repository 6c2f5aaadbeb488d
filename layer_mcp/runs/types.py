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

RunKind = Literal["inference", "workflow"]
StatusFilter = Literal["running", "complete", "failed", "stopped", "unknown", "not_sent"]
"""The groups of states that a list of runs can be narrowed to; each run is in exactly one."""

QUEUED, SENDING = "queued", "sending"
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
    def changed_parameters(request: RunRequest, normalized: Mapping[str, Any] | None) -> list[str]:
    """List what was asked for and will run otherwise, by Layer's echo of the request."""
    echo = normalized or {}
    asked = {name: request.body[name] for name in request.given if name in request.body}
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
    return asked == echoed or _short(asked) == _short(echoed)


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
