"""What a tool answers: the facts, the next step, at most one small picture, then links."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mcp.types import CallToolResult, ContentBlock, ImageContent, ResourceLink, TextContent
from pydantic import BaseModel

from ..errors import LayerError

SIMULATED_LINE = "Simulated by the sandbox: nothing was charged."
PICTURE_TYPE = "image/jpeg"
# The first revision of the protocol that has links in results.
LINKS_SINCE = "2025-06-18"


class ErrorInfo(BaseModel):
    """Why a call or a run failed."""

    code: str
    message: str


class Answer(BaseModel):
    """What every tool answers. Absent fields are left out, never null."""

    simulated: bool | None = None
    next_step: str

    def facts(self) -> list[str]:
        """The lines that a person reads before the next step."""
        raise NotImplementedError


AnswerT_co = TypeVar("AnswerT_co", bound=Answer, covariant=True)


@dataclass(frozen=True)
class Illustrated(Generic[AnswerT_co]):
    """An answer with one small JPEG for the model's eyes, and links for the host."""

    answer: AnswerT_co
    picture: bytes | None = None
    links: Sequence[ResourceLink] = ()


def finished_call(
    shown: Illustrated[Answer], *, simulated: bool, protocol_version: str | None
) -> CallToolResult:
    """The result of a call that did what it was asked; the run itself may have failed."""
    answer = shown.answer
    facts = answer.model_dump(mode="json", exclude={"next_step"}, exclude_none=True)
    more: list[ContentBlock] = []
    if shown.picture is not None:
        data = base64.b64encode(shown.picture).decode()
        more.append(ImageContent(type="image", data=data, mime_type=PICTURE_TYPE))
    if protocol_version is not None and protocol_version >= LINKS_SINCE:
        more += shown.links
    return _result(answer.facts(), facts, answer.next_step, simulated, more)


def failed_call(error: LayerError, *, simulated: bool, hint: str = "") -> CallToolResult:
    """The result of a call that failed: its code, one sentence, one next step, the run's id.

    `hint` goes on with the next step.
    """
    facts: dict[str, Any] = {"error": {"code": error.code, "message": error.message}} | error.facts
    lines = [f"{error.code}: {error.message}"]
    for name, run_id in (("inference_id", error.inference_id), ("run_id", error.run_id)):
        if run_id:
            facts[name] = run_id
            lines.append(f"{name}: {run_id}")
    result = _result(lines, facts, f"{error.next_step} {hint}".strip(), simulated)
    return result.model_copy(update={"is_error": True})


def _result(
    lines: list[str],
    facts: dict[str, Any],
    next_step: str,
    simulated: bool,
    more: Sequence[ContentBlock] = (),
) -> CallToolResult:
    mark = {"simulated": True} if simulated else {}
    lines = [*lines, *([SIMULATED_LINE] if simulated else []), f"Next: {next_step}"]
    # Foreign text must not begin a line that looks like ours.
    text = [" ".join(line.splitlines()) for line in lines]
    return CallToolResult(
        content=[TextContent(type="text", text="\n".join(text)), *more],
        structured_content=facts | {"next_step": next_step} | mark,
    )
