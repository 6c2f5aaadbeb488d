"""list_models: list a workspace's models and how long they take."""

from typing import Annotated

from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import BaseModel, Field

from ...api.fields import NoFlag
from ...api.models import ModelQuery
from ...next_steps import after_models, next_page
from ...runs.views import model_row_as_json
from ..answers import WORKSPACE, Answer, fit_rows, read_only
from ..context import ToolContext, runs_for
from ..tool import make_tool

DESCRIPTION = """\
Find a model for execute_inference by output type, keywords, or features. Returns the ID, name, \
and typical duration of each."""

# More rows than this would fill an agent's context.
Rows = Annotated[int, Field(ge=1, le=50), NoFlag]


class ListModelsArguments(ModelQuery, ArgModelBase):
    """The filters of Layer's list, and the workspace."""

    limit: Rows = Field(default=20, description="Rows.")
    workspace_id: str | None = WORKSPACE

    def query(self) -> ModelQuery:
        """Return the query for Layer."""
        return ModelQuery.model_validate(self.model_dump(exclude={"workspace_id"}))


class ModelRow(BaseModel):
    """A model as a short row."""

    model_id: str
    name: str | None = None
    modality: str | None = None
    inference_timing: str | None = None
    description: str | None = None


class ModelsAnswer(Answer):
    """One page of models."""

    models: list[ModelRow]
    next_cursor: str | None = None
    total_count: int | None = None

    def facts(self) -> list[str]:
        """Return a line for each model."""
        return [_line(row) for row in self.models] or ["No models match."]


async def list_models(arguments: ListModelsArguments, context: ToolContext) -> ModelsAnswer:
    """Return one page of Layer's list as short rows."""
    client = runs_for(context).client
    page = await client.list_models(arguments.query(), workspace=arguments.workspace_id)
    rows = fit_rows([ModelRow(**model_row_as_json(model)) for model in page.models])
    shown, found = len(rows), len(page.models)
    return ModelsAnswer(
        models=rows,
        next_cursor=page.next_cursor if shown == found else None,
        total_count=page.pagination.total_count if page.pagination else None,
        next_step=after_models(shown) + next_page("list_models", shown, found, page.next_cursor),
    )


def _line(row: ModelRow) -> str:
    kind = ", ".join(fact for fact in (row.modality, row.inference_timing) if fact)
    about = f": {row.description}" if row.description else ""
    return f"{row.model_id} {row.name or 'unnamed'} ({kind}){about}"


def list_models_tool() -> Tool:
    """Return the tool as the server publishes it."""
    return make_tool(
        list_models,
        title="Find models",
        description=DESCRIPTION,
        arguments=ListModelsArguments,
        answer=ModelsAnswer,
        annotations=read_only(),
    )
