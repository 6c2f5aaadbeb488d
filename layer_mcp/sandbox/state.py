"""Everything the sandbox knows, and the rules of its runs: one object."""

import secrets
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from ..api.models import InferenceRequest
from .catalog import SandboxModel, normalized_parameters, price_creative_units, sandbox_models
from .knobs import Fault, Knobs, Operation
from .records import (
    Arrival,
    Run,
    SandboxWorkspace,
    StoredFile,
    Upload,
    UploadSession,
    WorkflowRun,
)
from .workflow_progress import step_statuses
from .workflows import SandboxWorkflow, sandbox_workflows, workflow_price_creative_units

SANDBOX_TOKEN = "sandbox-token"  # noqa: S105  (a token of nothing)
WORKSPACE_ID = "00000000-0000-4000-8000-0000000000aa"
KEPT_ARRIVALS = 20_000
FAILING_STEP = 1


def _one_workspace() -> list[SandboxWorkspace]:
    return [SandboxWorkspace(WORKSPACE_ID, "sandbox", "Sandbox")]


@dataclass
class SandboxState:
    """The simulated Layer. Change it at any time, also while it serves.

    `media_url` is set when it starts to serve.
    """

    token: str = SANDBOX_TOKEN
    knobs: Knobs = field(default_factory=Knobs)
    workspaces: list[SandboxWorkspace] = field(default_factory=_one_workspace)
    models: tuple[SandboxModel, ...] = field(default_factory=sandbox_models)
    workflows: tuple[SandboxWorkflow, ...] = field(default_factory=sandbox_workflows)
    runs: dict[str, Run] = field(default_factory=dict[str, Run])
    workflow_runs: dict[str, WorkflowRun] = field(default_factory=dict[str, WorkflowRun])
    files: dict[str, StoredFile] = field(default_factory=dict[str, StoredFile])
    uploads: dict[str, Upload] = field(default_factory=dict[str, Upload])
    upload_sessions: dict[str, UploadSession] = field(default_factory=dict[str, UploadSession])
    signing_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    arrived: Counter[Operation] = field(default_factory=Counter[Operation])
    arrivals: deque[Arrival] = field(default_factory=lambda: deque(maxlen=KEPT_ARRIVALS))
    clock: Callable[[], float] = time.monotonic
    media_url: str = ""

    def record(self, arrival: Arrival) -> None:
        """Count a request."""
        self.arrived[arrival.operation] += 1
        self.arrivals.append(arrival)

    def next_fault(self, operation: Operation) -> Fault | None:
        """The fault lined up for this request, if any."""
        waiting = self.knobs.faults.get(operation)
        return waiting.popleft() if waiting else None

    def under_way(self, workspace_id: str) -> list[Run | WorkflowRun]:
        """The runs of a workspace that have not ended."""
        runs = [*self.runs.values(), *self.workflow_runs.values()]
        return [run for run in runs if run.workspace_id == workspace_id and run.under_way]

    def started_since(self, seconds: float) -> list[Run | WorkflowRun]:
        """The runs of all workspaces that were started in the last seconds."""
        oldest = self.clock() - seconds
        runs = [*self.runs.values(), *self.workflow_runs.values()]
        return [run for run in runs if run.submitted_at > oldest]

    def actual_price(self, run: Run | WorkflowRun) -> float:
        """What a run costs in the end."""
        return round(run.price_creative_units * self.knobs.actual_price_factor, 2)

    def reserved_creative_units(self, workspace_id: str) -> float:
        """What the runs under way will cost."""
        return round(sum(run.price_creative_units for run in self.under_way(workspace_id)), 2)

    def available_creative_units(self, workspace: SandboxWorkspace) -> float:
        """What the workspace can still spend."""
        reserved = self.reserved_creative_units(workspace.workspace_id)
        return round(workspace.balance_creative_units - reserved, 2)

    def file(self, workspace_id: str, file_id: str) -> StoredFile | None:
        """A complete file of a workspace."""
        file = self.files.get(file_id.lower())
        return file if file is not None and file.workspace_id == workspace_id else None

    def keep(self, files: list[StoredFile]) -> list[StoredFile]:
        """Store complete files."""
        self.files.update({file.file_id: file for file in files})
        return files

    def open_session(self, upload: Upload) -> UploadSession:
        """Let the bytes of an announced file arrive."""
        session = UploadSession(secrets.token_urlsafe(24), upload)
        self.upload_sessions[session.upload_id] = session
        return session

    def keep_upload(self, session: UploadSession) -> None:
        """Store an uploaded file, once."""
        upload = session.upload
        if upload.file_id not in self.files:
            file = StoredFile(
                file_id=upload.file_id,
                workspace_id=upload.workspace_id,
                name=upload.name,
                content_type=upload.content_type,
                data=bytes(session.received),
            )
            self.keep([file])

    def submit(
        self,
        workspace: SandboxWorkspace,
        model: SandboxModel,
        request: InferenceRequest,
        references: list[StoredFile],
    ) -> Run:
        """Start a run; the price is reserved until it ends."""
        run = Run(
            inference_id=str(uuid4()),
            workspace_id=workspace.workspace_id,
            model=model,
            request=request,
            references=references,
            normalized=normalized_parameters(model, request),
            price_creative_units=price_creative_units(model, request),
            submitted_at=self.clock(),
        )
        self.runs[run.inference_id] = run
        return run

    def submit_workflow(
        self,
        workspace: SandboxWorkspace,
        workflow: SandboxWorkflow,
        inputs: dict[str, Any],
        references: list[StoredFile],
        session_id: str | None,
    ) -> WorkflowRun:
        """Start a run of a workflow; the price is reserved until it ends."""
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
        return run

    def settle(self) -> None:
        """Move the runs on: charge those that end well, say why the others failed."""
        for run in self.runs.values():
            if run.under_way and self._elapsed_share(run.submitted_at) >= 1:
                run.error = self.knobs.run_error
                run.status = "failed" if run.error else "complete"
                if run.status == "complete":
                    self._charge(run)
        for run in self.workflow_runs.values():
            if run.under_way:
                self._move_on(run)

    def _move_on(self, run: WorkflowRun) -> None:
        failing = FAILING_STEP if self.knobs.run_error else None
        share = self._elapsed_share(run.submitted_at)
        run.steps = step_statuses(share, len(run.workflow.steps), failing=failing)
        if run.status == "failure":
            run.error = self.knobs.run_error
        elif run.status == "success":
            self._charge(run)

    def _elapsed_share(self, submitted_at: float) -> float:
        elapsed_seconds = self.clock() - submitted_at
        if elapsed_seconds >= self.knobs.run_seconds:
            return 1.0
        return elapsed_seconds / self.knobs.run_seconds

    def _charge(self, run: Run | WorkflowRun) -> None:
        for workspace in self.workspaces:
            if workspace.workspace_id == run.workspace_id:
                workspace.balance_creative_units -= self.actual_price(run)
