"""The limits on starting runs, and what counts toward them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..owners import Owner
from .request import RunKind
from .run import Run


@dataclass(frozen=True)
class SpendLimits:
    """The price limits of the settings in Creative Units; None means no limit.

    The `owner` of the runs may have limits too, and must not learn what others spend.
    """

    confirm_above: float
    max_price: float | None = None
    max_spend_per_day: float | None = None
    owner: Owner | None = None


@dataclass(frozen=True)
class Spending:
    """What counts toward the limits, in Creative Units.

    `day` is the last 24 hours with the estimates of unfinished runs, and `own_day` is the owner's
    part of it. `in_flight` holds, for each workspace, the runs that Layer may not have charged yet.
    """

    day: float = 0.0
    in_flight: Mapping[str, float] = field(default_factory=dict[str, float])
    own_day: float = 0.0


@dataclass(frozen=True)
class RateLimits:
    """Layer's limits on starting runs."""

    runs_at_once: int = 5
    runs_per_minute: int = 60
    videos_per_minute: int = 30


@dataclass(frozen=True)
class Submitted:
    """A submission in the last minute: its model or workflow, and its age in seconds."""

    kind: RunKind
    subject_id: str
    age_seconds: float


@dataclass(frozen=True)
class Usage:
    """What counts toward Layer's limits: active runs in the workspace, and starts per minute."""

    active: Sequence[Run]
    last_minute: Sequence[Submitted]
