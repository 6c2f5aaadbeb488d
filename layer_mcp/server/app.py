"""create_server: the one factory behind stdio, HTTP and the tests."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing

import anyio
from mcp.server.mcpserver import MCPServer

from .. import __version__
from ..api.client import LayerClient
from ..credentials import token_source
from ..settings import Settings, refuse_paid_sandbox
from .gallery import gallery
from .icon import server_icon
from .instructions import instructions
from .layer_server import CACHE_HINTS, LayerServer
from .prompts.offering import offers
from .run_tasks import RunTasks
from .shielding import shielded
from .state import App, journal_of, new_app
from .submissions import Submissions
from .tasks import Tasks
from .tools import tools_of
from .without_rich import without_rich


def create_server(
    settings: Settings, *, notes: str = "", submissions: Submissions | None = None
) -> MCPServer[App]:
    """The MCP server for these settings. Needs no token and no network until the first call.

    `notes` are added to the instructions that an agent reads. `submissions` lets a caller see which
    paid requests are out.

    Raises:
        SettingsError: the sandbox is wanted, but the address is not one.
    """
    refuse_paid_sandbox(settings)
    saves_by_itself = settings.output_dir is not None
    submissions = submissions or Submissions()

    @asynccontextmanager
    async def lifespan(_server: MCPServer[App]) -> AsyncGenerator[App]:
        token = token_source(settings)
        # What is cancelled in the background still writes down what it did not send.
        with closing(journal_of(settings, token)) as journal:
            async with (
                LayerClient.from_settings(settings, token) as client,
                anyio.create_task_group() as background,
            ):
                try:
                    yield new_app(settings, client, journal, background, submissions)
                finally:
                    background.cancel_scope.cancel()
                    with shielded():
                        await submissions.finished()

    tools = tools_of(settings.toolsets, saves_by_itself=saves_by_itself)
    with without_rich():
        server = LayerServer(
            "layer-mcp",
            title="Layer",
            version=__version__,
            website_url="https://layer.ai",
            icons=[server_icon()],
            instructions=instructions(
                settings.toolsets,
                saves_by_itself=saves_by_itself,
                confirm_above=settings.confirm_above,
            )
            + notes,
            tools=tools,
            extensions=[Tasks(RunTasks()), gallery(settings)],
            cache_hints=CACHE_HINTS,
            lifespan=lifespan,
            log_level=settings.log_level,
        )
    server.offer(offers([tool.name for tool in tools], saves_by_itself=saves_by_itself))
    return server
