"""What happens to a finished run: its files are saved when the user wants it, and one is shown.

Nothing here may turn a finished run into an error: what goes wrong is a warning in the answer.
"""

import io
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import anyio
from anyio import to_thread

from .. import __version__
from ..api.media_files import MEGABYTE, is_image
from ..api.models import Output
from ..errors import LayerError
from ..journal.entries import RunRecord
from ..paths import is_below, output_folder
from ..runs.outputs import OnBytes, save_outputs
from ..runs.sidecar import FinishedRun, Saved, earlier_saved
from .preview import SmallPicture, contact_sheet, small_picture
from .results import Illustrated
from .run_results import OutputFile, RunStateAnswer
from .state import App, ToolContext, app_of
from .waiting import seconds_left

MIN_FINISHING_SECONDS = 5
MAX_PICTURES = 16
PICTURES_AT_ONCE = 4
MAX_PICTURE_BYTES = 20 * MEGABYTE
UNFINISHED = "The time of one call was up before all files were saved; the next call goes on."

RunStateT = TypeVar("RunStateT", bound=RunStateAnswer)

logger = logging.getLogger(__name__)


async def bring_home(
    answer: RunStateAnswer,
    run: FinishedRun,
    record: RunRecord,
    context: ToolContext,
    *,
    began: float,
    preview: bool,
) -> Illustrated[RunStateAnswer]:
    """The answer about a finished run with where its files are, and a picture of them.

    Files are saved by themselves only when LAYER_OUTPUT_DIR is set, and once.
    """
    if answer.status != "complete" or not run.outputs:
        return Illustrated(answer)
    app = app_of(context)
    picture: bytes | None = None
    with anyio.move_on_after(max(seconds_left(began, context), MIN_FINISHING_SECONDS)) as scope:
        if app.settings.output_dir is not None:
            answer = await _with_files(answer, run, record, app)
        if preview and app.settings.preview:
            picture = await _picture(run.outputs, answer.outputs or [], app)
    if scope.cancelled_caught and app.settings.output_dir is not None and not answer.record:
        answer = answer.with_warning(UNFINISHED)
    return Illustrated(answer, picture)


async def save_run(
    app: App,
    run: FinishedRun,
    folder: Path,
    *,
    numbers: Collection[int] | None = None,
    on_bytes: OnBytes | None = None,
) -> Saved:
    """Save a run's outputs once at a time, and remember where.

    Raises:
        LayerError: FOLDER_NOT_WRITABLE or DISK_FULL.
    """
    made = {"made_with": f"layer-mcp {__version__}"}
    simulated = {"simulated": True} if app.settings.sandbox else {}
    run = replace(run, facts={**run.facts, **made, **simulated})
    async with app.saving.of(run.run_id):
        saved = await save_outputs(
            app.client,
            run,
            folder,
            numbers=numbers,
            max_bytes=app.settings.max_download_mb * MEGABYTE,
            on_bytes=on_bytes,
        )
        await app.journal.runs.note_folder(run.run_id, folder)
        workspace_id = run.facts.get("workspace_id")
        for file in saved.fetched:
            # An output is in Layer already: given back as a reference, it needs no upload.
            if workspace_id and file.file_id:
                await app.journal.uploads.note(workspace_id, file.sha256, file.file_id)
    return saved


async def _with_files(
    answer: RunStateT, run: FinishedRun, record: RunRecord, app: App
) -> RunStateT:
    try:
        saved = await _saved_once(app, run, await _folder_of(record, app))
    except LayerError as error:
        return answer.with_warning(f"The files were not saved: {error.message} {error.next_step}")
    # The run is paid for: whatever breaks while saving, the agent gets its files' addresses.
    except Exception:
        logger.exception("Saving run %s crashed", run.run_id)
        return answer.with_warning("The files were not saved: saving failed in the server.")
    present = await to_thread.run_sync(saved.present)
    answer = _with_paths(answer, saved, present).with_warning(*saved.shortfall())
    # An answer lists a part of many outputs; what counts are all of the run's.
    if all(number in present for number in range(1, len(run.outputs) + 1)):
        step = "The files are saved. Look at them, and tell the user where they are."
        return answer.model_copy(update={"next_step": step})
    return answer


def _with_paths(answer: RunStateT, saved: Saved, present: Mapping[int, Path]) -> RunStateT:
    """The answer with the path of each output that is on disk."""
    outputs = [
        output.model_copy(update={"path": str(present[number]) if number in present else None})
        for number, output in enumerate(answer.outputs or [], 1)
    ]
    return answer.model_copy(update={"outputs": outputs, "record": str(saved.record)})


async def _folder_of(record: RunRecord, app: App) -> Path:
    """Where a run's files are, if that is below today's output folder; else that folder."""
    root = output_folder(app.settings)
    folder = record.folder
    if folder is None or not await to_thread.run_sync(is_below, root, folder):
        return root
    return folder


async def _saved_once(app: App, run: FinishedRun, folder: Path) -> Saved:
    """What is saved of a run; a file that was saved before and is gone was taken away."""
    earlier = await to_thread.run_sync(earlier_saved, folder, run.run_id)
    known = {file.number for file in earlier.files} if earlier else set[int]()
    missing = set(range(1, len(run.outputs) + 1)) - known
    if earlier is not None and not missing:
        return earlier
    return await save_run(app, run, folder, numbers=missing)


async def _picture(
    outputs: Sequence[Output], files: Sequence[OutputFile], app: App
) -> bytes | None:
    """One small picture of all outputs that can be seen, or None."""
    # What cannot be seen keeps its place, so that the numbers are those of the outputs.
    pictures: list[SmallPicture | None] = [None] * min(len(files), MAX_PICTURES)
    at_once = anyio.Semaphore(PICTURES_AT_ONCE)

    async def load(number: int) -> None:
        async with at_once:
            data = await _picture_bytes(outputs[number], files[number].path, app)
            if data:
                # Nothing in it changes anything: the thread may be left behind at the deadline.
                pictures[number] = await to_thread.run_sync(
                    small_picture, data, limiter=app.sheets, abandon_on_cancel=True
                )

    try:
        async with anyio.create_task_group() as tasks:
            for number in range(len(pictures)):
                tasks.start_soon(load, number)
        return await to_thread.run_sync(contact_sheet, pictures, limiter=app.sheets)
    # A picture is a courtesy: without it the answer is as good.
    except Exception:
        logger.exception("No preview could be made")
        return None


async def _picture_bytes(output: Output, path: str | None, app: App) -> bytes:
    """A picture of an output: Layer's small one, else the output itself; empty for none."""
    if not output.preview_url and not is_image(output.content_type):
        return b""
    if path and not output.preview_url:
        return await to_thread.run_sync(_small_file, Path(path))
    sink = io.BytesIO()
    try:
        url = output.preview_url or output.url or ""
        await app.client.download(url, sink, max_bytes=MAX_PICTURE_BYTES)
    except LayerError as error:
        logger.info("No preview: %s", error)
        return b""
    return sink.getvalue()


def _small_file(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.stat().st_size <= MAX_PICTURE_BYTES else b""
    except OSError:
        return b""
