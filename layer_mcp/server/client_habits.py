"""Answers as a client passes them on, where it would keep from its model what it should see."""

import json

from mcp.types import CallToolResult, TextContent

from .context import ToolContext

# Their model gets the structured content and nothing else, where there is any.
STRUCTURE_ALONE = frozenset({"codex-mcp-client"})


def suited(result: CallToolResult, context: ToolContext) -> CallToolResult:
    """The result with its structured content as its text, where that would hide a picture."""
    others = [block for block in result.content if block.type != "text"]
    shows_picture = any(block.type == "image" for block in others)
    if not shows_picture or _name(context) not in STRUCTURE_ALONE:
        return result
    facts = TextContent(type="text", text=json.dumps(result.structured_content, ensure_ascii=False))
    return result.model_copy(update={"content": [facts, *others], "structured_content": None})


def _name(context: ToolContext) -> str | None:
    params = context.session.client_params
    return params.client_info.name if params is not None else None
