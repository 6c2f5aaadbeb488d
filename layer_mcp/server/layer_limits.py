"""Layer's limits on starting runs, kept on this side: pure rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import LayerError
from ..journal.entries import RunEntry, Traffic
from ..journal.usage import MINUTE_SECONDS

RUNS_AT_ONCE = 5
GENERATIONS_A_MINUTE = 60
VIDEOS_A_MINUTE = 30


@dataclass(frozen=True)
class Obstacle:
    """Why a run cannot be started yet.

    `under_way` are the runs of which one has to end first. `pause_seconds` is the time until the
    window of a minute has room. `unknown_models` have to be looked up to tell videos from others.
    """

    error: LayerError
    under_way: Sequence[RunEntry] = ()
    pause_seconds: float | None = None
    unknown_models: frozenset[str] = frozenset()


def obstacle(
    traffic: Traffic, model_id: str | None, modality: Mapping[str, str]
) -> Obstacle | None:
    """What keeps a run of a model, or of a workflow (None), from being started now.

    `modality` holds the modality of the models that were looked up so far.
    """
    if len(traffic.under_way) >= RUNS_AT_ONCE:
        return Obstacle(_runs_at_limit(traffic.under_way), under_way=traffic.under_way)
    ages = sorted((age for _, _, age in traffic.minute), reverse=True)
    if len(ages) >= GENERATIONS_A_MINUTE:
        return _minute_is_full(ages, GENERATIONS_A_MINUTE, "runs")
    if model_id is None or len(ages) < VIDEOS_A_MINUTE:
        return None
    models = {subject for kind, subject, _ in traffic.minute if kind == "inference"} | {model_id}
    unknown = frozenset(models - modality.keys())
    if unknown:
        return Obstacle(_at_limit("runs", VIDEOS_A_MINUTE), unknown_models=unknown)
    if modality[model_id] != "video":
        return None
    videos = sorted(
        (age for _, subject, age in traffic.minute if modality.get(subject) == "video"),
        reverse=True,
    )
    full = len(videos) >= VIDEOS_A_MINUTE
    return _minute_is_full(videos, VIDEOS_A_MINUTE, "videos") if full else None


def has_room(traffic: Traffic, model_id: str | None) -> bool:
    """Whether a run may be started now without looking anything up."""
    return obstacle(traffic, model_id, {}) is None


def _minute_is_full(ages: Sequence[float], limit: int, what: str) -> Obstacle:
    """The window has room when all but the newest `limit` - 1 have left it; oldest first."""
    pause_seconds = max(MINUTE_SECONDS - ages[len(ages) - limit], 0.0)
    return Obstacle(_at_limit(what, limit), pause_seconds=pause_seconds)


def _at_limit(what: str, limit: int) -> LayerError:
    sentence = f"{limit} {what} were started in the last minute, which is Layer's limit."
    return LayerError("GENERATIONS_AT_LIMIT", f"{sentence} Nothing was sent.")


def _runs_at_limit(under_way: Sequence[RunEntry]) -> LayerError:
    sentence = f"{len(under_way)} runs are under way here; Layer allows {RUNS_AT_ONCE} at once."
    return LayerError("RUNS_AT_LIMIT", f"{sentence} Nothing was sent.")
