"""Layer's limits on starting runs, as a rule of plain values."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layer_mcp.runs.rules.rates import MINUTE_SECONDS, Blocked, find_block
from layer_mcp.runs.types.limits import RateLimits, Submitted, Usage
from layer_mcp.runs.types.request import RunRequest
from layer_mcp.runs.types.run import Run

LIMITS = RateLimits(runs_at_once=5, runs_per_minute=60, videos_per_minute=30)
NOW = datetime.now(UTC)
IMAGE, VIDEO, OTHER_VIDEO = "image-model", "video-model", "other-video-model"
MODALITY = {IMAGE: "image", VIDEO: "video", OTHER_VIDEO: "video"}


def active(count: int) -> list[Run]:
    request = RunRequest("inference", IMAGE, "w1")
    return [Run(request, "in_progress", NOW, key=f"key-{number}") for number in range(count)]


def submitted(count: int, model: str = IMAGE, age_seconds: float = 10.0) -> list[Submitted]:
    return [Submitted("inference", model, age_seconds)] * count


def block(
    last_minute: Sequence[Submitted] = (),
    model: str | None = IMAGE,
    *,
    runs: int = 0,
    modality: dict[str, str] = MODALITY,
) -> Blocked | None:
    return find_block(Usage(active(runs), last_minute), LIMITS, model, modality)


def code_of(blocked: Blocked | None) -> str | None:
    return blocked.error.code if blocked else None


def test_layers_limits_are_the_default() -> None:
    assert RateLimits() == LIMITS


@pytest.mark.parametrize(
    ("runs", "code"),
    [(0, None), (4, None), (5, "RUNS_AT_LIMIT"), (9, "RUNS_AT_LIMIT")],
)
def test_no_more_runs_are_active_than_layer_allows(runs: int, code: str | None) -> None:
    assert code_of(block(runs=runs)) == code


def test_names_the_runs_being_waited_for() -> None:
    blocked = block(runs=5)
    assert blocked is not None
    assert blocked.active == active(5)
    assert blocked.pause_seconds is None


@pytest.mark.parametrize("model", [IMAGE, VIDEO, None])
@pytest.mark.parametrize(
    ("count", "code"),
    [(59, None), (60, "GENERATIONS_AT_LIMIT"), (65, "GENERATIONS_AT_LIMIT")],
)
def test_no_more_runs_start_in_a_minute_than_layer_allows(
    count: int, code: str | None, model: str | None
) -> None:
    assert code_of(block(submitted(count), model)) == code


@pytest.mark.parametrize(
    ("ages", "pause_seconds"),
    [
        ([50.0] + [10.0] * 59, 10.0),
        ([50.0, 40.0] + [10.0] * 59, 20.0),
        ([0.0] * 60, MINUTE_SECONDS),
        ([61.0] + [10.0] * 59, 0.0),
    ],
    ids=["one leaves", "two have to leave", "all are new", "one has just left"],
)
def test_waits_until_the_last_minute_allows_another_start(
    ages: list[float], pause_seconds: float
) -> None:
    blocked = block([Submitted("inference", IMAGE, age) for age in ages])
    assert blocked is not None
    assert blocked.pause_seconds == pytest.approx(pause_seconds)


@pytest.mark.parametrize(
    ("last_minute", "model", "code"),
    [
        (submitted(29, VIDEO), VIDEO, None),
        (submitted(30, VIDEO), VIDEO, "GENERATIONS_AT_LIMIT"),
        (submitted(20, VIDEO) + submitted(10, OTHER_VIDEO), VIDEO, "GENERATIONS_AT_LIMIT"),
        (submitted(30, VIDEO), IMAGE, None),
        (submitted(30, VIDEO), None, None),
        (submitted(30, IMAGE), VIDEO, None),
        (submitted(29, VIDEO) + submitted(20, IMAGE), VIDEO, None),
    ],
    ids=[
        "one is left",
        "full",
        "full of two models",
        "an image goes on",
        "a workflow goes on",
        "full of images",
        "mixed",
    ],
)
def test_videos_have_a_separate_limit(
    last_minute: list[Submitted], model: str | None, code: str | None
) -> None:
    assert code_of(block(last_minute, model)) == code


def test_a_workflow_is_not_looked_up_and_not_a_video() -> None:
    assert block([Submitted("workflow", "flow", 10.0)] * 30, VIDEO) is None


@pytest.mark.parametrize("model", [IMAGE, VIDEO])
def test_models_are_looked_up_once_there_could_be_too_many_videos(model: str) -> None:
    blocked = block([*submitted(20, "new-model"), *submitted(10, "newer-model")], model)
    assert blocked is not None
    assert blocked.unknown_models == {"new-model", "newer-model"}


def test_also_looks_up_the_model_itself() -> None:
    blocked = block(submitted(30), "new-model")
    assert blocked is not None
    assert blocked.unknown_models == {"new-model"}


def test_no_model_is_looked_up_before_there_could_be_too_many_videos() -> None:
    assert block(submitted(29, "new-model"), VIDEO, modality={}) is None


def test_a_model_without_facts_does_not_count_as_video() -> None:
    modality = MODALITY | {"silent": ""}
    assert block(submitted(30, "silent"), VIDEO, modality=modality) is None


@pytest.mark.parametrize("blocked", [block(runs=5), block(submitted(60))])
def test_a_blocked_run_says_that_nothing_was_sent(blocked: Blocked | None) -> None:
    assert blocked is not None
    assert blocked.error.message.endswith("Nothing was sent.")


submissions = st.builds(
    Submitted,
    st.just("inference"),
    st.sampled_from([IMAGE, VIDEO]),
    st.floats(0, MINUTE_SECONDS),
)


@given(st.lists(submissions, max_size=70), st.sampled_from([IMAGE, VIDEO]))
def test_started_runs_stay_within_both_limits(last_minute: list[Submitted], model: str) -> None:
    videos = [start for start in last_minute if start.subject_id == VIDEO]
    has_room = len(last_minute) < LIMITS.runs_per_minute
    has_room = has_room and (model != VIDEO or len(videos) < LIMITS.videos_per_minute)
    assert (block(last_minute, model) is None) == has_room


@given(st.lists(submissions, min_size=1, max_size=70), st.sampled_from([IMAGE, VIDEO]))
def test_a_slot_is_free_after_the_wait(last_minute: list[Submitted], model: str) -> None:
    blocked = block(last_minute, model)
    pause_seconds = blocked.pause_seconds if blocked else 0.0
    assert pause_seconds is not None
    # A little later, so that rounding does not keep the last one within the window.
    pause_seconds += 0.001
    still_there = [
        replace(start, age_seconds=start.age_seconds + pause_seconds)
        for start in last_minute
        if start.age_seconds + pause_seconds < MINUTE_SECONDS
    ]
    next_block = block(still_there, model)
    both_full = next_block is not None and next_block.error.message.startswith("30 videos")
    assert next_block is None or (both_full and model == VIDEO)
