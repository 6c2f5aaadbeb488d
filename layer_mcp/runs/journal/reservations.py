"""Reserve runs."""

from dataclasses import dataclass

from ..types.run import Run


@dataclass(frozen=True)
class Reservation:
    """A request's journal row: a new one, or that of the run that already covers it."""

    run: Run
    created: bool
    has_slot: bool = False
