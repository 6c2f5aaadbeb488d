"""What a tool answers about runs: state, price, files, what to do next."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
from anyio import to_thread
from mcp.types import ResourceLink
from pydantic import BaseModel, Field

from ..errors import LayerError, next_step_for_run
from ..runs.service import Runs
from ..runs.types import CallBudget, Run
from ..runs.views import describe_price, describe_size, run_as_json
from .answers import Answer, ToolOutput, fit_rows
from .context import ToolContext, app_of

OUTPUT_TEMPLATE = "layer://outputs/{file_id}"
MAX_OUTPUTS = 20
MIN_FINISHING_SECONDS = 5
UNFINISHED = "The time of one call was up before all files were saved; the next call goes on."

logger = logging.getLogger(__name__)


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

    def line(self) -> str:
        """Return type, size and place, for people."""
        size = f"{self.width}x{self.height}" if self.width and self.height else None
        length = f"{self.duration_seconds:g} s" if self.duration_seconds else None
        weight = describe_size(self.file_size_bytes) if self.file_size_bytes is not None else None
        facts = [self.content_type or "unknown type", size, length, weight]
        place = self.path or self.url or "no URL given"
        return f"{', '.join(fact for fact in facts if fact)}: {place}"


class RunAnswer(Answer):
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

    def facts(self) -> list[str]:
        """Return state and price, each output, then what differs from the request."""
        price = describe_price(
            self.estimated_price_creative_units, self.actual_price_creative_units
        )
        lines = [f"{self.headline()}{price}"]
        if self.error:
            lines.append(f"{self.error.code}: {self.error.message}")
        lines += [f"{n}. {file.line()}" for n, file in enumerate(self.outputs or [], 1)]
        lines += [f"{self.more_outputs} more outputs are not listed."] if self.more_outputs else []
        lines += self.remarks()
        return [*lines, self.warning] if self.warning else lines

    def headline(self) -> str:
        """Return which run it is, and its state."""
        raise NotImplementedError

    def remarks(self) -> list[str]:
        """Return what else is worth a line."""
        return []

    def links(self) -> list[ResourceLink]:
        """Return a link to each output that has an id."""
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

    def headline(self) -> str:
        """Return which run it is, and its state."""
        return f"Run {self.inference_id}: {self.status}."

    def remarks(self) -> list[str]:
        """Return what the model changed."""
        changed = self.changed_parameters
        return [f"Changed by the model: {'; '.join(changed)}."] if changed else []


class WorkflowRunAnswer(RunAnswer):
    """The state of one workflow run."""

    run_id: str | None = None
    workflow_id: str | None = None
    steps_done: int | None = None
    steps_total: int | None = None
    current_step: str | None = None

    def headline(self) -> str:
        """Return which run it is, its state and its steps."""
        steps = ""
        if self.steps_total:
            steps = f" {self.steps_done} of {self.steps_total} steps done"
            steps += f", now {self.current_step}." if self.current_step else "."
        return f"Workflow run {self.run_id}: {self.status}.{steps}"


class RunRow(BaseModel):
    """One run, short."""

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
    run: Run, context: ToolContext, budget: CallBudget, *, preview: bool
) -> ToolOutput:
    """Return the answer about a run, a finished one with its files and a picture of them.

    Files are saved only when LAYER_OUTPUT_DIR is set, and once. Nothing here turns a finished run
    into an error: what goes wrong is a warning in the answer.
    """
    app = app_of(context)
    files = SavedFiles()
    picture: bytes | None = None
    if run.state == "complete" and run.outputs:
        saves = app.settings.output_dir is not None
        with anyio.move_on_after(max(budget.seconds_left, MIN_FINISHING_SECONDS)) as scope:
            if saves:
                files = await _save(run, app.runs)
            if preview and app.settings.preview:
                picture = await app.runs.preview(run, files.paths)
        if scope.cancelled_caught and saves and files.record is None:
            files = SavedFiles(warnings=(UNFINISHED,))
    answer = run_answer(run, files, can_save=app.can_save)
    # Only what the journal knows can be read by its link.
    links = answer.links() if run.is_in_journal and run.has_ended else []
    return ToolOutput(answer, picture, links)


@dataclass(frozen=True)
class SavedFiles:
    """The files of a run on disk: their paths by number, their record, what went wrong."""

    paths: Mapping[int, Path] = field(default_factory=dict[int, Path])
    record: Path | None = None
    warnings: Sequence[str] = ()


def run_answer(run: Run, files: SavedFiles | None = None, *, can_save: bool) -> RunAnswer:
    """Return a run as an answer, with as many outputs as there is room for."""
    files = files or SavedFiles()
    warned = replace(run, warnings=(*files.warnings, *run.warnings))
    values = run_as_json(warned, files.paths, files.record)
    shown = fit_rows([OutputFile(**output) for output in values.pop("outputs", [])[:MAX_OUTPUTS]])
    kind = WorkflowRunAnswer if run.request.kind == "workflow" else InferenceAnswer
    return kind(
        **values,
        outputs=shown or None,
        more_outputs=len(run.outputs) - len(shown) or None,
        next_step=_next_step(run, files, can_save=can_save),
    )


async def _save(run: Run, runs: Runs) -> SavedFiles:
    """Save the files of a finished run once."""
    try:
        saved = await runs.save_once(run)
    except LayerError as error:
        warning = f"The files were not saved: {error.message} {error.next_step}"
        return SavedFiles(warnings=(warning,))
    # The run is paid for: whatever breaks while saving, the agent gets its files' addresses.
    except Exception:
        logger.exception("Saving run %s crashed", run.run_id)
        return SavedFiles(warnings=("The files were not saved: saving failed in the server.",))
    paths = await to_thread.run_sync(saved.present)
    return SavedFiles(paths, saved.record, saved.describe_failures())


def _next_step(run: Run, files: SavedFiles, *, can_save: bool) -> str:
    if run.state == "failed" and run.error is not None:
        return next_step_for_run(run.error.code)
    if run.state == "complete":
        if not run.outputs:
            return "Look at the run in Layer: it is complete, but no output is named."
        # An answer lists a part of many outputs; what counts are all of the run's.
        if all(number in files.paths for number in range(1, len(run.outputs) + 1)):
            return "The files are saved. Look at them, and tell the user where they are."
        how = f"{_save_step(run)}, or fetch them" if can_save else "Fetch them"
        return f"{how} from their URLs; no token is needed."
    if run.has_ended:
        return "Start a new run if the files are still wanted; it is charged anew."
    return _wait_step(run)


def _save_step(run: Run) -> str:
    if run.request.kind == "inference":
        return "Save the files with save_outputs"
    return "Save the files with save_outputs (inference_id is the run_id; add workflow_id)"


def _wait_step(run: Run) -> str:
    workspace_id, run_id = run.request.workspace_id, run.run_id
    if run.request.kind == "inference":
        call = f'get_status with inference_id "{run_id}" and workspace_id "{workspace_id}"'
    else:
        call = (
            f'get_workflow_status with workflow_id "{run.request.subject_id}", run_id '
            f'"{run_id}" and workspace_id "{workspace_id}"'
        )
    return f"Call {call}. Do not start the run again."


def _link(number: int, file: OutputFile, file_id: str) -> ResourceLink:
    return ResourceLink(
        uri=OUTPUT_TEMPLATE.format(file_id=file_id.lower()),
        name=Path(file.path).name if file.path else f"output {number}",
        mime_type=file.content_type,
        size=file.file_size_bytes,
    )
