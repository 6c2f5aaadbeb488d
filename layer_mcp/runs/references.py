"""Requests that refer to local files, and the uploads of these files: checked and sent once."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Annotated, Any, Self, cast

import anyio
from anyio import to_thread
from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from ..api.client import LayerClient
from ..api.fields import Id, Request, is_uuid
from ..api.models import GuidanceFile, InferenceRequest, Mask
from ..errors import LayerError
from ..files.input_paths import resolve_input
from ..files.local_files import MEGABYTE, LocalFile, open_media_file
from ..files.paths import Folders
from .activity import KeyedLocks
from .journal import Journal
from .types.request import RunRequest

LOST_FILE_CODES = ("FILE_NOT_FOUND", "NOT_FOUND")
MAX_FILES = 60
MAX_PATH_LENGTH = 4096
SEND_FILE = "Send the file with create_upload, and pass its file_id instead of a path."

OnUpload = Callable[[int, int], Awaitable[None]]
"""Called with the bytes sent so far, and the size of all files."""


def _path_as_text(value: object) -> object:
    """Convert a Python program's path to text for JSON."""
    return str(value) if isinstance(value, PurePath) else value


PathAsText = BeforeValidator(_path_as_text)


class LocalGuidanceFile(GuidanceFile):
    """A reference, given by its ID or by the path of a local file."""

    file_id: Id | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
        default=None, description="Uploaded file or earlier output (UUID)."
    )
    path: Annotated[str | None, PathAsText] = Field(
        default=None, max_length=MAX_PATH_LENGTH, description="Or a local file."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file_id is None) == (self.path is None):
            raise PydanticCustomError("one_source", "must give either file_id or path")
        return self


class LocalMask(Mask):
    """A mask, given by its ID or by the path of a local file."""

    path: Annotated[str | None, PathAsText] = Field(
        default=None, max_length=MAX_PATH_LENGTH, description="Or a local file."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.file_id is not None and self.path is not None:
            raise PydanticCustomError("one_source", "must give either file_id or path")
        return self


class InferenceDraft(InferenceRequest):
    """Layer's request, flat, with local files in place of file IDs, and where to run it.

    `name` is used for the saved files.
    """

    guidance_files: list[LocalGuidanceFile] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=[],
        max_length=20,
        description="References: objects with file_id or path, type, and weight (0-1).",
    )
    mask: LocalMask | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None,
        description="Area to inpaint or outpaint: object with file_id or path, edge_radius, "
        "for_transparency, for_nontransparency.",
    )
    name: str | None = Field(
        default=None, max_length=100, description="Name of the saved files, e.g. sword."
    )
    workspace_id: str | None = Field(
        default=None, max_length=255, description="Default: as configured."
    )

    def says_what_to_make(self) -> bool:
        """Return whether there's a prompt, a reference, or a mask."""
        return bool((self.prompt or "").strip() or self.guidance_files or self.mask)

    def paths(self) -> list[str]:
        """Return the local files to upload first, without duplicates."""
        given = [file.path for file in self.guidance_files]
        given.append(self.mask.path if self.mask else None)
        return list(dict.fromkeys(path for path in given if path is not None))

    def request(self, file_ids: Mapping[str, str]) -> InferenceRequest:
        """Return the request for Layer, with the IDs of the uploaded files by path.

        Local files without an ID are left out.
        """
        body = self.model_dump(include=set(InferenceRequest.model_fields), exclude_unset=True)
        references: list[dict[str, Any]] = body.get("guidance_files", [])
        mask: dict[str, Any] = body.get("mask") or {}
        for reference in [*references, mask]:
            path = reference.pop("path", None)
            if path is not None:
                reference["file_id"] = file_ids.get(path)
        if references:
            body["guidance_files"] = [one for one in references if one["file_id"] is not None]
        if self.mask is not None and self.mask.path is not None and mask["file_id"] is None:
            del body["mask"]
        return InferenceRequest.model_validate(body)


class WorkflowDraft(Request):
    """The workflow and its inputs; a file input accepts a file_id or a local path."""

    workflow_id: Id = Field(description="From list_workflows (UUID).")
    inputs: dict[str, Any] = Field(
        default={}, description="Values by input name. A file input takes a file_id or local path."
    )
    workspace_id: str | None = Field(
        default=None, max_length=255, description="Default: as configured."
    )


class WorkflowRunDraft(WorkflowDraft):
    """A workflow run to start, and the session to put it in."""

    session_id: Id | None = Field(default=None, description="Session to file it in (UUID).")
    session_name: str | None = Field(
        default=None, max_length=255, description="Or its name; a new one is made."
    )


Draft = InferenceDraft | WorkflowDraft


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
        file_ids = set(_ids_in(request.body)) - request.files.keys()
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
