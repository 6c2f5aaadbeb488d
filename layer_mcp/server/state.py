"""What the server holds while it runs."""

from dataclasses import dataclass
from typing import Any

from mcp.server.mcpserver import Context

from ..api.client import LayerClient
from ..settings import Settings


@dataclass(frozen=True)
class App:
    """The settings and the one client of a running server."""

    settings: Settings
    client: LayerClient


ToolContext = Context[App, Any]


def app_of(context: ToolContext) -> App:
    """The running server that a call belongs to."""
    return context.request_context.lifespan_context
