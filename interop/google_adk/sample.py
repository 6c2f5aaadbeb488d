"""Run the sample on stdin, with a scripted model instead of the one that it names."""

import sys
from collections.abc import AsyncGenerator

from google.adk.models import BaseLlm, LLMRegistry, LlmRequest, LlmResponse
from google.genai import types

CALL = types.FunctionCall(name="list_models", args={"modality": "image"})


class Scripted(BaseLlm):
    """Requests the models, then reports what it read."""

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse]:
        read = llm_request.contents[-1].parts[0].function_response
        text = read.response["content"][0]["text"] if read else None
        part = types.Part(text=text) if text else types.Part(function_call=CALL)
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


LLMRegistry.new_llm = lambda name: Scripted(model=name)
exec(compile(sys.stdin.read(), "sample", "exec"))
