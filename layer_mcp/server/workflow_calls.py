"""A call about a workflow: its inputs are checked, its local files uploaded."""

from dataclasses import dataclass
from typing import Any

from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import Field

from ..api.fields import Id, Request
from ..api.workflow_inputs import check_inputs, local_paths, with_file_ids
from .common import WORKSPACE
from .state import ToolContext, app_of
from .uploads import UploadedFile
from .waiting import bytes_reporter, seconds_left


class WorkflowArguments(Request, ArgModelBase):
    """Which workflow, and what it gets."""

    workflow_id: Id = Field(description="From list_workflows (UUID).")
    inputs: dict[str, Any] = Field(
        default={}, description="Values by input name. A file input takes a file_id or local path."
    )
    workspace_id: str | None = WORKSPACE


@dataclass(frozen=True)
class ReadyInputs:
    """Inputs as Layer takes them, and the files that were uploaded for them."""

    workspace_id: str
    inputs: dict[str, Any]
    files: list[UploadedFile]


async def ready_inputs(
    arguments: WorkflowArguments, context: ToolContext, began: float
) -> ReadyInputs:
    """Check the inputs by the workflow's own schemas, then bring its local files to Layer.

    Raises:
        LayerError: WORKFLOW_NOT_FOUND, INVALID_ARGUMENTS, or what is wrong with a file.
    """
    app = app_of(context)
    workspace_id = await app.client.workspace_id(arguments.workspace_id)
    workflow = await app.client.find_workflow(arguments.workflow_id, workspace=workspace_id)
    paths = local_paths(workflow, arguments.inputs)
    # A path stands for an id: what else is wrong is known before anything is uploaded.
    check_inputs(workflow, with_file_ids(workflow, arguments.inputs, _stand_ins(paths)))
    files = await app.uploads.upload(
        paths,
        workspace_id,
        total_seconds=seconds_left(began, context),
        on_bytes=bytes_reporter(context),
    )
    file_ids = {file.path: file.file_id for file in files}
    return ReadyInputs(workspace_id, with_file_ids(workflow, arguments.inputs, file_ids), files)


def _stand_ins(paths: list[str]) -> dict[str, str]:
    return dict.fromkeys(paths, "00000000-0000-4000-8000-000000000000")
