"""What callers learn when a journal can't be read or written."""

import logging
from collections.abc import Awaitable
from typing import TypeVar

from ...errors import LayerError, one_sentence
from .databases.database import DatabaseError

WAIT = "Another server is writing to it. Call again in a few seconds."
FREE_SPACE = "Free up space on the disk, then call again."

ResultT = TypeVar("ResultT")

logger = logging.getLogger(__name__)


async def require(work: Awaitable[ResultT]) -> ResultT:
    """Return the answer of a database.

    Raises:
        LayerError: JOURNAL_UNAVAILABLE.
    """
    try:
        return await work
    except DatabaseError as error:
        raise unavailable(error) from None


async def attempt(work: Awaitable[ResultT]) -> ResultT | None:
    """Return the answer of an optional record; log a failure and return None."""
    try:
        return await work
    # ValueError: a path with bytes that aren't text.
    except (DatabaseError, ValueError) as error:
        log_failure(error)
        return None


def log_failure(error: Exception) -> None:
    """Log that a journal can't be used, where callers aren't told."""
    logger.warning("The journal can't be used: %s", error)


def unavailable(problem: DatabaseError | str, fix: str | None = None) -> LayerError:
    """Return the error for a journal that can't be written or read."""
    sentence = one_sentence(f"The journal of runs can't be used: {problem}")
    if isinstance(problem, DatabaseError):
        fix = problem.fix or (WAIT if problem.is_busy else FREE_SPACE if problem.is_full else None)
    return LayerError("JOURNAL_UNAVAILABLE", sentence, next_step=fix, person_step=fix)
