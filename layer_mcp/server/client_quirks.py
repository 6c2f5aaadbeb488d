"""Adaptations for clients that don't follow the protocol."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, cast

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.types import CallToolResult, TextContent

from ..schema import JsonObject
from .context import ToolContext

# These hosts add their own arguments to a model's call, and the model can't correct them.
HOST_ARGUMENTS = frozenset(
    {
        # n8n
        "action",
        "chatInput",
        "sessionId",
        "tool",
        "toolCallId",
        # Gemini CLI
        "wait_for_previous",
        # Amazon Q and its successor Kiro
        "explanation",
        "__tool_use_purpose",
    }
)
# If a result has structured content, these clients show their model nothing else.
STRUCTURED_CONTENT_ONLY = frozenset({"codex-mcp-client"})
# Clients known to show resource links. Others report such a result as an error, or show noise.
SHOWING_LINKS = frozenset(
    {
        "claude-code",
        "gemini-cli-mcp-client",
        "mcp-inspector",
        "Visual Studio Code",
        "Visual Studio Code - Insiders",
    }
)
# These clients pass images to their models as tens of thousands of characters of base64 text.
IMAGE_AS_TEXT = frozenset({"google-adk"})
# How long these clients can wait over stdio, where they cut off calls after 5 s.
SHORT_WAIT_SECONDS = {"google-adk": 2.0}


class WaitArguments(Protocol):
    """The arguments of a call that can wait for a run."""

    wait_seconds: float

    @property
    def model_fields_set(self) -> set[str]:
        """The names of the given arguments."""
        ...


def remove_host_arguments(arguments: JsonObject, schema: JsonObject) -> JsonObject:
    """Remove the arguments that a host added, unless the tool has an argument with that name."""
    added = HOST_ARGUMENTS - schema.get("properties", {}).keys()
    return {name: value for name, value in arguments.items() if name not in added}


def shows_links(context: ToolContext) -> bool:
    """Return whether the client is known to show resource links."""
    return _client_name(context) in SHOWING_LINKS


def shows_images(context: ToolContext) -> bool:
    """Return whether the client may show its model an image as an image."""
    return _client_name(context) not in IMAGE_AS_TEXT


def choose_wait(arguments: WaitArguments, context: ToolContext) -> float:
    """Return the requested wait, or a default that the client can handle."""
    is_stdio = context.request_context.request is None
    if "wait_seconds" in arguments.model_fields_set or not is_stdio:
        return arguments.wait_seconds
    longest_seconds = SHORT_WAIT_SECONDS.get(_client_name(context) or "", arguments.wait_seconds)
    return min(arguments.wait_seconds, longest_seconds)


def adapt_result(result: CallToolResult, context: ToolContext) -> CallToolResult:
    """Move the structured content into the text if it would hide an image from the model."""
    others = [block for block in result.content if block.type != "text"]
    has_picture = any(block.type == "image" for block in others)
    if not has_picture or _client_name(context) not in STRUCTURED_CONTENT_ONLY:
        return result
    facts = TextContent(type="text", text=json.dumps(result.structured_content, ensure_ascii=False))
    return result.model_copy(update={"content": [facts, *others], "structured_content": None})


def _client_name(context: ToolContext) -> str | None:
    params = context.session.client_params
    return params.client_info.name if params is not None else None


async def normalize_prompt_params(
    ctx: ServerRequestContext[Any, Any], call_next: CallNext
) -> HandlerResult:
    """Convert the arguments of prompts and completions to text, as the protocol requires.

    Some clients send null for an omitted argument, numbers as numbers, or all arguments as one JSON
    string. This is middleware; it passes other requests on unchanged.
    """
    normalize = {"prompts/get": _prompt, "completion/complete": _completion}.get(ctx.method)
    if normalize is not None and ctx.params is not None:
        ctx = replace(ctx, params=normalize(ctx.params))
    return await call_next(ctx)


def _prompt(params: Mapping[str, Any]) -> JsonObject:
    return {**params, "arguments": _to_texts(params.get("arguments"))}


def _completion(params: Mapping[str, Any]) -> JsonObject:
    argument, context = params.get("argument"), params.get("context")
    changed = dict(params)
    if isinstance(argument, dict):
        given = cast("JsonObject", argument)
        changed["argument"] = {**given, "value": _to_text(given.get("value")) or ""}
    if isinstance(context, dict):
        known = cast("JsonObject", context)
        changed["context"] = {**known, "arguments": _to_texts(known.get("arguments"))}
    return changed


def _to_texts(arguments: Any) -> Any:
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            return arguments
    if not isinstance(arguments, dict):
        # The protocol's own validation rejects it.
        return arguments
    texts = {name: _to_text(value) for name, value in cast("JsonObject", arguments).items()}
    return {name: text for name, text in texts.items() if text is not None}


def _to_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
