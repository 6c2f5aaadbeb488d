"""Game assets from Layer's REST API, for AI agents (MCP) and for Python."""

__version__ = "0.1.0"

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
from .settings import Settings, SettingsError

__all__ = [
    "GuidanceFile",
    "Inference",
    "InferenceRequest",
    "LayerClient",
    "LayerError",
    "Mask",
    "ModelDetail",
    "ModelQuery",
    "ModelSummary",
    "Output",
    "PriceEstimate",
    "Settings",
    "SettingsError",
    "StartedInference",
    "StartedWorkflowRun",
    "VideoEffect",
    "Workflow",
    "WorkflowQuery",
    "WorkflowRun",
    "WorkflowRunRequest",
    "Workspace",
    "__version__",
]
