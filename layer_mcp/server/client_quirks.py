"""Adaptations for clients that don't use the protocol as it is meant."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.types import CallToolResult, TextContent

from ..schema import JsonObject
from .context import ToolContext

# If a result has structured content, these clients show their model nothing else.
STRUCTURED_CONTENT_ONLY = frozenset({"codex-mcp-client"})


def adapt_result(result: CallToolResult, context: ToolContext) -> CallToolResult:
    """Move the structured content into the text if it would hide a picture from the model."""
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
    """Convert the arguments of prompts and completions to text, as the protocol wants them.

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
        # The protocol's own validation refuses it.
        return arguments
    texts = {name: _to_text(value) for name, value in cast("JsonObject", arguments).items()}
    return {name: text for name, text in texts.items() if text is not None}


def _to_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
