"""Layer's limits on starting runs, as a rule of plain values."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_mcp.journal.entries import RunEntry, RunKind, Traffic
from layer_mcp.server.layer_limits import (
    GENERATIONS_A_MINUTE,
    MINUTE_SECONDS,
    RUNS_AT_ONCE,
    VIDEOS_A_MINUTE,
    Obstacle,
    obstacle,
)

Submission = tuple[RunKind, str, float]

IMAGE, VIDEO, OTHER_VIDEO = "image-model", "video-model", "other-video-model"
MODALITY = {IMAGE: "image", VIDEO: "video", OTHER_VIDEO: "video"}


def under_way(count: int) -> list[RunEntry]:
    return [
        RunEntry(f"local-{number}", "inference", "w1", IMAGE, "confirmed", 0.0)
        for number in range(count)
    ]


def submitted(count: int, model: str = IMAGE, age: float = 10.0) -> list[Submission]:
    return [("inference", model, age)] * count


def found(
    minute: Sequence[Submission] = (), model: str | None = IMAGE, *, runs: int = 0
) -> Obstacle | None:
    return obstacle(Traffic(under_way(runs), minute), model, MODALITY)


def code_of(obstacle: Obstacle | None) -> str | None:
    return obstacle.error.code if obstacle else None


@pytest.mark.parametrize(
    ("runs", "code"),
    [(0, None), (RUNS_AT_ONCE - 1, None), (RUNS_AT_ONCE, "RUNS_AT_LIMIT"), (9, "RUNS_AT_LIMIT")],
)
def test_no_more_runs_are_under_way_than_layer_allows(runs: int, code: str | None) -> None:
    assert code_of(found(runs=runs)) == code


def test_the_runs_that_one_waits_for_are_named() -> None:
    waiting = found(runs=RUNS_AT_ONCE)
    assert waiting is not None
    assert waiting.under_way == under_way(RUNS_AT_ONCE)
    assert waiting.pause_seconds is None


@pytest.mark.parametrize("model", [IMAGE, VIDEO, None])
@pytest.mark.parametrize(
    ("count", "code"),
    [
        (GENERATIONS_A_MINUTE - 1, None),
        (GENERATIONS_A_MINUTE, "GENERATIONS_AT_LIMIT"),
        (GENERATIONS_A_MINUTE + 5, "GENERATIONS_AT_LIMIT"),
    ],
)
def test_no_more_runs_start_in_a_minute_than_layer_allows(
    count: int, code: str | None, model: str | None
) -> None:
    assert code_of(found(submitted(count), model)) == code


@pytest.mark.parametrize(
    ("ages", "pause_seconds"),
    [
        ([50.0] + [10.0] * (GENERATIONS_A_MINUTE - 1), 10.0),
        ([50.0, 40.0] + [10.0] * (GENERATIONS_A_MINUTE - 1), 20.0),
        ([0.0] * GENERATIONS_A_MINUTE, MINUTE_SECONDS),
        ([61.0] + [10.0] * (GENERATIONS_A_MINUTE - 1), 0.0),
    ],
    ids=["one leaves", "two have to leave", "all are new", "one has just left"],
)
def test_the_wait_lasts_until_the_minute_has_room(ages: list[float], pause_seconds: float) -> None:
    waiting = found([("inference", IMAGE, age) for age in ages])
    assert waiting is not None
    assert waiting.pause_seconds == pytest.approx(pause_seconds)


@pytest.mark.parametrize(
    ("minute", "model", "code"),
    [
        (submitted(VIDEOS_A_MINUTE - 1, VIDEO), VIDEO, None),
        (submitted(VIDEOS_A_MINUTE, VIDEO), VIDEO, "GENERATIONS_AT_LIMIT"),
        (submitted(20, VIDEO) + submitted(10, OTHER_VIDEO), VIDEO, "GENERATIONS_AT_LIMIT"),
        (submitted(VIDEOS_A_MINUTE, VIDEO), IMAGE, None),
        (submitted(VIDEOS_A_MINUTE, VIDEO), None, None),
        (submitted(VIDEOS_A_MINUTE, IMAGE), VIDEO, None),
        (submitted(29, VIDEO) + submitted(20, IMAGE), VIDEO, None),
    ],
    ids=[
        "one is left",
        "full",
        "full of two models",
        "an image beside",
        "a workflow beside",
        "full of images",
        "mixed",
    ],
)
def test_videos_have_a_limit_of_their_own(
    minute: list[Submission], model: str | None, code: str | None
) -> None:
    assert code_of(found(minute, model)) == code


def test_a_workflow_is_no_video_even_if_its_id_were_that_of_a_video_model() -> None:
    minute: list[Submission] = [("workflow", "flow", 10.0)] * VIDEOS_A_MINUTE
    assert found(minute, VIDEO) is None


@pytest.mark.parametrize("model", [IMAGE, VIDEO])
def test_models_are_looked_up_once_there_could_be_too_many_videos(model: str) -> None:
    minute = [*submitted(20, "new-model"), *submitted(10, "newer-model")]
    waiting = obstacle(Traffic([], minute), model, MODALITY)
    assert waiting is not None
    assert waiting.unknown_models == {"new-model", "newer-model"}


def test_the_model_itself_is_looked_up_too() -> None:
    waiting = obstacle(Traffic([], submitted(VIDEOS_A_MINUTE)), "new-model", MODALITY)
    assert waiting is not None
    assert waiting.unknown_models == {"new-model"}


def test_no_model_is_looked_up_before_there_could_be_too_many_videos() -> None:
    assert obstacle(Traffic([], submitted(VIDEOS_A_MINUTE - 1, "new-model")), VIDEO, {}) is None


def test_a_model_of_which_layer_says_nothing_is_no_video() -> None:
    modality = MODALITY | {"silent": ""}
    minute = submitted(VIDEOS_A_MINUTE, "silent")
    assert obstacle(Traffic([], minute), VIDEO, modality) is None


@pytest.mark.parametrize("waiting", [found(runs=RUNS_AT_ONCE), found(submitted(60))])
def test_an_obstacle_says_that_nothing_was_sent(waiting: Obstacle | None) -> None:
    assert waiting is not None
    assert waiting.error.message.endswith("Nothing was sent.")


KINDS: list[RunKind] = ["inference"]
submissions = st.tuples(
    st.sampled_from(KINDS), st.sampled_from([IMAGE, VIDEO]), st.floats(0, MINUTE_SECONDS)
)


@given(st.lists(submissions, max_size=70), st.sampled_from([IMAGE, VIDEO]))
def test_what_may_start_keeps_within_both_limits(minute: list[Submission], model: str) -> None:
    videos = [subject for _, subject, _ in minute if subject == VIDEO]
    has_room = len(minute) < GENERATIONS_A_MINUTE
    has_room = has_room and (model != VIDEO or len(videos) < VIDEOS_A_MINUTE)
    assert (obstacle(Traffic([], minute), model, MODALITY) is None) == has_room


@given(st.lists(submissions, min_size=1, max_size=70), st.sampled_from([IMAGE, VIDEO]))
def test_after_the_wait_there_is_room(minute: list[Submission], model: str) -> None:
    waiting = obstacle(Traffic([], minute), model, MODALITY)
    pause_seconds = waiting.pause_seconds if waiting else 0.0
    assert pause_seconds is not None
    # A little later, so that rounding does not keep the last one within the window.
    pause_seconds += 0.001
    still_there: list[Submission] = [
        (kind, subject, age + pause_seconds)
        for kind, subject, age in minute
        if age + pause_seconds < MINUTE_SECONDS
    ]
    next_found = obstacle(Traffic([], still_there), model, MODALITY)
    both_full = next_found is not None and next_found.error.message.startswith("30 videos")
    assert next_found is None or (both_full and model == VIDEO)
