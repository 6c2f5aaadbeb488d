"""Limits for requests: their size, and how many calls each caller can have at the same time.

No limit counts addresses: behind a proxy, all connections come from the same one.
"""

from collections import Counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..callers.caller import CALLER_KEY, Caller
from .refusal import refusal

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_HEADERS = 100
# A request repeats the URI of a resource in a header.
MAX_HEADER_BYTES = 64 * 1024
RETRY_AFTER_SECONDS = 1


class CallLimit:
    """An application that answers 429 if a caller has too many calls at the same time.

    Callers without a name, such as those of a local server, are limited only by the number of
    connections.
    """

    def __init__(self, app: ASGIApp, most_calls: int) -> None:
        self._app = app
        self._most_calls = most_calls
        self._calls: Counter[tuple[str, str]] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        caller: Caller | None = scope.get(CALLER_KEY)
        if caller is None or not (caller.name or caller.layer_key):
            await self._app(scope, receive, send)
            return
        key = caller.identity
        if self._calls[key] >= self._most_calls:
            await _refuse(scope, receive, send)
            return
        self._calls[key] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._calls[key] -= 1
            if not self._calls[key]:
                del self._calls[key]


def with_connection_closed(start: Message) -> Message:
    """Return the start of a response after which the connection is closed."""
    others = [(name, value) for name, value in start["headers"] if name.lower() != b"connection"]
    return {**start, "headers": [*others, (b"connection", b"close")]}


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS), "Connection": "close"}
    text = "Too many calls at the same time. Try again when one of them has ended."
    await refusal(429, text, headers)(scope, receive, send)
