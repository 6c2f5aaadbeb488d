"""One file a tool: its model, its description, its function."""

from collections.abc import Callable, Collection
from functools import partial

from mcp.server.mcpserver.tools import Tool

from ...settings import DEFAULT_TOOLSETS, Toolset
from ..gallery import shown_in_gallery
from .estimate_price import estimate_price_tool
from .estimate_workflow import estimate_workflow_tool
from .execute_batch import execute_batch_tool
from .execute_inference import execute_inference_tool
from .execute_workflow import execute_workflow_tool
from .get_model import get_model_tool
from .get_status import get_status_tool
from .get_workflow_status import get_workflow_status_tool
from .list_models import list_models_tool
from .list_runs import list_runs_tool
from .list_workflows import list_workflows_tool
from .list_workspaces import list_workspaces_tool
from .save_outputs import save_outputs_tool
from .upload_file import upload_file_tool


def tools_of(
    toolsets: Collection[Toolset] = DEFAULT_TOOLSETS, *, saves_by_itself: bool = False
) -> list[Tool]:
    """Return the tools of these groups, in the order in which clients see them.

    `saves_by_itself` says that a look at a finished run saves its files.
    """
    groups: dict[Toolset, tuple[Callable[[], Tool], ...]] = {
        "generate": (
            execute_inference_tool,
            partial(get_status_tool, saves_by_itself=saves_by_itself),
            partial(list_runs_tool, saves_by_itself=saves_by_itself),
            execute_batch_tool,
            estimate_price_tool,
        ),
        "models": (list_models_tool, get_model_tool, list_workspaces_tool),
        "files": (upload_file_tool, save_outputs_tool),
        "workflows": (
            list_workflows_tool,
            estimate_workflow_tool,
            execute_workflow_tool,
            partial(get_workflow_status_tool, saves_by_itself=saves_by_itself),
        ),
    }
    chosen = [make for group, makers in groups.items() if group in toolsets for make in makers]
    return [shown_in_gallery(make()) for make in chosen]
