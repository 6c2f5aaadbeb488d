"""layer-mcp models and layer-mcp model, and the search for a model by its name."""

import argparse
import difflib
import shlex
from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from ..api.fields import is_uuid
from ..api.models import ModelQuery
from ..server.tools.get_model import ModelUseAnswer
from ..settings import Settings
from .connection import RefusedError, Server, ToolAnswer, refusal, with_server
from .options import given_fields, option_name, use_option_names
from .output import Column, Screen, line, plain, table
from .parser import EXIT_OK
from .progress import progress_bar

COLUMNS = (
    Column("id"),
    Column("name"),
    Column("makes"),
    Column("time", "number", optional=True),
    Column("about", "text", optional=True),
)
ROW_FIELDS = ("model_id", "name", "modality", "inference_timing", "description")
# A page of this few rows is never cut to size.
PAGE_ROWS, MAX_PAGES = 10, 20
MAX_SUGGESTIONS = 3
LIST_STEP = "layer-mcp models lists them."


def list_models(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """List models by what they make and can do.

    Raises:
        RefusedError: the server refused the call.
    """
    query = given_fields(ModelQuery, options)
    query |= {"search": options.search, "limit": options.limit, "cursor": options.cursor}

    async def work(server: Server) -> ToolAnswer:
        return await server.call("list_models", query)

    with progress_bar(screen.stderr):
        answer = with_server(settings, work)
    if options.json:
        screen.show_json(answer.content)
        return EXIT_OK
    rows = [[model.get(name) for name in ROW_FIELDS] for model in answer.content["models"]]
    if not rows:
        screen.note("No model matches. Leave out options, or use other words.")
        return EXIT_OK
    screen.show(*table(COLUMNS, rows, screen.stdout))
    cursor = answer.content.get("next_cursor")
    if cursor:
        screen.note(f"There are more: add --cursor {shlex.quote(cursor)}")
    return EXIT_OK


def show_model(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Show what a model makes, and which options it uses and ignores.

    Raises:
        RefusedError: no model has this name or ID.
    """

    async def work(server: Server) -> ToolAnswer:
        model_id = await find_model_id(server, options.model)
        return await server.call("get_model", {"model_id": model_id})

    with progress_bar(screen.stderr):
        answer = with_server(settings, work)
    if options.json:
        screen.show_json(answer.content)
    else:
        screen.show(*_model_lines(ModelUseAnswer.model_validate(answer.content)))
    return EXIT_OK


def _model_lines(model: ModelUseAnswer) -> Iterator[RenderableType]:
    kind = ", ".join(fact for fact in (model.modality, model.inference_timing) if fact)
    yield line(plain(f"{model.name or 'A model without name'} ({kind})"), "bold")
    yield line(model.model_id)
    if model.description:
        yield Text(plain(model.description))
    if model.prompt_format:
        yield Text(plain(f"Prompt format: {model.prompt_format}"))
    for title, names in (
        ("Uses", model.uses),
        ("May use, Layer does not say", model.may_use),
        ("Ignores", model.ignores),
    ):
        if names:
            yield Text(f"{title}:")
            yield Padding(Text(plain(", ".join(option_name(name) for name in names))), (0, 0, 0, 2))
    for note in model.notes:
        yield Text(use_option_names(plain(note)))


async def find_model_id(server: Server, text: str) -> str:
    """Return the ID of the model with this ID, or with this name in any case.

    Raises:
        RefusedError: MODEL_NOT_FOUND with the nearest names, or MODEL_AMBIGUOUS with the IDs.
    """
    if is_uuid(text.strip()):
        return text.strip()
    wanted = _normalize(text)
    models: list[dict[str, Any]] = []
    # Fetch the whole list only if Layer's search doesn't find the name.
    for search in (wanted, None):
        models = await _fetch_models(server, search)
        matches = [model for model in models if _normalize(model.get("name")) == wanted]
        if len(matches) == 1:
            return matches[0]["model_id"]
        if matches:
            raise _ambiguous(text, [model["model_id"] for model in matches])
    raise _not_found(text, models)


async def _fetch_models(server: Server, search: str | None) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        query = {"search": search, "limit": PAGE_ROWS, "cursor": cursor}
        page = await server.call("list_models", query)
        models += page.content["models"]
        cursor = page.content.get("next_cursor")
        if cursor is None:
            break
    return models


def _not_found(text: str, models: list[dict[str, Any]]) -> RefusedError:
    names = {_normalize(model.get("name")): model["name"] for model in models if model.get("name")}
    wanted = _normalize(text)
    near = [key for key in names if wanted in key]
    near += [key for key in difflib.get_close_matches(wanted, names) if key not in near]
    shown = ", ".join(names[key] for key in near[:MAX_SUGGESTIONS])
    suggestion = f" Did you mean {shown}?" if shown else ""
    return refusal("MODEL_NOT_FOUND", f"No model is called {plain(text)}.{suggestion}", LIST_STEP)


def _ambiguous(text: str, ids: list[str]) -> RefusedError:
    sentence = f"{len(ids)} models are called {plain(text)}: {', '.join(ids)}."
    return refusal("MODEL_AMBIGUOUS", sentence, "Give the id of one of them.")


def _normalize(name: object) -> str:
    return " ".join(str(name or "").split()).casefold()
