"""Run the sample on stdin, with a scripted model instead of the one that it names."""

import sys
from typing import Any

from langchain.agents import factory
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult

CALL = {"name": "list_models", "args": {"modality": "image"}, "id": "call"}


class Scripted(BaseChatModel):
    """Requests the models, then reports what it read."""

    def bind_tools(self, tools: Any, **settings: Any) -> "Scripted":
        return self

    def _generate(self, messages: list[BaseMessage], *rest: Any, **more: Any) -> ChatResult:
        read = messages[-1]
        called = isinstance(read, ToolMessage)
        answer = AIMessage(read.text) if called else AIMessage("", tool_calls=[CALL])
        return ChatResult(generations=[ChatGeneration(message=answer)])

    @property
    def _llm_type(self) -> str:
        return "scripted"


factory.init_chat_model = lambda *given, **more: Scripted()
exec(compile(sys.stdin.read(), "sample", "exec"))
