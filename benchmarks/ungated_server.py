"""The reference for a paid call: execute_inference without a journal and without a price gate.

The same arguments, the same two requests to Layer and the same answer, on the same SDK; nothing is
looked up, checked, asked or written down.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing

import anyio
from mcp.server.mcpserver import MCPServer

from layer_mcp import LayerClient, Settings
from layer_mcp.server.common import spending
from layer_mcp.server.following import inference_run, told_after_start
from layer_mcp.server.provenance import start_facts, state_after_start
from layer_mcp.server.results import Illustrated
from layer_mcp.server.run_results import RunAnswer, RunStateAnswer
from layer_mcp.server.state import App, ToolContext, app_of, journal_of, new_app
from layer_mcp.server.submissions import Submissions
from layer_mcp.server.tool import make_tool
from layer_mcp.server.tools.execute_inference import DESCRIPTION, ExecuteInferenceArguments


def ungated_server(settings: Settings) -> MCPServer[App]:
    """The server."""

    @asynccontextmanager
    async def lifespan(_server: MCPServer[App]) -> AsyncGenerator[App]:
        # An App needs a journal; nothing opens this one.
        with closing(journal_of(settings)) as journal:
            async with (
                LayerClient.from_settings(settings) as client,
                anyio.create_task_group() as background,
            ):
                yield new_app(settings, client, journal, background, Submissions())

    tool = make_tool(
        execute_inference,
        title="Generate with Layer",
        description=DESCRIPTION,
        arguments=ExecuteInferenceArguments,
        answer=RunAnswer,
        annotations=spending(),
    )
    return MCPServer("ungated", tools=[tool], lifespan=lifespan, log_level=settings.log_level)


async def execute_inference(
    arguments: ExecuteInferenceArguments, context: ToolContext
) -> Illustrated[RunStateAnswer]:
    """Ask for the price, start the run, tell of it."""
    began = anyio.current_time()
    app = app_of(context)
    workspace_id = await app.client.workspace_id(arguments.workspace_id)
    request = arguments.request({})
    await app.client.estimate_price(request, workspace=workspace_id)
    started = await app.client.execute_inference(request, workspace=workspace_id)
    return await told_after_start(
        inference_run(app, started.inference_id, workspace_id),
        state_after_start(started),
        start_facts(request, started, workspace_id),
        context,
        wait_seconds=arguments.wait_seconds,
        preview=arguments.preview,
        began=began,
    )
