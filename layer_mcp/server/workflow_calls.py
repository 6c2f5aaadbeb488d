"""A call about a workflow: its inputs are checked, its local files uploaded."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import Field

from ..api.fields import Id, Request
from ..api.workflow_inputs import check_inputs, local_paths, with_file_ids
from .common import WORKSPACE
from .state import ToolContext, app_of
from .submitting import FileIds, call_with_files

ANY_ID = "00000000-0000-4000-8000-000000000000"

AnswerT = TypeVar("AnswerT")


class WorkflowArguments(Request, ArgModelBase):
    """Which workflow, and what it gets."""

    workflow_id: Id = Field(description="From list_workflows (UUID).")
    inputs: dict[str, Any] = Field(
        default={}, description="Values by input name. A file input takes a file_id or local path."
    )
    workspace_id: str | None = WORKSPACE


async def call_workflow(
    arguments: WorkflowArguments,
    call: Callable[[str, dict[str, Any]], Awaitable[AnswerT]],
    context: ToolContext,
    began: float,
) -> AnswerT:
    """The answer to a call that takes a workspace's id and a workflow's inputs.

    The inputs are checked by the workflow's own schemas, then its local files are brought to
    Layer, then the call is made.

    Raises:
        LayerError: WORKFLOW_NOT_FOUND, INVALID_ARGUMENTS, what is wrong with a file, or what the
            call raises.
    """
    client, inputs = app_of(context).client, arguments.inputs
    workspace_id = await client.workspace_id(arguments.workspace_id)
    workflow = await client.find_workflow(arguments.workflow_id, workspace=workspace_id)
    paths = local_paths(workflow, inputs)
    # A path stands for an id: what else is wrong is known before anything is uploaded.
    check_inputs(workflow, with_file_ids(workflow, inputs, dict.fromkeys(paths, ANY_ID)))

    async def call_with_ids(file_ids: FileIds) -> AnswerT:
        return await call(workspace_id, with_file_ids(workflow, inputs, file_ids))

    return await call_with_files(paths, workspace_id, call_with_ids, context, began=began)
