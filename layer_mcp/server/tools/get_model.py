"""get_model: which arguments of execute_inference a model uses and which it ignores."""

from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import Field

from ...api.fields import Id, Request
from ...api.model_arguments import argument_use
from ...runs.views import shorten
from ..answers import WORKSPACE, Answer, read_only
from ..context import ToolContext, runs_for
from ..tool import make_tool

DESCRIPTION = "What one model can do: which arguments of execute_inference it uses and ignores."
MAX_TEXT = 1000


class GetModelArguments(Request, ArgModelBase):
    """Which model."""

    model_id: Id = Field(description="From list_models (UUID).")
    workspace_id: str | None = WORKSPACE


class ModelUseAnswer(Answer):
    """A model in words that an agent can act on."""

    model_id: str
    name: str | None = None
    modality: str | None = None
    inference_timing: str | None = None
    description: str | None = None
    prompt_format: str | None = None
    uses: list[str]
    may_use: list[str] = Field(description="Layer does not say.")
    ignores: list[str]
    notes: list[str]

    def facts(self) -> list[str]:
        """What it is, which arguments it takes, what to mind."""
        kind = ", ".join(fact for fact in (self.modality, self.inference_timing) if fact)
        lines = [f"{self.name or self.model_id} ({kind})"]
        lines += [text for text in (self.description,) if text]
        lines += [f"Prompt format: {self.prompt_format}"] if self.prompt_format else []
        for word, names in (
            ("Uses", self.uses),
            ("May use, Layer does not say", self.may_use),
            ("Ignores", self.ignores),
        ):
            lines += [f"{word}: {', '.join(names)}."] if names else []
        return lines + self.notes


async def get_model(arguments: GetModelArguments, context: ToolContext) -> ModelUseAnswer:
    """Layer's capabilities, sorted by the arguments that they speak of."""
    client = runs_for(context).client
    model = await client.get_model(arguments.model_id, workspace=arguments.workspace_id)
    use = argument_use(model)
    return ModelUseAnswer(
        model_id=model.model_id,
        name=shorten(model.name),
        modality=shorten(model.modality),
        inference_timing=shorten(model.inference_timing),
        description=_bounded(model.description),
        prompt_format=_bounded(model.prompt_format),
        uses=list(use.uses),
        may_use=list(use.may_use),
        ignores=list(use.ignores),
        notes=[note[:MAX_TEXT] for note in use.notes],
        next_step="Call estimate_price or execute_inference with the arguments that it uses.",
    )


def _bounded(text: str | None) -> str | None:
    line = " ".join((text or "").split())
    return line[:MAX_TEXT] or None


def get_model_tool() -> Tool:
    """The tool as the server publishes it."""
    return make_tool(
        get_model,
        title="What a model can do",
        description=DESCRIPTION,
        arguments=GetModelArguments,
        answer=ModelUseAnswer,
        annotations=read_only(),
    )
