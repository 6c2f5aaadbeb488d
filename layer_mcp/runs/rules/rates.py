"""Decide whether Layer's limits allow another run now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...errors import LayerError
from ..types.limits import RateLimits, Usage
from ..types.run import Run

MINUTE_SECONDS = 60


@dataclass(frozen=True)
class Blocked:
    """Why a run can't start yet.

    One of the `active` runs has to end first. `pause_seconds` is the time until another run may
    start within the limit per minute. `unknown_models` have to be looked up to tell whether they
    make videos.
    """

    error: LayerError
    active: Sequence[Run] = ()
    pause_seconds: float | None = None
    unknown_models: frozenset[str] = frozenset()


def find_block(
    usage: Usage, limits: RateLimits, model_id: str | None, modality: Mapping[str, str]
) -> Blocked | None:
    """Return what prevents a run of a model, or of a workflow (None), from starting now.

    `modality` holds the modality of each model that was looked up.
    """
    if len(usage.active) >= limits.runs_at_once:
        return Blocked(_active_error(len(usage.active), limits), active=usage.active)
    ages = sorted((start.age_seconds for start in usage.last_minute), reverse=True)
    if len(ages) >= limits.runs_per_minute:
        return _minute_block(ages, limits.runs_per_minute, "runs")
    if model_id is None or len(ages) < limits.videos_per_minute:
        return None
    return _find_video_block(usage, limits, model_id, modality)


def _find_video_block(
    usage: Usage, limits: RateLimits, model_id: str, modality: Mapping[str, str]
) -> Blocked | None:
    models = {start.subject_id for start in usage.last_minute if start.kind == "inference"}
    unknown = frozenset((models | {model_id}) - modality.keys())
    if unknown:
        return Blocked(_minute_error("runs", limits.videos_per_minute), unknown_models=unknown)
    videos = [
        start.age_seconds
        for start in usage.last_minute
        if modality.get(start.subject_id) == "video"
    ]
    if modality[model_id] != "video" or len(videos) < limits.videos_per_minute:
        return None
    return _minute_block(sorted(videos, reverse=True), limits.videos_per_minute, "videos")


def _minute_block(ages: Sequence[float], limit: int, what: str) -> Blocked:
    """Return a block that ends once all but the newest `limit` - 1 starts are over a minute old."""
    pause_seconds = max(MINUTE_SECONDS - ages[len(ages) - limit], 0.0)
    return Blocked(_minute_error(what, limit), pause_seconds=pause_seconds)


def _minute_error(what: str, limit: int) -> LayerError:
    sentence = f"{limit} {what} were started in the last minute. That is Layer's limit."
    return LayerError("GENERATIONS_AT_LIMIT", f"{sentence} Nothing was sent.")


def _active_error(count: int, limits: RateLimits) -> LayerError:
    sentence = f"{count} runs are in progress; Layer allows {limits.runs_at_once} at a time."
    return LayerError("RUNS_AT_LIMIT", f"{sentence} Nothing was sent.")
