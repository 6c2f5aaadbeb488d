"""The tools, one file each: the arguments, the description, and the function."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from mcp.server.mcpserver.tools import Tool

from ...settings import DEFAULT_TOOLSETS, Toolset
from ..gallery import shown_in_gallery
from ..http.upload_links import UploadLinks
from .create_upload import create_upload_tool
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
    toolsets: Collection[Toolset] = DEFAULT_TOOLSETS,
    *,
    saves_by_itself: bool = False,
    uses_disk: bool = True,
    upload_links: UploadLinks | None = None,
) -> list[Tool]:
    """Return the tools of these groups, in the order in which clients see them."""
    groups = tools_by_toolset(
        toolsets,
        saves_by_itself=saves_by_itself,
        uses_disk=uses_disk,
        upload_links=upload_links,
    )
    return [tool for tools in groups.values() for tool in tools]


def tools_by_toolset(
    toolsets: Collection[Toolset],
    *,
    saves_by_itself: bool,
    uses_disk: bool,
    upload_links: UploadLinks | None,
) -> Mapping[Toolset, Sequence[Tool]]:
    """Return the tools of each of these groups, in the order in which clients see them.

    `saves_by_itself` says that checking a finished run saves its files. Without `uses_disk`, the
    tools that read or write this machine's files are left out. With `upload_links`, agents send
    files over HTTP instead of naming files on the server's disk.
    """
    upload_tool = partial(create_upload_tool, upload_links) if upload_links else upload_file_tool
    groups: dict[Toolset, tuple[Callable[[], Tool], ...]] = {
        "generate": (
            execute_inference_tool,
            partial(get_status_tool, saves_by_itself=saves_by_itself),
            partial(list_runs_tool, saves_by_itself=saves_by_itself),
            execute_batch_tool,
            estimate_price_tool,
        ),
        "models": (list_models_tool, get_model_tool, list_workspaces_tool),
        "files": (upload_tool, save_outputs_tool) if uses_disk else (upload_tool,),
        "workflows": (
            list_workflows_tool,
            estimate_workflow_tool,
            execute_workflow_tool,
            partial(get_workflow_status_tool, saves_by_itself=saves_by_itself),
        ),
    }
    return {
        group: [shown_in_gallery(make()) for make in makers]
        for group, makers in groups.items()
        if group in toolsets
    }
