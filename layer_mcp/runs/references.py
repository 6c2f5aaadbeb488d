"""Requests that name local files, and their way to Layer: checked, sent once, remembered."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Self, cast

import anyio
from anyio import to_thread
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ..api.client import LayerClient
from ..api.fields import Id, Request, is_uuid
from ..api.models import GuidanceFile, InferenceRequest, Mask, Workflow, WorkflowRunRequest
from ..api.workflow_inputs import check_inputs, local_paths, with_file_ids
from ..errors import LayerError
from ..files.media_files import MEGABYTE, LocalFile, open_media_file
from ..files.paths import Folders, resolve_input
from .activity import KeyedLocks
from .journal import Journal
from .types import RunRequest, UploadedFile

LOST_FILE_CODES = ("FILE_NOT_FOUND", "NOT_FOUND")
MAX_FILES = 60
MAX_PATH_LENGTH = 4096
ANY_ID = "00000000-0000-4000-8000-000000000000"

OnUpload = Callable[[int, int], Awaitable[None]]
"""Gets the bytes that were sent so far, and the size of all files."""


class LocalGuidanceFile(GuidanceFile):
    """A reference by its id, or by the path of a local file."""

    file_id: Id | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
        default=None, description="Uploaded file or earlier output (UUID)."
    )
    path: str | None = Field(
        default=None, max_length=MAX_PATH_LENGTH, description="Or a local file."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file_id is None) == (self.path is None):
            raise PydanticCustomError("one_source", "must give either file_id or path")
        return self


class LocalMask(Mask):
    """A mask by its id, or by the path of a local file."""

    path: str | None = Field(
        default=None, max_length=MAX_PATH_LENGTH, description="Or a local file."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.file_id is not None and self.path is not None:
            raise PydanticCustomError("one_source", "must give either file_id or path")
        return self


class InferenceDraft(InferenceRequest):
    """Layer's request, flat, with local files where it has file ids, plus where to run it."""

    guidance_files: list[LocalGuidanceFile] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=[], max_length=20, description="References."
    )
    mask: LocalMask | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None, description="Area to inpaint or outpaint."
    )
    workspace_id: str | None = Field(
        default=None, max_length=255, description="Default: as configured."
    )

    def paths(self) -> list[str]:
        """List the local files that must be uploaded first, each one once."""
        given = [file.path for file in self.guidance_files]
        given.append(self.mask.path if self.mask else None)
        return list(dict.fromkeys(path for path in given if path is not None))

    def request(self, file_ids: Mapping[str, str]) -> InferenceRequest:
        """Return what goes to Layer, with the ids of the uploaded files by their path."""
        body = self.model_dump(include=set(InferenceRequest.model_fields), exclude_unset=True)
        references: list[dict[str, Any]] = [*body.get("guidance_files", []), body.get("mask") or {}]
        for reference in references:
            path = reference.pop("path", None)
            if path is not None:
                reference["file_id"] = file_ids[path]
        return InferenceRequest.model_validate(body)


class WorkflowDraft(Request):
    """Which workflow, and what it gets; a file input takes a file_id or a local path."""

    workflow_id: Id = Field(description="From list_workflows (UUID).")
    inputs: dict[str, Any] = Field(
        default={}, description="Values by input name. A file input takes a file_id or local path."
    )
    workspace_id: str | None = Field(
        default=None, max_length=255, description="Default: as configured."
    )


class WorkflowRunDraft(WorkflowDraft):
    """A workflow run as it will be started, and the session to file it in."""

    session_id: Id | None = Field(default=None, description="Session to file it in (UUID).")
    session_name: str | None = Field(
        default=None, max_length=255, description="Or its name; a new one is made."
    )


Draft = InferenceDraft | WorkflowDraft


async def resolve_drafts(
    drafts: Sequence[Draft],
    workspace_id: str,
    uploads: "Uploads",
    client: LayerClient,
    *,
    seconds: float,
    on_upload: OnUpload | None = None,
) -> list[RunRequest]:
    """Turn drafts into requests that Layer can take: inputs checked, local files uploaded once.

    Raises:
        LayerError: WORKFLOW_NOT_FOUND, INVALID_ARGUMENTS, or what is wrong with a file.
    """
    # What else is wrong is known before anything is uploaded.
    workflows = {
        draft.workflow_id: await _check_workflow(draft, workspace_id, client)
        for draft in drafts
        if isinstance(draft, WorkflowDraft)
    }
    paths = [
        path
        for draft in drafts
        for path in (
            draft.paths()
            if isinstance(draft, InferenceDraft)
            else local_paths(workflows[draft.workflow_id], draft.inputs)
        )
    ]
    files = await uploads.upload(
        list(dict.fromkeys(paths)), workspace_id, seconds=seconds, on_upload=on_upload
    )
    ids = {file.path: file.file_id for file in files}
    contents = {file.file_id: file.sha256 for file in files}
    requests: list[RunRequest] = []
    for draft in drafts:
        if isinstance(draft, InferenceDraft):
            requests.append(RunRequest.inference(draft.request(ids), workspace_id, contents))
        else:
            workflow = workflows[draft.workflow_id]
            session = (
                draft.model_dump(include={"session_id", "session_name"})
                if isinstance(draft, WorkflowRunDraft)
                else {}
            )
            inputs = with_file_ids(workflow, draft.inputs, ids)
            body = WorkflowRunRequest(inputs=inputs, **session)
            requests.append(
                RunRequest.workflow(
                    workflow.workflow_id, body, workspace_id, contents, workflow.name
                )
            )
    return [await uploads.name_contents(request) for request in requests]


async def _check_workflow(draft: WorkflowDraft, workspace_id: str, client: LayerClient) -> Workflow:
    workflow = await client.find_workflow(draft.workflow_id, workspace=workspace_id)
    # A path stands in for an id.
    ids = dict.fromkeys(local_paths(workflow, draft.inputs), ANY_ID)
    check_inputs(workflow, with_file_ids(workflow, draft.inputs, ids))
    return workflow


class Uploads:
    """Uploads files from the allowed folders; the same content is sent once."""

    def __init__(
        self,
        folders: Folders,
        client: LayerClient,
        open_journal: Callable[[], Awaitable[Journal]],
    ) -> None:
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
        """Upload files; every one is checked before the first is sent.

        Raises:
            LayerError: what is wrong with a path or a file, what kept it from Layer, or
                UPLOAD_UNFINISHED when the time is up; a later call resumes.
        """
        if not paths:
            return []
        if len(paths) > MAX_FILES:
            sentence = f"At most {MAX_FILES} local files go with one call, not {len(paths)}."
            raise LayerError("INVALID_ARGUMENTS", sentence)
        progress = _Progress(on_upload)
        try:
            with ExitStack() as stack, anyio.fail_after(seconds):
                files = [await to_thread.run_sync(self._open, stack, path) for path in paths]
                progress.start([file.size_bytes for file, _ in files])
                return await self._upload_all(paths, files, workspace_id, progress)
        except TimeoutError:
            raise progress.unfinished() from None

    async def name_contents(self, request: RunRequest) -> RunRequest:
        """Return the request with the known contents of all the files that it names by their ids.

        A file is the same to Layer whether it was given by its path or by the id that it got.
        """
        file_ids = set(_ids_in(request.body)) - request.files.keys()
        journal = await self._open_journal()
        contents = await journal.find_contents(request.workspace_id, sorted(file_ids))
        return replace(request, files={**request.files, **contents}) if contents else request

    async def forget_lost_files(self, error: LayerError, request: RunRequest) -> None:
        """Upload a request's files again next time if Layer refused it for missing one."""
        names_files = error.code == "INVALID_INPUTS" and "file_id" in error.message
        if error.code in LOST_FILE_CODES or names_files:
            journal = await self._open_journal()
            for sha256 in request.files.values():
                await journal.forget_upload(request.workspace_id, sha256)

    def _open(self, stack: ExitStack, path: str) -> tuple[LocalFile, str]:
        """Check a file, and return it with the SHA-256 that it is known by."""
        real = resolve_input(path, self._folders.input_roots())
        media = open_media_file(
            real,
            max_bytes=self._folders.settings.max_upload_mb * MEGABYTE,
            private=self._folders.private(),
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
            file_id = await journal.find_upload(workspace_id, sha256)
            reused = file_id is not None
            if file_id is None:
                file_id = await self._client.upload_file(
                    file, workspace=workspace_id, on_bytes=report
                )
                file_id = await journal.note_upload(workspace_id, sha256, file_id)
            else:
                await progress.report(number, file.size_bytes)
        return UploadedFile(path, file_id, file.content_type, file.size_bytes, sha256, reused)


def _ids_in(value: Any) -> Iterator[str]:
    """Yield the ids that a request names, at any depth."""
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
    """How much of several files was sent."""

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
