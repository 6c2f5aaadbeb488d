"""What a tool answers about a run: its state, its price, its files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from mcp.types import ResourceLink
from pydantic import BaseModel, Field

from ..api.models import Inference, InferenceRequest, Output, WorkflowRun
from ..api.polling import DONE_STATUSES, FAILED_STATUSES, STOPPED_STATUSES
from ..errors import next_step_for_run, one_sentence
from .common import fitting
from .price_gate import price_difference
from .results import Answer, ErrorInfo, Illustrated

OUTPUT_TEMPLATE = "layer://outputs/{file_id}"
MAX_CODE_LENGTH = 60
MAX_OUTPUTS = 20
RANDOM_SEED = -1


class OutputFile(BaseModel):
    """One generated file."""

    file_id: str | None = Field(default=None, description="Use it in guidance_files.")
    path: str | None = Field(default=None, description="Where it is saved.")
    url: str | None = None
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    file_size_bytes: int | None = None


class RunStateAnswer(Answer):
    """What is known of any run, of a model or of a workflow."""

    workspace_id: str | None = None
    status: str | None = None
    error: ErrorInfo | None = None
    outputs: list[OutputFile] | None = None
    more_outputs: int | None = None
    record: str | None = Field(default=None, description="JSON beside the saved files.")
    estimated_price_creative_units: float | None = None
    actual_price_creative_units: float | None = None
    session_id: str | None = None
    duplicate: bool | None = Field(default=None, description="An earlier call's run.")
    warning: str | None = None

    def with_warning(self, *sentences: str) -> Self:
        """The same with more to say about what went wrong beside the run."""
        said = [self.warning] if self.warning else []
        return self.model_copy(update={"warning": " ".join([*said, *sentences]) or None})

    def links(self) -> list[ResourceLink]:
        """A link to each output that has an id."""
        files = enumerate(self.outputs or [], 1)
        return [_link(number, file, file.file_id) for number, file in files if file.file_id]

    def file_lines(self) -> list[str]:
        """A line for each output."""
        lines = [f"{n}. {_file_line(file)}" for n, file in enumerate(self.outputs or [], 1)]
        more = [f"{self.more_outputs} more outputs are not listed."] if self.more_outputs else []
        return lines + more

    def price(self) -> str:
        """The price as a sentence, or nothing."""
        estimate, actual = self.estimated_price_creative_units, self.actual_price_creative_units
        if actual is not None:
            estimated = f" (estimated {estimate:g})" if estimate not in (None, actual) else ""
            return f" Price {actual:g} CU{estimated}."
        return f" Estimated price {estimate:g} CU." if estimate is not None else ""


class RunAnswer(RunStateAnswer):
    """The state of one run."""

    inference_id: str | None = None
    status: str | None = Field(
        default=None,
        description="in_progress, complete, failed, cancelled, deleted, or as Layer says.",
    )
    changed_parameters: list[str] | None = Field(
        default=None, description="What the model runs differently from what was asked."
    )

    def facts(self) -> list[str]:
        """State and price, each output, then what differs from the request."""
        lines = [f"Run {self.inference_id}: {self.status}.{self.price()}"]
        if self.error:
            lines.append(f"{self.error.code}: {self.error.message}")
        lines += self.file_lines()
        if self.changed_parameters:
            lines.append(f"Changed by the model: {'; '.join(self.changed_parameters)}.")
        if self.warning:
            lines.append(self.warning)
        return lines


def remarked(
    shown: Illustrated[RunStateAnswer], warnings: Sequence[str], *, duplicate: bool | None = None
) -> Illustrated[RunStateAnswer]:
    """The same with more to say, and marked as the run of an earlier call if it is."""
    answer = shown.answer.with_warning(*warnings)
    return replace(shown, answer=answer.model_copy(update={"duplicate": duplicate}))


def run_answer(
    state: Inference, *, workspace_id: str, started: dict[str, Any], can_save: bool
) -> RunAnswer:
    """A run's state as an answer; `started` is what only the start of the run knew."""
    error = run_error(state)
    return RunAnswer(
        inference_id=state.inference_id,
        workspace_id=workspace_id,
        status=state.status,
        outputs=output_files(state.outputs),
        more_outputs=more_outputs(state.outputs),
        estimated_price_creative_units=started.get("estimated_price_creative_units"),
        actual_price_creative_units=state.actual_price_creative_units,
        changed_parameters=started.get("changed"),
        session_id=started.get("session_id"),
        warning=price_warning(state, started),
        error=error,
        next_step=next_step(
            state,
            error,
            save_step="Save the files with save_outputs" if can_save else "",
            wait_step=f'Call get_status with inference_id "{state.inference_id}" and workspace_id '
            f'"{workspace_id}". Do not start the run again.',
        ),
    )


def price_warning(state: Inference | WorkflowRun, started: dict[str, Any]) -> str | None:
    """A sentence when a run cost noticeably other than estimated, or None."""
    estimate = started.get("estimated_price_creative_units")
    return price_difference(estimate, state.actual_price_creative_units)


def output_files(outputs: Sequence[Output]) -> list[OutputFile] | None:
    """The outputs as an answer has them; None for none."""
    files = [OutputFile.model_validate(output.model_dump()) for output in outputs[:MAX_OUTPUTS]]
    return fitting(files) or None


def more_outputs(outputs: Sequence[Output]) -> int | None:
    """How many outputs an answer has no room for; None for none."""
    return len(outputs) - len(output_files(outputs) or []) or None


def run_error(state: Inference | WorkflowRun) -> ErrorInfo | None:
    """Why a run failed, or None."""
    if state.status not in FAILED_STATUSES:
        return None
    return ErrorInfo(
        code=(state.error_code or "RUN_FAILED")[:MAX_CODE_LENGTH],
        message=one_sentence(state.error or "Layer gave no reason"),
    )


def next_step(
    state: Inference | WorkflowRun, error: ErrorInfo | None, *, save_step: str, wait_step: str
) -> str:
    """What an agent should do with a run in this state; an empty `save_step` for no such tool."""
    if error is not None:
        return next_step_for_run(error.code)
    if state.status in DONE_STATUSES:
        if not state.outputs:
            return "Look at the run in Layer: it is complete, but no output is named."
        how = f"{save_step}, or fetch them" if save_step else "Fetch them"
        return f"{how} from their URLs; no token is needed."
    if state.status in STOPPED_STATUSES:
        return "Start a new run if the files are still wanted; it is charged anew."
    return wait_step


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


def output_uri(file_id: str) -> str:
    """Return the URI of an output's resource."""
    return OUTPUT_TEMPLATE.format(file_id=file_id.lower())


def size_in_words(size_bytes: int) -> str:
    """A file's size for people."""
    for unit, factor in (("MB", 1_000_000), ("KB", 1_000)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} bytes"


def _link(number: int, file: OutputFile, file_id: str) -> ResourceLink:
    return ResourceLink(
        uri=output_uri(file_id),
        name=Path(file.path).name if file.path else f"output {number}",
        mime_type=file.content_type,
        size=file.file_size_bytes,
    )


def _file_line(file: OutputFile) -> str:
    size = f"{file.width}x{file.height}" if file.width and file.height else None
    length = f"{file.duration_seconds:g} s" if file.duration_seconds else None
    weight = size_in_words(file.file_size_bytes) if file.file_size_bytes is not None else None
    facts = [file.content_type or "unknown type", size, length, weight]
    place = file.path or file.url or "no URL given"
    return f"{', '.join(fact for fact in facts if fact)}: {place}"


def _same(asked: Any, echoed: Any) -> bool:
    """Whether the echo is what was asked, also when it comes as text."""
    return asked == echoed or _shown(asked) == _shown(echoed)


def _shown(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
