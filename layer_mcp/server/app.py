"""create_server: the one factory behind stdio, HTTP and the tests."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from mcp.server.mcpserver import MCPServer

from .. import __version__
from ..runs.activity import Submissions
from ..runs.service import open_runs
from ..settings import Settings, refuse_paid_sandbox
from .completion import CompletionCache
from .context import App
from .gallery import gallery
from .icon import server_icon
from .instructions import instructions
from .layer_server import CACHE_HINTS, LayerServer
from .prompts.offering import offers
from .run_tasks import RunTasks
from .tasks import Tasks
from .tools import tools_of
from .without_rich import without_rich


def create_server(
    settings: Settings, *, notes: str = "", submissions: Submissions | None = None
) -> MCPServer[App]:
    """Make the MCP server for these settings. Needs no token and no network until the first call.

    `notes` are added to the instructions that an agent reads. `submissions` lets a caller see which
    paid requests are out.

    Raises:
        SettingsError: the sandbox is wanted, but the address is not one.
    """
    refuse_paid_sandbox(settings)
    saves_by_itself = settings.output_dir is not None

    @asynccontextmanager
    async def lifespan(_server: MCPServer[App]) -> AsyncGenerator[App]:
        async with (
            open_runs(settings, submissions=submissions) as runs,
            anyio.create_task_group() as background,
        ):
            try:
                yield App(settings, runs, CompletionCache(runs.client, background))
            finally:
                background.cancel_scope.cancel()

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
