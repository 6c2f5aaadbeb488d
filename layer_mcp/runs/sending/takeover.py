"""Takeover: another server sends the queued runs of one that ended, and resumes its downloads.

Only servers that share a database take over, and only for ten minutes. A run is taken over by one
server, and like any other, it's sent once. Downloads need a folder that the servers share, too.
"""

import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio

from ...errors import LayerError
from ..activity import BackgroundTasks
from ..journal import Journal
from ..journal.abandoned import can_take_over
from ..journal.databases.database import Connection, Database
from ..journal.rows import LIVE
from ..types.states import QUEUED
from .queue import Batch

LOOK_SECONDS = 15.0

logger = logging.getLogger(__name__)


async def take_over(
    open_journal: Callable[[], Awaitable[Journal]],
    send_batch: Callable[[Batch], Coroutine[Any, Any, None]],
    resume_downloads: Callable[[], Awaitable[None]],
    background: BackgroundTasks,
) -> None:
    """Look for work that ended servers left every 15 s, and do it, until it's cancelled."""
    while True:
        await anyio.sleep(LOOK_SECONDS)
        # Runs that are taken over must not be lost with an account that seems idle.
        with background.count():
            try:
                journal = await open_journal()
                if journal.outcomes.has_pending:
                    await journal.outcomes.record_pending()
                runs = await journal.take_over_queued()
                if runs:
                    logger.info("Took over %d queued runs of a server that stopped", len(runs))
                    background.start_soon(send_batch, Batch(runs))
                await resume_downloads()
            except LayerError as error:
                logger.debug("Can't look for work of servers that stopped: %s", error)
            # A crash must not stop the server; the next look tries again.
            except Exception:
                logger.exception("Looking for work of servers that stopped crashed")


async def find_left_accounts(database: Database, *, with_downloads: bool) -> set[str]:
    """Return the accounts with queued runs, and perhaps downloads, that a server has to take over.

    Raises:
        DatabaseError: the database can't be read.
    """

    def work(connection: Connection) -> set[str]:
        # The first condition is the one of an index.
        sql = f"SELECT DISTINCT account, process_id FROM runs WHERE {LIVE} AND state = ?"
        rows = connection.execute(sql, (QUEUED,)).fetchall()
        if with_downloads:
            sql = "SELECT DISTINCT account, process_id FROM downloads"
            rows += connection.execute(sql).fetchall()
        return {
            row["account"] for row in rows if can_take_over(connection, database, row["process_id"])
        }

    return await database.read(work)
