"""LayerClient: one method an operation.

async with LayerClient.from_env() as layer:
    started = await layer.execute_inference(InferenceRequest(model_id=..., prompt="a potion"))
    run = await layer.wait(started.inference_id, timeout_seconds=300)
"""

from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TypeVar
from urllib.parse import quote

import anyio
from anyio import to_thread

from ..credentials import TokenSource, token_source
from ..errors import LayerError
from ..settings import DEFAULT_API_URL, Settings, normal_api_url, refuse_paid_sandbox
from .connection import BeforeSending, Connection
from .fields import is_uuid
from .host_rules import host_rules
from .models import (
    Inference,
    InferenceRequest,
    ModelAnswer,
    ModelDetail,
    ModelList,
    ModelQuery,
    PriceEstimate,
    StartedInference,
    StartedWorkflowRun,
    UploadUrl,
    UploadUrlRequest,
    Workflow,
    WorkflowList,
    WorkflowPriceEstimate,
    WorkflowQuery,
    WorkflowRun,
    WorkflowRunRequest,
    Workspace,
    WorkspaceList,
)
from .polling import OnProgress, wait_for_end
from .retry import Limits
from .workspaces import choose_workspace

if TYPE_CHECKING:
    from .download import Downloaded
    from .download import OnBytes as OnArrivedBytes
    from .file_hosts import FileHosts
    from .local_files import LocalFile
    from .upload import OnBytes, UploadSession

MAX_PAGES = 20
MAX_KEPT_UPLOADS = 32
MEGABYTE = 1024 * 1024
DEFAULT_MAX_UPLOAD_BYTES = 64 * MEGABYTE
DEFAULT_MAX_DOWNLOAD_BYTES = 1024 * MEGABYTE
LOOKUP_SECONDS = 10
WORKSPACE_KEPT_SECONDS = 60
REFERENCE_FIELDS = frozenset({"guidance_files", "mask"})
FIELDS_WITHOUT_PRICE = frozenset({"seed", "session_name"})


PageT = TypeVar("PageT", WorkspaceList, WorkflowList)


class LayerClient:
    """Layer's API for one account: one connection pool, one token.

    Methods raise `LayerError`. A method that takes `workspace` accepts an id, slug or name; left
    out, it is the client's own, else the only one of the account.
    """

    def __init__(
        self,
        token: str | TokenSource | None,
        *,
        workspace: str | None = None,
        api_url: str = DEFAULT_API_URL,
        limits: Limits | None = None,
        media_hosts: Iterable[str] = (),
        max_upload_bytes: int = DEFAULT_MAX_UPLOAD_BYTES,
        max_download_bytes: int = DEFAULT_MAX_DOWNLOAD_BYTES,
        trace_prompts: bool = False,
    ) -> None:
        self._workspace = workspace
        self._api_url = normal_api_url(api_url)
        self._connection = Connection(
            token, self._api_url, limits or Limits(), trace_prompts=trace_prompts
        )
        self._host_rules = host_rules(self._api_url, media_hosts)
        self._max_upload_bytes = max_upload_bytes
        self._max_download_bytes = max_download_bytes
        self._file_hosts: FileHosts | None = None
        self._uploads: dict[tuple[str, str], UploadSession] = {}
        self._found_workspaces: dict[str | None, tuple[str, float]] = {}

    @classmethod
    def from_env(cls) -> Self:
        """A client with the environment's workspace, address and token, else the stored token.

        Raises:
            SettingsError: a setting that cannot be used.
        """
        return cls.from_settings(Settings.from_env())

    @classmethod
    def from_settings(cls, settings: Settings, token: TokenSource | None = None) -> Self:
        """A client with the given settings; without a token there, that of the system's keyring.

        Raises:
            SettingsError: the sandbox is wanted, but the address is not one.
        """
        refuse_paid_sandbox(settings)
        return cls(
            token or token_source(settings),
            workspace=settings.workspace,
            api_url=settings.api_url,
            media_hosts=settings.media_hosts,
            max_upload_bytes=settings.max_upload_mb * MEGABYTE,
            max_download_bytes=settings.max_download_mb * MEGABYTE,
            trace_prompts=settings.trace_prompts,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._connection.close()
        if self._file_hosts is not None:
            await self._file_hosts.close()
            self._file_hosts = None

    async def list_workspaces(self) -> list[Workspace]:
        """All workspaces of the account, most recently active first (GET workspaces)."""
        return [
            workspace
            async for page in self._pages(WorkspaceList, "v1/workspaces")
            for workspace in page.workspaces
        ]

    async def get_workspace(self, workspace: str | None = None) -> Workspace:
        """A workspace with its balance (GET workspaces/{id})."""
        return await self._connection.ask(Workspace, await self._path(workspace))

    async def list_models(
        self, query: ModelQuery | None = None, *, workspace: str | None = None
    ) -> ModelList:
        """One page of the models of a workspace (GET models)."""
        path = await self._path(workspace, "models")
        return await self._connection.ask(ModelList, path, params=(query or ModelQuery()).params())

    async def get_model(self, model_id: str, *, workspace: str | None = None) -> ModelDetail:
        """A model with its capabilities (GET models/{id})."""
        path = await self._path(workspace, "models", model_id)
        return (await self._connection.ask(ModelAnswer, path)).model

    async def estimate_price(
        self, request: InferenceRequest, *, workspace: str | None = None
    ) -> PriceEstimate:
        """What a run will cost, with its references and mask (POST inferences/estimate).

        The published contract does not name those two. When Layer refuses them, the price is
        asked for without, and `references_refused` is what it said.
        """
        path = await self._path(workspace, "inferences", "estimate")
        body = _without(request.body(), FIELDS_WITHOUT_PRICE)
        has_references = bool(request.guidance_files or request.mask)
        if not has_references:
            body = _without(body, REFERENCE_FIELDS)
        try:
            return await self._connection.ask(PriceEstimate, path, method="POST", json=body)
        except LayerError as error:
            named = any(name in error.message for name in REFERENCE_FIELDS)
            if not (has_references and named):
                raise
            why = error.message
        body = _without(body, REFERENCE_FIELDS)
        estimate = await self._connection.ask(PriceEstimate, path, method="POST", json=body)
        return estimate.model_copy(update={"references_refused": why})

    async def execute_inference(
        self,
        request: InferenceRequest,
        *,
        workspace: str | None = None,
        before_sending: BeforeSending | None = None,
    ) -> StartedInference:
        """Start a run, which is charged (POST inferences): see `Connection.submit`.

        Raises:
            LayerError: OUTCOME_UNKNOWN when the request went out and nothing says whether the run
                exists.
        """
        path = await self._path(workspace, "inferences")
        return await self._connection.submit(
            StartedInference,
            path,
            request.body(),
            id_name="inference_id",
            before_sending=before_sending,
        )

    async def get_inference(self, inference_id: str, *, workspace: str | None = None) -> Inference:
        """The state of a run (GET inferences/{id}); sent again after a transport fault."""
        with _naming(inference_id=inference_id):
            path = await self._path(workspace, "inferences", inference_id)
            return await self._connection.ask(Inference, path)

    async def wait(
        self,
        inference_id: str,
        timeout_seconds: float,
        *,
        workspace: str | None = None,
        known: Inference | None = None,
        on_progress: OnProgress[Inference] | None = None,
    ) -> Inference:
        """Wait until the run has ended or the time is up, and return its last state.

        Polls no tighter than Layer asks, starts none after the deadline and rides out transient
        faults: see `polling.wait_for_end`, also for `known` and `on_progress`. With a timeout of 0
        it is `get_inference`.

        Raises:
            LayerError: with `inference_id`, when waiting cannot help or no state arrived in time.
        """
        if timeout_seconds <= 0:
            return known or await self.get_inference(inference_id, workspace=workspace)
        with _naming(inference_id=inference_id):
            path = await self._path(workspace, "inferences", inference_id)

            async def poll() -> Inference:
                return await self._connection.ask(Inference, path, once=True)

            return await wait_for_end(
                poll, timeout_seconds=timeout_seconds, known=known, on_progress=on_progress
            )

    async def list_workflows(
        self, query: WorkflowQuery | None = None, *, workspace: str | None = None
    ) -> WorkflowList:
        """One page of the published workflows of a workspace (GET workflows)."""
        path = await self._path(workspace, "workflows")
        params = (query or WorkflowQuery()).params()
        return await self._connection.ask(WorkflowList, path, params=params)

    async def find_workflow(self, workflow_id: str, *, workspace: str | None = None) -> Workflow:
        """A workflow by its id; Layer has no call for one, so the list is searched.

        Raises:
            LayerError: WORKFLOW_NOT_FOUND.
        """
        path = await self._path(workspace, "workflows")
        async for page in self._pages(WorkflowList, path):
            for workflow in page.workflows:
                if workflow.workflow_id.lower() == workflow_id.lower():
                    return workflow
        raise LayerError("WORKFLOW_NOT_FOUND", "The workspace has no workflow with this id.")

    async def estimate_workflow(
        self, workflow_id: str, inputs: dict[str, Any], *, workspace: str | None = None
    ) -> WorkflowPriceEstimate:
        """What a workflow run will cost and make (POST workflows/{id}/estimate)."""
        path = await self._path(workspace, "workflows", workflow_id, "estimate")
        return await self._connection.ask(
            WorkflowPriceEstimate, path, method="POST", json={"inputs": inputs}
        )

    async def execute_workflow(
        self,
        workflow_id: str,
        request: WorkflowRunRequest,
        *,
        workspace: str | None = None,
        before_sending: BeforeSending | None = None,
    ) -> StartedWorkflowRun:
        """Start a workflow run, which is charged (POST workflows/{id}/runs).

        Raises:
            LayerError: OUTCOME_UNKNOWN when the request went out and nothing says whether the run
                exists.
        """
        path = await self._path(workspace, "workflows", workflow_id, "runs")
        body = request.model_dump(mode="json", exclude_none=True)
        return await self._connection.submit(
            StartedWorkflowRun, path, body, id_name="run_id", before_sending=before_sending
        )

    async def get_workflow_run(
        self, workflow_id: str, run_id: str, *, workspace: str | None = None
    ) -> WorkflowRun:
        """The state of a workflow run (GET workflows/{id}/runs/{run_id})."""
        with _naming(run_id=run_id):
            path = await self._path(workspace, "workflows", workflow_id, "runs", run_id)
            return await self._connection.ask(WorkflowRun, path)

    async def wait_for_workflow_run(
        self,
        workflow_id: str,
        run_id: str,
        timeout_seconds: float,
        *,
        workspace: str | None = None,
        known: WorkflowRun | None = None,
        on_progress: OnProgress[WorkflowRun] | None = None,
    ) -> WorkflowRun:
        """Wait until a workflow run has ended or the time is up, as `wait` does for a run.

        Raises:
            LayerError: with `run_id`, when waiting cannot help or no state arrived in time.
        """
        if timeout_seconds <= 0:
            return known or await self.get_workflow_run(workflow_id, run_id, workspace=workspace)
        with _naming(run_id=run_id):
            path = await self._path(workspace, "workflows", workflow_id, "runs", run_id)

            async def poll() -> WorkflowRun:
                return await self._connection.ask(WorkflowRun, path, once=True)

            return await wait_for_end(
                poll, timeout_seconds=timeout_seconds, known=known, on_progress=on_progress
            )

    async def request_upload_url(
        self, request: UploadUrlRequest, *, workspace: str | None = None
    ) -> UploadUrl:
        """A signed address for a file's bytes, valid for minutes (POST files/upload-url)."""
        path = await self._path(workspace, "files", "upload-url")
        body = request.model_dump(mode="json", exclude_none=True)
        return await self._connection.ask(UploadUrl, path, method="POST", json=body)

    async def upload_file(
        self,
        file: "LocalFile | Path",
        *,
        workspace: str | None = None,
        on_bytes: "OnBytes | None" = None,
    ) -> str:
        """Bring a media file to Layer and return its file_id.

        A broken transfer goes on from what arrived, also in a later call with the same content.
        The token stays with the API host.

        Raises:
            LayerError: what is wrong with the file (see `open_media_file`), HOST_NOT_ALLOWED,
                UPLOAD_FAILED, UPLOAD_REFUSED or UPLOAD_EXPIRED.
        """
        if isinstance(file, Path):
            from .local_files import open_media_file  # noqa: PLC0415

            with ExitStack() as stack:
                media = open_media_file(file, max_bytes=self._max_upload_bytes)
                opened = await to_thread.run_sync(stack.enter_context, media)
                return await self.upload_file(opened, workspace=workspace, on_bytes=on_bytes)
        workspace_id = await self.workspace_id(workspace)
        from .upload import SessionLostError, send_file  # noqa: PLC0415

        hosts, key, reason = self._files(), (workspace_id, file.sha256), ""
        # A session of an earlier call may be gone, and a new address may be refused once.
        for _ in range(3 if key in self._uploads else 2):
            # Taken out while it is in use: no other call may write into the same session.
            session = self._uploads.pop(key, None)
            resume = session is not None
            try:
                session = session or await self._new_upload(workspace_id, file)
                async with hosts.places:
                    await send_file(hosts, session, file, resume=resume, on_bytes=on_bytes)
                return session.file_id
            except SessionLostError as lost:
                reason = str(lost)
            # Broken or cancelled: a later call goes on. A refused session is of no more use.
            except BaseException as error:
                broken = not isinstance(error, LayerError) or error.code == "UPLOAD_FAILED"
                if session is not None and broken:
                    self._keep_upload(key, session)
                raise
        sentence = f"The storage host did not accept the address of the upload ({reason})."
        raise LayerError("UPLOAD_EXPIRED", sentence)

    def _keep_upload(self, key: tuple[str, str], session: "UploadSession") -> None:
        self._uploads[key] = session
        while len(self._uploads) > MAX_KEPT_UPLOADS:
            self._uploads.pop(next(iter(self._uploads)))

    async def _new_upload(self, workspace_id: str, file: "LocalFile") -> "UploadSession":
        from .upload import open_session  # noqa: PLC0415

        request = UploadUrlRequest(
            content_type=file.content_type,
            file_size_bytes=file.size_bytes,
            # A name may have bytes that are no text.
            file_name=file.path.name.encode(errors="replace").decode(),
        )
        ticket = await self.request_upload_url(request, workspace=workspace_id)
        return await open_session(self._files(), ticket, file)

    async def download(
        self,
        url: str,
        sink: BinaryIO,
        *,
        max_bytes: int | None = None,
        on_bytes: "OnArrivedBytes | None" = None,
    ) -> "Downloaded":
        """Write an output to `sink`, an empty file; a few at once, each within the client's limit.

        No credentials are sent. Only Layer's media host, the API's host and `media_hosts` serve.

        Raises:
            LayerError: HOST_NOT_ALLOWED, DOWNLOAD_FAILED, OUTPUT_GONE or OUTPUT_TOO_LARGE.
            OSError: the sink cannot be written.
        """
        from .download import download  # noqa: PLC0415

        hosts = self._files()
        async with hosts.places:
            limit_bytes = self._max_download_bytes if max_bytes is None else max_bytes
            return await download(hosts, url, sink, max_bytes=limit_bytes, on_bytes=on_bytes)

    async def workspace_id(self, workspace: str | None = None) -> str:
        """The id of a workspace given by id, slug or name; a look-up counts for a minute.

        Raises:
            LayerError: WORKSPACE_NOT_FOUND or WORKSPACE_REQUIRED, with the ones there are.
        """
        wanted = workspace or self._workspace
        if wanted and is_uuid(wanted):
            return wanted.lower()
        found, until = self._found_workspaces.get(wanted, ("", 0.0))
        if found and anyio.current_time() < until:
            return found
        chosen = choose_workspace(wanted, await self.list_workspaces()).workspace_id.lower()
        self._found_workspaces[wanted] = (chosen, anyio.current_time() + WORKSPACE_KEPT_SECONDS)
        return chosen

    async def _pages(self, model: type[PageT], path: str) -> AsyncGenerator[PageT]:
        """The pages of a list, as long as there are more and the time for a look-up lasts."""
        deadline = anyio.current_time() + LOOKUP_SECONDS
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            params = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
            try:
                with anyio.fail_after(deadline - anyio.current_time()):
                    page = await self._connection.ask(model, path, params=params)
            except TimeoutError:
                sentence = "Layer did not send the whole list in time."
                raise LayerError("TIMEOUT", sentence, transient=True) from None
            yield page
            if page.next_cursor in (None, cursor):
                break
            cursor = page.next_cursor

    async def _path(self, workspace: str | None, *parts: str) -> str:
        workspace_id = await self.workspace_id(workspace)
        return "/".join(["v1/workspaces", workspace_id, *(quote(part, safe="") for part in parts)])

    def _files(self) -> "FileHosts":
        # Only a transfer needs httpx here: a server that lists its tools starts without it.
        from .file_hosts import FileHosts  # noqa: PLC0415

        if self._file_hosts is None:
            self._file_hosts = FileHosts(self._host_rules)
        return self._file_hosts


def _without(body: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


@contextmanager
def _naming(*, inference_id: str | None = None, run_id: str | None = None) -> Generator[None]:
    """Every failure in the block says which run it is about."""
    try:
        yield
    except LayerError as error:
        error.inference_id, error.run_id = inference_id, run_id
        raise
