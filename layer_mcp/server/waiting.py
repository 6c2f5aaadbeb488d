"""Waiting on behalf of an agent: capped, with progress for the host."""

import anyio

from ..api.local_files import MEGABYTE
from ..api.polling import OnProgress, RunState
from .state import ToolContext, app_of
from .uploads import OnBytes


def seconds_left(began: float, context: ToolContext) -> float:
    """What is left of the time that one call may take, by the server's limit.

    `began` is the time on anyio's clock at which the call began: looking up the workspace and
    submitting count too, because hosts give up on the call as a whole.
    """
    elapsed_seconds = anyio.current_time() - began
    return max(app_of(context).settings.max_wait_seconds - elapsed_seconds, 0.0)


def capped_wait_seconds(asked_seconds: float, began: float, context: ToolContext) -> float:
    """The wait that an agent asked for, within what is left of the call."""
    return max(min(asked_seconds, seconds_left(began, context)), 0.0)


def progress_reporter(context: ToolContext, wait_seconds: float) -> OnProgress[RunState]:
    """Tells the host each new state; the SDK sends nothing when the host gave no token."""

    async def report(state: RunState, waited_seconds: float) -> None:
        waited = min(waited_seconds, wait_seconds)
        message = f"{state.status}, waited {waited:.0f} of at most {wait_seconds:.0f} s"
        await context.report_progress(waited, wait_seconds, message)

    return report


def bytes_reporter(context: ToolContext) -> OnBytes:
    """Tells the host how much of its files has gone out."""

    async def report(done_bytes: int, total_bytes: int) -> None:
        message = f"{done_bytes / MEGABYTE:.1f} of {total_bytes / MEGABYTE:.1f} MB"
        await context.report_progress(done_bytes, total_bytes, message)

    return report
