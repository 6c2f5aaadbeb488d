"""What the server holds while it runs."""

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskGroup
from mcp.server.mcpserver import Context

from ..api.client import LayerClient
from ..credentials import TokenSource, token_source
from ..journal import Journal, new_journal
from ..paths import state_folder
from ..settings import Settings
from .completion import CompletionCache
from .locks import KeyedLocks
from .model_facts import ModelLookup
from .poll_times import PollTimes
from .submissions import Submissions
from .uploads import Uploads
from .waits import Waits

ACCOUNT_LENGTH = 16


@dataclass(frozen=True)
class App:
    """The settings of a running server, its one client, and what it remembers.

    `background` is for what goes on after a call has been answered, until the server stops. `asked`
    holds the questions about prices that were asked last, with the balance that they named.
    `sheets` lets one preview be drawn at a time: they take memory, and Pillow's warnings are
    switched off for the whole process meanwhile.
    """

    settings: Settings
    client: LayerClient
    journal: Journal
    uploads: Uploads
    saving: KeyedLocks
    sheets: anyio.CapacityLimiter
    models: ModelLookup
    completions: CompletionCache
    polls: PollTimes
    waits: Waits
    background: TaskGroup
    submissions: Submissions
    asked: dict[str, str]

    @property
    def can_save(self) -> bool:
        """Whether agents have save_outputs."""
        return "files" in self.settings.toolsets


ToolContext = Context[App, Any]


def journal_of(settings: Settings, token: TokenSource | None = None) -> Journal:
    """The journal that the settings and the token lead to; nothing is opened yet."""
    known = token or token_source(settings)
    place = partial(state_folder, settings)
    return new_journal(place, settings.api_url, lambda: account_of(known()))


def new_app(
    settings: Settings,
    client: LayerClient,
    journal: Journal,
    background: TaskGroup,
    submissions: Submissions,
) -> App:
    """The parts of a server, put together."""
    return App(
        settings=settings,
        client=client,
        journal=journal,
        uploads=Uploads(settings, client, journal),
        saving=KeyedLocks(),
        sheets=anyio.CapacityLimiter(1),
        models=ModelLookup(client),
        completions=CompletionCache(client, background),
        polls=PollTimes(),
        waits=Waits(),
        background=background,
        submissions=submissions,
        asked={},
    )


def account_of(token: str | None) -> str:
    """A name for the account of a token that says nothing of the token."""
    return hashlib.sha256(f"layer-mcp account {token}".encode()).hexdigest()[:ACCOUNT_LENGTH]


def app_of(context: ToolContext) -> App:
    """The running server that a call belongs to."""
    return context.request_context.lifespan_context
