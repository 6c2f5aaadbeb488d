"""An equal run that was asked for before: it answers the call, and nothing is paid again."""

import time

import anyio

from ..errors import LayerError
from ..journal.entries import Intent, RunEntry
from ..journal.run_log import TWIN_SECONDS
from .journal_use import kept
from .refreshing import refreshed
from .state import App

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
REPEAT = "To pay for another, call with repeat true."


async def known_twin(
    app: App,
    intent: Intent,
    *,
    deadline: float,
    repeat: bool = False,
    wait_for_answer: bool = True,
) -> RunEntry | None:
    """The run that stands for an intent; None when it may be sent.

    To `repeat`, only one that is being sent at this moment stands.

    Waits until `deadline`, by anyio's clock, for the answer to a twin that is just being sent,
    unless told not to. A twin that runs is looked at, because it may have ended unseen.

    Raises:
        LayerError: JOURNAL_UNAVAILABLE.
    """
    pause_seconds = FIRST_PAUSE_SECONDS
    awaited: RunEntry | None = None
    while True:
        entry = await kept(app, app.journal.runs.twin(intent, repeat=repeat), None)
        if entry is None and awaited is not None:
            # Once answered it stands in no later repeat's way, but in that of this one.
            answered = await app.journal.runs.known(awaited)
            return None if answered.delivery == "not_sent" else answered
        if entry is None:
            return None
        on_its_way = wait_for_answer and entry.is_on_its_way
        if on_its_way and anyio.current_time() + pause_seconds < deadline:
            awaited = entry if repeat else None
            await anyio.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)
            continue
        if not entry.is_running or age_seconds(entry) < TWIN_SECONDS:
            return entry
        with anyio.move_on_after(deadline - anyio.current_time()):
            if (await refreshed(app, entry)).has_ended:
                continue
        return entry


def twin_error(entry: RunEntry) -> LayerError | None:
    """What a call is told whose twin has no id to answer with; None when it has one."""
    if entry.run_id is not None:
        return None
    ago = age_in_words(entry)
    facts = {"duplicate": True}
    if entry.is_on_its_way:
        sentence = f"The same call came {ago} and has no answer yet. Nothing was sent again."
        return LayerError("SUBMISSION_UNDER_WAY", sentence, facts=facts)
    sentence = f"The same call was sent {ago} and its outcome is unknown. Nothing was sent again."
    step = f"Look in Layer (app.layer.ai): the run may exist and be charged. {REPEAT}"
    return LayerError("OUTCOME_UNKNOWN", sentence, next_step=step, facts=facts)


def twin_warning(entry: RunEntry) -> str:
    """What a call is told that is answered with an earlier run."""
    ago = age_in_words(entry)
    return f"The same call came {ago}: this is its run, nothing was charged again. {REPEAT}"


def age_seconds(entry: RunEntry) -> float:
    """How long ago a run was asked for."""
    return max(time.time() - entry.created_at, 0.0)


def age_in_words(entry: RunEntry) -> str:
    """How long ago a run was asked for, for people."""
    seconds = age_seconds(entry)
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago" if seconds >= 1 else "just now"
