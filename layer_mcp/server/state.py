"""What the server holds while it runs."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
from mcp.server.mcpserver import Context

from ..api.client import LayerClient
from ..folders import state_folder
from ..journal import Journal
from ..settings import Settings
from .locks import KeyedLocks
from .uploads import Uploads


@dataclass(frozen=True)
class App:
    """The settings of a running server, its one client, and what it remembers.

    `sheets` lets one preview be drawn at a time: they take memory, and Pillow's warnings are
    switched off for the whole process meanwhile.
    """

    settings: Settings
    client: LayerClient
    journal: Journal
    uploads: Uploads
    saving: KeyedLocks
    sheets: anyio.CapacityLimiter

    @property
    def can_save(self) -> bool:
        """Whether agents have save_outputs."""
        return "files" in self.settings.toolsets


ToolContext = Context[App, Any]


def new_app(settings: Settings, client: LayerClient) -> App:
    """The parts of a server, put together; nothing is opened yet."""
    journal = Journal(partial(state_folder, settings), settings.api_url)
    return App(
        settings=settings,
        client=client,
        journal=journal,
        uploads=Uploads(settings, client, journal),
        saving=KeyedLocks(),
        sheets=anyio.CapacityLimiter(1),
    )


def app_of(context: ToolContext) -> App:
    """The running server that a call belongs to."""
    return context.request_context.lifespan_context
