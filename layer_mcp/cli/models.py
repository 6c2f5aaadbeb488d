"""layer-mcp models, model and workspaces: what an account can use, and a model by its name."""

import argparse
import difflib
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from ..api.client import LayerClient
from ..api.fields import is_uuid
from ..api.models import ModelDetail, ModelList, ModelQuery, ModelSummary, Workspace
from ..arguments import parse_arguments
from ..errors import LayerError
from ..runs.service import Runs
from ..runs.types.plain import without_nulls
from ..runs.views import model_as_json, model_row_as_json
from ..schema import portable_schema
from ..settings import Settings
from .generation.options import given_fields, option_name
from .parser import EXIT_OK
from .reporting import with_runs
from .screen.output import Column, Screen, line, plain, progress_bar, table

COLUMNS = (
    Column("name"),
    Column("makes"),
    Column("time", "number", optional=True),
    Column("about", "text", optional=True),
    Column("id", optional=True),
)
WORKSPACE_COLUMNS = (
    Column("name", "text"),
    Column("CU", "number"),
    Column("slug", optional=True),
    Column("id", optional=True),
)
ROW_FIELDS = ("name", "modality", "inference_timing", "description", "model_id")
PAGE_ROWS, MAX_PAGES = 100, 2
MAX_SUGGESTIONS = 3
LIST_STEP = "To list all models, run layer-mcp models."


def list_models(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """List models by what they generate and support.

    Raises:
        LayerError: an option is invalid, or Layer refused the request.
    """
    filters = given_fields(ModelQuery, options)
    filters |= {"search": options.search, "limit": options.limit, "cursor": options.cursor}

    async def work(runs: Runs) -> ModelList:
        return await runs.client.list_models(_make_query(filters))

    with progress_bar(screen.stderr):
        page = with_runs(settings, work)
    rows = [model_row_as_json(model) for model in page.models]
    if options.json:
        screen.show_json(_page_as_json(page, rows), is_simulated=settings.sandbox)
        return EXIT_OK
    if not rows:
        screen.note("No models match. Use fewer options or other words.")
        return EXIT_OK
    cells = [[row.get(name) for name in ROW_FIELDS] for row in rows]
    screen.show(*table(COLUMNS, cells, screen.stdout))
    if page.next_cursor:
        screen.note(f"To see more, add --cursor {shlex.quote(page.next_cursor)}")
    return EXIT_OK


def show_model(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Show what a model generates, and which options it uses and ignores.

    Raises:
        LayerError: no model has this name or ID.
    """

    async def work(runs: Runs) -> ModelDetail:
        model_id = await find_model_id(runs.client, options.model)
        return await runs.client.get_model(model_id)

    with progress_bar(screen.stderr):
        model = with_runs(settings, work)
    if options.json:
        screen.show_json(model_as_json(model), is_simulated=settings.sandbox)
    else:
        screen.show(*_model_lines(model_as_json(model, option_name)))
    return EXIT_OK


async def find_model_id(client: LayerClient, text: str) -> str:
    """Return the ID of the model with this ID, or with this name in any case.

    Raises:
        LayerError: MODEL_NOT_FOUND with the nearest names, or MODEL_AMBIGUOUS with the IDs.
    """
    if is_uuid(text.strip()):
        return text.strip()
    wanted = _normalize(text)
    models: list[ModelSummary] = []
    # Fetch the whole list only if Layer's search doesn't find the name.
    for search in (wanted, None):
        models = await _fetch_models(client, search)
        matches = [model.model_id for model in models if _normalize(model.name) == wanted]
        if len(matches) == 1:
            return matches[0]
        if matches:
            sentence = f"{len(matches)} models are called {plain(text)}: {', '.join(matches)}."
            raise LayerError("MODEL_AMBIGUOUS", sentence)
    raise _not_found(text, [model.name for model in models if model.name])


def _page_as_json(page: ModelList, rows: list[dict[str, Any]]) -> dict[str, Any]:
    content = {
        "models": rows,
        "next_cursor": page.next_cursor,
        "total_count": page.pagination.total_count if page.pagination else None,
    }
    return without_nulls(content)


def _model_lines(model: dict[str, Any]) -> Iterator[RenderableType]:
    kind = ", ".join(model[name] for name in ("modality", "inference_timing") if name in model)
    yield line(plain(f"{model.get('name') or 'Unnamed model'} ({kind})"), "bold")
    yield line(model["model_id"])
    if "description" in model:
        yield Text(plain(model["description"]))
    if "prompt_format" in model:
        yield Text(plain(f"Prompt format: {model['prompt_format']}"))
    for title, names in (
        ("Uses", model["uses"]),
        ("May use (Layer doesn't say)", model["may_use"]),
        ("Ignores", model["ignores"]),
    ):
        if names:
            yield Text(f"{title}:")
            yield Padding(Text(plain(", ".join(names))), (0, 0, 0, 2))
    for note in model["notes"]:
        yield Text(plain(note))


def _make_query(filters: dict[str, Any]) -> ModelQuery:
    return parse_arguments(ModelQuery, portable_schema(ModelQuery), filters)


async def _fetch_models(client: LayerClient, search: str | None) -> list[ModelSummary]:
    models: list[ModelSummary] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        query = _make_query({"search": search, "limit": PAGE_ROWS, "cursor": cursor})
        page = await client.list_models(query)
        models += page.models
        cursor = page.next_cursor
        if cursor is None:
            break
    return models


def _not_found(text: str, known: list[str]) -> LayerError:
    names = {_normalize(name): name for name in known}
    wanted = _normalize(text)
    near = [key for key in names if wanted in key]
    near += [key for key in difflib.get_close_matches(wanted, names) if key not in near]
    shown = ", ".join(names[key] for key in near[:MAX_SUGGESTIONS])
    suggestion = f" Did you mean {shown}?" if shown else ""
    sentence = f"No model is called {plain(text)}.{suggestion}"
    return LayerError("MODEL_NOT_FOUND", sentence, next_step=LIST_STEP)


def _normalize(name: str | None) -> str:
    return " ".join((name or "").split()).casefold()


def list_workspaces(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """List workspaces and how much each can spend.

    Raises:
        LayerError: Layer refused the request.
    """

    async def work(runs: Runs) -> Sequence[Workspace]:
        return await runs.client.list_workspaces()

    with progress_bar(screen.stderr):
        workspaces = with_runs(settings, work)
    if options.json:
        rows = [one.model_dump(exclude_none=True) for one in workspaces]
        screen.show_json({"workspaces": rows}, is_simulated=settings.sandbox)
        return EXIT_OK
    cells = [[one.name, _describe_balance(one), one.slug, one.workspace_id] for one in workspaces]
    if cells:
        screen.show(*table(WORKSPACE_COLUMNS, cells, screen.stdout))
    else:
        screen.note("The account has no workspaces.")
    return EXIT_OK


def _describe_balance(workspace: Workspace) -> str | None:
    """Return what can be spent: the balance minus what running generations have reserved."""
    available = workspace.available_creative_units
    balance = workspace.balance_creative_units if available is None else available
    return None if balance is None else f"{balance:g}"
