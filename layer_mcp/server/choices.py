"""What may be chosen in Layer, for hosts that complete what is typed.

A host asks with every key press. So a list is asked for once a minute, in the background, and
whoever waits for it waits for a moment only. A list that cannot be had is an empty one.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup

from ..api.client import LayerClient
from ..api.models import ModelQuery
from ..errors import LayerError

KEPT_SECONDS = 60
KEPT_AFTER_FAILURE_SECONDS = 10
PATIENCE_SECONDS = 2
PAGE_ROWS = 100
MAX_PAGES = 5
MAX_LISTS = 32
LOADS_AT_ONCE = 2

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """Something with an id, and what people call it."""

    value: str
    names: tuple[str, ...] = ()

    def rank(self, typed: str) -> int | None:
        """How well it fits what was typed, in lower case: 0 is best, None is not at all."""
        names = [name.casefold() for name in self.names]
        if any(text.startswith(typed) for text in (self.value.casefold(), *names)):
            return 0
        return 1 if any(typed in name for name in names) else None


@dataclass(frozen=True)
class Choices:
    """All that may be chosen, or the first of them."""

    items: tuple[Choice, ...] = ()
    are_all: bool = True

    def has(self, wanted: str) -> bool:
        """Whether one of them has this id or name, or might."""
        names = {name.casefold() for item in self.items for name in (item.value, *item.names)}
        return not self.are_all or wanted.casefold() in names

    def matching(self, typed: str) -> list[str]:
        """The ids of what fits, what begins so first, else in Layer's order."""
        ranked = [(choice.rank(typed), choice.value) for choice in self.items]
        fitting = [(rank, value) for rank, value in ranked if rank is not None]
        return [value for _, value in sorted(fitting, key=lambda pair: pair[0])]


Load = Callable[[], Awaitable[Choices]]


@dataclass
class _Kept:
    loaded: anyio.Event
    choices: Choices = Choices(are_all=False)
    until: float = float("inf")


class ChoiceLists:
    """The lists of one account, each loaded once at a time."""

    def __init__(self, client: LayerClient, background: TaskGroup) -> None:
        self._client = client
        self._background = background
        self._kept: dict[object, _Kept] = {}
        self._loads = anyio.Semaphore(LOADS_AT_ONCE)

    async def models(self, query: ModelQuery, workspace: str | None) -> Choices:
        """The models that a filter finds in a workspace; none in one that is not there."""
        if workspace is not None and not (await self.workspaces()).has(workspace):
            return Choices()

        async def load() -> Choices:
            models: list[Choice] = []
            page_query = query.model_copy(update={"limit": PAGE_ROWS})
            for _ in range(MAX_PAGES):
                page = await self._client.list_models(page_query, workspace=workspace)
                models += [
                    Choice(model.model_id, (model.name,) if model.name else ())
                    for model in page.models
                ]
                if not page.next_cursor:
                    return Choices(tuple(models))
                page_query = page_query.model_copy(update={"cursor": page.next_cursor})
            return Choices(tuple(models), are_all=False)

        return await self._list((query, workspace), load)

    async def workspaces(self) -> Choices:
        """The workspaces of the account."""

        async def load() -> Choices:
            return Choices(
                tuple(
                    Choice(
                        each.workspace_id, tuple(name for name in (each.name, each.slug) if name)
                    )
                    for each in await self._client.list_workspaces()
                )
            )

        return await self._list("workspaces", load)

    async def _list(self, key: object, load: Load) -> Choices:
        kept = self._kept.get(key)
        if kept is None or kept.until < anyio.current_time():
            kept = _Kept(anyio.Event())
            self._kept.pop(key, None)
            self._kept[key] = kept
            while len(self._kept) > MAX_LISTS:
                self._kept.pop(next(iter(self._kept)))
            self._background.start_soon(self._load, kept, load)
        with anyio.move_on_after(PATIENCE_SECONDS):
            await kept.loaded.wait()
        return kept.choices

    async def _load(self, kept: _Kept, load: Load) -> None:
        seconds = KEPT_AFTER_FAILURE_SECONDS
        try:
            async with self._loads:
                kept.choices = await load()
            seconds = KEPT_SECONDS
        except LayerError as error:
            logger.info("Nothing to complete with: %s", error)
        # A courtesy: the server's other work goes on.
        except Exception:
            logger.exception("Loading what can be chosen crashed")
        finally:
            kept.until = anyio.current_time() + seconds
            kept.loaded.set()
