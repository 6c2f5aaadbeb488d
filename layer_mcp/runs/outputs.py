"""Saving a run's outputs: readable names, nothing overwritten, a JSON record beside them."""

import errno
import hashlib
import json
import os
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import uuid4

import anyio
from anyio import to_thread
from pydantic import BaseModel

from ..api.models import Output
from ..errors import LayerError
from ..files.folders import LinkError, OpenFolder, PrivateFileError, PrivateFolders, open_folder
from ..files.media_files import MEDIA_TYPES, MEGABYTE, extension_for
from ..version import __version__
from .file_names import numbered, output_name, slug_of
from .types import Run, without_nulls

if TYPE_CHECKING:
    from ..api.client import LayerClient
    from ..api.download import Downloaded

MAX_COPIES = 1000
MAX_FAILURES_SHOWN = 3
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PART_NAME = re.compile(r"\.[0-9a-f]{32}\.part")
STALE_SECONDS = 3600
HEAD_BYTES = 64
# Many times what a record of a long prompt and a hundred files has.
MAX_RECORD_BYTES = 4 * MEGABYTE
# Blanks, and the mark of UTF-8.
BEFORE_TEXT = b" \t\r\n\xef\xbb\xbf"

OnBytes = Callable[[int, int], Awaitable[None]]
"""Gets an output's number, and how many of its bytes have arrived."""


@dataclass(frozen=True)
class SavedFile:
    """An output on disk, as the record beside it describes it."""

    number: int
    name: str
    file_id: str | None
    url: str | None
    content_type: str | None
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class NotSaved:
    """An output that could not be saved, and why; number 0 is the record itself."""

    number: int
    error: LayerError

    def sentence(self) -> str:
        """Return what an agent reads about it."""
        what = f"Output {self.number}" if self.number else "The record beside the files"
        return f"{what} was not saved: {self.error.message} {self.error.next_step}"


@dataclass(frozen=True)
class SavedOutputs:
    """The files of a run in a folder; `record` is the JSON file beside them.

    `files` is all that was ever saved of the run, `fetched` what was downloaded just now.
    """

    folder: Path
    record: Path
    files: tuple[SavedFile, ...]
    fetched: tuple[SavedFile, ...] = ()
    failures: tuple[NotSaved, ...] = ()

    def path(self, file: SavedFile) -> Path:
        """Return where an output was put."""
        return self.folder / file.name

    def present(self) -> dict[int, Path]:
        """Return the outputs that are still in their place, by number; no links to elsewhere."""
        paths = {file.number: self.path(file) for file in self.files}
        return {
            number: path
            for number, path in paths.items()
            if path.is_file() and not path.is_symlink()
        }

    def describe_failures(self) -> list[str]:
        """Return what an agent reads about failures: the first few, and how many more."""
        sentences = [failure.sentence() for failure in self.failures[:MAX_FAILURES_SHOWN]]
        more = len(self.failures) - len(sentences)
        return [*sentences, f"{more} more were not saved."] if more else sentences


@dataclass(frozen=True)
class FilesOnDisk:
    """A run's files for an answer: their paths by number, their record, and what went wrong."""

    paths: Mapping[int, Path] = field(default_factory=dict[int, Path])
    record: Path | None = None
    warnings: Sequence[str] = ()

    def has_all_of(self, run: Run) -> bool:
        """Return whether every output of the run is saved."""
        return all(number in self.paths for number in range(1, len(run.outputs) + 1))


class _Record(BaseModel):
    """What is read back of the JSON beside the outputs."""

    run_id: str
    files: tuple[SavedFile, ...]


async def save_outputs(
    client: "LayerClient",
    run: Run,
    folder: Path,
    *,
    numbers: Collection[int] | None = None,
    private: PrivateFolders,
    max_bytes: int,
    is_simulated: bool = False,
    on_bytes: OnBytes | None = None,
) -> SavedOutputs:
    """Save the outputs of a finished run, all or those with these numbers (from 1).

    The folder is given by its real path, and made if need be; no link in it is followed. It stays
    open until everything is saved, so that what is put in its place meanwhile gets nothing.

    What the record says is saved and is still there is not downloaded again; the record keeps what
    was removed. A file that fails does not keep the others away.

    Raises:
        LayerError: FOLDER_NOT_WRITABLE, DISK_FULL or INVALID_FOLDER, when not even the folder can
            be made.
    """
    with ExitStack() as stack:
        opening = partial(_open_folder, stack, folder, private)
        opened = await to_thread.run_sync(opening)
        return await _save_all(
            client,
            run,
            opened,
            numbers=numbers,
            max_bytes=max_bytes,
            is_simulated=is_simulated,
            on_bytes=on_bytes,
        )


async def _save_all(
    client: "LayerClient",
    run: Run,
    folder: OpenFolder,
    *,
    numbers: Collection[int] | None,
    max_bytes: int,
    is_simulated: bool,
    on_bytes: OnBytes | None,
) -> SavedOutputs:
    earlier = await to_thread.run_sync(_prepare_folder, folder, run)
    present = earlier.present()
    fetched: dict[int, SavedFile] = {}
    failures: dict[int, LayerError] = {}

    async def save(number: int) -> None:
        try:
            fetched[number] = await _save_output(
                client, run, number, folder, max_bytes=max_bytes, on_bytes=on_bytes
            )
        except LayerError as error:
            failures[number] = error
        except OSError as error:
            failures[number] = _write_error(folder.path, error)

    try:
        async with anyio.create_task_group() as tasks:
            for number in range(1, len(run.outputs) + 1):
                if number not in present and (numbers is None or number in numbers):
                    tasks.start_soon(save, number)
    finally:
        # Also when the time of the call is up: the next one resumes from there.
        files = {file.number: file for file in earlier.files} | fetched
        saved = replace(earlier, files=tuple(files[number] for number in sorted(files)))
        try:
            saved = _write_record(folder, saved, run, is_simulated=is_simulated)
        except OSError as error:
            failures[0] = _write_error(folder.path, error)
    return replace(
        saved,
        fetched=tuple(fetched.values()),
        failures=tuple(NotSaved(number, failures[number]) for number in sorted(failures)),
    )


def report_total(
    outputs: Sequence[Output],
    numbers: Collection[int],
    report: Callable[[int, int | None], Awaitable[None]],
) -> OnBytes:
    """Return a callback that adds up the bytes of several outputs, from number 1.

    `report` gets the bytes that have arrived, and the size of all if Layer gave it.
    """
    sizes_bytes = [outputs[number - 1].file_size_bytes or 0 for number in numbers]
    total_bytes = sum(sizes_bytes) if all(sizes_bytes) else None
    arrived_bytes: dict[int, int] = {}

    async def add(number: int, so_far_bytes: int) -> None:
        # A transfer that starts over must not let the progress shrink.
        arrived_bytes[number] = max(so_far_bytes, arrived_bytes.get(number, 0))
        await report(sum(arrived_bytes.values()), total_bytes)

    return add


def find_saved(folder: Path, run_id: str, private: PrivateFolders) -> SavedOutputs | None:
    """Return what the record in a folder says of a run, or None when there is none.

    Links to the folder are followed, links in it are not.
    """
    try:
        with open_folder(folder.resolve(), private) as opened:
            return _find_record(opened, run_id)
    except (OSError, RuntimeError, ValueError):
        return None


def record_facts(run: Run, *, is_simulated: bool) -> dict[str, Any]:
    """Return what the record says of how a run was made and what it cost."""
    end = {
        "completed_at": run.completed_at,
        "actual_price_creative_units": run.actual_price_creative_units,
    }
    made = {"made_with": f"layer-mcp {__version__}"} | ({"simulated": True} if is_simulated else {})
    return run.facts() | without_nulls(end) | made


def file_slug(run: Run) -> str:
    """Return the readable start of a run's file names: the prompt, else Layer's own name."""
    prompt = run.request.inputs.get("prompt")
    return slug_of(prompt if isinstance(prompt, str) else _name_in_url(run.outputs))


def _open_folder(stack: ExitStack, folder: Path, private: PrivateFolders) -> OpenFolder:
    try:
        return stack.enter_context(open_folder(folder, private, make=True))
    except PrivateFileError:
        sentence = f"{folder} belongs to layer-mcp's own journal."
        raise LayerError("INVALID_FOLDER", sentence) from None
    except LinkError:
        sentence = f"{folder} was exchanged for a link."
        raise LayerError("INVALID_FOLDER", sentence) from None
    except OSError as error:
        raise _write_error(folder, error) from None


def _prepare_folder(folder: OpenFolder, run: Run) -> SavedOutputs:
    """Tidy up the folder, and return what was saved in it before."""
    try:
        _sweep(folder)
        if not folder.is_writable():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _write_error(folder.path, error) from None
    found = _find_record(folder, run.run_id or "")
    return found or SavedOutputs(folder.path, folder.path / _free_record(folder, run), ())


def _sweep(folder: OpenFolder) -> None:
    """Remove what a process that was killed left half-written long ago."""
    for name in filter(PART_NAME.fullmatch, folder.names()):
        facts = folder.stat(name)
        if facts is not None and time() - facts.st_mtime > STALE_SECONDS:
            with suppress(OSError):
                folder.remove(name)


async def _save_output(
    client: "LayerClient",
    run: Run,
    number: int,
    folder: OpenFolder,
    *,
    max_bytes: int,
    on_bytes: OnBytes | None,
) -> SavedFile:
    output = run.outputs[number - 1]
    if not output.url:
        raise LayerError("OUTPUT_GONE", "Layer gave no address for this output.")

    async def report(arrived_bytes: int) -> None:
        if on_bytes is not None:
            await on_bytes(number, arrived_bytes)

    part = f".{uuid4().hex}.part"
    try:
        with folder.create(part) as sink:
            done = await client.download(output.url, sink, max_bytes=max_bytes, on_bytes=report)
            await to_thread.run_sync(_check_content, sink, done, output)
        content_type = output.content_type or done.content_type
        name = _file_name(run, number, extension_for(content_type, output.url))
        name = await to_thread.run_sync(_place, folder, part, name, done.size_bytes, done.sha256)
    finally:
        folder.remove(part)
    return SavedFile(
        number=number,
        name=name,
        file_id=output.file_id,
        url=output.url,
        content_type=content_type,
        size_bytes=done.size_bytes,
        sha256=done.sha256,
    )


def _check_content(sink: BinaryIO, done: "Downloaded", output: Output) -> None:
    """Refuse what is surely not the output.

    Raises:
        LayerError: DOWNLOAD_FAILED for an empty or cut file, or a web page in place of a medium.
    """
    if done.size_bytes == 0:
        raise LayerError("DOWNLOAD_FAILED", "The media host sent an empty file.")
    if not done.has_known_length and output.file_size_bytes not in (None, done.size_bytes):
        raise LayerError("DOWNLOAD_FAILED", "The file was cut on its way.")
    sink.seek(0)
    head = sink.read(HEAD_BYTES)
    content_type = (output.content_type or "").partition(";")[0].strip().lower()
    if content_type in MEDIA_TYPES and head.lstrip(BEFORE_TEXT).startswith(b"<"):
        raise LayerError("DOWNLOAD_FAILED", "The media host sent a web page, not the file.")


def _place(folder: OpenFolder, part: str, name: str, size_bytes: int, sha256: str) -> str:
    """Move a finished file to its name, or to the next free one; the same content is kept."""
    for attempt in range(1, MAX_COPIES):
        new_name = numbered(name, attempt)
        try:
            # Takes the name: a rename alone would overwrite what another process put there.
            folder.create(new_name).close()
        except FileExistsError:
            if _is_same(folder, new_name, size_bytes, sha256):
                return new_name
            continue
        try:
            folder.replace(part, new_name)
        except OSError:
            folder.remove(new_name)
            raise
        return new_name
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)


def _is_same(folder: OpenFolder, name: str, size_bytes: int, sha256: str) -> bool:
    facts = folder.stat(name)
    if facts is None or facts.st_size != size_bytes:
        return False
    try:
        with folder.open(name) as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


def _write_record(
    folder: OpenFolder, saved: SavedOutputs, run: Run, *, is_simulated: bool
) -> SavedOutputs:
    """Write the JSON beside the outputs; it replaces its own earlier version and nothing else.

    Raises:
        OSError: the folder cannot be written.
    """
    if not saved.files:
        return saved
    run_id = run.run_id or ""
    name = saved.record.name
    if folder.stat(name) is not None and _read_record(folder, name, run_id) is None:
        # A run with the same short id was saved meanwhile.
        name = _free_record(folder, run)
        saved = replace(saved, record=folder.path / name)
    content = {
        "run_id": run_id,
        **record_facts(run, is_simulated=is_simulated),
        "saved_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": [asdict(file) for file in saved.files],
    }
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    part = f".{uuid4().hex}.part"
    try:
        with folder.create(part) as file:
            file.write(text.encode())
        folder.replace(part, name)
    finally:
        folder.remove(part)
    return saved


def _free_record(folder: OpenFolder, run: Run) -> str:
    """Return a name for the record that nothing has yet."""
    name = _file_name(run, 0, "json").replace("-0.json", ".json")
    names = (numbered(name, attempt) for attempt in range(1, MAX_COPIES))
    return next(name for name in names if folder.stat(name) is None)


def _file_name(run: Run, number: int, extension: str) -> str:
    return output_name(file_slug(run), run.run_id or "", number, extension)


def _name_in_url(outputs: Sequence[Output]) -> str | None:
    """Return the slug of Layer's addresses, `<slug>-<time>.<ext>`: better than no name."""
    name = (outputs[0].url or "").rpartition("/")[2] if outputs else ""
    stem = name.partition("?")[0].rpartition(".")[0]
    return stem.rstrip("0123456789").rstrip("-") or None


def _find_record(folder: OpenFolder, run_id: str) -> SavedOutputs | None:
    short = output_name("", run_id, 0, "json").removesuffix("-0.json")
    try:
        names = sorted(n for n in folder.names() if short in n and n.endswith(".json"))
    except OSError:
        return None
    found = (_read_record(folder, name, run_id) for name in names)
    return next((saved for saved in found if saved is not None), None)


def _read_record(folder: OpenFolder, name: str, run_id: str) -> SavedOutputs | None:
    try:
        raw = folder.read(name, MAX_RECORD_BYTES)
        content = _Record.model_validate_json(raw or b"")
    except (OSError, ValueError):
        return None
    if content.run_id.lower() != run_id.lower():
        return None
    # Someone may have edited it: a name must stay a name.
    files = (file for file in content.files if file.number > 0 and _is_name(file.name))
    return SavedOutputs(folder.path, folder.path / name, tuple(files))


def _is_name(text: str) -> bool:
    return text not in ("", "..") and "\0" not in text and Path(text).name == text


def _write_error(folder: Path, error: OSError) -> LayerError:
    if error.errno in DISK_FULL:
        return LayerError("DISK_FULL", f"The disk of {folder} is full.")
    return LayerError(
        "FOLDER_NOT_WRITABLE",
        f"{folder} cannot be written: {error.strerror or type(error).__name__}.",
    )
