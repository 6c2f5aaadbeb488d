"""layer-mcp status: how a run is, and its files."""

import argparse
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import anyio

from ..api.fields import is_uuid
from ..journal.entries import RunFilter
from ..server.state import journal_of
from ..settings import Settings
from .calling import homebound
from .connection import Server, ToolAnswer, with_server
from .following import (
    Look,
    Sent,
    look_at_inference,
    look_at_workflow_run,
    not_lost,
    show_run,
    state_of,
)
from .images import choose_image_display
from .output import Screen
from .parser import UsageError
from .progress import progress_bar


def run(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Look at a run, or wait for its end; a finished run's files are saved, once.

    Raises:
        UsageError: that is no id.
        RefusedError: it cannot be looked at.
    """
    if not is_uuid(options.run_id):
        raise UsageError("RUN_ID must be the whole id of a run; layer-mcp runs lists them.")
    known = anyio.run(_known, settings, options.run_id)
    folder = options.out or known.folder
    settings = homebound(settings, folder)
    pictures = choose_image_display("never" if options.json else options.picture)
    sent = Sent(options.run_id if options.wait else None)
    with not_lost(sent, screen, options), progress_bar(screen.stderr) as bar:

        async def work(server: Server) -> ToolAnswer:
            return await state_of(
                server, known.look, bar, wait=options.wait, preview=pictures.is_enabled
            )

        answer = with_server(settings, work)
    return show_run(answer, screen, pictures, options)


@dataclass(frozen=True)
class _Known:
    """What the journal knows of a run: how to look at it, and where its files were saved before."""

    look: Look
    folder: Path | None


async def _known(settings: Settings, run_id: str) -> _Known:
    with closing(journal_of(settings)) as journal:
        record = await journal.runs.record(run_id)
        entries = await journal.runs.listed(RunFilter(run_ids=(run_id.lower(),)), 1)
    is_workflow = entries and entries[0].kind == "workflow"
    look = (
        look_at_workflow_run(entries[0].subject_id, run_id)
        if is_workflow
        else look_at_inference(run_id)
    )
    return _Known(look, record.folder if record else None)
