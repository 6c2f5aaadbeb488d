"""list_workflows: list a workspace's published pipelines and their inputs."""

from typing import Annotated

from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import BaseModel, Field

from ...api.fields import NoFlag
from ...api.models import Workflow, WorkflowQuery
from ...api.workflow_inputs import describe_input
from ...next_steps import next_page
from ...runs.views import shorten
from ..answers import WORKSPACE, Answer, fit_rows, read_only
from ..context import ToolContext, runs_for
from ..tool import make_tool

DESCRIPTION = "List published workflows (multi-step pipelines) with their inputs and outputs."

NEXT_STEP = "Call estimate_workflow, then execute_workflow, with workflow_id and inputs."
MAX_INPUTS = 30

# Each row includes all inputs of a workflow, so more rows would fill an agent's context.
Rows = Annotated[int, Field(ge=1, le=20), NoFlag]


class ListWorkflowsArguments(WorkflowQuery, ArgModelBase):
    """The filters of Layer's list, and the workspace."""

    limit: Rows = Field(default=10, description="Rows.")
    workspace_id: str | None = WORKSPACE

    def query(self) -> WorkflowQuery:
        """Return the query for Layer."""
        return WorkflowQuery.model_validate(self.model_dump(exclude={"workspace_id"}))


class InputRow(BaseModel):
    """An input and the values it accepts."""

    name: str
    rule: str
    required: bool
    description: str | None = None


class WorkflowRow(BaseModel):
    """A workflow with its inputs."""

    workflow_id: str
    name: str | None = None
    modality: str | None = None
    description: str | None = None
    inputs: list[InputRow]
    outputs: list[str]


class WorkflowsAnswer(Answer):
    """One page of workflows."""

    workflows: list[WorkflowRow]
    next_cursor: str | None = None

    def facts(self) -> list[str]:
        """Return a line for each workflow, and one for each of its inputs."""
        lines = [line for row in self.workflows for line in _lines(row)]
        return lines or ["No workflows match."]


async def list_workflows(
    arguments: ListWorkflowsArguments, context: ToolContext
) -> WorkflowsAnswer:
    """Return one page of Layer's list, with schemas described in plain words."""
    client = runs_for(context).client
    page = await client.list_workflows(arguments.query(), workspace=arguments.workspace_id)
    rows = fit_rows([_row(workflow) for workflow in page.workflows])
    shown, found = len(rows), len(page.workflows)
    return WorkflowsAnswer(
        workflows=rows,
        next_cursor=page.next_cursor if shown == found else None,
        next_step=NEXT_STEP + next_page("list_workflows", shown, found, page.next_cursor)
        if rows
        else "Try other search words, or publish a workflow at app.layer.ai.",
    )


def _row(workflow: Workflow) -> WorkflowRow:
    return WorkflowRow(
        workflow_id=workflow.workflow_id,
        name=shorten(workflow.name),
        modality=shorten(workflow.modality),
        description=shorten(workflow.description),
        inputs=[
            InputRow(
                name=entry.name,
                rule=describe_input(entry),
                required=bool(entry.required),
                description=shorten(entry.description),
            )
            for entry in workflow.inputs[:MAX_INPUTS]
        ],
        outputs=[shorten(output.name) or "" for output in workflow.outputs[:MAX_INPUTS]],
    )


def _lines(row: WorkflowRow) -> list[str]:
    kind = f" ({row.modality})" if row.modality else ""
    about = f": {row.description}" if row.description else ""
    return [f"{row.workflow_id} {row.name or 'unnamed'}{kind}{about}"] + [
        f"  {entry.name}{' (required)' if entry.required else ''}: {entry.rule}"
        + (f". {entry.description}" if entry.description else "")
        for entry in row.inputs
    ]


def list_workflows_tool() -> Tool:
    """Return the tool as the server publishes it."""
    return make_tool(
        list_workflows,
        title="Find workflows",
        description=DESCRIPTION,
        arguments=ListWorkflowsArguments,
        answer=WorkflowsAnswer,
        annotations=read_only(),
    )
