"""Which requests need the scope layer:spend, by their body."""

import json
from collections.abc import Collection
from typing import Any, cast

from starlette.types import Message, Receive

from ..limits import MAX_BODY_BYTES


class DuplicateKeyError(ValueError):
    """A JSON object that has a key twice, so that two readers may see different values."""


async def read_body(receive: Receive) -> tuple[bytes, Receive]:
    """Read a request's body; return it, and a function that lets another application read it too.

    Of a body that is too large, only the beginning is read.
    """
    messages: list[Message] = []
    body = b""
    while len(body) <= MAX_BODY_BYTES:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
    remaining = iter(messages)

    async def receive_again() -> Message:
        message = next(remaining, None)
        return await receive() if message is None else message

    return body, receive_again


def needs_spend(body: bytes, spending_tools: Collection[str]) -> bool:
    """Return whether a body calls a tool that isn't read-only.

    A body that can't be read calls nothing. One that two readers could read differently counts as a
    call of such a tool.
    """
    try:
        content = json.loads(body, object_pairs_hook=_unique)
    except DuplicateKeyError:
        return True
    except (ValueError, RecursionError):
        return False
    messages = cast("list[object]", content) if isinstance(content, list) else [content]
    return any(_calls(message, spending_tools) for message in messages)


def _calls(message: object, tools: Collection[str]) -> bool:
    if not isinstance(message, dict):
        return False
    fields = cast("dict[str, Any]", message)
    params = fields.get("params")
    name = cast("dict[str, Any]", params).get("name") if isinstance(params, dict) else None
    return fields.get("method") == "tools/call" and isinstance(name, str) and name in tools


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise DuplicateKeyError
    return content
