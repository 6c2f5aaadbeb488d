"""What the journal tells of runs, as values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

RunKind = Literal["inference", "workflow"]
Delivery = Literal["intended", "sending", "confirmed", "unknown", "not_sent"]
RunState = Literal["running", "complete", "failed", "stopped", "unknown", "not_sent"]
"""What a run is to a reader; each one is exactly one of these."""


@dataclass(frozen=True)
class Intent:
    """A run that is about to be paid for.

    `fingerprint` is equal for equal requests; `facts` is plain JSON: what is asked.
    """

    kind: RunKind
    workspace_id: str
    subject_id: str
    fingerprint: str
    facts: dict[str, Any]
    estimated_price_creative_units: float | None = None
    batch_id: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a run: why it failed, or what it made."""

    error: dict[str, str] | None = None
    outputs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


@dataclass(frozen=True)
class RunEntry:
    """One submission as the journal has it; without a `local_id` it has not.

    `subject_id` is the model or the workflow, `run_id` what Layer calls the run, `status` the last
    one that was seen. Times are seconds since 1970.
    """

    local_id: str
    kind: RunKind
    workspace_id: str
    subject_id: str
    delivery: Delivery
    created_at: float
    batch_id: str | None = None
    run_id: str | None = None
    status: str | None = None
    has_ended: bool = False
    estimated_price_creative_units: float | None = None
    actual_price_creative_units: float | None = None
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    outcome: Outcome = Outcome()
    folder: Path | None = None

    @property
    def is_kept(self) -> bool:
        """Whether a journal holds it; runs may go without one, if the settings say so."""
        return bool(self.local_id)

    @property
    def is_on_its_way(self) -> bool:
        """Whether a server that is alive is about to send it, or waits for its answer."""
        return self.delivery in ("intended", "sending")

    @property
    def is_running(self) -> bool:
        """Whether Layer has it and no end was seen."""
        return self.delivery == "confirmed" and not self.has_ended


@dataclass(frozen=True)
class RunRecord:
    """What only the start of a run knows, and the folder its outputs were last saved to.

    `is_known` says that the run was started here, `is_open` that its end is not written down.
    """

    facts: dict[str, Any]
    folder: Path | None = None
    is_known: bool = True
    is_open: bool = False


@dataclass(frozen=True)
class Reservation:
    """A row for an intent: a new one, or that of its twin; `has_turn` if it may be sent at once."""

    entry: RunEntry
    is_new: bool
    has_turn: bool = False


@dataclass(frozen=True)
class Spending:
    """What counts against the limits, in Creative Units.

    `day` is all of the last 24 hours, with the estimates of runs that have not ended; `on_its_way`
    are the runs of each workspace that Layer may not have counted yet.
    """

    day: float
    on_its_way: dict[str, float]


@dataclass(frozen=True)
class Traffic:
    """What counts against Layer's limits: the runs under way in a workspace, and the last minute.

    `minute` has kind, subject and age in seconds of each submission of the account.
    """

    under_way: Sequence[RunEntry]
    minute: Sequence[tuple[RunKind, str, float]]


@dataclass(frozen=True)
class RunFilter:
    """Which runs to list; None is no condition. `before` is where the page before ended."""

    state: RunState | None = None
    since: float | None = None
    workspace_id: str | None = None
    batch_id: str | None = None
    run_ids: tuple[str, ...] | None = None
    before: tuple[float, str] | None = None


@dataclass(frozen=True)
class RunTotals:
    """How many runs a filter finds, and what they come to in Creative Units."""

    count: int
    running: int
    estimated_creative_units: float
    spent_creative_units: float
