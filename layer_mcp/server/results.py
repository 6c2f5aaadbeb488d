"""What a tool answers: the facts, then the next step."""

from typing import Any

from mcp.types import CallToolResult, TextContent
from pydantic import BaseModel, Field

from ..api.errors import LayerError, next_step_for_run, one_sentence
from ..api.models import Inference, InferenceRequest, Output, StartedInference

MAX_CODE_LENGTH = 60
RANDOM_SEED = -1
SIMULATED_LINE = "Simulated by the sandbox: nothing was charged."


class ErrorInfo(BaseModel):
    """Why a call or a run failed."""

    code: str = Field(description="Stable code.")
    message: str


class Answer(BaseModel):
    """What every tool answers. Absent fields are left out, never null."""

    simulated: bool | None = Field(default=None, description="True if the sandbox answered.")
    error: ErrorInfo | None = None
    next_step: str = Field(description="What to do now.")

    def facts(self) -> list[str]:
        """The lines that a person reads before the next step."""
        raise NotImplementedError


class OutputFile(BaseModel):
    """One generated file."""

    file_id: str | None = Field(default=None, description="Use it in guidance_files.")
    url: str | None = None
    content_type: str | None = None
    preview_url: str | None = None
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    file_size_bytes: int | None = None


class RunAnswer(Answer):
    """The state of one run."""

    inference_id: str | None = None
    workspace_id: str | None = None
    status: str | None = Field(
        default=None,
        description="in_progress, complete, failed, cancelled, deleted, or as Layer says.",
    )
    outputs: list[OutputFile] | None = None
    estimated_price_creative_units: float | None = None
    actual_price_creative_units: float | None = None
    changed_parameters: list[str] | None = Field(
        default=None, description="What the model runs differently from what was asked."
    )
    session_id: str | None = None
    warning: str | None = None

    def facts(self) -> list[str]:
        """State and price, each output, then what differs from the request."""
        lines = [f"Run {self.inference_id}: {self.status}.{_price(self)}"]
        if self.error:
            lines.append(f"{self.error.code}: {self.error.message}")
        lines += [f"{n}. {_file_line(file)}" for n, file in enumerate(self.outputs or [], 1)]
        if self.changed_parameters:
            lines.append(f"Changed by the model: {'; '.join(self.changed_parameters)}.")
        if self.warning:
            lines.append(self.warning)
        return lines


def finished_call(answer: Answer, *, simulated: bool) -> CallToolResult:
    """The result of a call that did what it was asked; the run itself may have failed."""
    facts = answer.model_dump(mode="json", exclude={"next_step"}, exclude_none=True)
    return _result(answer.facts(), facts, answer.next_step, simulated)


def failed_call(error: LayerError, *, simulated: bool) -> CallToolResult:
    """The result of a call that failed: its code, one sentence, one next step, the run's id."""
    facts: dict[str, Any] = {"error": {"code": error.code, "message": error.message}}
    lines = [f"{error.code}: {error.message}"]
    if error.inference_id:
        facts["inference_id"] = error.inference_id
        lines.append(f"inference_id: {error.inference_id}")
    result = _result(lines, facts, error.next_step, simulated)
    return result.model_copy(update={"is_error": True})


def run_answer(
    state: Inference, *, workspace_id: str, started: StartedInference | None = None
) -> RunAnswer:
    """A run's state as an answer; `started` adds what only the submission's answer knows."""
    error = _run_error(state)
    return RunAnswer(
        inference_id=state.inference_id,
        workspace_id=workspace_id,
        status=state.status,
        outputs=[_output_file(output) for output in state.outputs] or None,
        estimated_price_creative_units=started.estimated_price_creative_units if started else None,
        actual_price_creative_units=state.actual_price_creative_units,
        session_id=started.session_id if started else None,
        error=error,
        next_step=_next_step(state, error, workspace_id),
    )


def changed_parameters(request: InferenceRequest, normalized: dict[str, Any] | None) -> list[str]:
    """What was asked for and will run otherwise, as Layer's echo of the request says."""
    echo = normalized or {}
    asked = request.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    if request.seed == RANDOM_SEED:
        asked.pop("seed", None)
    return [
        f"{name} asked {_shown(value)}, "
        + ("not used" if echo[name] is None else f"runs {_shown(echo[name])}")
        for name, value in asked.items()
        if name in echo and not _same(value, echo[name])
    ]


def _result(
    lines: list[str], facts: dict[str, Any], next_step: str, simulated: bool
) -> CallToolResult:
    mark = {"simulated": True} if simulated else {}
    text = [*lines, *([SIMULATED_LINE] if simulated else []), f"Next: {next_step}"]
    return CallToolResult(
        content=[TextContent(type="text", text="\n".join(text))],
        structured_content=facts | {"next_step": next_step} | mark,
    )


def _run_error(state: Inference) -> ErrorInfo | None:
    if state.status != "failed":
        return None
    return ErrorInfo(
        code=(state.error_code or "RUN_FAILED")[:MAX_CODE_LENGTH],
        message=one_sentence(state.error or "Layer gave no reason"),
    )


def _next_step(state: Inference, error: ErrorInfo | None, workspace_id: str) -> str:
    if error is not None:
        return next_step_for_run(error.code)
    if state.status == "complete":
        return (
            "Fetch the files from their URLs; no token is needed."
            if state.outputs
            else ("Look at the run in Layer: it is complete, but no output is named.")
        )
    if state.status in ("cancelled", "deleted"):
        return "Start a new run if the files are still wanted; it is charged anew."
    return (
        f'Call get_status with inference_id "{state.inference_id}" and workspace_id '
        f'"{workspace_id}". Do not start the run again.'
    )


def _output_file(output: Output) -> OutputFile:
    return OutputFile.model_validate(output.model_dump())


def _price(answer: RunAnswer) -> str:
    estimate, actual = answer.estimated_price_creative_units, answer.actual_price_creative_units
    if actual is not None:
        estimated = f" (estimated {estimate:g})" if estimate not in (None, actual) else ""
        return f" Price {actual:g} CU{estimated}."
    return f" Estimated price {estimate:g} CU." if estimate is not None else ""


def _file_line(file: OutputFile) -> str:
    size = f"{file.width}x{file.height}" if file.width and file.height else None
    length = f"{file.duration_seconds:g} s" if file.duration_seconds else None
    facts = [file.content_type or "unknown type", size, length, _bytes(file.file_size_bytes)]
    return f"{', '.join(fact for fact in facts if fact)}: {file.url or 'no URL given'}"


def _bytes(size_bytes: int | None) -> str | None:
    if size_bytes is None:
        return None
    for unit, factor in (("MB", 1_000_000), ("KB", 1_000)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} bytes"


def _same(asked: Any, echoed: Any) -> bool:
    """Whether the echo is what was asked, also when it comes as text."""
    return asked == echoed or _shown(asked) == _shown(echoed)


def _shown(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
