"""What a host may offer while a person types an argument.

Never an error: a host would show it at every key press. What cannot be completed has no values.
"""

from collections.abc import Mapping

from mcp.types import (
    CompleteRequestParams,
    CompleteResult,
    Completion,
    PromptReference,
    ResourceTemplateReference,
)

from ..api.models import ModelQuery
from .choices import Choice, Choices
from .prompts.offering import Offer
from .resources.addresses import MODEL
from .state import App

MAX_VALUES = 100
MAX_TYPED_LENGTH = 200


async def completed(
    app: App, params: CompleteRequestParams, offers: Mapping[str, Offer]
) -> CompleteResult:
    """The values that begin with what was typed, or whose name has it."""
    typed = params.argument.value.strip().casefold()
    known = (params.context.arguments if params.context else None) or {}
    workspace = known.get("workspace_id", "").strip() or None
    if len(typed) > MAX_TYPED_LENGTH:
        choices = Choices()
    elif isinstance(params.ref, PromptReference):
        offer = offers.get(params.ref.name)
        choices = await _of_prompt(app, offer, params.argument.name, workspace)
    else:
        choices = await _of_resource(app, params.ref, params.argument.name, workspace)
    values = choices.matching(typed)
    return CompleteResult(
        completion=Completion(
            values=values[:MAX_VALUES],
            total=len(values) if choices.are_all else None,
            has_more=len(values) > MAX_VALUES or not choices.are_all,
        )
    )


async def _of_prompt(app: App, offer: Offer | None, name: str, workspace: str | None) -> Choices:
    arguments = offer.job.arguments if offer else ()
    for argument in arguments:
        if argument.name == name and argument.kind == "workspace":
            return await app.choices.workspaces()
        if argument.name == name and argument.kind == "model" and offer is not None:
            query = ModelQuery.model_validate(offer.job.models)
            return await app.choices.models(query, workspace)
        if argument.name == name:
            return Choices(tuple(Choice(value) for value in argument.choices))
    return Choices()


async def _of_resource(
    app: App, ref: ResourceTemplateReference, name: str, workspace: str | None
) -> Choices:
    # A host may leave out the part that is optional.
    is_model = ref.uri in (MODEL, MODEL.partition("{?")[0])
    if is_model and name == "id":
        return await app.choices.models(ModelQuery(), workspace)
    if is_model and name == "workspace_id":
        return await app.choices.workspaces()
    return Choices()
