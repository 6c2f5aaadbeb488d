"""layer-mcp status: how a run is, and its files."""

import argparse
from contextlib import closing
from pathlib import Path

import anyio

from ..api.fields import is_uuid
from ..server.state import journal_of
from ..settings import Settings
from ..terminal.connection import Server, ToolAnswer, with_server
from ..terminal.pictures import pictures_of
from ..terminal.progress import progress_bar
from ..terminal.screen import Screen
from .argument_types import UsageError
from .calling import homebound
from .following import Sent, not_lost, show_run, state_of


def run(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Look at a run, or wait for its end; a finished run's files are saved, once.

    Raises:
        UsageError: that is no id.
        RefusedError: it cannot be looked at.
    """
    if not is_uuid(options.run_id):
        raise UsageError("RUN_ID must be the whole id of a run; layer-mcp runs lists them.")
    folder = options.out or anyio.run(_saved_folder, settings, options.run_id)
    settings = homebound(settings, folder)
    pictures = pictures_of("never" if options.json else options.picture)
    sent = Sent(options.run_id if options.wait else None)
    with not_lost(sent, screen, options), progress_bar(screen.remarks) as bar:

        async def work(server: Server) -> ToolAnswer:
            return await state_of(
                server, options.run_id, bar, wait=options.wait, preview=pictures.are_wanted
            )

        answer = with_server(settings, work)
    return show_run(answer, screen, pictures, options)


async def _saved_folder(settings: Settings, run_id: str) -> Path | None:
    """The folder that a run's files were saved to before."""
    with closing(journal_of(settings)) as journal:
        record = await journal.runs.record(run_id)
    return record.folder if record else None
