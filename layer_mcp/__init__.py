"""Game assets from Layer's REST API, for AI agents (MCP) and for Python."""

from .api.client import LayerClient
from .api.models import (
    GuidanceFile,
    Inference,
    InferenceRequest,
    Mask,
    ModelDetail,
    ModelQuery,
    ModelSummary,
    Output,
    PriceEstimate,
    StartedInference,
    StartedWorkflowRun,
    VideoEffect,
    Workflow,
    WorkflowQuery,
    WorkflowRun,
    WorkflowRunRequest,
    Workspace,
)
from .errors import LayerError
from .runs.outputs import SavedOutputs
from .runs.references import InferenceDraft, WorkflowRunDraft
from .runs.service import Runs, open_runs
from .runs.types import (
    CallBudget,
    Confirmation,
    Plan,
    Quote,
    Run,
    RunFilter,
    RunRequest,
    RunTotals,
    SubmitOptions,
)
from .settings import Settings, SettingsError
from .version import __version__

__all__ = [
    "CallBudget",
    "Confirmation",
    "GuidanceFile",
    "Inference",
    "InferenceDraft",
    "InferenceRequest",
    "LayerClient",
    "LayerError",
    "Mask",
    "ModelDetail",
    "ModelQuery",
    "ModelSummary",
    "Output",
    "Plan",
    "PriceEstimate",
    "Quote",
    "Run",
    "RunFilter",
    "RunRequest",
    "RunTotals",
    "Runs",
    "SavedOutputs",
    "Settings",
    "SettingsError",
    "StartedInference",
    "StartedWorkflowRun",
    "SubmitOptions",
    "VideoEffect",
    "Workflow",
    "WorkflowQuery",
    "WorkflowRun",
    "WorkflowRunDraft",
    "WorkflowRunRequest",
    "Workspace",
    "__version__",
    "open_runs",
]
