"""Which runs to list, and their totals."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypedDict

from ...arguments import check_type
from ...errors import LayerError

StatusFilter = Literal["running", "complete", "failed", "stopped", "unknown", "not_sent"]
"""Groups of states to filter runs by; each run is in exactly one group."""


@dataclass(frozen=True)
class RunFilter:
    """Which runs to list; None means no condition. `before` is the key of a page's last run.

    `id_prefix` is the beginning of an ID in lower case, or empty for any run that has an ID.
    """

    status: StatusFilter | None = None
    since: datetime | None = None
    workspace_id: str | None = None
    batch_id: str | None = None
    run_ids: tuple[str, ...] | None = None
    id_prefix: str | None = None
    before: str | None = None


class RunFilters(TypedDict, total=False):
    """The fields of a `RunFilter` as keyword arguments."""

    status: StatusFilter | None
    since: datetime | None
    workspace_id: str | None
    batch_id: str | None
    run_ids: tuple[str, ...] | None
    id_prefix: str | None


@dataclass(frozen=True)
class RunTotals:
    """The number of matching runs, and their total prices in Creative Units."""

    count: int
    running: int
    estimated_creative_units: float
    spent_creative_units: float


def with_filters(wanted: RunFilter | None, filters: RunFilters) -> RunFilter:
    """Return a filter with these fields.

    Raises:
        LayerError: INVALID_ARGUMENTS.
    """
    if wanted is not None:
        check_type(wanted, RunFilter, "wanted")
    try:
        return replace(wanted or RunFilter(), **filters)
    except TypeError:
        known = ", ".join(RunFilters.__annotations__)
        sentence = f"The filters of runs are {known}."
        raise LayerError("INVALID_ARGUMENTS", sentence) from None
