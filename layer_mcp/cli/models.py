"""layer-mcp models: the models that there are."""

import argparse
import shlex

from ..api.models import ModelQuery
from ..settings import Settings
from .connection import Server, ToolAnswer, with_server
from .exit_codes import EXIT_OK
from .generation_options import chosen_fields
from .progress import progress_bar
from .screen import Screen
from .tables import Column, table

COLUMNS = (
    Column("id"),
    Column("name"),
    Column("makes"),
    Column("time", "number", extra=True),
    Column("about", "text", extra=True),
)


def run(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """List models by what they make and can do.

    Raises:
        RefusedError: they cannot be listed.
    """
    query = chosen_fields(ModelQuery, options)
    query |= {"search": options.search, "limit": options.limit, "cursor": options.cursor}

    async def work(server: Server) -> ToolAnswer:
        return await server.call("list_models", query)

    with progress_bar(screen.remarks):
        answer = with_server(settings, work)
    if options.json:
        screen.show_json(answer.content)
        return EXIT_OK
    models = answer.content["models"]
    names = ("model_id", "name", "modality", "inference_timing", "description")
    rows = [[model.get(name) for name in names] for model in models]
    if not rows:
        screen.remark("No model matches. Leave out options, or use other words.")
        return EXIT_OK
    screen.show(*table(COLUMNS, rows, screen.answers))
    cursor = answer.content.get("next_cursor")
    if cursor:
        screen.remark(f"There are more: add --cursor {shlex.quote(cursor)}")
    return EXIT_OK
