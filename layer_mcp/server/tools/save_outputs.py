"""save_outputs: the files of a finished run to a local folder."""

from collections.abc import Sequence

import anyio
from anyio import to_thread
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import Field

from ...api.fields import Id, Request
from ...api.media_files import MEGABYTE
from ...api.models import Inference, Output, WorkflowRun
from ...api.polling import is_terminal
from ...errors import LayerError
from ...paths import output_folder, output_subfolder
from ...runs.outputs import OnBytes
from ...runs.sidecar import FinishedRun, Saved
from ..common import WORKSPACE, adding
from ..endings import note_end
from ..finishing import save_run
from ..provenance import end_facts, finished_run
from ..results import Answer
from ..state import App, ToolContext, app_of
from ..tool import make_tool
from ..waiting import seconds_left

DESCRIPTION = """\
Save the files of a finished run below the output folder, with a JSON record beside them. Nothing \
is overwritten; what is saved already is not fetched again."""
MIN_SECONDS = 5
MAX_PATHS = 40


class SaveOutputsArguments(Request, ArgModelBase):
    """Which run, which files, where to."""

    inference_id: Id = Field(description="A finished run; or run_id of a workflow run.")
    workflow_id: Id | None = Field(default=None, description="Of a workflow run only.")
    file_ids: list[Id] = Field(default=[], max_length=100, description="Default: all outputs.")
    folder: str | None = Field(
        default=None, max_length=500, description="Subfolder, e.g. icons/potions."
    )
    workspace_id: str | None = WORKSPACE


class SavedAnswer(Answer):
    """Where the files are."""

    paths: list[str]
    record: str | None = Field(default=None, description="JSON beside the files.")
    warning: str | None = None

    def facts(self) -> list[str]:
        """The path of each file, then what could not be saved."""
        return [*self.paths, *([self.warning] if self.warning else [])]


async def save_outputs(arguments: SaveOutputsArguments, context: ToolContext) -> SavedAnswer:
    """Read the run, save what is chosen, name what could not be saved."""
    began = anyio.current_time()
    app = app_of(context)
    root = output_folder(app.settings)
    folder = await to_thread.run_sync(output_subfolder, root, arguments.folder)
    workspace_id = await app.client.workspace_id(arguments.workspace_id)
    run_id = arguments.inference_id
    state = await _state(app, arguments, workspace_id)
    if not state.outputs:
        raise _nothing_to_save(state.status)
    record = await app.journal.runs.record(run_id)
    if record is not None and record.is_open and is_terminal(state.status):
        await note_end(app, state, run_id)
    facts = record.facts if record else {"workspace_id": workspace_id}
    run = finished_run(run_id, state.outputs, facts, end_facts(state))
    numbers = _numbers(state.outputs, arguments.file_ids)
    try:
        with anyio.fail_after(max(seconds_left(began, context), MIN_SECONDS)):
            saved = await save_run(
                app, run, folder, numbers=numbers, on_bytes=_reporter(run, numbers, context)
            )
    except TimeoutError:
        raise LayerError("SAVING_UNFINISHED", "The time of one call was up.") from None
    return await to_thread.run_sync(_answer, saved, numbers)


async def _state(
    app: App, arguments: SaveOutputsArguments, workspace_id: str
) -> Inference | WorkflowRun:
    run_id, workflow_id = arguments.inference_id, arguments.workflow_id
    if workflow_id is None:
        return await app.client.get_inference(run_id, workspace=workspace_id)
    return await app.client.get_workflow_run(workflow_id, run_id, workspace=workspace_id)


def _numbers(outputs: Sequence[Output], file_ids: Sequence[str]) -> set[int]:
    """The numbers of the chosen outputs, from 1.

    Raises:
        LayerError: INVALID_ARGUMENTS, for an id that is not among them.
    """
    numbers = {(output.file_id or "").lower(): n for n, output in enumerate(outputs, 1)}
    if not file_ids:
        return set(range(1, len(outputs) + 1))
    unknown = [file_id for file_id in file_ids if file_id.lower() not in numbers]
    if unknown:
        raise LayerError("INVALID_ARGUMENTS", f"The run has no output {unknown[0]}.")
    return {numbers[file_id.lower()] for file_id in file_ids}


def _reporter(run: FinishedRun, numbers: set[int], context: ToolContext) -> OnBytes:
    sizes_bytes = [run.outputs[number - 1].file_size_bytes or 0 for number in numbers]
    total_bytes = sum(sizes_bytes) if all(sizes_bytes) else None
    arrived_bytes: dict[int, int] = {}

    async def report(number: int, so_far_bytes: int) -> None:
        # A transfer that starts over must not let the progress shrink.
        arrived_bytes[number] = max(so_far_bytes, arrived_bytes.get(number, 0))
        done_bytes = sum(arrived_bytes.values())
        message = f"{done_bytes / MEGABYTE:.1f} MB saved"
        await context.report_progress(done_bytes, total_bytes, message)

    return report


def _nothing_to_save(status: str) -> LayerError:
    if is_terminal(status):
        step = "Start a new run if the files are still wanted; it is charged anew."
        return LayerError(
            "NOTHING_TO_SAVE", f"The run is {status} and has no files.", next_step=step
        )
    return LayerError("NOTHING_TO_SAVE", f"The run is {status} and has no files yet.")


def _answer(saved: Saved, numbers: set[int]) -> SavedAnswer:
    failed = {failure.number: failure for failure in saved.failures}
    present = saved.present()
    paths = [
        str(present[number]) for number in sorted(numbers - failed.keys()) if number in present
    ]
    if not paths and saved.failures:
        raise saved.failures[0].error
    hidden = [f"{len(paths) - MAX_PATHS} more are saved there."] if len(paths) > MAX_PATHS else []
    warning = " ".join([*saved.shortfall(), *hidden])
    return SavedAnswer(
        paths=paths[:MAX_PATHS],
        record=str(saved.record),
        warning=warning or None,
        next_step="Call save_outputs again for the rest."
        if saved.failures
        else "Look at the files, and tell the user where they are.",
    )


def save_outputs_tool() -> Tool:
    """The tool as the server publishes it."""
    return make_tool(
        save_outputs,
        title="Save a run's files",
        description=DESCRIPTION,
        arguments=SaveOutputsArguments,
        answer=SavedAnswer,
        annotations=adding(),
    )
