"""Waiting in line: a run is sent when Layer's limits have room for it."""

from collections.abc import Callable

import anyio

from ..journal.entries import RunEntry
from .at_once import each
from .following import StateT
from .journal_use import kept
from .layer_limits import Obstacle, obstacle
from .orders import Order
from .refreshing import refreshed
from .state import App

PAUSE_SECONDS = 0.5
LOOK_SECONDS = 5.0

OnObstacle = Callable[[], None]


async def take_turn(
    app: App,
    order: Order[StateT],
    entry: RunEntry,
    *,
    deadline: float | None = None,
    on_obstacle: OnObstacle | None = None,
) -> None:
    """Return when the run may be sent, and count it from then on.

    Waits until `deadline`, by anyio's clock, or as long as it takes. `on_obstacle` is called when
    it has to wait.

    Raises:
        LayerError: RUNS_AT_LIMIT or GENERATIONS_AT_LIMIT at the deadline; JOURNAL_UNAVAILABLE.
    """
    modality: dict[str, str] = {}
    while True:
        check = app.journal.runs.take_turn(
            entry.local_id, lambda traffic: obstacle(traffic, order.model_id, modality)
        )
        found = await kept(app, check, None)
        if found is None:
            return
        for model_id in found.unknown_models:
            modality[model_id] = ""
            with anyio.move_on_after(LOOK_SECONDS):
                modality[model_id] = (await app.models.facts(model_id, entry.workspace_id)).modality
        if found.unknown_models or await _one_has_ended(app, found, deadline):
            continue
        if on_obstacle is not None:
            on_obstacle()
        pause_seconds = found.pause_seconds or PAUSE_SECONDS
        if deadline is not None and anyio.current_time() + pause_seconds > deadline:
            raise found.error
        await anyio.sleep(pause_seconds)


async def _one_has_ended(app: App, found: Obstacle, deadline: float | None) -> bool:
    """Whether a run under way has ended meanwhile; asks Layer where that is due."""
    ended: list[RunEntry] = []

    async def look(entry: RunEntry) -> None:
        if (await refreshed(app, entry)).has_ended:
            ended.append(entry)

    with anyio.move_on_after(LOOK_SECONDS if deadline is None else deadline - anyio.current_time()):
        await each(found.under_way, look)
    return bool(ended)
