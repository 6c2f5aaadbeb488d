"""What happens to a paid call when the journal cannot be used: the settings decide."""

import logging
import sqlite3
from collections.abc import Awaitable
from typing import TypeVar

from ..errors import LayerError, one_sentence
from ..journal.database import is_busy
from .state import App

ResultT = TypeVar("ResultT")

WAIT = "Another server is writing to it. Call again in some seconds."
FREE_SPACE = "Free some space on the disk, then call again."

logger = logging.getLogger(__name__)


async def kept(app: App, work: Awaitable[ResultT], instead: ResultT) -> ResultT:
    """What the journal answers; `instead` when it cannot and runs may go without it.

    Raises:
        LayerError: JOURNAL_UNAVAILABLE.
    """
    try:
        result = await work
    except sqlite3.Error as error:
        if needs_journal(app):
            raise journal_error(error) from None
        logger.warning("The journal cannot be used: %s", error)
        return instead
    check_journal(app)
    return result


async def read(work: Awaitable[ResultT]) -> ResultT:
    """What the journal holds.

    Raises:
        LayerError: JOURNAL_UNAVAILABLE.
    """
    try:
        return await work
    except sqlite3.Error as error:
        raise journal_error(error) from None


def check_journal(app: App) -> None:
    """Make sure that what is written down outlives the process, if it must.

    Raises:
        LayerError: JOURNAL_UNAVAILABLE.
    """
    if app.journal.problem and needs_journal(app):
        raise journal_error(app.journal.problem)


def needs_journal(app: App) -> bool:
    """Whether nothing may be spent without a journal; a limit a day cannot be kept without one."""
    return app.settings.journal == "required" or app.settings.max_spend_per_day is not None


def journal_error(problem: Exception | str) -> LayerError:
    """The refusal to spend what cannot be written down, or to list what cannot be read."""
    sentence = one_sentence(f"The journal of runs cannot be used: {problem}")
    code = getattr(problem, "sqlite_errorcode", None)
    step = {sqlite3.SQLITE_FULL: FREE_SPACE}.get(code) if isinstance(code, int) else None
    busy = isinstance(problem, sqlite3.OperationalError) and (code is None or is_busy(problem))
    return LayerError("JOURNAL_UNAVAILABLE", sentence, next_step=WAIT if busy else step)
