"""What a tool gets of the running server, and what its host is told while a call goes on.

Progress must only grow within one call (basic/utilities/progress of the specification). Uploads
count as the first unit of a call, the wait for the run as one unit a second after it. The SDK sends
nothing when the host gave no token.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from mcp.server.mcpserver import Context

from ..api.models import RunSnapshot
from ..api.polling import OnProgress
from ..files.media_files import MEGABYTE
from ..runs.references import OnUpload
from ..runs.service import Runs
from ..runs.types import CallBudget
from ..settings import Settings
from .completion import CompletionCache

UPLOAD_UNITS = 1.0


@dataclass(frozen=True)
class App:
    """A running server: its settings, its runs, its cache of completions.

    `asked` holds the questions about prices that were asked last, by what was to start and its
    price.
    """

    settings: Settings
    runs: Runs
    completions: CompletionCache
    asked: dict[tuple[object, ...], str] = field(default_factory=dict[tuple[object, ...], str])

    @property
    def can_save(self) -> bool:
        """Whether agents have save_outputs."""
        return "files" in self.settings.toolsets


ToolContext = Context[App, Any]


def app_of(context: ToolContext) -> App:
    """Return the running server that a call belongs to."""
    return context.request_context.lifespan_context


def runs_for(context: ToolContext) -> Runs:
    """Return the runs of the account that a call is for."""
    return app_of(context).runs


def begin_call(context: ToolContext) -> CallBudget:
    """Start the clock of a call, which ends by the server's limit."""
    return CallBudget.begin(app_of(context).settings.max_wait_seconds)


def report_wait(
    context: ToolContext, wait_seconds: float, units_before: float = 0.0
) -> OnProgress[RunSnapshot]:
    """Return a callback that tells the host each new state of a run.

    `units_before` is the progress that the call has reported already, such as 1 for uploads.
    """

    async def report(state: RunSnapshot, waited_seconds: float) -> None:
        waited = min(waited_seconds, wait_seconds)
        message = f"{state.status}, waited {waited:.0f} of at most {wait_seconds:.0f} s"
        done, total = units_before + waited, units_before + wait_seconds
        await context.report_progress(done, total, message)

    return report


def report_ended(context: ToolContext) -> Callable[[int, int], Awaitable[None]]:
    """Return a callback that tells the host how many of several runs have ended."""
    reported = 0

    async def report(ended: int, count: int) -> None:
        nonlocal reported
        if ended > reported:
            reported = ended
            await context.report_progress(ended, count, f"{ended} of {count} runs have ended")

    return report


def report_upload(context: ToolContext, total_units: float | None = None) -> OnUpload:
    """Return a callback that tells the host how much of the local files was sent."""

    async def report(sent_bytes: int, total_bytes: int) -> None:
        message = f"{sent_bytes / MEGABYTE:.1f} of {total_bytes / MEGABYTE:.1f} MB sent"
        await context.report_progress(UPLOAD_UNITS * sent_bytes / total_bytes, total_units, message)

    return report
