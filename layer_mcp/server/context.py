"""The running server as its tools see it, and the progress that a call reports to its host.

Progress must never decrease within a call (basic/utilities/progress of the specification). Uploads
count as one unit, and each second of the wait after them as another one. If the host sends no
progress token, the SDK sends nothing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from mcp.server.mcpserver import Context

from ..api.models import RunSnapshot
from ..api.polling import OnProgress
from ..errors import LayerError
from ..files.local_files import MEGABYTE
from ..runs.service import Runs
from ..runs.types.budget import CallBudget
from ..runs.uploads import OnUpload
from ..settings import Settings, Toolset
from .callers.caller import SEND_KEY, Caller
from .completion import CompletionCache

UPLOAD_UNITS = 1.0


@dataclass(frozen=True)
class Question:
    """A question about a price: its text, and what it's `about`, without what may change."""

    text: str
    about: tuple[object, ...]


@dataclass
class Asking:
    """The question that a call asked in its `earlier` round, and the one that it asks `now`."""

    earlier: Question | None = None
    now: Question | None = None


@dataclass(frozen=True)
class App:
    """A running server as a request sees it: its settings, and the caller's runs and caches.

    `needs_key` says that each caller pays with its own Layer key.
    """

    settings: Settings
    runs: Runs
    completions: CompletionCache
    needs_key: bool = False
    caller: Caller = field(default_factory=Caller)
    asking: Asking = field(default_factory=Asking)

    @property
    def toolsets(self) -> tuple[Toolset, ...]:
        """The groups of tools that the caller sees."""
        wanted = self.caller.toolsets
        offered = self.settings.toolsets
        return offered if wanted is None else tuple(one for one in offered if one in wanted)

    @property
    def can_save(self) -> bool:
        """Whether the caller has save_outputs."""
        has_tool = "files" in self.toolsets and not self.caller.is_read_only
        return has_tool and self.settings.uses_disk

    def explain(self, error: LayerError) -> LayerError:
        """Return an error with a next step that the caller can take."""
        if error.code == "UNAUTHENTICATED" and self.needs_key:
            error.next_step = SEND_KEY
        return error


ToolContext = Context[App, Any]


def app_of(context: ToolContext) -> App:
    """Return the running server that a call belongs to."""
    return context.request_context.lifespan_context


def runs_for(context: ToolContext) -> Runs:
    """Return the runs of the account that a call uses."""
    return app_of(context).runs


def begin_call(context: ToolContext) -> CallBudget:
    """Start the clock of a call, which has to end within the server's limit."""
    return CallBudget.begin(app_of(context).settings.max_wait_seconds)


def report_wait(
    context: ToolContext, wait_seconds: float, units_before: float = 0.0
) -> OnProgress[RunSnapshot]:
    """Return a callback that reports each new state of a run to the host.

    `units_before` is the progress that the call has already reported, such as 1 for uploads.
    """

    async def report(state: RunSnapshot, waited_seconds: float) -> None:
        waited = min(waited_seconds, wait_seconds)
        message = f"{state.status}, waited {waited:.0f} of at most {wait_seconds:.0f} s"
        done, total = units_before + waited, units_before + wait_seconds
        await context.report_progress(done, total, message)

    return report


def report_ended(context: ToolContext) -> Callable[[int, int], Awaitable[None]]:
    """Return a callback that reports how many of several runs have ended."""
    reported = 0

    async def report(ended: int, count: int) -> None:
        nonlocal reported
        if ended > reported:
            reported = ended
            await context.report_progress(ended, count, f"{ended} of {count} runs have ended")

    return report


def report_upload(context: ToolContext, total_units: float | None = None) -> OnUpload:
    """Return a callback that reports how much of the local files was sent."""

    async def report(sent_bytes: int, total_bytes: int) -> None:
        message = f"{sent_bytes / MEGABYTE:.1f} of {total_bytes / MEGABYTE:.1f} MB sent"
        await context.report_progress(UPLOAD_UNITS * sent_bytes / total_bytes, total_units, message)

    return report
