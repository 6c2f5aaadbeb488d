"""list_workspaces: list workspaces and their balances."""

from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import BaseModel, Field

from ...api.fields import Request
from ...api.models import Workspace
from ...runs.views import shorten
from ..answers import WORKSPACE, Answer, fit_rows, read_only
from ..context import ToolContext, runs_for
from ..tool import make_tool

DESCRIPTION = "List the account's workspaces with their balance in Creative Units (CU)."
NEXT_STEP = "Pass workspace_id to use a workspace other than the configured one."


class ListWorkspacesArguments(Request, ArgModelBase):
    """The workspace to show; by default, all of them."""

    workspace_id: str | None = WORKSPACE


class WorkspaceRow(BaseModel):
    """A workspace and its balance."""

    workspace_id: str
    name: str | None = None
    slug: str | None = None
    balance_creative_units: float | None = None
    reserved_creative_units: float | None = None
    available_creative_units: float | None = Field(default=None, description="Can be spent.")


class WorkspacesAnswer(Answer):
    """The workspaces, most recently active first."""

    workspaces: list[WorkspaceRow]

    def facts(self) -> list[str]:
        """Return a line for each workspace."""
        return [_line(row) for row in self.workspaces] or ["The account has no workspaces."]


async def list_workspaces(
    arguments: ListWorkspacesArguments, context: ToolContext
) -> WorkspacesAnswer:
    """Return all workspaces, or the requested one."""
    client = runs_for(context).client
    if arguments.workspace_id is None:
        workspaces = await client.list_workspaces()
    else:
        workspaces = [await client.get_workspace(arguments.workspace_id)]
    rows = fit_rows([_row(workspace) for workspace in workspaces])
    hidden = len(workspaces) - len(rows)
    return WorkspacesAnswer(
        workspaces=rows,
        next_step=NEXT_STEP + (f" {hidden} more aren't shown." if hidden else ""),
    )


def _row(workspace: Workspace) -> WorkspaceRow:
    row = WorkspaceRow.model_validate(workspace.model_dump())
    return row.model_copy(update={"name": shorten(row.name), "slug": shorten(row.slug)})


def _line(row: WorkspaceRow) -> str:
    name = row.name or row.slug or "unnamed"
    money = [
        f"{value:g} CU {word}"
        for value, word in (
            (row.available_creative_units, "available"),
            (row.balance_creative_units, "balance"),
            (row.reserved_creative_units, "reserved"),
        )
        if value is not None
    ]
    return f"{row.workspace_id} {name}: {', '.join(money) or 'balance unknown'}"


def list_workspaces_tool() -> Tool:
    """Return the tool as the server publishes it."""
    return make_tool(
        list_workspaces,
        title="Workspaces and balance",
        description=DESCRIPTION,
        arguments=ListWorkspacesArguments,
        answer=WorkspacesAnswer,
        annotations=read_only(),
    )
