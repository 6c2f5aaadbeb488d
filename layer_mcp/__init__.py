"""Game assets from Layer's REST API, for AI agents (MCP) and for Python."""

__version__ = "0.1.0"

from .api.client import LayerClient
from .api.errors import LayerError
from .api.models import (
    GuidanceFile,
    Inference,
    InferenceRequest,
    Mask,
    Output,
    StartedInference,
    VideoEffect,
    Workspace,
)
from .settings import Settings, SettingsError

__all__ = [
    "GuidanceFile",
    "Inference",
    "InferenceRequest",
    "LayerClient",
    "LayerError",
    "Mask",
    "Output",
    "Settings",
    "SettingsError",
    "StartedInference",
    "VideoEffect",
    "Workspace",
    "__version__",
]
