"""Upload local files from the allowed folders: checked, and sent once."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, cast

import anyio
from anyio import to_thread

from ..api.client import LayerClient
from ..api.fields import is_uuid
from ..errors import LayerError
from ..files.input_paths import resolve_input
from ..files.local_files import MEGABYTE, LocalFile, open_media_file
from ..files.paths import Folders
from .activity import KeyedLocks
from .journal import Journal
from .types.request import RunRequest

LOST_FILE_CODES = ("FILE_NOT_FOUND", "NOT_FOUND")
MAX_FILES = 60
SEND_FILE = "Send the file with create_upload, and pass its file_id instead of a path."

OnUpload = Callable[[int, int], Awaitable[None]]
"""Called with the bytes sent so far, and the size of all files."""


@dataclass(frozen=True)
class UploadedFile:
    """A local file in Layer; `reused` if its content was uploaded before."""

    path: str
    file_id: str
    content_type: str
    size_bytes: int
    sha256: str
    reused: bool


class Uploads:
    """Uploads files from the allowed folders; identical content is sent once.

    `check_files` refuses IDs of files that the caller must not use.
    """

    def __init__(
        self,
        folders: Folders,
        client: LayerClient,
        open_journal: Callable[[], Awaitable[Journal]],
        check_files: Callable[[Collection[str]], Awaitable[None]],
    ) -> None:
        self._check_files = check_files
        self._folders = folders
        self._client = client
        self._open_journal = open_journal
        self._locks = KeyedLocks()

    async def upload(
        self,
        paths: Sequence[str],
        workspace_id: str,
        *,
        seconds: float,
        on_upload: OnUpload | None = None,
    ) -> list[UploadedFile]:
        """Upload files, after checking all of them.

        Raises:
            LayerError: a path or a file is invalid, an upload failed, or UPLOAD_UNFINISHED if time
                ran out; a later call resumes.
        """
        if not paths:
            return []
        _check_count(paths)
        progress = _Progress(on_upload)
        try:
            with ExitStack() as stack, anyio.fail_after(seconds):
                files = [await to_thread.run_sync(self._open, stack, path) for path in paths]
                progress.start([file.size_bytes for file, _ in files])
                return await self._upload_all(paths, files, workspace_id, progress)
        except TimeoutError:
            raise progress.unfinished() from None

    async def find(self, paths: Sequence[str], workspace_id: str) -> list[UploadedFile]:
        """Return the IDs of the files whose contents were uploaded before; upload nothing.

        Raises:
            LayerError: a path or a file is invalid.
        """
        _check_count(paths)
        journal = await self._open_journal() if paths else None
        found: list[UploadedFile] = []
        for path in paths:
            with ExitStack() as stack:
                file, sha256 = await to_thread.run_sync(self._open, stack, path)
                file_id = await journal.files.find_upload(workspace_id, sha256) if journal else None
                if file_id is not None:
                    found.append(
                        UploadedFile(
                            path, file_id, file.content_type, file.size_bytes, sha256, reused=True
                        )
                    )
        return found

    async def name_contents(self, request: RunRequest) -> RunRequest:
        """Return the request with the known contents of all the files that it refers to by ID.

        A file given by its path is the same as a file given by its ID.

        Raises:
            LayerError: FILE_NOT_FOUND, for a file of another owner.
        """
        # Every generation has the model's ID, which would cost a transaction.
        file_ids = set(_ids_in(request.body)) - request.files.keys() - {request.subject_id}
        if not file_ids:
            return request
        await self._check_files(file_ids)
        journal = await self._open_journal()
        contents = await journal.files.find_contents(request.workspace_id, sorted(file_ids))
        return replace(request, files={**request.files, **contents}) if contents else request

    async def forget_lost_files(self, error: LayerError, request: RunRequest) -> None:
        """Forget a request's uploads if Layer refused it for a missing file; they're sent again."""
        names_files = error.code == "INVALID_INPUTS" and "file_id" in error.message
        if error.code in LOST_FILE_CODES or names_files:
            journal = await self._open_journal()
            for sha256 in request.files.values():
                await journal.files.forget_upload(request.workspace_id, sha256)

    def _open(self, stack: ExitStack, path: str) -> tuple[LocalFile, str]:
        """Check a file, and return it with its SHA-256."""
        if not self._folders.settings.uses_disk:
            sentence = "This server can't read files by their path."
            raise LayerError("PATH_NOT_ALLOWED", sentence, next_step=SEND_FILE)
        private = self._folders.private()
        media = open_media_file(
            resolve_input(path, self._folders.input_roots(), private),
            max_bytes=self._folders.settings.max_upload_mb * MEGABYTE,
            private=private,
        )
        file = stack.enter_context(media)
        return file, file.sha256()

    async def _upload_all(
        self,
        paths: Sequence[str],
        files: Sequence[tuple[LocalFile, str]],
        workspace_id: str,
        progress: "_Progress",
    ) -> list[UploadedFile]:
        done: dict[int, UploadedFile] = {}
        errors: list[LayerError] = []

        async def upload(number: int) -> None:
            try:
                done[number] = await self._upload_one(
                    paths[number],
                    *files[number],
                    workspace_id,
                    number=number,
                    progress=progress,
                )
            except LayerError as error:
                errors.append(error)

        async with anyio.create_task_group() as tasks:
            for number in range(len(files)):
                tasks.start_soon(upload, number)
        if errors:
            raise errors[0]
        return [done[number] for number in range(len(files))]

    async def _upload_one(
        self,
        path: str,
        file: LocalFile,
        sha256: str,
        workspace_id: str,
        *,
        number: int,
        progress: "_Progress",
    ) -> UploadedFile:
        async def report(sent_bytes: int, _size_bytes: int) -> None:
            await progress.report(number, sent_bytes)

        journal = await self._open_journal()
        async with self._locks.lock(workspace_id, sha256):
            file_id = await journal.files.find_upload(workspace_id, sha256)
            reused = file_id is not None
            if file_id is None:
                file_id = await self._client.upload_file(
                    file, workspace=workspace_id, on_bytes=report
                )
                file_id = await journal.files.note_upload(workspace_id, sha256, file_id)
            else:
                await progress.report(number, file.size_bytes)
        return UploadedFile(path, file_id, file.content_type, file.size_bytes, sha256, reused)


def _check_count(paths: Sequence[str]) -> None:
    if len(paths) > MAX_FILES:
        sentence = f"A call can have at most {MAX_FILES} local files, not {len(paths)}."
        raise LayerError("INVALID_ARGUMENTS", sentence)


def _ids_in(value: Any) -> Iterator[str]:
    """Yield the IDs in a request, at any depth."""
    if isinstance(value, str):
        if is_uuid(value):
            yield value
    elif isinstance(value, Mapping):
        for item in cast("Mapping[str, Any]", value).values():
            yield from _ids_in(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _ids_in(item)


class _Progress:
    """The progress of several uploads together."""

    def __init__(self, on_upload: OnUpload | None) -> None:
        self._sent_bytes: list[int] = []
        self._total_bytes = 0
        self._on_upload = on_upload

    def start(self, sizes_bytes: Sequence[int]) -> None:
        self._sent_bytes = [0] * len(sizes_bytes)
        self._total_bytes = sum(sizes_bytes)

    async def report(self, number: int, sent_bytes: int) -> None:
        self._sent_bytes[number] = sent_bytes
        if self._on_upload is not None:
            await self._on_upload(sum(self._sent_bytes), self._total_bytes)

    def unfinished(self) -> LayerError:
        sent, total = sum(self._sent_bytes) / MEGABYTE, self._total_bytes / MEGABYTE
        sentence = f"{sent:.1f} of {total:.1f} MB went out in the time that one call has."
        return LayerError("UPLOAD_UNFINISHED", sentence)
