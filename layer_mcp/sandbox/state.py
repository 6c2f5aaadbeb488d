"""Everything the sandbox knows and every knob that changes how it behaves: one object."""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

from ..api.models import InferenceRequest
from .catalog import SandboxModel, normalized_parameters, price_creative_units, sandbox_models

SANDBOX_TOKEN = "sandbox-token"  # noqa: S105  (a token of nothing)
WORKSPACE_ID = "00000000-0000-4000-8000-0000000000aa"
KEPT_ARRIVALS = 20_000

Operation = Literal[
    "list_workspaces",
    "get_workspace",
    "list_models",
    "get_model",
    "execute_inference",
    "get_inference",
    "media",
]


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request.

    `drop` closes the connection without an answer, `cut` in the middle of the body, `truncate`
    ends the JSON early, `html` answers with a web page, `status` with problem+json, `slow` only
    delays. With `accepted` the work is done all the same; `cut` and `truncate` imply it.
    """

    effect: Literal["drop", "cut", "truncate", "html", "status", "slow"]
    accepted: bool = False
    status: int = 500
    code: str = "INTERNAL_ERROR"
    detail: str = "Something broke."
    headers: dict[str, str] = field(default_factory=dict[str, str])
    delay_seconds: float = 0.0

    @property
    def works(self) -> bool:
        """Whether the work is done in spite of the fault."""
        return self.accepted or self.effect in ("cut", "truncate")


@dataclass
class Knobs:
    """How fast and how well the sandbox works.

    `faults` holds for each operation what happens to its next requests, one fault each.
    `status_spelling` maps a status to the word that is sent instead.
    """

    run_seconds: float = 4.0
    poll_interval_seconds: int = 1
    max_runs_at_once: int = 5
    run_error: tuple[str, str] | None = None
    status_spelling: dict[str, str] = field(default_factory=dict[str, str])
    validation_style: Literal["problem", "fields"] = "problem"
    faults: dict[Operation, deque[Fault]] = field(default_factory=dict[Operation, deque[Fault]])

    def fail_next(self, operation: Operation, *faults: Fault) -> None:
        """Line up faults for the next requests of an operation."""
        self.faults.setdefault(operation, deque()).extend(faults)


@dataclass(frozen=True)
class Arrival:
    """One request as it arrived; header names are in lower case."""

    operation: Operation
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class OutputFile:
    """A finished file of a run."""

    file_id: str
    name: str
    content_type: str
    data: bytes
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None


@dataclass
class Run:
    """A submitted generation."""

    inference_id: str
    workspace_id: str
    model: SandboxModel
    request: InferenceRequest
    normalized: dict[str, Any]
    price_creative_units: float
    submitted_at: float
    status: str = "in_progress"
    error: tuple[str, str] | None = None
    outputs: list[OutputFile] = field(default_factory=list[OutputFile])


@dataclass
class SandboxWorkspace:
    """A workspace with money in it."""

    workspace_id: str
    slug: str
    name: str
    balance_creative_units: float = 1000.0


def _one_workspace() -> list[SandboxWorkspace]:
    return [SandboxWorkspace(WORKSPACE_ID, "sandbox", "Sandbox")]


@dataclass
class SandboxState:
    """The simulated Layer. Change it at any time, also while it serves."""

    token: str = SANDBOX_TOKEN
    knobs: Knobs = field(default_factory=Knobs)
    workspaces: list[SandboxWorkspace] = field(default_factory=_one_workspace)
    models: tuple[SandboxModel, ...] = field(default_factory=sandbox_models)
    runs: dict[str, Run] = field(default_factory=dict[str, Run])
    arrived: Counter[Operation] = field(default_factory=Counter[Operation])
    arrivals: deque[Arrival] = field(default_factory=lambda: deque(maxlen=KEPT_ARRIVALS))
    clock: Callable[[], float] = time.monotonic

    def record(self, arrival: Arrival) -> None:
        """Count a request."""
        self.arrived[arrival.operation] += 1
        self.arrivals.append(arrival)

    def next_fault(self, operation: Operation) -> Fault | None:
        """The fault lined up for this request, if any."""
        waiting = self.knobs.faults.get(operation)
        return waiting.popleft() if waiting else None

    def running(self, workspace_id: str) -> list[Run]:
        """The runs of a workspace that have not ended."""
        return [
            run
            for run in self.runs.values()
            if run.workspace_id == workspace_id and run.status == "in_progress"
        ]

    def reserved_creative_units(self, workspace_id: str) -> float:
        """What the runs in progress will cost."""
        return sum(run.price_creative_units for run in self.running(workspace_id))

    def available_creative_units(self, workspace: SandboxWorkspace) -> float:
        """What the workspace can still spend."""
        reserved = self.reserved_creative_units(workspace.workspace_id)
        return round(workspace.balance_creative_units - reserved, 2)

    def submit(
        self, workspace: SandboxWorkspace, model: SandboxModel, request: InferenceRequest
    ) -> Run:
        """Start a run; the price is reserved until it ends."""
        run = Run(
            inference_id=str(uuid4()),
            workspace_id=workspace.workspace_id,
            model=model,
            request=request,
            normalized=normalized_parameters(model, request),
            price_creative_units=price_creative_units(model, request),
            submitted_at=self.clock(),
        )
        self.runs[run.inference_id] = run
        return run

    def settle(self) -> None:
        """End the runs whose time has come: charge the good ones, say why the others failed."""
        for run in self.runs.values():
            due = self.clock() - run.submitted_at >= self.knobs.run_seconds
            if run.status != "in_progress" or not due:
                continue
            run.error = self.knobs.run_error
            run.status = "failed" if run.error else "complete"
            if run.status == "complete":
                self._charge(run)

    def _charge(self, run: Run) -> None:
        for workspace in self.workspaces:
            if workspace.workspace_id == run.workspace_id:
                workspace.balance_creative_units -= run.price_creative_units
