"""Arguments that several tools have."""

from collections.abc import Sequence
from typing import Any, TypeVar

from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field

WORKSPACE: Any = Field(
    default=None,
    max_length=255,
    description="Default: as configured.",
)
PREVIEW: Any = Field(default=True, description="false: no small picture in the answer.")

MAX_ROW_TEXT = 100
MAX_LIST_BYTES = 9_000

RowT = TypeVar("RowT", bound=BaseModel)


# Hints that equal the protocol's default (open world, not idempotent) are left out: they cost
# tokens in every list.
def reading() -> ToolAnnotations:
    """The hints of a tool that changes nothing."""
    return ToolAnnotations(read_only_hint=True)


def spending() -> ToolAnnotations:
    """The hints of a tool whose calls are charged."""
    return ToolAnnotations(read_only_hint=False, destructive_hint=False)


def adding() -> ToolAnnotations:
    """The hints of a tool that adds something once, however often it is called."""
    return ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True)


def fitting(rows: Sequence[RowT]) -> list[RowT]:
    """The first rows, as many as an answer has room for; at least one."""
    room_bytes = MAX_LIST_BYTES
    kept: list[RowT] = []
    for row in rows:
        room_bytes -= len(row.model_dump_json(exclude_none=True).encode())
        if room_bytes < 0 and kept:
            break
        kept.append(row)
    return kept


def next_page(tool: str, shown: int, found: int, cursor: str | None) -> str:
    """How to see the rows that are not in the answer, as the end of a next step."""
    if shown < found:
        return f" Only {shown} of {found} rows fit: call {tool} again with limit {shown}."
    return f' More: call {tool} again with cursor "{cursor}".' if cursor else ""


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 run, 2 runs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def short(text: str | None) -> str | None:
    """Foreign text as one line for a row."""
    line = " ".join((text or "").split())
    return (line if len(line) <= MAX_ROW_TEXT else line[: MAX_ROW_TEXT - 3] + "...") or None
