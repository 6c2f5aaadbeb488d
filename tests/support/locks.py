"""Which of SQLite's locks this process holds, as another process sees it."""

import subprocess
import sys
from pathlib import Path

TRY = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    connection.execute("BEGIN EXCLUSIVE")
except sqlite3.OperationalError:
    print("locked")
"""


def is_locked(file: Path) -> bool:
    """Return whether another process finds a database locked."""
    command = [sys.executable, "-c", TRY, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout == "locked\n"
