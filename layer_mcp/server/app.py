"""create_server: the one factory behind stdio, HTTP and the tests."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mcp.server.mcpserver import MCPServer

from .. import __version__
from ..api.client import LayerClient
from ..settings import Settings, refuse_paid_sandbox
from .state import App, new_app
from .tools import tools_of

INSTRUCTIONS = """\
Layer makes game assets: images, video, 3D and audio. Generations cost Creative Units (CU).

1. execute_inference starts a run and returns inference_id. Set batch_size: the default makes and \
charges 4 outputs.
2. get_status waits for the run (25 s by default) and returns output URLs and the price. \
"in_progress" is a normal answer: call get_status again. Runs take 20 s to minutes.

Never call execute_inference again for a run that is slow or whose answer was lost: that pays \
twice. If an error says "outcome unknown", ask the user to look in Layer first.
Ask the user before a run that costs more than 20 CU.
Each answer ends with the next step.
"""


def create_server(settings: Settings, *, notes: str = "") -> MCPServer[App]:
    """The MCP server for these settings. Needs no token and no network until the first call.

    `notes` are added to the instructions that an agent reads.

    Raises:
        SettingsError: the sandbox is wanted, but the address is not one.
    """
    refuse_paid_sandbox(settings)

    @asynccontextmanager
    async def lifespan(_server: MCPServer[App]) -> AsyncGenerator[App]:
        async with LayerClient.from_settings(settings) as client:
            app = new_app(settings, client)
            try:
                yield app
            finally:
                app.journal.close()

    return MCPServer(
        "layer-mcp",
        title="Layer",
        version=__version__,
        website_url="https://layer.ai",
        instructions=INSTRUCTIONS + notes,
        tools=tools_of(settings.toolsets),
        lifespan=lifespan,
        log_level=settings.log_level,
    )
