"""Anthropic's Messages API, as Claude Code uses it."""

import json
from typing import Any
from uuid import uuid4

from ..job import JsonObject, Said
from .scripted_model import Heard, Order, Turn, events, texts_in


def turn_of(path: str, body: JsonObject) -> Turn | None:
    """Parse a request for a message."""
    if not path.endswith("/messages"):
        return None
    tools = {tool["name"]: tool.get("input_schema", {}) for tool in body.get("tools", [])}
    blocks = [block for message in body["messages"] for block in _blocks(message["content"])]
    results = [block for block in blocks if block["type"] == "tool_result"]
    prompt = texts_in([body.get("system"), [block.get("text") for block in blocks]])
    latest = texts_in([block.get("text") for block in _blocks(_of_user(body)[-1]["content"])])
    return Turn(tools, {block["tool_use_id"]: _heard(block) for block in results}, prompt, latest)


def asking(order: Order) -> bytes:
    """Build a message with one tool call."""
    block: JsonObject = {"type": "tool_use", "id": order.call_id, "name": order.tool, "input": {}}
    delta = {"type": "input_json_delta", "partial_json": json.dumps(order.arguments)}
    return _message(block, delta, "tool_use")


def saying(text: str) -> bytes:
    """Build a text message."""
    return _message({"type": "text", "text": ""}, {"type": "text_delta", "text": text}, "end_turn")


def _message(block: JsonObject, delta: JsonObject, stop_reason: str) -> bytes:
    usage = {"input_tokens": 1, "output_tokens": 1}
    # Messages with the same ID are treated as parts of one message.
    message = {"id": uuid4().hex, "type": "message", "role": "assistant", "model": "scripted"}
    return events(
        {"type": "message_start", "message": message | {"content": [], "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": usage},
        {"type": "message_stop"},
    )


def _of_user(body: JsonObject) -> list[JsonObject]:
    return [message for message in body["messages"] if message["role"] == "user"]


def _blocks(content: Any) -> list[JsonObject]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _heard(result: JsonObject) -> Heard:
    blocks = _blocks(result.get("content", ""))
    text = "\n".join(block["text"] for block in blocks if block["type"] == "text")
    pictures = [b["source"]["media_type"] for b in blocks if b["type"] == "image"]
    return Heard(Said(text, bool(result.get("is_error"))), tuple(pictures))
