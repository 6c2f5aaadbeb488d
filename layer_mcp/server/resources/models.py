"""A model as a resource: what get_model answers."""

from collections.abc import Mapping

from ..arguments import parse_arguments
from ..schema import portable_schema
from ..state import ToolContext
from ..tools.get_model import GetModelArguments, get_model
from .addresses import MODEL
from .resource import LayerResource, Reading, reading_of

TTL_MS = 300_000


async def read_model(context: ToolContext, values: Mapping[str, str]) -> Reading:
    """What one model can do.

    Raises:
        LayerError: INVALID_ARGUMENTS, MODEL_NOT_FOUND, or what stands between here and Layer.
    """
    given = {"model_id": values["id"], "workspace_id": values.get("workspace_id")}
    arguments = parse_arguments(GetModelArguments, portable_schema(GetModelArguments), given)
    answer = await get_model(arguments, context)
    return reading_of(answer, context, ttl_ms=TTL_MS)


MODEL_RESOURCE = LayerResource(
    name="model",
    title="One model",
    description="Which arguments of a generation it uses and ignores.",
    read=read_model,
    template=MODEL,
)
