"""get_model: show which arguments of execute_inference a model uses and which it ignores."""

from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import Field

from ...api.fields import Id, Request
from ...next_steps import AFTER_MODEL
from ...runs.views import model_as_json
from ..answers import WORKSPACE, Answer, read_only
from ..context import ToolContext, runs_for
from ..tool import make_tool

DESCRIPTION = (
    "Show what a model can do: the arguments of execute_inference that it uses and ignores."
)


class GetModelArguments(Request, ArgModelBase):
    """The model to show."""

    model_id: Id = Field(description="From list_models (UUID).")
    workspace_id: str | None = WORKSPACE


class ModelUseAnswer(Answer):
    """A model's facts, in a form that an agent can act on."""

    model_id: str
    name: str | None = None
    modality: str | None = None
    inference_timing: str | None = None
    description: str | None = None
    prompt_format: str | None = None
    uses: list[str]
    may_use: list[str] = Field(description="Layer doesn't say.")
    ignores: list[str]
    notes: list[str]

    def facts(self) -> list[str]:
        """Describe the model, its arguments, and its restrictions."""
        kind = ", ".join(fact for fact in (self.modality, self.inference_timing) if fact)
        lines = [f"{self.name or self.model_id} ({kind})"]
        lines += [text for text in (self.description,) if text]
        lines += [f"Prompt format: {self.prompt_format}"] if self.prompt_format else []
        for word, names in (
            ("Uses", self.uses),
            ("May use (Layer doesn't say)", self.may_use),
            ("Ignores", self.ignores),
        ):
            lines += [f"{word}: {', '.join(names)}."] if names else []
        return lines + self.notes


async def get_model(arguments: GetModelArguments, context: ToolContext) -> ModelUseAnswer:
    """Return a model's facts, and which arguments it uses and ignores."""
    model = await runs_for(context).get_model(arguments.model_id, arguments.workspace_id)
    return ModelUseAnswer(**model_as_json(model), next_step=AFTER_MODEL)


def get_model_tool() -> Tool:
    """Return the tool as the server publishes it."""
    return make_tool(
        get_model,
        title="What a model can do",
        description=DESCRIPTION,
        arguments=GetModelArguments,
        answer=ModelUseAnswer,
        annotations=read_only(),
    )
