"""An output as a resource: its bytes if a host can take them, else where it is.

Only outputs of runs that the journal knows are read: an address alone makes this server fetch
nothing.
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from ...api.fields import is_uuid
from ...api.media_files import EXTENSION_BY_TYPE, MEDIA_TYPES, sniff
from ...api.models import Output
from ...errors import LayerError
from ...journal.entries import RunEntry
from ...paths import is_below, output_folder
from ...runs.sidecar import SavedFile, earlier_saved
from ..journal_use import read
from ..run_results import OutputFile, size_in_words
from ..state import App, ToolContext, app_of
from .addresses import OUTPUT, RUNS
from .resource import LayerResource, Reading, as_json

# Hosts cut results at 1 MB, and base64 makes four bytes of three.
MAX_FILE_BYTES = 700_000
OTHER_TYPE = "application/octet-stream"
# Blanks, and the mark of UTF-8.
BEFORE_TEXT = b" \t\r\n\xef\xbb\xbf"
# What a run made never changes.
TTL_MS = 3_600_000


@dataclass(frozen=True)
class SavedOutput:
    """An output on disk: what the record says of it, and where it is."""

    file: SavedFile
    path: Path


async def read_output(context: ToolContext, values: Mapping[str, str]) -> Reading:
    """The bytes of an output, or facts about one that is too large for a host.

    A saved file is read from the disk as long as it is what was saved, any other fetched.

    Raises:
        LayerError: OUTPUT_NOT_FOUND, JOURNAL_UNAVAILABLE, or what `LayerClient.download` raises.
    """
    app = app_of(context)
    run, output = await _known(app, values["file_id"])
    saved = await to_thread.run_sync(_saved, run, output)
    data = await to_thread.run_sync(_data_on_disk, app, saved) if saved else None
    if data is None and not _is_large(output, saved):
        data = await _fetched(app, output)
    if data is None:
        return Reading(as_json(_facts(run, output, saved)))
    return Reading(data, _media_type(data, output), TTL_MS)


async def _known(app: App, file_id: str) -> tuple[RunEntry, Output]:
    run = await read(app.journal.outputs.maker(file_id)) if is_uuid(file_id) else None
    outputs = [Output.model_validate(output) for output in run.outcome.outputs] if run else []
    for output in outputs:
        if run is not None and (output.file_id or "").lower() == file_id.lower():
            return run, output
    sentence = f"No run that was started from here is known to have made {file_id[:60]}."
    step = f"Read {RUNS} for the runs, and look at one that has ended with get_status first."
    raise LayerError("OUTPUT_NOT_FOUND", sentence, next_step=step)


def _saved(run: RunEntry, output: Output) -> SavedOutput | None:
    if run.folder is None or run.run_id is None or output.file_id is None:
        return None
    saved = earlier_saved(run.folder, run.run_id)
    present = saved.present() if saved else {}
    for file in saved.files if saved else ():
        is_it = (file.file_id or "").lower() == output.file_id.lower()
        if is_it and file.number in present:
            return SavedOutput(file, present[file.number])
    return None


def _data_on_disk(app: App, saved: SavedOutput) -> bytes | None:
    """The saved file, unless it is large, was changed, or is out of today's output folder."""
    if saved.file.size_bytes > MAX_FILE_BYTES:
        return None
    try:
        if not is_below(output_folder(app.settings), saved.path):
            return None
        with saved.path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, LayerError):
        return None
    return data if hashlib.sha256(data).hexdigest() == saved.file.sha256 else None


def _is_large(output: Output, saved: SavedOutput | None) -> bool:
    size_bytes = saved.file.size_bytes if saved else output.file_size_bytes
    return size_bytes is not None and size_bytes > MAX_FILE_BYTES


async def _fetched(app: App, output: Output) -> bytes | None:
    """The bytes from Layer's media host; None for too many of them."""
    if not output.url:
        raise LayerError("OUTPUT_GONE", "Layer gave no address for this output.")
    sink = io.BytesIO()
    try:
        await app.client.download(output.url, sink, max_bytes=MAX_FILE_BYTES)
    except LayerError as error:
        if error.code == "OUTPUT_TOO_LARGE":
            return None
        raise
    data = sink.getvalue()
    if not data:
        raise LayerError("DOWNLOAD_FAILED", "The media host sent an empty file.")
    if _said_type(output) in MEDIA_TYPES and data.lstrip(BEFORE_TEXT).startswith(b"<"):
        raise LayerError("DOWNLOAD_FAILED", "The media host sent a web page, not the file.")
    return data


def _media_type(data: bytes, output: Output) -> str:
    """What the bytes are; what Layer says of them where they cannot tell."""
    found, said = sniff(data), _said_type(output)
    if found is not None:
        return found
    return said if said in EXTENSION_BY_TYPE and said not in MEDIA_TYPES else OTHER_TYPE


def _said_type(output: Output) -> str:
    return (output.content_type or "").partition(";")[0].strip().lower()


def _facts(run: RunEntry, output: Output, saved: SavedOutput | None) -> dict[str, object]:
    path = str(saved.path) if saved else None
    file = OutputFile.model_validate(output.model_dump() | {"path": path})
    id_name = "inference_id" if run.kind == "inference" else "run_id"
    place = "from its path" if path else "from its URL; no token is needed"
    return {
        **file.model_dump(exclude_none=True),
        id_name: run.run_id,
        "why": f"It is larger than {size_in_words(MAX_FILE_BYTES)}, which hosts cannot take.",
        "next_step": f"Read it {place}.",
    }


OUTPUT_RESOURCE = LayerResource(
    name="output",
    title="One output",
    description="A file that a run made; above 700 KB, where it is.",
    read=read_output,
    template=OUTPUT,
    mime_type=None,
)
