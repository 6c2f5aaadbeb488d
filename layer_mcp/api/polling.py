"""Wait for a run to finish: pure rules, and a small loop.

Waiting never changes the run. Reaching the deadline isn't an error: the last state is returned.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from ..errors import LayerError
from .models import RunSnapshot

STOPPED_STATUSES = frozenset({"cancelled", "deleted"})
TERMINAL_STATUSES = STOPPED_STATUSES | {"complete", "failed"}
DEFAULT_POLL_INTERVAL_SECONDS = 10.0
MIN_POLL_INTERVAL_SECONDS = 1.0
MAX_POLL_INTERVAL_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 3_600.0
PAUSE_BEFORE_ANY_STATE_SECONDS = 2.0
FIRST_POLL_SECONDS = 10.0
NO_STATE = "Couldn't get the run's status in time."

RunT = TypeVar("RunT", bound=RunSnapshot)

Poll = Callable[[], Awaitable[RunT]]
"""Reads the state of a run once."""

OnProgress = Callable[[RunT, float], Awaitable[None]]
"""Called with each state that arrives, and the seconds waited so far."""


def is_terminal(status: str) -> bool:
    """Return whether a run with this status has ended. An unknown status has not."""
    return status in TERMINAL_STATUSES


def poll_interval_seconds(asked: float | None) -> float:
    """Return the pause that Layer asked for, limited to 1 to 60 seconds; 10 by default."""
    if asked is None:
        return DEFAULT_POLL_INTERVAL_SECONDS
    return min(max(asked, MIN_POLL_INTERVAL_SECONDS), MAX_POLL_INTERVAL_SECONDS)


def pause_before_poll(
    state: RunSnapshot | None, fault: LayerError | None, seconds_left: float
) -> float | None:
    """Return the pause before the next poll, or None if that poll would miss the deadline.

    The latest interval from Layer counts; Retry-After can only make the pause longer.
    """
    pause = (
        poll_interval_seconds(state.poll_interval_seconds)
        if state
        else PAUSE_BEFORE_ANY_STATE_SECONDS
    )
    if fault is not None and fault.retry_after_seconds is not None:
        pause = max(pause, fault.retry_after_seconds)
    return pause if pause < seconds_left else None


async def wait_for_end(
    poll: Poll[RunT],
    *,
    timeout_seconds: float,
    known: RunT | None = None,
    on_progress: OnProgress[RunT] | None = None,
) -> RunT:
    """Poll until the run has ended or the time is up, then return the last state.

    Args:
        poll: reads the state once; canceled at the deadline.
        timeout_seconds: the deadline. No poll starts or continues after it, except that the first
            one may take 10 s if no state is known yet.
        known: a state that was just received. With it, the first poll waits one interval;
            without it, it starts immediately.
        on_progress: called with each new state.

    Transient faults are ignored until the deadline.

    Raises:
        LayerError: a fault that waiting can't fix, or no state before the deadline.
    """
    start = anyio.current_time()
    deadline = start + timeout_seconds
    state, fault = known, None
    least_seconds = FIRST_POLL_SECONDS if known is None else 0.0
    pause = 0.0 if state is None else pause_before_poll(state, None, timeout_seconds)
    while pause is not None and not (state and is_terminal(state.status)):
        await anyio.sleep(pause)
        seconds_left = deadline - anyio.current_time()
        answer = await _poll_once(poll, max(seconds_left, least_seconds))
        least_seconds = 0.0
        if isinstance(answer, LayerError):
            fault = answer
        else:
            state, fault = answer, None
            if on_progress is not None:
                await on_progress(state, anyio.current_time() - start)
        pause = pause_before_poll(state, fault, deadline - anyio.current_time())
    if state is None:
        raise fault or LayerError("TIMEOUT", NO_STATE)
    if not is_terminal(state.status):
        await anyio.sleep(max(deadline - anyio.current_time(), 0.0))
    return state


async def _poll_once(poll: Poll[RunT], seconds_left: float) -> RunT | LayerError:
    """Return the state, or the transient fault that prevented it; raise any other fault."""
    try:
        with anyio.fail_after(seconds_left):
            return await poll()
    except TimeoutError:
        return LayerError("TIMEOUT", NO_STATE, transient=True)
    except LayerError as error:
        if not error.transient:
            raise
        return error
