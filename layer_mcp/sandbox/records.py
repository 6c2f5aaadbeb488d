"""What the sandbox remembers: workspaces, files, runs and the requests that arrived."""

from dataclasses import dataclass, field
from typing import Any

from ..api.models import InferenceRequest
from .catalog import SandboxModel
from .knobs import Operation
from .picture import Item
from .workflow_progress import Status, run_status
from .workflows import SandboxWorkflow


@dataclass(frozen=True)
class Arrival:
    """One request as it arrived; header names are in lower case.

    The body of an upload is not kept.
    """

    operation: Operation
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class SandboxWorkspace:
    """A workspace with money in it."""

    workspace_id: str
    slug: str
    name: str
    balance_creative_units: float = 1000.0


@dataclass(frozen=True)
class StoredFile:
    """A complete file of a workspace, uploaded or made by a run.

    `item` is what a video or a mesh shows, so that a preview can be drawn.
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


@dataclass
class Run:
    """A submitted generation; its outputs are made when somebody asks for them."""

    inference_id: str
    workspace_id: str
    model: SandboxModel
    request: InferenceRequest
    references: list[StoredFile]
    normalized: dict[str, Any]
    price_creative_units: float
    submitted_at: float
    status: str = "in_progress"
    error: tuple[str, str] | None = None
    outputs: list[StoredFile] = field(default_factory=list[StoredFile])

    @property
    def under_way(self) -> bool:
        """Whether it has not ended."""
        return self.status == "in_progress"


@dataclass
class WorkflowRun:
    """A submitted workflow; `steps` holds the status of each step."""

    run_id: str
    workspace_id: str
    workflow: SandboxWorkflow
    inputs: dict[str, Any]
    references: list[StoredFile]
    session_id: str | None
    price_creative_units: float
    submitted_at: float
    steps: list[Status]
    error: tuple[str, str] | None = None
    outputs: list[StoredFile] = field(default_factory=list[StoredFile])

    @property
    def status(self) -> Status:
        """What the steps come to."""
        return run_status(self.steps)

    @property
    def under_way(self) -> bool:
        """Whether it has not ended."""
        return self.status in ("pending", "running")


@dataclass(frozen=True)
class Upload:
    """A file that was announced; `expires_at` is by the state's clock."""

    file_id: str
    workspace_id: str
    name: str
    content_type: str
    size_bytes: int
    expires_at: float


@dataclass
class UploadSession:
    """A resumable upload under way; `received` grows until the size is reached."""

    upload_id: str
    upload: Upload
    received: bytearray = field(default_factory=bytearray)

    @property
    def complete(self) -> bool:
        """Whether all of the file is here."""
        return len(self.received) == self.upload.size_bytes
