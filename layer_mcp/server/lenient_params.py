"""What hosts send for the arguments of prompts, made to fit the protocol, which wants text.

Some send null for what was left out, numbers as numbers, or all arguments as one JSON text.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from ..schema import JsonObject


async def with_text_arguments(
    ctx: ServerRequestContext[Any, Any], call_next: CallNext
) -> HandlerResult:
    """Middleware that tidies requests for prompts and completions, and lets all others pass."""
    change = {"prompts/get": _prompt, "completion/complete": _completion}.get(ctx.method)
    if change is not None and ctx.params is not None:
        ctx = replace(ctx, params=change(ctx.params))
    return await call_next(ctx)


def _prompt(params: Mapping[str, Any]) -> JsonObject:
    return {**params, "arguments": _texts(params.get("arguments"))}


def _completion(params: Mapping[str, Any]) -> JsonObject:
    argument, known = params.get("argument"), params.get("context")
    changed = dict(params)
    if isinstance(argument, dict):
        given = cast("JsonObject", argument)
        changed["argument"] = {**given, "value": _text(given.get("value")) or ""}
    if isinstance(known, dict):
        chosen = cast("JsonObject", known)
        changed["context"] = {**chosen, "arguments": _texts(chosen.get("arguments"))}
    return changed


def _texts(arguments: Any) -> Any:
    """An object with text only; anything else as it is, for the protocol's own answer."""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            return arguments
    if not isinstance(arguments, dict):
        return arguments
    texts = {name: _text(value) for name, value in cast("JsonObject", arguments).items()}
    return {name: text for name, text in texts.items() if text is not None}


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
