"""The journal of somebody who has started many runs."""

import sqlite3
import time
from functools import partial
from pathlib import Path

from layer_mcp import Settings
from layer_mcp.journal.database import Database
from layer_mcp.journal.entries import Intent, Spending
from layer_mcp.journal.run_log import RunLog
from layer_mcp.paths import state_folder
from layer_mcp.server.state import account_of

AGE_SECONDS = 30 * 24 * 60 * 60
ENDED = (
    "UPDATE runs SET delivery = 'confirmed', has_ended = 1, status = 'complete', "
    "run_id = local_id, slot_at = created_at"
)


async def write_old_journal(settings: Settings, runs: int, model_id: str) -> Path:
    """The file of a new journal with finished runs of a month ago, by this account."""
    folder = state_folder(settings)
    assert folder is not None
    database = Database(partial(state_folder, settings))
    log = RunLog(
        database,
        settings.api_url,
        account_of(settings.api_token),
        clock=lambda: time.time() - AGE_SECONDS,
    )
    intents = [
        Intent(
            kind="inference",
            workspace_id=settings.workspace or "",
            subject_id=model_id,
            fingerprint=f"{number:064x}",
            facts={"prompt": f"an old potion, number {number}"},
            estimated_price_creative_units=1.0,
        )
        for number in range(runs)
    ]
    await log.reserve(intents, _allow, repeat=True)
    await database.write(_end)
    database.close()
    [file] = folder.glob("*.sqlite3")
    return file


def _end(connection: sqlite3.Connection) -> None:
    connection.execute(ENDED)


def _allow(spending: Spending) -> None:
    """Any spending."""
