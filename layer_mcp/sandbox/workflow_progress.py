"""How far a workflow run is: rules of plain values."""

from collections.abc import Sequence
from typing import Literal

Status = Literal["pending", "running", "success", "failure", "cancelled"]

PENDING_SHARE = 0.1
"""How much of a run's time passes before its first step starts."""


def step_statuses(share: float, count: int, *, failing: int | None = None) -> list[Status]:
    """The status of each step when this share (0-1) of the run's time has passed.

    With `failing`, that step fails when it should end, and the steps after it never start.
    """
    done = _steps_done(share, count)
    if failing is not None and done > failing:
        return [_failed_step(index, failing) for index in range(count)]
    current = done if share >= PENDING_SHARE else None
    return [_good_step(index, done, current) for index in range(count)]


def run_status(steps: Sequence[Status]) -> Status:
    """The status of a run whose steps are these."""
    if "failure" in steps:
        return "failure"
    if set(steps) == {"success"}:
        return "success"
    return "pending" if set(steps) == {"pending"} else "running"


def _steps_done(share: float, count: int) -> int:
    if share >= 1:
        return count
    return max(int((share - PENDING_SHARE) / (1 - PENDING_SHARE) * count), 0)


def _good_step(index: int, done: int, current: int | None) -> Status:
    if index < done:
        return "success"
    return "running" if index == current else "pending"


def _failed_step(index: int, failing: int) -> Status:
    if index < failing:
        return "success"
    return "failure" if index == failing else "cancelled"
