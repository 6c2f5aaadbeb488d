"""What the sandbox stores, and how its runs advance and are charged."""

import logging
import os
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import uuid4

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from ..api.fields import is_uuid
from ..api.models import InferenceRequest
from .catalog import (
    SandboxModel,
    SandboxWorkflow,
    normalize_parameters,
    price_creative_units,
    sandbox_models,
    sandbox_workflows,
    workflow_price_creative_units,
)
from .knobs import Fault, Knobs, Operation
from .pictures import Item

SANDBOX_TOKEN = "sandbox-token"  # noqa: S105  (gives access to nothing)
WORKSPACE_ID = "00000000-0000-4000-8000-0000000000aa"
MAX_STORED_ARRIVALS = 20_000
MEDIA_URL_FILE = "media-url"
FAILING_STEP = 1
PENDING_SHARE = 0.1
"""The share of a workflow run's time that passes before its first step starts."""

StepStatus = Literal["pending", "running", "success", "failure", "cancelled"]
Record = TypeVar("Record", "Run", "WorkflowRun", "StoredFile")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arrival:
    """A request that arrived. Header names are lowercase, and the body of an upload is empty."""

    operation: Operation
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class SandboxWorkspace:
    """A workspace and its balance. With a `token`, only the account with that token sees it."""

    workspace_id: str
    slug: str
    name: str
    balance_creative_units: float = 1000.0
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class StoredFile:
    """A complete file of a workspace, uploaded or made by a run.

    `item` is what a video or a mesh shows, so that its preview can be drawn.
    """

    file_id: str
    workspace_id: str
    name: str
    content_type: str
    data: bytes
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    item: Item | None = None

    @property
    def has_preview(self) -> bool:
        """Return whether a preview can be made."""
        return self.content_type.startswith("image/") or self.item is not None


@dataclass
class Run:
    """A submitted inference. Its outputs are made when a client first asks for them."""

    inference_id: str
    workspace_id: str
    model: SandboxModel
    request: InferenceRequest
    references: list[StoredFile]
    normalized_parameters: dict[str, Any]
    price_creative_units: float
    submitted_at: float
    status: Literal["in_progress", "complete", "failed"] = "in_progress"
    error: tuple[str, str] | None = None
    outputs: list[StoredFile] = field(default_factory=list[StoredFile])

    @property
    def is_active(self) -> bool:
        """Return whether the run hasn't ended."""
        return self.status == "in_progress"


@dataclass
class WorkflowRun:
    """A submitted workflow. `steps` holds the status of each step."""

    run_id: str
    workspace_id: str
    workflow: SandboxWorkflow
    inputs: dict[str, Any]
    references: list[StoredFile]
    session_id: str | None
    price_creative_units: float
    submitted_at: float
    steps: list[StepStatus]
    error: tuple[str, str] | None = None
    outputs: list[StoredFile] = field(default_factory=list[StoredFile])

    @property
    def status(self) -> StepStatus:
        """Return the status of the whole run."""
        return status_of_steps(self.steps)

    @property
    def is_active(self) -> bool:
        """Return whether the run hasn't ended."""
        return self.status in ("pending", "running")


@dataclass(frozen=True)
class Upload:
    """A file that a client announced. `expires_at` is a time of the state's clock."""

    file_id: str
    workspace_id: str
    name: str
    content_type: str
    size_bytes: int
    expires_at: float


@dataclass
class UploadSession:
    """A resumable upload. `received` grows until it has the announced size."""

    upload_id: str
    upload: Upload
    received: bytearray = field(default_factory=bytearray)

    @property
    def is_complete(self) -> bool:
        """Return whether all bytes have arrived."""
        return len(self.received) == self.upload.size_bytes


def _default_workspaces() -> list[SandboxWorkspace]:
    return [SandboxWorkspace(WORKSPACE_ID, "sandbox", "Sandbox")]


@dataclass
class SandboxState:
    """The simulated Layer. You can change it at any time, even while it serves requests.

    With a `folder`, runs and files are written there and shared with other sandboxes that use it.
    `media_url` is set when the servers start.
    """

    token: str = SANDBOX_TOKEN
    knobs: Knobs = field(default_factory=Knobs)
    workspaces: list[SandboxWorkspace] = field(default_factory=_default_workspaces)
    models: tuple[SandboxModel, ...] = field(default_factory=sandbox_models)
    workflows: tuple[SandboxWorkflow, ...] = field(default_factory=sandbox_workflows)
    runs: dict[str, Run] = field(default_factory=dict[str, Run])
    workflow_runs: dict[str, WorkflowRun] = field(default_factory=dict[str, WorkflowRun])
    files: dict[str, StoredFile] = field(default_factory=dict[str, StoredFile])
    uploads: dict[str, Upload] = field(default_factory=dict[str, Upload])
    upload_sessions: dict[str, UploadSession] = field(default_factory=dict[str, UploadSession])
    signing_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    arrived: Counter[Operation] = field(default_factory=Counter[Operation])
    arrivals: deque[Arrival] = field(default_factory=lambda: deque(maxlen=MAX_STORED_ARRIVALS))
    clock: Callable[[], float] = time.time
    started_at: float = field(default_factory=time.time)
    folder: Path | None = None
    media_url: str = ""

    def add_account(self, name: str) -> SandboxWorkspace:
        """Add an account with a new token and a workspace that only this token sees."""
        token = f"sandbox-{secrets.token_hex(16)}"
        workspace = SandboxWorkspace(str(uuid4()), name.lower(), name, token=token)
        self.workspaces.append(workspace)
        return workspace

    def workspaces_of(self, token: str) -> list[SandboxWorkspace] | None:
        """Return the workspaces that a token sees; None if no account has this token."""
        own = None if token == self.token else token
        visible = [workspace for workspace in self.workspaces if workspace.token == own]
        return visible if visible or own is None else None

    def record(self, arrival: Arrival) -> None:
        """Count and store a request."""
        self.arrived[arrival.operation] += 1
        self.arrivals.append(arrival)

    def next_fault(self, operation: Operation) -> Fault | None:
        """Remove and return the fault queued for this request, if any."""
        queued = self.knobs.faults.get(operation)
        return queued.popleft() if queued else None

    def submit(
        self,
        workspace: SandboxWorkspace,
        model: SandboxModel,
        request: InferenceRequest,
        references: list[StoredFile],
    ) -> Run:
        """Start a run. Its price is reserved until it ends."""
        run = Run(
            inference_id=str(uuid4()),
            workspace_id=workspace.workspace_id,
            model=model,
            request=request,
            references=references,
            normalized_parameters=normalize_parameters(model, request),
            price_creative_units=price_creative_units(model, request),
            submitted_at=self.clock(),
        )
        self.runs[run.inference_id] = run
        self._write(run.inference_id, run)
        return run

    def submit_workflow(
        self,
        workspace: SandboxWorkspace,
        workflow: SandboxWorkflow,
        inputs: dict[str, Any],
        references: list[StoredFile],
        session_id: str | None,
    ) -> WorkflowRun:
        """Start a run of a workflow. Its price is reserved until it ends."""
        run = WorkflowRun(
            run_id=str(uuid4()),
            workspace_id=workspace.workspace_id,
            workflow=workflow,
            inputs=inputs,
            references=references,
            session_id=session_id,
            price_creative_units=workflow_price_creative_units(workflow, inputs),
            submitted_at=self.clock(),
            steps=step_statuses(0, len(workflow.steps)),
        )
        self.workflow_runs[run.run_id] = run
        self._write(run.run_id, run)
        return run

    def advance_runs(self) -> None:
        """Bring all runs up to date, and charge those that have completed."""
        for run in self.runs.values():
            if run.is_active and self._elapsed_share(run.submitted_at) >= 1:
                run.error = self.knobs.run_error
                run.status = "failed" if run.error else "complete"
                if run.status == "complete":
                    self._charge(run)
        for run in self.workflow_runs.values():
            if run.is_active:
                self._advance_workflow_run(run)

    def active_runs(self, workspace_id: str) -> list[Run | WorkflowRun]:
        """Return the runs of a workspace that haven't ended."""
        runs = [*self.runs.values(), *self.workflow_runs.values()]
        return [run for run in runs if run.workspace_id == workspace_id and run.is_active]

    def runs_started_within(
        self, seconds: float, account: SandboxWorkspace
    ) -> list[Run | WorkflowRun]:
        """Return the runs that the account of a workspace started in the last seconds."""
        oldest = self.clock() - seconds
        same = {one.workspace_id for one in self.workspaces if one.token == account.token}
        runs = [*self.runs.values(), *self.workflow_runs.values()]
        return [run for run in runs if run.submitted_at > oldest and run.workspace_id in same]

    def actual_price(self, run: Run | WorkflowRun) -> float:
        """Return what a completed run is charged."""
        return round(run.price_creative_units * self.knobs.actual_price_factor, 2)

    def reserved_creative_units(self, workspace_id: str) -> float:
        """Return the sum of the active runs' estimated prices."""
        return round(sum(run.price_creative_units for run in self.active_runs(workspace_id)), 2)

    def available_creative_units(self, workspace: SandboxWorkspace) -> float:
        """Return what the workspace can still spend."""
        reserved = self.reserved_creative_units(workspace.workspace_id)
        return round(workspace.balance_creative_units - reserved, 2)

    def find_file(self, workspace_id: str, file_id: str) -> StoredFile | None:
        """Return a complete file of a workspace, if it exists."""
        return self._find(self.files, workspace_id, file_id, StoredFile)

    def find_run(self, workspace_id: str, inference_id: str) -> Run | None:
        """Return a run of a workspace, if it exists."""
        return self._find(self.runs, workspace_id, inference_id, Run)

    def find_workflow_run(self, workspace_id: str, run_id: str) -> WorkflowRun | None:
        """Return a run of a workflow, if it exists."""
        return self._find(self.workflow_runs, workspace_id, run_id, WorkflowRun)

    def store_files(self, files: list[StoredFile]) -> list[StoredFile]:
        """Store complete files and return them."""
        for file in files:
            self.files[file.file_id] = file
            self._write(file.file_id, file)
        return files

    def store_upload(self, session: UploadSession) -> None:
        """Store an uploaded file, unless it's already stored."""
        upload = session.upload
        if upload.file_id not in self.files:
            file = StoredFile(
                file_id=upload.file_id,
                workspace_id=upload.workspace_id,
                name=upload.name,
                content_type=upload.content_type,
                data=bytes(session.received),
            )
            self.store_files([file])

    def _advance_workflow_run(self, run: WorkflowRun) -> None:
        failing_step = FAILING_STEP if self.knobs.run_error else None
        share = self._elapsed_share(run.submitted_at)
        run.steps = step_statuses(share, len(run.workflow.steps), failing_step=failing_step)
        if run.status == "failure":
            run.error = self.knobs.run_error
        elif run.status == "success":
            self._charge(run)

    def _find(
        self, known: dict[str, Record], workspace_id: str, record_id: str, kind: type[Record]
    ) -> Record | None:
        """Return the record with an ID from memory or the folder, if it's in the workspace."""
        record_id = record_id.lower()
        if record_id not in known and (found := self._read(record_id, kind)) is not None:
            known[record_id] = found
            self.advance_runs()
        record = known.get(record_id)
        return record if record is not None and record.workspace_id == workspace_id else None

    def _write(self, record_id: str, record: Run | WorkflowRun | StoredFile) -> None:
        if self.folder is None:
            return
        path = self.folder / f"{record_id}.json"
        part = path.with_suffix(f".{secrets.token_hex(4)}.part")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if isinstance(record, StoredFile):
                path.with_suffix(".data").write_bytes(record.data)
            part.write_bytes(_encode(record))
            os.replace(part, path)
            (self.folder / MEDIA_URL_FILE).write_text(self.media_url)
        except OSError as error:
            logger.warning("The sandbox forgets %s when it stops: %s", record_id, error.strerror)

    def _read(self, record_id: str, kind: type[Record]) -> Record | None:
        """Return a record from the folder; None if it's missing, incomplete, or of another kind."""
        if self.folder is None or not is_uuid(record_id):
            return None
        path = self.folder / f"{record_id}.json"
        try:
            values = from_json(path.read_bytes())
            if kind is StoredFile:
                values["data"] = path.with_suffix(".data").read_bytes()
            else:
                workspace_id = values["workspace_id"]
                files = [self.find_file(workspace_id, one) for one in values["references"]]
                values["references"] = files
            return TypeAdapter(kind).validate_python(values)
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def _elapsed_share(self, submitted_at: float) -> float:
        # The clock may be set back.
        elapsed_seconds = max(self.clock() - submitted_at, 0.0)
        if elapsed_seconds >= self.knobs.run_seconds:
            return 1.0
        return elapsed_seconds / self.knobs.run_seconds

    def _charge(self, run: Run | WorkflowRun) -> None:
        for workspace in self.workspaces:
            if workspace.workspace_id == run.workspace_id:
                workspace.balance_creative_units -= self.actual_price(run)


def _encode(record: Run | WorkflowRun | StoredFile) -> bytes:
    """Encode a record as JSON: a file without its data, a run with its references' IDs."""
    excluded = {"data", "references", "outputs"}
    values = TypeAdapter(type(record)).dump_python(record, mode="json", exclude=excluded)
    if not isinstance(record, StoredFile):
        values["references"] = [file.file_id for file in record.references]
    return to_json(values)


def step_statuses(
    elapsed_share: float, count: int, *, failing_step: int | None = None
) -> list[StepStatus]:
    """Return the status of each step after this share (0-1) of the run's time.

    With `failing_step`, that step fails when it would have ended, and later steps never start.
    """
    done = _count_done(elapsed_share, count)
    if failing_step is not None and done > failing_step:
        return [_failed_run_status(step, failing_step) for step in range(count)]
    running_step = done if elapsed_share >= PENDING_SHARE else None
    return [_step_status(step, done, running_step) for step in range(count)]


def status_of_steps(steps: Sequence[StepStatus]) -> StepStatus:
    """Return the status of a run from the statuses of its steps."""
    if "failure" in steps:
        return "failure"
    if set(steps) == {"success"}:
        return "success"
    return "pending" if set(steps) == {"pending"} else "running"


def _count_done(elapsed_share: float, count: int) -> int:
    if elapsed_share >= 1:
        return count
    return max(int((elapsed_share - PENDING_SHARE) / (1 - PENDING_SHARE) * count), 0)


def _step_status(step: int, done: int, running_step: int | None) -> StepStatus:
    if step < done:
        return "success"
    return "running" if step == running_step else "pending"


def _failed_run_status(step: int, failing_step: int) -> StepStatus:
    if step < failing_step:
        return "success"
    return "failure" if step == failing_step else "cancelled"
