"""Local files on their way to Layer: checked, sent once, remembered by their content."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import anyio
from anyio import to_thread

from ..api.client import LayerClient
from ..api.media_files import MEGABYTE, LocalFile, open_media_file
from ..errors import LayerError
from ..journal import Journal
from ..paths import allowed_input, input_folders
from ..settings import Settings
from .locks import KeyedLocks

GONE_CODES = ("FILE_NOT_FOUND", "NOT_FOUND")
MAX_FILES = 60

OnBytes = Callable[[int, int], Awaitable[None]]
"""Told the bytes that went out so far, and those of all files."""


@dataclass(frozen=True)
class UploadedFile:
    """A local file that Layer has; `reused` when an earlier upload of its content was found."""

    path: str
    file_id: str
    content_type: str
    size_bytes: int
    sha256: str
    reused: bool


class Uploads:
    """Brings files from the allowed folders to Layer; the same content goes out once."""

    def __init__(self, settings: Settings, client: LayerClient, journal: Journal) -> None:
        self._settings = settings
        self._client = client
        self._journal = journal
        self._locks = KeyedLocks()

    async def upload(
        self,
        paths: Sequence[str],
        workspace_id: str,
        *,
        total_seconds: float,
        on_bytes: OnBytes | None = None,
    ) -> list[UploadedFile]:
        """Upload files; every one is checked before the first is sent.

        Raises:
            LayerError: what is wrong with a path or a file, what kept it from Layer, or
                UPLOAD_UNFINISHED when the time is up; a later call goes on from there.
        """
        if len(paths) > MAX_FILES:
            sentence = f"At most {MAX_FILES} local files go with one call, not {len(paths)}."
            raise LayerError("INVALID_ARGUMENTS", sentence)
        progress = _Progress(on_bytes)
        try:
            with ExitStack() as stack, anyio.fail_after(total_seconds):
                files = [await to_thread.run_sync(self._opened, stack, path) for path in paths]
                progress.begin([file.size_bytes for file in files])
                return await self._all(paths, files, workspace_id, progress)
        except TimeoutError:
            raise progress.unfinished() from None

    async def forget_if_gone(
        self, error: LayerError, files: Sequence[UploadedFile], workspace_id: str
    ) -> None:
        """After a refusal that may mean that Layer has a file no more, upload it anew next time."""
        speaks_of_files = error.code == "INVALID_INPUTS" and "file_id" in error.message
        if error.code in GONE_CODES or speaks_of_files:
            for file in files:
                if file.reused:
                    await self._journal.uploads.forget(workspace_id, file.sha256)

    def _opened(self, stack: ExitStack, path: str) -> LocalFile:
        folders = input_folders(self._settings)
        real = allowed_input(path, folders)
        max_bytes = self._settings.max_upload_mb * MEGABYTE
        file = stack.enter_context(open_media_file(real, max_bytes=max_bytes))
        # A folder on the way may have been exchanged for a link between the check and the opening.
        if not file.is_at(allowed_input(path, folders)):
            raise LayerError("FILE_CHANGED", f"{path} changed while it was read.")
        return file

    async def _all(
        self,
        paths: Sequence[str],
        files: Sequence[LocalFile],
        workspace_id: str,
        progress: "_Progress",
    ) -> list[UploadedFile]:
        done: dict[int, UploadedFile] = {}
        errors: list[LayerError] = []

        async def bring(number: int) -> None:
            try:
                done[number] = await self._one(
                    paths[number], files[number], workspace_id, number, progress
                )
            except LayerError as error:
                errors.append(error)

        async with anyio.create_task_group() as tasks:
            for number in range(len(files)):
                tasks.start_soon(bring, number)
        if errors:
            raise errors[0]
        return [done[number] for number in range(len(files))]

    async def _one(
        self,
        path: str,
        file: LocalFile,
        workspace_id: str,
        number: int,
        progress: "_Progress",
    ) -> UploadedFile:
        async with self._locks.of(workspace_id, file.sha256):
            file_id = await self._journal.uploads.file_id(workspace_id, file.sha256)
            reused = file_id is not None
            if file_id is None:

                async def tell(sent_bytes: int, _size_bytes: int) -> None:
                    await progress.tell(number, sent_bytes)

                file_id = await self._client.upload_file(
                    file, workspace=workspace_id, on_bytes=tell
                )
                file_id = await self._journal.uploads.note(workspace_id, file.sha256, file_id)
            else:
                await progress.tell(number, file.size_bytes)
        return UploadedFile(path, file_id, file.content_type, file.size_bytes, file.sha256, reused)


class _Progress:
    """How much of several files went out."""

    def __init__(self, on_bytes: OnBytes | None) -> None:
        self._sent_bytes: list[int] = []
        self._total_bytes = 0
        self._on_bytes = on_bytes

    def begin(self, sizes_bytes: Sequence[int]) -> None:
        self._sent_bytes = [0] * len(sizes_bytes)
        self._total_bytes = sum(sizes_bytes)

    async def tell(self, number: int, sent_bytes: int) -> None:
        self._sent_bytes[number] = sent_bytes
        if self._on_bytes is not None:
            await self._on_bytes(sum(self._sent_bytes), self._total_bytes)

    def unfinished(self) -> LayerError:
        sent, total = sum(self._sent_bytes) / MEGABYTE, self._total_bytes / MEGABYTE
        sentence = f"{sent:.1f} of {total:.1f} MB went out in the time that one call has."
        return LayerError("UPLOAD_UNFINISHED", sentence)
