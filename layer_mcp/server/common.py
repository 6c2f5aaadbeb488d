"""Arguments that several tools have."""

from typing import Any

from mcp.types import ToolAnnotations
from pydantic import Field

WORKSPACE: Any = Field(
    default=None,
    max_length=255,
    description="Id, slug or name. Default: the configured or only one.",
)
PREVIEW: Any = Field(default=True, description="false: no small picture in the answer.")

MAX_ROW_TEXT = 100


# Hints that equal the protocol's default (open world, not idempotent) are left out: they cost
# tokens in every list.
def reading() -> ToolAnnotations:
    """The hints of a tool that changes nothing."""
    return ToolAnnotations(read_only_hint=True)


def spending() -> ToolAnnotations:
    """The hints of a tool whose every call is a new charge."""
    return ToolAnnotations(read_only_hint=False, destructive_hint=False)


def adding() -> ToolAnnotations:
    """The hints of a tool that adds something once, however often it is called."""
    return ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True)


def short(text: str | None) -> str | None:
    """Foreign text as one line for a row."""
    line = " ".join((text or "").split())
    return (line if len(line) <= MAX_ROW_TEXT else line[: MAX_ROW_TEXT - 3] + "...") or None
