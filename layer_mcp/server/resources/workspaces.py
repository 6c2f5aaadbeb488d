"""The workspaces as a resource: what list_workspaces answers."""

from collections.abc import Mapping

from ..state import ToolContext, app_of
from ..tools.list_workspaces import ListWorkspacesArguments, list_workspaces
from .addresses import WORKSPACES
from .resource import LayerResource, Reading, as_json


async def read_workspaces(context: ToolContext, _values: Mapping[str, str]) -> Reading:
    """The workspaces with their balance, which changes with every run.

    Raises:
        LayerError: what stands between here and Layer.
    """
    answer = await list_workspaces(ListWorkspacesArguments(), context)
    facts = answer.model_dump(mode="json", exclude={"next_step"}, exclude_none=True)
    mark = {"simulated": True} if app_of(context).settings.sandbox else {}
    return Reading(as_json(facts | mark))


WORKSPACES_RESOURCE = LayerResource(
    name="workspaces",
    title="Workspaces and balance",
    description="The workspaces of the account with their balance in Creative Units (CU).",
    read=read_workspaces,
    address=WORKSPACES,
)
