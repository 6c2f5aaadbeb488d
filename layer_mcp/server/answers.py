"""What tools answer: the facts, the next step, at most one small picture, then links."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from mcp.types import (
    CallToolResult,
    ContentBlock,
    ImageContent,
    ResourceLink,
    TextContent,
    ToolAnnotations,
)
from pydantic import BaseModel, BeforeValidator, Field

from ..errors import LayerError
from ..runs.views import SIMULATED_LINE
from ..text.plain_text import remove_controls

PICTURE_TYPE = "image/jpeg"
# The first protocol revision with links in results.
LINKS_SINCE = "2025-06-18"
MAX_LIST_BYTES = 9_000

WORKSPACE: Any = Field(default=None, max_length=255, description="Default: as configured.")
PREVIEW: Any = Field(
    default="true",
    description="tile repeats each image 3x3 to show its seams; false omits the image.",
)


def _preview_word(value: object) -> str:
    """Return a boolean as a word, in any form that agents send."""
    word = str(value).strip().lower()
    return {"1": "true", "yes": "true", "0": "false", "no": "false"}.get(word, word)


# The portable dialect has no type that is a boolean or a word.
Preview = Annotated[Literal["true", "false", "tile"], BeforeValidator(_preview_word)]

RowT = TypeVar("RowT", bound=BaseModel)


class Answer(BaseModel):
    """The fields of every tool's answer. Absent fields are left out, never null."""

    simulated: bool | None = None
    next_step: str

    def facts(self) -> list[str]:
        """Return the lines that come before the next step."""
        raise NotImplementedError


@dataclass(frozen=True)
class ToolOutput:
    """An answer with one small JPEG for the model, and links for the host."""

    answer: Answer
    picture: bytes | None = None
    links: Sequence[ResourceLink] = ()


def success_result(
    output: ToolOutput, *, simulated: bool, protocol_version: str | None
) -> CallToolResult:
    """Return the result of a successful call; the run itself may have failed."""
    answer = output.answer
    facts = answer.model_dump(mode="json", exclude={"next_step"}, exclude_none=True)
    more: list[ContentBlock] = []
    if output.picture is not None:
        data = base64.b64encode(output.picture).decode()
        more.append(ImageContent(type="image", data=data, mime_type=PICTURE_TYPE))
    if protocol_version is not None and protocol_version >= LINKS_SINCE:
        more += output.links
    return _result(answer.facts(), facts, answer.next_step, simulated, more)


def error_result(error: LayerError, *, simulated: bool, hint: str = "") -> CallToolResult:
    """Return the result of a failed call: its code, a sentence, a next step, and the run's ID.

    `hint` continues the next step.
    """
    facts = error.as_json()
    ids = [f"{name}: {facts[name]}" for name in ("inference_id", "run_id") if name in facts]
    lines = [f"{error.code}: {error.message}", *ids]
    result = _result(lines, facts, f"{error.next_step} {hint}".strip(), simulated)
    return result.model_copy(update={"is_error": True})


# Hints that equal the protocol's default (open world, not idempotent) are left out: they cost
# tokens in every list.
def read_only() -> ToolAnnotations:
    """Return the hints of a tool that changes nothing."""
    return ToolAnnotations(read_only_hint=True)


def paid() -> ToolAnnotations:
    """Return the hints of a tool whose calls are charged."""
    return ToolAnnotations(read_only_hint=False, destructive_hint=False)


def additive() -> ToolAnnotations:
    """Return the hints of a tool that adds something once, no matter how often it's called."""
    return ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True)


def fit_rows(rows: Sequence[RowT]) -> list[RowT]:
    """Return as many of the first rows as an answer has room for, at least one."""
    room_bytes = MAX_LIST_BYTES
    kept: list[RowT] = []
    for row in rows:
        room_bytes -= len(row.model_dump_json(exclude_none=True).encode())
        if room_bytes < 0 and kept:
            break
        kept.append(row)
    return kept


def _result(
    lines: list[str],
    facts: dict[str, Any],
    next_step: str,
    simulated: bool,
    more: Sequence[ContentBlock] = (),
) -> CallToolResult:
    mark = {"simulated": True} if simulated else {}
    lines = [*lines, *([SIMULATED_LINE] if simulated else []), f"Next: {next_step}"]
    # Text from outside must not begin a line that looks like ours.
    text = [remove_controls(" ".join(line.splitlines())) for line in lines]
    return CallToolResult(
        content=[TextContent(type="text", text="\n".join(text)), *more],
        structured_content=facts | {"next_step": next_step} | mark,
    )
