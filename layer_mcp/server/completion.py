"""Completion: the values that a host can offer while a person types an argument.

Completion never fails, because a host would show an error at every keystroke. An argument that
can't be completed has no values.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup
from mcp.types import (
    CompleteRequestParams,
    CompleteResult,
    Completion,
    PromptReference,
    ResourceTemplateReference,
)

from ..api.client import LayerClient
from ..api.models import ModelQuery
from ..errors import LayerError
from .prompts import Job

MAX_VALUES = 100
MAX_TYPED_LENGTH = 200
CACHE_SECONDS = 60
CACHE_SECONDS_AFTER_FAILURE = 10
MAX_WAIT_SECONDS = 2
ROWS_PER_PAGE = 100
MAX_PAGES = 5
MAX_CACHED_LISTS = 32
MAX_CONCURRENT_LOADS = 2

logger = logging.getLogger(__name__)


async def complete(
    cache: "CompletionCache",
    params: CompleteRequestParams,
    jobs: Mapping[str, Job],
    model_template: str,
) -> CompleteResult:
    """Return the values that start with the typed text, or whose name contains it."""
    typed = params.argument.value.strip().casefold()
    known = (params.context.arguments if params.context else None) or {}
    workspace = known.get("workspace_id", "").strip() or None
    name = params.argument.name
    if len(typed) > MAX_TYPED_LENGTH:
        choices = Choices()
    elif isinstance(params.ref, PromptReference):
        choices = await _prompt_choices(cache, jobs.get(params.ref.name), name, workspace)
    elif _is_template(params.ref, model_template):
        choices = await _model_choices(cache, name, workspace)
    else:
        choices = Choices()
    values = choices.matching(typed)
    return CompleteResult(
        completion=Completion(
            values=values[:MAX_VALUES],
            total=len(values) if choices.is_complete else None,
            has_more=len(values) > MAX_VALUES or not choices.is_complete,
        )
    )


@dataclass(frozen=True)
class Choice:
    """A value that a host can offer, and the names that people know it by."""

    value: str
    names: tuple[str, ...] = ()

    def rank(self, typed: str) -> int | None:
        """Rank how well this fits the lowercase text: 0 is best, None does not fit."""
        names = [name.casefold() for name in self.names]
        if any(text.startswith(typed) for text in (self.value.casefold(), *names)):
            return 0
        return 1 if any(typed in name for name in names) else None


@dataclass(frozen=True)
class Choices:
    """Every value that can be chosen, or the first of them."""

    items: tuple[Choice, ...] = ()
    is_complete: bool = True

    def may_contain(self, wanted: str) -> bool:
        """Return whether an item has this ID or name, or an unloaded one might."""
        names = {name.casefold() for item in self.items for name in (item.value, *item.names)}
        return not self.is_complete or wanted.casefold() in names

    def named(self, name: str) -> list[Choice]:
        """Return the items with this name in any case, or else those whose name starts with it."""
        wanted = name.strip().casefold()
        names = [(item, known.casefold()) for item in self.items for known in item.names]
        same = [item for item, known in names if known == wanted]
        return same or [item for item, known in names if wanted and known.startswith(wanted)]

    def matching(self, typed: str) -> list[str]:
        """Return the values that fit, prefix matches first, otherwise in Layer's order."""
        ranked = [(choice.rank(typed), choice.value) for choice in self.items]
        fitting = [(rank, value) for rank, value in ranked if rank is not None]
        return [value for _, value in sorted(fitting, key=lambda pair: pair[0])]


@dataclass
class _CachedList:
    loaded: anyio.Event
    choices: Choices = Choices(is_complete=False)
    expires_at: float = float("inf")


class CompletionCache:
    """The lists of one account's models and workspaces.

    A host asks at every keystroke, so each list is loaded at most once a minute, in the background,
    and a caller waits only briefly for it. A list that can't be loaded has no items.
    """

    def __init__(self, client: LayerClient, background: TaskGroup) -> None:
        self._client = client
        self._background = background
        self._lists: dict[object, _CachedList] = {}
        self._loads = anyio.Semaphore(MAX_CONCURRENT_LOADS)

    async def models(self, query: ModelQuery, workspace: str | None) -> Choices:
        """Return the models that match a filter in a workspace; none if it does not exist."""
        if workspace is not None and not (await self.workspaces()).may_contain(workspace):
            return Choices()

        async def load() -> Choices:
            models: list[Choice] = []
            page_query = query.model_copy(update={"limit": ROWS_PER_PAGE})
            for _ in range(MAX_PAGES):
                page = await self._client.list_models(page_query, workspace=workspace)
                models += [
                    Choice(model.model_id, (model.name,) if model.name else ())
                    for model in page.models
                ]
                if not page.next_cursor:
                    return Choices(tuple(models))
                page_query = page_query.model_copy(update={"cursor": page.next_cursor})
            return Choices(tuple(models), is_complete=False)

        return await self._get((query, workspace), load)

    async def workspaces(self) -> Choices:
        """Return the workspaces of the account."""

        async def load() -> Choices:
            workspaces = await self._client.list_workspaces()
            return Choices(
                tuple(
                    Choice(
                        workspace.workspace_id,
                        tuple(name for name in (workspace.name, workspace.slug) if name),
                    )
                    for workspace in workspaces
                )
            )

        return await self._get("workspaces", load)

    async def _get(self, key: object, load: Callable[[], Awaitable[Choices]]) -> Choices:
        cached = self._lists.get(key)
        if cached is None or cached.expires_at < anyio.current_time():
            cached = _CachedList(anyio.Event())
            self._lists.pop(key, None)
            self._lists[key] = cached
            while len(self._lists) > MAX_CACHED_LISTS:
                self._lists.pop(next(iter(self._lists)))
            self._background.start_soon(self._load, cached, load)
        with anyio.move_on_after(MAX_WAIT_SECONDS):
            await cached.loaded.wait()
        return cached.choices

    async def _load(self, cached: _CachedList, load: Callable[[], Awaitable[Choices]]) -> None:
        cache_seconds = CACHE_SECONDS_AFTER_FAILURE
        try:
            async with self._loads:
                cached.choices = await load()
            cache_seconds = CACHE_SECONDS
        except LayerError as error:
            logger.info("Nothing to complete with: %s", error)
        # Completion is optional: a crash here must not stop the server's other work.
        except Exception:
            logger.exception("Loading what can be chosen crashed")
        finally:
            cached.expires_at = anyio.current_time() + cache_seconds
            cached.loaded.set()


async def _prompt_choices(
    cache: CompletionCache, job: Job | None, name: str, workspace: str | None
) -> Choices:
    if job is None:
        return Choices()
    for argument in job.arguments:
        if argument.name != name:
            continue
        if argument.kind == "workspace":
            return await cache.workspaces()
        if argument.kind == "model":
            return await cache.models(ModelQuery.model_validate(job.models), workspace)
        return Choices(tuple(Choice(value) for value in argument.choices))
    return Choices()


async def _model_choices(cache: CompletionCache, name: str, workspace: str | None) -> Choices:
    if name == "id":
        return await cache.models(ModelQuery(), workspace)
    return await cache.workspaces() if name == "workspace_id" else Choices()


def _is_template(ref: ResourceTemplateReference, template: str) -> bool:
    # A host may leave out the optional part.
    return ref.uri in (template, template.partition("{?")[0])
