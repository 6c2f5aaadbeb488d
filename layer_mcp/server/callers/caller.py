"""The caller of a request: who it is, what it may do, and whose Layer account pays."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from mcp.server.context import ServerRequestContext

from ...access.scopes import SCOPES, Scope
from ...settings import Toolset

# Where an HTTP request keeps its caller.
CALLER_KEY = "layer_mcp.caller"
KEY_HEADERS = ("X-Layer-Api-Key", "X-API-Key")
SEND_KEY = f"Send your Layer Personal Access Token in the header {KEY_HEADERS[0]}."


@dataclass(frozen=True)
class Caller:
    """An authenticated caller, or the only user of a local server, whose `name` is empty.

    The limits are the caller's own, in Creative Units, in addition to the server's. With a
    `layer_key`, the caller uses its own Layer account instead of the server's. `toolsets` and
    `is_read_only` narrow what the caller sees; None means all that the server offers.
    """

    name: str = ""
    scopes: Collection[Scope] = SCOPES
    max_price: float | None = None
    max_spend_per_day: float | None = None
    layer_key: str | None = field(default=None, repr=False)
    toolsets: tuple[Toolset, ...] | None = None
    is_read_only: bool = False

    @property
    def identity(self) -> tuple[str, str]:
        """The name, and a digest of the key; nothing may cross from one identity to another."""
        key = self.layer_key
        digest = hashlib.sha256(f"layer-mcp caller {key}".encode()).hexdigest() if key else ""
        return self.name, digest

    @property
    def is_narrowed(self) -> bool:
        """Whether the caller wants to see only a part of what the server offers."""
        return self.toolsets is not None or self.is_read_only


def caller_of(request: Any) -> Caller:
    """Return the caller of an HTTP request; without a request, the only user of a local server."""
    return Caller() if request is None else request.scope.get(CALLER_KEY) or Caller()


def principal_of(ctx: ServerRequestContext[Any, Any]) -> str | None:
    """Return who may answer a question; None for the only user of a local server."""
    name, digest = caller_of(ctx.request).identity
    return f"{digest}/{name}" if name or digest else None
