"""Save a run's outputs with readable names and a JSON record, without overwriting anything."""

import errno
import hashlib
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from ...api.models import Output
from ...errors import LayerError
from ...files.folders import LinkError, OpenFolder, PrivateFileError, PrivateFolders, open_folder
from ...media.types import extension_for
from ..types.run import Run
from .names import MAX_COPIES, chosen_name, is_named, numbered, output_name
from .record import (
    NotSaved,
    SavedFile,
    SavedOutputs,
    file_slug,
    find_record,
    free_record,
    write_record,
)

if TYPE_CHECKING:
    from ...api.client import LayerClient

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MAX_FILES_AT_ONCE = 4
# Large pictures take a lot of memory.
MAX_MEASURED_AT_ONCE = 2

OnBytes = Callable[[int, int], Awaitable[None]]
"""Gets an output's number, and how many of its bytes have arrived."""


@dataclass(frozen=True)
class SaveOptions:
    """Options for saving outputs.

    `name` is the start of the file names, by default taken from the prompt. Files in `private`
    folders aren't opened. `is_simulated` goes into the record. `slots` limits how many files are
    downloaded at the same time, even across calls, and `measuring` how many are measured.
    """

    private: PrivateFolders
    max_bytes: int
    name: str | None = None
    is_simulated: bool = False
    slots: anyio.Semaphore = field(default_factory=partial(anyio.Semaphore, MAX_FILES_AT_ONCE))
    measuring: anyio.CapacityLimiter = field(
        default_factory=partial(anyio.CapacityLimiter, MAX_MEASURED_AT_ONCE)
    )


async def save_outputs(
    client: "LayerClient",
    run: Run,
    folder: Path,
    options: SaveOptions,
    *,
    numbers: Collection[int] | None = None,
    on_bytes: OnBytes | None = None,
) -> SavedOutputs:
    """Save all outputs of a finished run, or those with these numbers (from 1).

    Pass the real path of the folder, which is created if needed. No link in it is followed. The
    folder stays open until everything is saved, so that replacing it has no effect.

    Files that are in the record and still exist aren't downloaded again, but are renamed if a new
    name is given. Deleted files stay in the record. If one file fails, the others are still saved.
    If the call is canceled, incomplete files are kept, and the next call resumes them.

    Raises:
        LayerError: FOLDER_NOT_WRITABLE, DISK_FULL or INVALID_FOLDER, if the folder can't be
            created.
    """
    wanted = sorted(set(numbers or range(1, len(run.outputs) + 1)))
    with ExitStack() as stack:
        opening = partial(_open_folder, stack, folder, options.private)
        opened = await to_thread.run_sync(opening)
        earlier = await to_thread.run_sync(_prepare_folder, opened, run)
        saving = _Saving(client, run, opened, options, wanted, on_bytes, earlier)
        return await saving.save_all()


def report_total(
    outputs: Sequence[Output],
    numbers: Collection[int],
    report: Callable[[int, int | None], Awaitable[None]],
) -> OnBytes:
    """Return a callback that adds up the bytes of several outputs.

    `report` gets the number of bytes that have arrived, and the total size if Layer declared it.
    """
    sizes_bytes = [outputs[number - 1].file_size_bytes or 0 for number in numbers]
    total_bytes = sum(sizes_bytes) if all(sizes_bytes) else None
    arrived_bytes: dict[int, int] = {}

    async def add(number: int, so_far_bytes: int) -> None:
        # Progress must not decrease when a transfer starts over.
        arrived_bytes[number] = max(so_far_bytes, arrived_bytes.get(number, 0))
        await report(sum(arrived_bytes.values()), total_bytes)

    return add


@dataclass
class _Saving:
    """A call that saves outputs of a run in an open folder."""

    client: "LayerClient"
    run: Run
    folder: OpenFolder
    options: SaveOptions
    wanted: Sequence[int]
    on_bytes: OnBytes | None
    saved: SavedOutputs
    fetched: list[SavedFile] = field(default_factory=list[SavedFile])
    failures: dict[int, LayerError] = field(default_factory=dict[int, LayerError])

    async def save_all(self) -> SavedOutputs:
        present = self.saved.present()
        if self.options.name is not None:
            await to_thread.run_sync(self._rename, set(present))
        async with anyio.create_task_group() as tasks:
            for number in self.wanted:
                if number not in present:
                    tasks.start_soon(self._save, number)
        failed = sorted(self.failures.items())
        return replace(
            self.saved,
            fetched=tuple(self.fetched),
            failures=tuple(NotSaved(number, error) for number, error in failed),
        )

    async def _save(self, number: int) -> None:
        try:
            async with self.options.slots:
                file = await self._fetch(number)
        except LayerError as error:
            self.failures[number] = error
        except OSError as error:
            self.failures[number] = _write_error(self.folder.path, error)
        else:
            self.fetched.append(file)
            self._note(file)

    async def _fetch(self, number: int) -> SavedFile:
        # Imported late: only saving needs these, and a server must start fast.
        from .inspect import inspect_output  # noqa: PLC0415
        from .partial import open_partial  # noqa: PLC0415

        output = self.run.outputs[number - 1]
        if not output.url:
            raise LayerError("OUTPUT_GONE", "Layer didn't provide a URL for this output.")

        async def report(arrived_bytes: int) -> None:
            if self.on_bytes is not None:
                await self.on_bytes(number, arrived_bytes)

        key = (self.run.run_id or "", str(number), output.file_id or output.url)
        with open_partial(self.folder, *key) as part:
            done = await self.client.download(
                output.url,
                part.sink,
                max_bytes=self.options.max_bytes,
                on_bytes=report,
                version=part.version,
                on_version=part.note,
            )
            try:
                measured, sha256 = await to_thread.run_sync(
                    inspect_output, part.sink, done, output, limiter=self.options.measuring
                )
            except LayerError:
                # It's complete but isn't an output, so the next call must request it again.
                part.discard()
                raise
            # Windows doesn't allow renaming an open file.
            part.sink.close()
            wanted = self._name(number, extension_for(measured.content_type, output.url))
            name = await to_thread.run_sync(
                _place, self.folder, part.name, wanted, done.size_bytes, sha256
            )
        return SavedFile(
            number=number,
            name=name,
            file_id=output.file_id,
            url=output.url,
            content_type=measured.content_type,
            size_bytes=measured.size_bytes,
            sha256=sha256,
            declared_type=measured.declared_type,
            facts=measured.facts,
        )

    def _rename(self, present: Collection[int]) -> None:
        """Rename existing files to the chosen name."""
        for file in self.saved.files:
            name = self._name(file.number, file.name.rpartition(".")[2])
            is_wanted = file.number in self.wanted and file.number in present
            if not is_wanted or is_named(file.name, name):
                continue
            try:
                new_name = _place(self.folder, file.name, name, file.size_bytes, file.sha256)
            except OSError as error:
                self.failures[file.number] = _write_error(self.folder.path, error)
            else:
                self._note(replace(file, name=new_name))

    def _name(self, number: int, extension: str) -> str:
        if self.options.name is None:
            return output_name(file_slug(self.run), self.run.run_id or "", number, extension)
        count = len(self.run.outputs) if len(self.wanted) > 1 else 1
        return chosen_name(self.options.name, number, count, extension)

    def _note(self, file: SavedFile) -> None:
        """Record a file as soon as it's saved, because the process may end at any time."""
        files = {one.number: one for one in self.saved.files} | {file.number: file}
        self.saved = replace(self.saved, files=tuple(files[number] for number in sorted(files)))
        try:
            self.saved = write_record(
                self.folder, self.saved, self.run, is_simulated=self.options.is_simulated
            )
        except OSError as error:
            self.failures[0] = _write_error(self.folder.path, error)


def _open_folder(stack: ExitStack, folder: Path, private: PrivateFolders) -> OpenFolder:
    try:
        return stack.enter_context(open_folder(folder, private, make=True))
    except PrivateFileError:
        sentence = f"{folder} belongs to layer-mcp's journal."
        raise LayerError("INVALID_FOLDER", sentence) from None
    except LinkError:
        sentence = f"{folder} was replaced with a link."
        raise LayerError("INVALID_FOLDER", sentence) from None
    except OSError as error:
        raise _write_error(folder, error) from None


def _prepare_folder(folder: OpenFolder, run: Run) -> SavedOutputs:
    """Clean up the folder, and return what was saved in it before."""
    from .partial import sweep  # noqa: PLC0415

    try:
        sweep(folder)
        if not folder.is_writable():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _write_error(folder.path, error) from None
    found = find_record(folder, run.run_id or "")
    for file in found.wrong if found else ():
        # Files that were added since then stay.
        if _is_same(folder, file.name, file.size_bytes, file.sha256):
            folder.remove(file.name)
    return found or SavedOutputs(folder.path, folder.path / free_record(folder, run), ())


def _place(folder: OpenFolder, part: str, name: str, size_bytes: int, sha256: str) -> str:
    """Move a complete file to its name or the next free one; identical content is kept."""
    for attempt in range(1, MAX_COPIES):
        new_name = numbered(name, attempt)
        try:
            # Reserve the name: renaming alone would overwrite another process's file.
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


def _write_error(folder: Path, error: OSError) -> LayerError:
    if error.errno in DISK_FULL:
        return LayerError("DISK_FULL", f"The disk that contains {folder} is full.")
    return LayerError(
        "FOLDER_NOT_WRITABLE",
        f"Can't write to {folder}: {error.strerror or type(error).__name__}.",
    )
