"""A call about a workflow: its inputs are checked, its local files brought to Layer."""

from dataclasses import dataclass
from typing import Any

from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import Field

from ..api.fields import Id, Request
from ..api.models import Workflow
from ..api.workflow_inputs import check_inputs, local_paths, with_file_ids
from .common import WORKSPACE
from .references import References, bring_references
from .state import ToolContext, app_of

ANY_ID = "00000000-0000-4000-8000-000000000000"


class WorkflowArguments(Request, ArgModelBase):
    """Which workflow, and what it gets."""

    workflow_id: Id = Field(description="From list_workflows (UUID).")
    inputs: dict[str, Any] = Field(
        default={}, description="Values by input name. A file input takes a file_id or local path."
    )
    workspace_id: str | None = WORKSPACE


@dataclass(frozen=True)
class WorkflowCall:
    """A workflow with inputs that Layer can take: `inputs` has file ids where files are meant."""

    workflow: Workflow
    inputs: dict[str, Any]
    references: References
    workspace_id: str


async def workflow_call(
    arguments: WorkflowArguments, context: ToolContext, *, began: float
) -> WorkflowCall:
    """Check the inputs by the workflow's own schemas, then bring its local files to Layer.

    Raises:
        LayerError: WORKFLOW_NOT_FOUND, INVALID_ARGUMENTS, or what is wrong with a file.
    """
    client, inputs = app_of(context).client, arguments.inputs
    workspace_id = await client.workspace_id(arguments.workspace_id)
    workflow = await client.find_workflow(arguments.workflow_id, workspace=workspace_id)
    paths = local_paths(workflow, inputs)
    # A path stands for an id: what else is wrong is known before anything is uploaded.
    check_inputs(workflow, with_file_ids(workflow, inputs, dict.fromkeys(paths, ANY_ID)))
    references = await bring_references(paths, workspace_id, context, began=began)
    inputs = with_file_ids(workflow, inputs, references.ids)
    return WorkflowCall(workflow, inputs, references, workspace_id)
