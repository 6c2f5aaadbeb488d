"""The Gemini API, as Gemini CLI uses it."""

from collections.abc import Iterator

from ..job import JsonObject, Said
from .scripted_model import Heard, Order, Turn, events, texts_in


def turn_of(path: str, body: JsonObject) -> Turn | None:
    """Parse a request for content."""
    if not path.endswith(":streamGenerateContent"):
        return None
    declared = [f for tool in body.get("tools", []) for f in tool.get("functionDeclarations", [])]
    contents = [content["parts"] for content in body["contents"]]
    texts = [[part.get("text") for part in parts] for parts in contents]
    return Turn(
        {function["name"]: function["parametersJsonSchema"] for function in declared},
        {call_id: heard for parts in contents for call_id, heard in _answers(parts)},
        texts_in([body.get("systemInstruction"), texts]),
        texts_in(texts[-1]),
    )


def asking(order: Order) -> bytes:
    """Build content with one function call."""
    call = {"id": order.call_id, "name": order.tool, "args": order.arguments}
    return _content({"functionCall": call})


def saying(text: str) -> bytes:
    """Build text content."""
    return _content({"text": text})


def _content(part: JsonObject) -> bytes:
    content = {"role": "model", "parts": [part]}
    candidate = {"index": 0, "content": content, "finishReason": "STOP"}
    return events({"candidates": [candidate]}, named=False)


def _answers(parts: list[JsonObject]) -> Iterator[tuple[str, Heard]]:
    """Yield the results in one piece of content; the images next to them have no ID."""
    pictures = [part["inlineData"]["mimeType"] for part in parts if "inlineData" in part]
    for part in parts:
        if "functionResponse" in part:
            yield part["functionResponse"]["id"], _heard(part, pictures)


def _heard(part: JsonObject, pictures: list[str]) -> Heard:
    response = part["functionResponse"]["response"]
    return Heard(Said(texts_in(response), "error" in response), tuple(pictures))
