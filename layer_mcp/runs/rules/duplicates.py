"""Decide which earlier run covers a call, and answer with it."""

import time
from collections.abc import Sequence
from dataclasses import replace

from ...errors import LayerError
from ..types.request import RunRequest
from ..types.run import Run
from ..types.states import UNKNOWN

DUPLICATE_SECONDS = 120
REPEAT = "To pay for another one, call again with repeat true."


def refuse_equal_requests(requests: Sequence[RunRequest]) -> None:
    """Reject a batch with equal requests, because one run would cover all of them.

    Raises:
        LayerError: INVALID_ARGUMENTS.
    """
    numbers: dict[str, int] = {}
    for number, request in enumerate(requests, 1):
        first = numbers.setdefault(request.fingerprint, number)
        if first != number:
            sentence = (
                f"Requests {first} and {number} are equal. Change a seed or a prompt, or use "
                "batch_size for several outputs."
            )
            raise LayerError("INVALID_ARGUMENTS", sentence)


def answer_duplicate(run: Run) -> Run:
    """Return the run that covers a call, marked as a duplicate.

    Raises:
        LayerError: the run has no ID yet: SUBMISSION_UNDER_WAY or OUTCOME_UNKNOWN.
    """
    error = duplicate_error(run)
    if error is not None:
        raise error
    warning = (
        f"The same call was made {describe_age(run)}. This is its run; you weren't charged again."
    )
    return replace(run, is_duplicate=True).with_warnings(warning, REPEAT)


def duplicate_error(run: Run) -> LayerError | None:
    """Return the error for a call whose duplicate has no ID yet, or None."""
    if run.run_id is not None:
        return None
    age = describe_age(run)
    facts = {"duplicate": True}
    if run.is_being_sent:
        sentence = f"The same call was made {age} and has no answer yet. Nothing was sent again."
        return LayerError("SUBMISSION_UNDER_WAY", sentence, facts=facts)
    sentence = f"The same call was sent {age} and its outcome is unknown. Nothing was sent again."
    step = f"Look in Layer (app.layer.ai): the run may exist and be charged. {REPEAT}"
    return LayerError("OUTCOME_UNKNOWN", sentence, next_step=step, facts=facts)


def covers_new_call(run: Run, now: float) -> bool:
    """Return whether the newest equal run covers a new call: recent, or of unknown outcome."""
    # Allow negative ages, because a clock may be set back.
    return run.state == UNKNOWN or abs(now - run.created_at.timestamp()) < DUPLICATE_SECONDS


def age_seconds(run: Run) -> float:
    """Return the seconds since a run was requested."""
    return max(time.time() - run.created_at.timestamp(), 0.0)


def describe_age(run: Run) -> str:
    """Describe how long ago a run was requested, for people."""
    seconds = age_seconds(run)
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago" if seconds >= 1 else "just now"
