"""Run the sample on stdin, with a scripted model instead of the one that it names."""

import sys

import pydantic_ai.models
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel


def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Request the models, then report what it read."""
    for part in messages[-1].parts:
        if isinstance(part, ToolReturnPart):
            return ModelResponse(parts=[TextPart(part.model_response_str())])
    return ModelResponse(parts=[ToolCallPart("list_models", {"modality": "image"})])


pydantic_ai.models.infer_model = lambda *given, **more: FunctionModel(answer)
exec(compile(sys.stdin.read(), "sample", "exec"))
