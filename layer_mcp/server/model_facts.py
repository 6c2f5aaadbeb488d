"""The name and modality of models, looked up once."""

from dataclasses import dataclass

from ..api.client import LayerClient
from ..errors import LayerError

MAX_NAME_LENGTH = 60


@dataclass(frozen=True)
class ModelFacts:
    """What a person calls a model, and what it makes; the id and "" when Layer does not say."""

    name: str
    modality: str


class ModelLookup:
    """Asks Layer for each model once; what it does not answer is asked again next time."""

    def __init__(self, client: LayerClient) -> None:
        self._client = client
        self._known: dict[str, ModelFacts] = {}

    async def facts(self, model_id: str, workspace_id: str) -> ModelFacts:
        """The facts of a model; without an answer, its id and no modality."""
        known = self._known.get(model_id)
        if known is not None:
            return known
        try:
            model = await self._client.get_model(model_id, workspace=workspace_id)
        except LayerError:
            return ModelFacts(model_id, "")
        name = " ".join((model.name or model_id).split())[:MAX_NAME_LENGTH]
        self._known[model_id] = ModelFacts(name, model.modality or "")
        return self._known[model_id]
