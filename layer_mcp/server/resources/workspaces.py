"""The workspaces as a resource: what list_workspaces answers."""

from collections.abc import Mapping

from ..state import ToolContext
from ..tools.list_workspaces import ListWorkspacesArguments, list_workspaces
from .addresses import WORKSPACES
from .resource import LayerResource, Reading, reading_of


async def read_workspaces(context: ToolContext, _values: Mapping[str, str]) -> Reading:
    """The workspaces with their balance, which changes with every run.

    Raises:
        LayerError: what stands between here and Layer.
    """
    answer = await list_workspaces(ListWorkspacesArguments(), context)
    return reading_of(answer, context)


WORKSPACES_RESOURCE = LayerResource(
    name="workspaces",
    title="Workspaces and balance",
    description="The workspaces of the account with their balance in Creative Units (CU).",
    read=read_workspaces,
    address=WORKSPACES,
)
