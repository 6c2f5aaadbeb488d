"""A model by its name, as a person writes it."""

import difflib
from typing import Any

from ..api.fields import is_uuid
from .connection import RefusedError, Server, refusal
from .plain_text import plain

# A page of so few rows is never cut for its size.
ROWS_A_PAGE, MAX_PAGES = 10, 20
MAX_NAMED = 3
LIST_STEP = "layer-mcp models lists them."


async def model_id_of(server: Server, text: str) -> str:
    """The id of the model that is meant by an id or by a name in any case.

    Raises:
        RefusedError: MODEL_NOT_FOUND with the nearest names, or MODEL_AMBIGUOUS with the ids.
    """
    if is_uuid(text.strip()):
        return text.strip()
    wanted = _key(text)
    found: list[dict[str, Any]] = []
    # All of them only where Layer's own search does not know the name.
    for search in (wanted, None):
        found = await _listed(server, search)
        same = [model for model in found if _key(model.get("name")) == wanted]
        if len(same) == 1:
            return same[0]["model_id"]
        if same:
            raise _ambiguous(text, [model["model_id"] for model in same])
    raise _unknown(text, found)


async def _listed(server: Server, search: str | None) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        query = {"search": search, "limit": ROWS_A_PAGE, "cursor": cursor}
        page = await server.call("list_models", query)
        models += page.content["models"]
        cursor = page.content.get("next_cursor")
        if cursor is None:
            break
    return models


def _unknown(text: str, models: list[dict[str, Any]]) -> RefusedError:
    names = {_key(model.get("name")): model["name"] for model in models if model.get("name")}
    wanted = _key(text)
    near = [key for key in names if wanted in key]
    near += [key for key in difflib.get_close_matches(wanted, names) if key not in near]
    shown = ", ".join(names[key] for key in near[:MAX_NAMED])
    meant = f" Did you mean {shown}?" if shown else ""
    return refusal("MODEL_NOT_FOUND", f"No model is called {plain(text)}.{meant}", LIST_STEP)


def _ambiguous(text: str, ids: list[str]) -> RefusedError:
    sentence = f"{len(ids)} models are called {plain(text)}: {', '.join(ids)}."
    return refusal("MODEL_AMBIGUOUS", sentence, "Give the id of one of them.")


def _key(name: object) -> str:
    return " ".join(str(name or "").split()).casefold()
