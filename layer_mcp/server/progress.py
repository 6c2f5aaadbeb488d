"""What a host is told while a call goes on; the SDK sends nothing when the host gave no token.

Progress must only grow within one call (basic/utilities/progress of the specification). Uploads
count as the first unit of a call, the wait for the run as one unit a second after it.
"""

from collections.abc import Awaitable, Callable

from ..api.media_files import MEGABYTE
from ..api.models import RunSnapshot
from ..api.polling import OnProgress
from .state import ToolContext
from .uploads import OnBytes

UPLOAD_UNITS = 1.0


def wait_reporter(
    context: ToolContext, wait_seconds: float, *, units_before: float = 0.0
) -> OnProgress[RunSnapshot]:
    """Tells the host each new state; `units_before` are those that the call has told already."""

    async def report(state: RunSnapshot, waited_seconds: float) -> None:
        waited = min(waited_seconds, wait_seconds)
        message = f"{state.status}, waited {waited:.0f} of at most {wait_seconds:.0f} s"
        done, total = units_before + waited, units_before + wait_seconds
        await context.report_progress(done, total, message)

    return report


def ended_reporter(context: ToolContext, runs: int) -> Callable[[int], Awaitable[None]]:
    """Tells the host how many of several runs have ended, whenever there are more."""
    told = 0

    async def report(ended: int) -> None:
        nonlocal told
        if ended > told:
            told = ended
            await context.report_progress(ended, runs, f"{ended} of {runs} runs have ended")

    return report


def upload_reporter(context: ToolContext, total_units: float | None = None) -> OnBytes:
    """Tells the host how much of the local files has gone out; the rest of the call may follow."""

    async def report(sent_bytes: int, total_bytes: int) -> None:
        message = f"{sent_bytes / MEGABYTE:.1f} of {total_bytes / MEGABYTE:.1f} MB sent"
        await context.report_progress(UPLOAD_UNITS * sent_bytes / total_bytes, total_units, message)

    return report
