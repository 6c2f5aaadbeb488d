"""OpenAI's Responses API, as Codex uses it."""

import json
import re
from typing import Any
from uuid import uuid4

from ..job import JsonObject, Said
from .scripted_model import Heard, Order, Turn, events, texts_in

# Separates a namespace of tools from a tool's name.
SEPARATOR = "/"
REFUSED = re.compile(r"^[A-Z_]+: ", re.MULTILINE)


def turn_of(path: str, body: JsonObject) -> Turn | None:
    """Parse a request for a response."""
    if not path.endswith("/responses"):
        return None
    outputs = [item for item in body["input"] if item["type"] == "function_call_output"]
    messages = [item["content"] for item in body["input"] if item["type"] == "message"]
    spaces = [tool["description"] for tool in body["tools"] if tool["type"] == "namespace"]
    return Turn(
        dict(_tools(body["tools"])),
        {item["call_id"]: _heard(item["output"]) for item in outputs},
        texts_in([body.get("instructions"), spaces, messages]),
        texts_in(messages[-1]),
    )


def asking(order: Order) -> bytes:
    """Build a response with one function call."""
    namespace, _, name = order.tool.rpartition(SEPARATOR)
    call = {"type": "function_call", "call_id": order.call_id, "name": name}
    call |= {"namespace": namespace} if namespace else {}
    return _response(call | {"arguments": json.dumps(order.arguments)})


def saying(text: str) -> bytes:
    """Build a text response."""
    content = [{"type": "output_text", "text": text}]
    return _response({"type": "message", "role": "assistant", "content": content})


def _response(item: JsonObject) -> bytes:
    response = {"id": uuid4().hex}
    return events(
        {"type": "response.created", "response": response},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response | {"output": [item]}},
    )


def _tools(tools: list[JsonObject], namespace: str = "") -> list[tuple[str, JsonObject]]:
    found: list[tuple[str, JsonObject]] = []
    for tool in tools:
        if tool["type"] == "namespace":
            found += _tools(tool["tools"], tool["name"] + SEPARATOR)
        elif tool["type"] == "function":
            found.append((namespace + tool["name"], tool["parameters"]))
    return found


def _heard(output: Any) -> Heard:
    parts = [{"type": "input_text", "text": output}] if isinstance(output, str) else output
    text = "\n".join(part["text"] for part in parts if part["type"] == "input_text")
    pictures = [part["image_url"] for part in parts if part["type"] == "input_image"]
    types = [url.removeprefix("data:").partition(";")[0] for url in pictures]
    # The model receives only the error's text, without a flag.
    return Heard(Said(text, '"error":' in text or REFUSED.search(text) is not None), tuple(types))
