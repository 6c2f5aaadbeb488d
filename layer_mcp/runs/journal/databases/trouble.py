"""Why a journal can't be used, and how to fix it; errors and doctor share these texts."""

import sqlite3
from pathlib import Path
from typing import Literal

Trouble = Literal["held", "newer", "read_only", "damaged"]
"""Why a journal can't be used; `held` means that another program holds it."""

BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
DENIED_CODES = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)


def find_trouble(error: sqlite3.Error) -> Trouble:
    """Return what an error means for the journal that was being opened."""
    if is_busy(error):
        return "held"
    if isinstance(error, sqlite3.NotSupportedError):
        return "newer"
    return "read_only" if _code_of(error) in DENIED_CODES else "damaged"


def fix_for(trouble: Trouble, folder: Path) -> str:
    """Return how to fix the journal in a folder."""
    fixes: dict[Trouble, str] = {
        "held": "Close the program that has the file open, such as a database viewer or a backup.",
        "newer": "Install the newest layer-mcp, or set LAYER_STATE_DIR to another folder.",
        "read_only": "Make the file writable, or set LAYER_STATE_DIR to another folder.",
        "damaged": f"Move {folder} away. The next run starts a new journal, without the old runs.",
    }
    return fixes[trouble]


def is_busy(error: Exception) -> bool:
    """Return whether another process holds the database."""
    return _code_of(error) in BUSY_CODES


def _code_of(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
