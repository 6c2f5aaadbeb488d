"""The states of a run."""

from typing import Final, Literal

from ...api.polling import TERMINAL_STATUSES

RunState = Literal[
    "queued",
    "sending",
    "in_progress",
    "complete",
    "failed",
    "cancelled",
    "deleted",
    "unknown",
    "not_sent",
    "not_found",
]
"""The state of a run: a `RunStatus` once Layer has it. Unknown states stay as text."""

QUEUED: Final = "queued"
SENDING: Final = "sending"
IN_PROGRESS: Final = "in_progress"
UNKNOWN: Final = "unknown"
NOT_SENT: Final = "not_sent"
# Layer reports no such run.
NOT_FOUND: Final = "not_found"
ENDED_STATES = (*sorted(TERMINAL_STATUSES), NOT_FOUND, NOT_SENT)
