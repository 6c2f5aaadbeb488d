"""Bringing a run's outputs home: readable names, nothing overwritten, a record beside them."""

import errno
import hashlib
import os
import re
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import time
from typing import TYPE_CHECKING
from uuid import uuid4

import anyio
from anyio import to_thread

from ..api.media_files import MEDIA_TYPES, extension_for
from ..api.models import Output
from ..errors import LayerError
from .file_names import numbered
from .sidecar import (
    MAX_COPIES,
    FinishedRun,
    NotSaved,
    Saved,
    SavedFile,
    earlier_saved,
    free_record,
    write_record,
)

if TYPE_CHECKING:
    from ..api.client import LayerClient
    from ..api.download import Downloaded

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PART_NAME = re.compile(r"\.[0-9a-f]{32}\.part")
STALE_SECONDS = 3600
HEAD_BYTES = 64
# Blanks, and the mark of UTF-8.
BEFORE_TEXT = b" \t\r\n\xef\xbb\xbf"

OnBytes = Callable[[int, int], Awaitable[None]]
"""Told an output's number, and how many of its bytes have arrived."""


async def save_outputs(
    client: "LayerClient",
    run: FinishedRun,
    folder: Path,
    *,
    numbers: Collection[int] | None = None,
    max_bytes: int,
    on_bytes: OnBytes | None = None,
) -> Saved:
    """Save the outputs of a finished run, all or those with these numbers (from 1).

    What the record says is saved and is still there is not fetched again; the record keeps what is
    gone. A file that fails does not keep the others away; failure number 0 is the record itself.

    Raises:
        LayerError: FOLDER_NOT_WRITABLE or DISK_FULL, when not even the folder can be made.
    """
    earlier = await to_thread.run_sync(_prepared, folder, run)
    present = earlier.present()
    fetched: dict[int, SavedFile] = {}
    failures: dict[int, LayerError] = {}

    async def save(number: int) -> None:
        try:
            fetched[number] = await _saved(
                client, run, number, folder, max_bytes=max_bytes, on_bytes=on_bytes
            )
        except LayerError as error:
            failures[number] = error
        except OSError as error:
            failures[number] = _write_error(folder, error)

    try:
        async with anyio.create_task_group() as tasks:
            for number in range(1, len(run.outputs) + 1):
                if number not in present and (numbers is None or number in numbers):
                    tasks.start_soon(save, number)
    finally:
        # Also when the time of the call is up: the next one goes on from there.
        files = {file.number: file for file in earlier.files} | fetched
        saved = replace(earlier, files=tuple(files[number] for number in sorted(files)))
        try:
            saved = write_record(saved, run)
        except OSError as error:
            failures[0] = _write_error(folder, error)
    return replace(
        saved,
        fetched=tuple(fetched.values()),
        failures=tuple(NotSaved(number, failures[number]) for number in sorted(failures)),
    )


def _prepared(folder: Path, run: FinishedRun) -> Saved:
    """The folder, made if need be, and what was saved in it before."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _write_error(folder, error) from None
    return earlier_saved(folder, run.run_id) or Saved(folder, free_record(folder, run), ())


def _sweep(folder: Path) -> None:
    """Remove what a process that was killed left half-written long ago."""
    for part in folder.glob(".*.part"):
        with suppress(OSError):
            if PART_NAME.fullmatch(part.name) and time() - part.stat().st_mtime > STALE_SECONDS:
                part.unlink()


async def _saved(
    client: "LayerClient",
    run: FinishedRun,
    number: int,
    folder: Path,
    *,
    max_bytes: int,
    on_bytes: OnBytes | None,
) -> SavedFile:
    output = run.outputs[number - 1]
    if not output.url:
        raise LayerError("OUTPUT_GONE", "Layer gave no address for this output.")

    async def tell(arrived_bytes: int) -> None:
        if on_bytes is not None:
            await on_bytes(number, arrived_bytes)

    part = folder / f".{uuid4().hex}.part"
    try:
        with part.open("xb") as sink:
            done = await client.download(output.url, sink, max_bytes=max_bytes, on_bytes=tell)
        content_type = output.content_type or done.content_type
        await to_thread.run_sync(_checked, part, done, output)
        name = run.name(number, extension_for(content_type, output.url))
        path = await to_thread.run_sync(_placed, part, name, done.size_bytes, done.sha256)
    finally:
        part.unlink(missing_ok=True)
    return SavedFile(
        number=number,
        name=path.name,
        file_id=output.file_id,
        url=output.url,
        content_type=content_type,
        size_bytes=done.size_bytes,
        sha256=done.sha256,
    )


def _checked(part: Path, done: "Downloaded", output: Output) -> None:
    """Refuse what is surely not the output.

    Raises:
        LayerError: DOWNLOAD_FAILED for an empty or cut file, or a web page in place of a medium.
    """
    if done.size_bytes == 0:
        raise LayerError("DOWNLOAD_FAILED", "The media host sent an empty file.")
    if not done.has_known_length and output.file_size_bytes not in (None, done.size_bytes):
        raise LayerError("DOWNLOAD_FAILED", "The file was cut on its way.")
    with part.open("rb") as file:
        head = file.read(HEAD_BYTES)
    content_type = (output.content_type or "").partition(";")[0].strip().lower()
    if content_type in MEDIA_TYPES and head.lstrip(BEFORE_TEXT).startswith(b"<"):
        raise LayerError("DOWNLOAD_FAILED", "The media host sent a web page, not the file.")


def _placed(part: Path, name: str, size_bytes: int, sha256: str) -> Path:
    """Move a finished file to its name, or to the next free one; the same content is kept."""
    for attempt in range(1, MAX_COPIES):
        path = part.with_name(numbered(name, attempt))
        try:
            # Takes the name: a rename alone would overwrite what another process put there.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            if _is_same(path, size_bytes, sha256):
                return path
            continue
        try:
            part.replace(path)
        except OSError:
            path.unlink()
            raise
        return path
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)


def _is_same(path: Path, size_bytes: int, sha256: str) -> bool:
    try:
        if not path.is_file() or path.stat().st_size != size_bytes:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


def _write_error(folder: Path, error: OSError) -> LayerError:
    if error.errno in DISK_FULL:
        return LayerError("DISK_FULL", f"The disk of {folder} is full.")
    return LayerError(
        "FOLDER_NOT_WRITABLE", f"{folder} cannot be written: {error.strerror or error}."
    )
