"""Records that are a help and no promise: what cannot be kept is a line in the log."""

import logging
import sqlite3
from collections.abc import Awaitable
from typing import TypeVar

ResultT = TypeVar("ResultT")

logger = logging.getLogger(__name__)


async def or_nothing(result: Awaitable[ResultT]) -> ResultT | None:
    """The result, or None when the database fails."""
    try:
        return await result
    # ValueError: a path with bytes that are no text.
    except (sqlite3.Error, ValueError) as error:
        logger.warning("The journal cannot be used: %s", error)
        return None
