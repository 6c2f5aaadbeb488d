"""Run the sample on stdin, with a scripted model instead of the one that it names."""

import json
import sys
from typing import Any

from agents import Model, ModelResponse, Usage, set_tracing_disabled
from agents.models.multi_provider import MultiProvider
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

CALL = ResponseFunctionToolCall(
    name="list_models",
    arguments=json.dumps({"modality": "image"}),
    call_id="call",
    type="function_call",
)


class Scripted(Model):
    """Requests the models, then reports what it read."""

    async def get_response(
        self, system_instructions: Any, input: Any, *rest: Any, **more: Any
    ) -> ModelResponse:
        read = [] if isinstance(input, str) else [item.get("output") for item in input]
        said = message(str(read[-1])) if any(read) else CALL
        return ModelResponse(output=[said], usage=Usage(), response_id=None)

    def stream_response(self, *arguments: Any, **more: Any) -> Any:
        raise NotImplementedError


def message(text: str) -> ResponseOutputMessage:
    return ResponseOutputMessage(
        id="message",
        content=[ResponseOutputText(annotations=[], text=text, type="output_text")],
        role="assistant",
        status="completed",
        type="message",
    )


set_tracing_disabled(True)
MultiProvider.get_model = lambda self, name: Scripted()
exec(compile(sys.stdin.read(), "sample", "exec"))
