"""save_outputs: save the files of a finished run to a local folder."""

from collections.abc import Sequence

from anyio import to_thread
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import Field

from ...api.fields import Id, Request
from ...api.models import Output
from ...errors import LayerError
from ...files.local_files import MEGABYTE
from ...files.paths import output_subfolder
from ...runs.outputs import FilesOnDisk, OnBytes, SavedOutputs, report_total
from ...runs.outputs.remarks import list_remarks
from ...runs.types.run import Run
from ...runs.views import describe_arriving
from ..answers import WORKSPACE, Answer, additive
from ..context import ToolContext, app_of, begin_call
from ..tool import make_tool

DESCRIPTION = """\
Save the files of a finished run in the output folder, with a JSON record next to them. Never \
overwrites files; skips files that are already saved."""
MIN_SECONDS = 5
MAX_PATHS = 40


class SaveOutputsArguments(Request, ArgModelBase):
    """The run, the files to save, and the folder."""

    inference_id: Id = Field(description="A finished run, or run_id of a workflow run.")
    workflow_id: Id | None = Field(default=None, description="Only for a workflow run.")
    file_ids: list[Id] = Field(default=[], max_length=100, description="Default: all outputs.")
    folder: str | None = Field(
        default=None, max_length=500, description="Subfolder, e.g. icons/potions."
    )
    name: str | None = Field(
        default=None, max_length=100, description="File name, e.g. sword; sword_01 for several."
    )
    workspace_id: str | None = WORKSPACE


class SavedAnswer(Answer):
    """The locations of the saved files."""

    paths: list[str]
    remarks: list[str] | None = Field(
        default=None, description="Problems to check before using a file."
    )
    record: str | None = Field(default=None, description="JSON next to the files.")
    warning: str | None = None

    def facts(self) -> list[str]:
        """Return the path of each file, then what to check and what couldn't be saved."""
        return [*self.paths, *(self.remarks or []), *([self.warning] if self.warning else [])]


async def save_outputs(arguments: SaveOutputsArguments, context: ToolContext) -> SavedAnswer:
    """Read the run, save the chosen files, and report what couldn't be saved."""
    budget, app = begin_call(context), app_of(context)
    root = app.runs.folders.output_root()
    folder = await to_thread.run_sync(output_subfolder, root, arguments.folder)
    run = await app.runs.get(
        arguments.inference_id,
        workflow_id=arguments.workflow_id,
        workspace=arguments.workspace_id,
    )
    if not run.outputs:
        raise _nothing_to_save(run)
    numbers = _numbers(run.outputs, arguments.file_ids)
    report = _report_bytes(run.outputs, numbers, context)
    saved = await app.runs.save(
        run,
        folder,
        numbers=numbers,
        name=arguments.name,
        seconds=max(budget.seconds_left, MIN_SECONDS),
        on_bytes=report,
    )
    return await to_thread.run_sync(_answer, run, saved, numbers)


def _numbers(outputs: Sequence[Output], file_ids: Sequence[str]) -> set[int]:
    """Return the numbers of the chosen outputs, from 1.

    Raises:
        LayerError: INVALID_ARGUMENTS, for an unknown ID.
    """
    numbers = {(output.file_id or "").lower(): n for n, output in enumerate(outputs, 1)}
    if not file_ids:
        return set(range(1, len(outputs) + 1))
    unknown = [file_id for file_id in file_ids if file_id.lower() not in numbers]
    if unknown:
        raise LayerError("INVALID_ARGUMENTS", f"The run has no output {unknown[0]}.")
    return {numbers[file_id.lower()] for file_id in file_ids}


def _report_bytes(outputs: Sequence[Output], numbers: set[int], context: ToolContext) -> OnBytes:
    async def report(arrived_bytes: int, total_bytes: int | None) -> None:
        message = f"{arrived_bytes / MEGABYTE:.1f} MB saved"
        await context.report_progress(arrived_bytes, total_bytes, message)

    return report_total(outputs, numbers, report)


def _nothing_to_save(run: Run) -> LayerError:
    if run.has_ended:
        step = "Start a new run if you still need the files; the new run is charged."
        return LayerError(
            "NOTHING_TO_SAVE", f"The run is {run.state} and has no files.", next_step=step
        )
    return LayerError("NOTHING_TO_SAVE", f"The run is {run.state} and has no files yet.")


def _answer(run: Run, saved: SavedOutputs, numbers: set[int]) -> SavedAnswer:
    failed = {failure.number for failure in saved.failures}
    files = FilesOnDisk.of(saved)
    shown = [number for number in sorted(numbers - failed) if number in files.paths]
    if not shown and saved.failures:
        raise saved.failures[0].error
    hidden = (
        [f"{len(shown) - MAX_PATHS} more files are saved in the same folder."]
        if len(shown) > MAX_PATHS
        else []
    )
    warning = " ".join([*files.warnings, *describe_arriving(files), *hidden])
    remarks = [
        f"{files.paths[number].name}: {'; '.join(remarks)}"
        for number in shown[:MAX_PATHS]
        if (remarks := list_remarks(run, number, files.measured.get(number)))
    ]
    return SavedAnswer(
        paths=[str(files.paths[number]) for number in shown[:MAX_PATHS]],
        remarks=remarks or None,
        record=str(files.record) if files.record else None,
        warning=warning or None,
        next_step="Call save_outputs again for the remaining files."
        if saved.failures or saved.arriving
        else "Look at the files, and tell the user where they are.",
    )


def save_outputs_tool() -> Tool:
    """Return the tool as the server publishes it."""
    return make_tool(
        save_outputs,
        title="Save a run's files",
        description=DESCRIPTION,
        arguments=SaveOutputsArguments,
        answer=SavedAnswer,
        annotations=additive(),
    )
