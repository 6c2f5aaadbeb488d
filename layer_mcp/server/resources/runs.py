"""The journal as resources: the newest runs, and all that is known of one."""

import json
import sqlite3
from typing import Any

from anyio import to_thread
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.types import Resource

from ...journal.entries import RunEntry, RunFilter
from ..run_rows import run_row
from ..state import App, ToolContext, app_of

RUNS = "layer://runs"
RUN = "layer://runs/{inference_id}"
MAX_RUNS = 50
RUNS_TITLE = "Runs started from this machine"
RUNS_TEXT = "The newest first, with status, price and files."
JSON_TYPE = "application/json"


class ServerWithRuns(MCPServer[App]):
    """A server that lists the runs among its resources.

    The SDK gives a resource of a fixed address no context, so a template answers it.
    """

    async def list_resources(self) -> list[Resource]:
        """The fixed addresses."""
        runs = Resource(
            uri=RUNS, name="runs", title=RUNS_TITLE, description=RUNS_TEXT, mime_type=JSON_TYPE
        )
        return [*await super().list_resources(), runs]


def add_resources(server: MCPServer[App]) -> None:
    """Let clients read the journal without a tool."""

    @server.resource(
        RUNS + "{?limit}",
        name="runs",
        title=RUNS_TITLE,
        description=RUNS_TEXT,
        mime_type=JSON_TYPE,
    )
    async def runs(context: ToolContext, limit: int = MAX_RUNS) -> str:  # pyright: ignore[reportUnusedFunction]
        entries = await _read(context, RunFilter(), min(max(limit, 1), MAX_RUNS))
        rows = await to_thread.run_sync(lambda: [run_row(entry) for entry in entries])
        return _json([row.model_dump(exclude_none=True) for row in rows])

    @server.resource(
        RUN,
        name="run",
        title="One run",
        description="What was asked, what it cost, what it made; also for a workflow's run_id.",
        mime_type=JSON_TYPE,
    )
    async def run(inference_id: str, context: ToolContext) -> str:  # pyright: ignore[reportUnusedFunction]
        found = await _read(context, RunFilter(run_ids=(inference_id.lower(),)), 1)
        if not found:
            raise ResourceNotFoundError(f"No run {inference_id[:60]} was started from here.")
        row = await to_thread.run_sync(run_row, found[0])
        facts = {"facts": found[0].facts, "outputs": found[0].outcome.outputs}
        return _json(row.model_dump(exclude_none=True) | facts)


async def _read(context: ToolContext, wanted: RunFilter, limit: int) -> list[RunEntry]:
    try:
        return await app_of(context).journal.runs.listed(wanted, limit)
    except sqlite3.Error as error:
        raise ResourceError(f"The journal of runs cannot be used: {error}") from None


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
