"""What happens to a paid call when the journal cannot be used: the settings decide."""

import logging
import sqlite3
from collections.abc import Awaitable
from typing import TypeVar

from ..api.errors import LayerError, one_sentence
from .state import App

ResultT = TypeVar("ResultT")

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
            raise journal_error(str(error)) from None
        logger.warning("The journal cannot be used: %s", error)
        return instead
    check_journal(app)
    return result


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


def journal_error(problem: str) -> LayerError:
    """The refusal to spend what cannot be written down."""
    sentence = one_sentence(f"The journal of runs cannot be used: {problem}")
    return LayerError("JOURNAL_UNAVAILABLE", f"{sentence} Nothing was sent.")
