"""What tools answer about runs: state, price, files, and the next step."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
from mcp.types import ResourceLink
from pydantic import BaseModel, Field

from ..next_steps import after_run
from ..runs.outputs import FilesOnDisk
from ..runs.types.budget import CallBudget
from ..runs.types.run import Run
from ..runs.views import describe_size, describe_state, run_as_json
from .answers import Answer, Preview, ToolOutput, fit_rows
from .client_quirks import shows_images, shows_links
from .context import ToolContext, app_of

OUTPUT_TEMPLATE = "layer://outputs/{file_id}"
MAX_OUTPUTS = 20
MIN_FINISHING_SECONDS = 5
MIN_PREVIEW_SECONDS = 2


class ErrorInfo(BaseModel):
    """Why a call or a run failed."""

    code: str
    message: str


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
    facts: dict[str, Any] | None = Field(default=None, description="Measured on the file.")
    remarks: list[str] | None = Field(
        default=None, description="Problems to check before using it."
    )

    def line(self) -> str:
        """Return the type, size, and location, for people."""
        size = f"{self.width}x{self.height}" if self.width and self.height else None
        length = f"{self.duration_seconds:g} s" if self.duration_seconds else None
        weight = describe_size(self.file_size_bytes) if self.file_size_bytes is not None else None
        facts = [self.content_type or "unknown type", size, length, weight]
        place = self.path or self.url or "no URL"
        remarks = f" (note: {'; '.join(self.remarks)})" if self.remarks else ""
        return f"{', '.join(fact for fact in facts if fact)}: {place}{remarks}"


class RunAnswer(Answer):
    """The answer about any run, of a model or a workflow."""

    workspace_id: str | None = None
    status: str | None = None
    error: ErrorInfo | None = None
    outputs: list[OutputFile] | None = None
    more_outputs: int | None = None
    record: str | None = Field(default=None, description="JSON next to the saved files.")
    estimated_price_creative_units: float | None = None
    actual_price_creative_units: float | None = None
    session_id: str | None = None
    duplicate: bool | None = Field(default=None, description="True for the run of an earlier call.")
    warning: str | None = None

    def facts(self) -> list[str]:
        """Return the state and price, each output, then differences from the request."""
        lines = [describe_state(dict(self))]
        if self.error:
            lines.append(f"{self.error.code}: {self.error.message}")
        lines += [f"{n}. {file.line()}" for n, file in enumerate(self.outputs or [], 1)]
        lines += [f"{self.more_outputs} more outputs aren't listed."] if self.more_outputs else []
        lines += self.remarks()
        return [*lines, self.warning] if self.warning else lines

    def remarks(self) -> list[str]:
        """Return the lines for other facts worth mentioning."""
        return []

    def links(self) -> list[ResourceLink]:
        """Return a link to each output that has an ID."""
        files = enumerate(self.outputs or [], 1)
        return [_link(number, file, file.file_id) for number, file in files if file.file_id]


class InferenceAnswer(RunAnswer):
    """The state of one run."""

    inference_id: str | None = None
    status: str | None = Field(
        default=None,
        description="in_progress, complete, failed, cancelled, deleted, or as Layer says.",
    )
    changed_parameters: list[str] | None = Field(
        default=None, description="What the model runs differently from what was asked."
    )

    def remarks(self) -> list[str]:
        """Return the arguments that the model changed."""
        changed = self.changed_parameters
        return [f"Changed by the model: {'; '.join(changed)}."] if changed else []


class WorkflowRunAnswer(RunAnswer):
    """The state of one workflow run."""

    run_id: str | None = None
    workflow_id: str | None = None
    steps_done: int | None = None
    steps_total: int | None = None
    current_step: str | None = None


class RunRow(BaseModel):
    """A run as a short row."""

    inference_id: str | None = None
    run_id: str | None = None
    workflow_id: str | None = None
    model_id: str | None = None
    status: str = Field(
        description="As Layer says; or queued, sending, unknown (may be charged), not_sent."
    )
    prompt: str | None = None
    asked_at: str
    batch_id: str | None = None
    estimated_price_creative_units: float | None = None
    actual_price_creative_units: float | None = None
    files: list[str] | None = Field(default=None, description="Paths, or URLs if not saved.")
    more_files: int | None = None
    error: str | None = None

    def line(self) -> str:
        """Return the row for people."""
        price = self.actual_price_creative_units
        estimate = self.estimated_price_creative_units
        differs = estimate is not None and price != estimate
        cost = f"{price:g} CU" if price is not None else ""
        cost += f" (estimated {estimate:g})" if cost and differs else ""
        cost = cost or (f"about {estimate:g} CU" if estimate is not None else "")
        name = self.inference_id or self.run_id or "no id"
        facts = [name, self.status, cost, self.prompt, self.error]
        lines = [", ".join(fact for fact in facts if fact), *(self.files or [])]
        return " | ".join(lines)


async def run_output(
    run: Run, context: ToolContext, budget: CallBudget, *, preview: Preview
) -> ToolOutput:
    """Return the answer about a run. For a finished run, include its files and a preview image.

    Files are saved only if LAYER_OUTPUT_DIR is set, and only once. A failure here never turns a
    finished run into an error; it's reported as a warning in the answer.
    """
    app = app_of(context)
    files = FilesOnDisk()
    picture: bytes | None = None
    if run.state == "complete" and run.outputs:
        seconds = max(budget.seconds_left, MIN_FINISHING_SECONDS)
        deadline = anyio.current_time() + seconds
        if app.settings.output_dir is not None:
            files = await app.runs.save_once(run, seconds=seconds)
        if preview != "false" and app.settings.preview and shows_images(context):
            # Make the preview even if saving the files took all of the time.
            with anyio.move_on_after(max(deadline - anyio.current_time(), MIN_PREVIEW_SECONDS)):
                seen = await app.runs.preview(run, files, tile=preview == "tile")
                picture = seen.picture
                files = replace(files, measured={**seen.measured, **files.measured})
    answer = run_answer(run, files, can_save=app.can_save)
    # Links can only be read for runs in the journal.
    can_read = run.is_in_journal and run.has_ended
    links = answer.links() if can_read and shows_links(context) else []
    return ToolOutput(answer, picture, links)


def run_answer(run: Run, files: FilesOnDisk | None = None, *, can_save: bool) -> RunAnswer:
    """Return a run as an answer, with as many outputs as fit."""
    files = files or FilesOnDisk()
    values = run_as_json(run, files)
    shown = fit_rows([OutputFile(**output) for output in values.pop("outputs", [])[:MAX_OUTPUTS]])
    kind = WorkflowRunAnswer if run.request.kind == "workflow" else InferenceAnswer
    return kind(
        **values,
        outputs=shown or None,
        more_outputs=len(run.outputs) - len(shown) or None,
        next_step=after_run(run, files, can_save=can_save),
    )


def _link(number: int, file: OutputFile, file_id: str) -> ResourceLink:
    return ResourceLink(
        uri=OUTPUT_TEMPLATE.format(file_id=file_id.lower()),
        name=Path(file.path).name if file.path else f"output {number}",
        mime_type=file.content_type,
        size=file.file_size_bytes,
    )
