"""Lists in pages: the query of a list request, and opaque cursors."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.requests import Request

from ..api.models import ModelQuery, WorkflowQuery
from .problems import RefusalError, refused_fields
from .state import SandboxState

Item = TypeVar("Item")
Query = TypeVar("Query", ModelQuery, WorkflowQuery)


def query_of(state: SandboxState, request: Request, kind: type[Query]) -> Query:
    """The query of a request; unknown names are ignored.

    Raises:
        RefusalError: a value is not one that the contract allows.
    """
    try:
        return kind.model_validate(dict(request.query_params), extra="ignore")
    except ValidationError as error:
        raise refused_fields(error, state.knobs.validation_style, place="query") from None


def page(
    items: Sequence[Item], *, limit: int, cursor: str | None
) -> tuple[Sequence[Item], dict[str, Any]]:
    """The items of one page, and where the next one is (PaginationOutput)."""
    start = 0 if cursor is None else _offset_of(cursor)
    end = start + limit
    more = end < len(items)
    return items[start:end], {
        "next_cursor": cursor_of(end) if more else None,
        "has_more_results": more,
        "total_count": len(items),
    }


def cursor_of(offset: int) -> str:
    """A cursor as clients see it: a word that means nothing to them."""
    return base64.urlsafe_b64encode(f"offset:{offset}".encode()).decode()


def _offset_of(cursor: str) -> int:
    try:
        offset = int(base64.urlsafe_b64decode(cursor).removeprefix(b"offset:"))
    except (ValueError, binascii.Error):
        offset = -1
    if offset < 0 or cursor_of(offset) != cursor:
        raise RefusalError(422, "INVALID_INPUTS", "cursor: is not one of this list.")
    return offset
