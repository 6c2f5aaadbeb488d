"""Waiting on behalf of an agent: capped, with progress for the host."""

import anyio

from ..api.polling import OnProgress, RunState
from .state import ToolContext, app_of


def capped_wait_seconds(asked_seconds: float, since: float, context: ToolContext) -> float:
    """The wait that an agent asked for, within what is left of the server's limit.

    `since` is the time on anyio's clock at which the call began: looking up the workspace and
    submitting count too, because hosts give up on the call as a whole.
    """
    elapsed_seconds = anyio.current_time() - since
    left_seconds = app_of(context).settings.max_wait_seconds - elapsed_seconds
    return max(min(asked_seconds, left_seconds), 0.0)


def progress_reporter(context: ToolContext, wait_seconds: float) -> OnProgress[RunState]:
    """Tells the host each new state; the SDK sends nothing when the host gave no token."""

    async def report(state: RunState, waited_seconds: float) -> None:
        waited = min(waited_seconds, wait_seconds)
        message = f"{state.status}, waited {waited:.0f} of at most {wait_seconds:.0f} s"
        await context.report_progress(waited, wait_seconds, message)

    return report
