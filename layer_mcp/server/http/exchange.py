"""What is known about an HTTP request and its response, for the access log and the metrics."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.types.methods import SPEC_CLIENT_METHODS
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Era = Literal["modern", "legacy"]
Outcome = Literal["ok", "tool_error", "error", "unfinished"]

OTHER = "other"
# They are requested every few seconds.
PROBE_PATHS = ("/livez", "/readyz", "/metrics")
METHODS = SPEC_CLIENT_METHODS | {
    "notifications/cancelled",
    "notifications/initialized",
    "tasks/cancel",
    "tasks/get",
    "tasks/update",
}
# Where an HTTP request keeps its exchange.
EXCHANGE_KEY = "layer_mcp.exchange"


@dataclass
class Exchange:
    """A request and its response. A client chooses neither the names nor the number of values.

    `method` is the protocol's, such as tools/call; it's None if the request didn't get that far.
    `status` is 0 if the client disconnected before the response.
    """

    scope: Scope
    path: str
    began_at: float
    status: int = 0
    sent_bytes: int = 0
    seconds: float = 0.0
    method: str | None = None
    tool: str | None = None
    era: Era | None = None
    outcome: Outcome = "unfinished"


OnExchange = Callable[[Exchange], None]
"""Called with each exchange when it ends."""


def observe(app: ASGIApp, on_begin: Sequence[OnExchange], on_end: Sequence[OnExchange]) -> ASGIApp:
    """Return an application that reports each request when it begins and when it ends."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        exchange = scope[EXCHANGE_KEY] = Exchange(scope, scope["path"], monotonic())
        has_left = False

        async def receive_noted() -> Message:
            nonlocal has_left
            message = await receive()
            has_left = message["type"] == "http.disconnect"
            return message

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start" and not has_left:
                exchange.status = message["status"]
            await send(message)
            exchange.sent_bytes += len(message.get("body", b""))

        for report in on_begin:
            report(exchange)
        try:
            await app(scope, receive_noted, send_counted)
        finally:
            exchange.seconds = monotonic() - exchange.began_at
            for report in on_end:
                report(exchange)

    return answer


async def note_call(
    tools: Collection[str], ctx: ServerRequestContext[Any, Any], call_next: CallNext
) -> HandlerResult:
    """Note in the exchange what a message calls and how that ends. This is middleware.

    `tools` are the known names; others are noted as one.
    """
    exchange = None if ctx.request is None else ctx.request.scope.get(EXCHANGE_KEY)
    if exchange is None:
        return await call_next(ctx)
    exchange.method = ctx.method if ctx.method in METHODS else OTHER
    exchange.era = "legacy" if ctx.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS else "modern"
    if ctx.method == "tools/call":
        name = (ctx.params or {}).get("name")
        exchange.tool = name if name in tools else OTHER
    try:
        result = await call_next(ctx)
    except Exception:
        exchange.outcome = "error"
        raise
    exchange.outcome = "tool_error" if _is_tool_error(result) else "ok"
    return result


def _is_tool_error(result: HandlerResult) -> bool:
    if isinstance(result, dict):
        return result.get("isError") is True
    return getattr(result, "is_error", False) is True
