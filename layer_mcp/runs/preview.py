"""Create one small picture that shows the outputs of a run to a model."""

import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from ..api.client import LayerClient
from ..api.models import Output
from ..errors import LayerError
from ..files.folders import PrivateFolders, read_file
from ..files.local_files import MEGABYTE
from ..media.preview.contact_sheet import MAX_PICTURES, cell_sizes, contact_sheet
from ..media.preview.small_picture import Size, SmallPicture, small_picture
from ..media.sniff import HEAD_BYTES, sniff
from ..media.types import extension_for, is_image
from .outputs.record import FilesOnDisk, MeasuredFile

PICTURES_AT_ONCE = 4
REPEAT = 3
MAX_PICTURE_BYTES = 20 * MEGABYTE

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preview:
    """A small JPEG of the visible outputs, if any, and what was measured on files loaded for it.

    `measured` is by output number, from 1. Layer's own small pictures aren't measured.
    """

    picture: bytes | None = None
    measured: Mapping[int, MeasuredFile] = field(default_factory=dict[int, MeasuredFile])


async def make_preview(
    client: LayerClient,
    outputs: Sequence[Output],
    files: FilesOnDisk,
    *,
    tile: bool = False,
    limiter: anyio.CapacityLimiter,
    private: PrivateFolders,
) -> Preview:
    """Load the visible outputs and draw them as one small JPEG.

    `tile` repeats each image 3 x 3 to show the seams of a texture. WAV sounds are drawn as
    waveforms. `files` are the saved files; those in `private` folders aren't opened. Drawing
    threads take a token from `limiter`.
    """
    # Invisible outputs keep their place, so that the numbers match the outputs.
    pictures: list[SmallPicture | None] = [None] * min(len(outputs), MAX_PICTURES)
    cells = cell_sizes(len(pictures))
    slots = anyio.Semaphore(PICTURES_AT_ONCE)
    measured: dict[int, MeasuredFile] = {}

    async def load(index: int) -> None:
        async with slots:
            output, number = _as_measured(outputs[index], files.measured.get(index + 1)), index + 1
            repeat = REPEAT if tile and is_image(output.content_type) else 1
            source = _source(output, files.paths.get(number), needs_original=repeat > 1)
            data = await _load(client, source, private)
            if not data:
                return
            # The thread has no side effects, so it can be abandoned at the deadline.
            in_thread = partial(to_thread.run_sync, limiter=limiter, abandon_on_cancel=True)
            pictures[index] = await in_thread(_make_small, data, cells, repeat)
            if source == output.url and number not in files.measured:
                found = await in_thread(_measure, data, output)
                measured.update({number: found} if found else {})

    try:
        async with anyio.create_task_group() as tasks:
            for index in range(len(pictures)):
                tasks.start_soon(load, index)
        picture = await to_thread.run_sync(contact_sheet, pictures, limiter=limiter)
    # The preview is optional; answer without it.
    except Exception:
        logger.exception("Couldn't create a preview")
        picture = None
    return Preview(picture, measured)


def _as_measured(output: Output, measured: MeasuredFile | None) -> Output:
    """Return an output with the type detected from its content, if known."""
    if measured is None:
        return output
    return output.model_copy(update={"content_type": measured.content_type})


def _measure(data: bytes, output: Output) -> MeasuredFile | None:
    from .outputs.inspect import measure_output  # noqa: PLC0415  only for whole outputs

    try:
        return measure_output(io.BytesIO(data), len(data), output)
    except LayerError:
        return None


def _source(output: Output, path: Path | None, *, needs_original: bool) -> Path | str | None:
    """Choose Layer's small picture of an output, or the output itself.

    Returns None for an output that isn't visible.
    """
    if output.preview_url and not needs_original:
        return output.preview_url
    is_sound = extension_for(output.content_type, output.url) == "wav"
    return path or output.url if is_image(output.content_type) or is_sound else None


async def _load(
    client: LayerClient, source: Path | str | None, private: PrivateFolders
) -> bytes | None:
    if source is None:
        return None
    if isinstance(source, Path):
        return await to_thread.run_sync(_read_small_file, source, private)
    sink = io.BytesIO()
    try:
        await client.download(source, sink, max_bytes=MAX_PICTURE_BYTES)
    except LayerError as error:
        logger.info("No preview: %s", error)
        return None
    return sink.getvalue()


def _read_small_file(path: Path, private: PrivateFolders) -> bytes | None:
    try:
        return read_file(path, MAX_PICTURE_BYTES, private)
    except OSError:
        return None


def _make_small(data: bytes, cells: Sequence[Size], repeat: int) -> SmallPicture | None:
    if sniff(data[:HEAD_BYTES]) == "audio/wav":
        from ..media.preview.waveform import draw_waveform  # noqa: PLC0415  only sounds need it

        return draw_waveform(data)
    return small_picture(data, cells, repeat=repeat)
