"""How to answer a call that an earlier run covers, as rules of plain values."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from layer_mcp import LayerError
from layer_mcp.runs.rules.duplicates import (
    DUPLICATE_SECONDS,
    answer_duplicate,
    covers_new_call,
    describe_age,
    duplicate_error,
    refuse_equal_requests,
)
from layer_mcp.runs.types.request import RunRequest
from layer_mcp.runs.types.run import Run
from layer_mcp.runs.types.states import RunState

REQUEST = RunRequest("inference", "model", "w1", {"prompt": "a red potion"})
OTHER = replace(REQUEST, body={"prompt": "a blue potion"})


def run(
    state: RunState = "in_progress", *, age_seconds: float = 0, run_id: str | None = "run-1"
) -> Run:
    return Run(REQUEST, state, datetime.now(UTC) - timedelta(seconds=age_seconds), run_id=run_id)


def test_a_duplicate_is_the_earlier_run_with_a_warning() -> None:
    answer = answer_duplicate(run(age_seconds=5))
    assert (answer.run_id, answer.is_duplicate) == ("run-1", True)
    warning, way_out = answer.warnings
    assert "The same call was made 5 s ago" in warning
    assert "repeat true" in way_out


@pytest.mark.parametrize("state", ["queued", "sending"])
def test_a_duplicate_that_is_being_sent_is_an_error(state: RunState) -> None:
    with pytest.raises(LayerError, match="SUBMISSION_UNDER_WAY") as caught:
        answer_duplicate(run(state, run_id=None))
    assert caught.value.facts == {"duplicate": True}


def test_a_duplicate_with_an_unknown_outcome_is_an_error_that_says_where_to_look() -> None:
    with pytest.raises(LayerError, match="OUTCOME_UNKNOWN") as caught:
        answer_duplicate(run("unknown", run_id=None))
    assert "Look in Layer" in caught.value.next_step
    assert caught.value.facts == {"duplicate": True}


@pytest.mark.parametrize("state", ["in_progress", "complete", "failed", "unknown"])
def test_a_duplicate_with_an_id_is_not_an_error(state: RunState) -> None:
    assert duplicate_error(run(state)) is None


@pytest.mark.parametrize(
    ("state", "age_seconds", "covers"),
    [
        ("complete", 0, True),
        ("complete", DUPLICATE_SECONDS - 1, True),
        ("complete", DUPLICATE_SECONDS + 1, False),
        ("complete", -DUPLICATE_SECONDS - 1, False),
        ("unknown", 10 * DUPLICATE_SECONDS, True),
    ],
)
def test_a_recent_run_or_one_with_an_unknown_outcome_covers_a_new_call(
    state: RunState, age_seconds: float, covers: bool
) -> None:
    assert covers_new_call(run(state, age_seconds=age_seconds), time.time()) is covers


@pytest.mark.parametrize(
    ("age_seconds", "words"),
    [
        (-60, "just now"),
        (0, "just now"),
        (59, "59 s ago"),
        (119, "119 s ago"),
        (130, "2 minutes ago"),
        (3 * 3_600, "3 hours ago"),
        (4 * 86_400, "4 days ago"),
    ],
)
def test_formats_an_age_for_people(age_seconds: float, words: str) -> None:
    assert describe_age(run(age_seconds=age_seconds)) == words


def test_equal_requests_of_one_batch_are_refused_by_their_numbers() -> None:
    with pytest.raises(LayerError, match="Requests 1 and 3 are equal") as caught:
        refuse_equal_requests([REQUEST, OTHER, REQUEST])
    assert caught.value.code == "INVALID_ARGUMENTS"


def test_different_requests_of_one_batch_are_not_refused() -> None:
    refuse_equal_requests([REQUEST, OTHER])
