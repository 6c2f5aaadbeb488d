"""LayerClient: one method for each operation.

async with LayerClient.from_env() as layer:
    started = await layer.execute_inference(InferenceRequest(model_id=..., prompt="a potion"))
    run = await layer.wait(started.inference_id)
"""

from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TypeVar, Unpack
from urllib.parse import quote

import anyio
from anyio import to_thread

from ..arguments import check_type, parse_arguments
from ..credentials import TokenSource, token_source
from ..errors import LayerError
from ..files.folders import PrivateFolders
from ..files.local_files import MEGABYTE, LocalFile, open_media_file
from ..files.paths import Folders, path_of, resolve_parent
from ..schema import portable_schema
from ..settings import DEFAULT_API_URL, Settings, normal_api_url, refuse_paid_sandbox
from ..text.plain_text import one_line
from ..text.plain_text import quote as quote_name
from .fields import is_uuid
from .host_rules import host_rules
from .models import (
    Inference,
    InferenceRequest,
    ModelAnswer,
    ModelDetail,
    ModelFilters,
    ModelList,
    ModelQuery,
    ModelSummary,
    Pages,
    PriceEstimate,
    StartedInference,
    StartedWorkflowRun,
    UploadUrl,
    UploadUrlRequest,
    Workflow,
    WorkflowFilters,
    WorkflowList,
    WorkflowPriceEstimate,
    WorkflowQuery,
    WorkflowRun,
    WorkflowRunRequest,
    Workspace,
    WorkspaceList,
)
from .polling import LONGEST_WAIT_SECONDS, OnProgress, RunT, wait_for_end
from .retry import BeforeSending, Limits

if TYPE_CHECKING:
    from .download import Downloaded, OnVersion, Version
    from .download import OnBytes as OnReceivedBytes
    from .file_transport import FileTransport
    from .http import Connection
    from .upload import OnBytes, Uploader

MAX_PAGES = 20
DEFAULT_MAX_UPLOAD_BYTES = 64 * MEGABYTE
DEFAULT_MAX_DOWNLOAD_BYTES = 1024 * MEGABYTE
LOOKUP_SECONDS = 10
WORKSPACE_KEPT_SECONDS = 60
MAX_LISTED_WORKSPACES = 20
MAX_NAME_LENGTH = 60
REFERENCE_FIELDS = frozenset({"guidance_files", "mask"})
FIELDS_WITHOUT_PRICE = frozenset({"seed", "session_name"})

PageT = TypeVar("PageT", WorkspaceList, WorkflowList)
QueryT = TypeVar("QueryT", ModelQuery, WorkflowQuery)


class LayerClient:
    """Layer's API for one account: one connection pool, one token.

    Use it with `async with`, or call `aclose` at the end. Every method raises `LayerError`. A
    method that takes `workspace` accepts an ID, slug or name; without it, the client's workspace is
    used, or the only one of the account.

    Raises:
        SettingsError: `api_url` isn't an https URL.
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
        self._token = token
        self._workspace = workspace
        self._api_url = normal_api_url(api_url)
        self._limits = limits or Limits()
        self._trace_prompts = trace_prompts
        self._host_rules = host_rules(self._api_url, media_hosts)
        self._max_upload_bytes = max_upload_bytes
        self._private_folders: Callable[[], PrivateFolders] = PrivateFolders
        self._max_download_bytes = max_download_bytes
        self._connection: Connection | None = None
        self._file_transport: FileTransport | None = None
        self._uploader: Uploader | None = None
        self._found_workspaces: dict[str | None, tuple[str, float]] = {}

    @classmethod
    def from_env(cls) -> Self:
        """Create a client with the environment's settings, and the stored token if none is set.

        Raises:
            SettingsError: a setting is invalid.
        """
        return cls.from_settings(Settings.from_env())

    @classmethod
    def from_settings(cls, settings: Settings, token: TokenSource | None = None) -> Self:
        """Create a client with the given settings; the system's keyring provides a missing token.

        Raises:
            SettingsError: a sandbox is required, but the URL isn't one.
        """
        refuse_paid_sandbox(settings)
        client = cls(
            token or token_source(settings),
            workspace=settings.workspace,
            api_url=settings.api_url,
            media_hosts=settings.media_hosts,
            max_upload_bytes=settings.max_upload_mb * MEGABYTE,
            max_download_bytes=settings.max_download_mb * MEGABYTE,
            trace_prompts=settings.trace_prompts,
        )
        client._private_folders = Folders.pin(settings).private
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections. A later call opens new ones."""
        connection, self._connection = self._connection, None
        file_transport, self._file_transport = self._file_transport, None
        self._uploader = None
        if connection is not None:
            await connection.close()
        if file_transport is not None:
            await file_transport.close()

    async def list_workspaces(self) -> list[Workspace]:
        """List all workspaces of the account, most recently active first (GET workspaces)."""
        return [
            workspace
            async for page in self._pages(WorkspaceList, "v1/workspaces")
            for workspace in page.workspaces
        ]

    async def get_workspace(self, workspace: str | None = None) -> Workspace:
        """Get a workspace with its balance (GET workspaces/{id})."""
        return await self._http.ask(Workspace, await self._path(workspace))

    def list_models(
        self,
        query: ModelQuery | None = None,
        *,
        workspace: str | None = None,
        **filters: Unpack[ModelFilters],
    ) -> Pages[ModelList, ModelSummary]:
        """List the models of a workspace that match the filters (GET models).

        `await` reads one page, and `async for` every model. Pass filters as keywords or as a
        `query`.
        """
        chosen = _with_filters(ModelQuery, query, filters)

        async def read(cursor: str | None) -> ModelList:
            path = await self._path(workspace, "models")
            return await self._http.ask(ModelList, path, params=_page_params(chosen, cursor))

        return Pages(read, lambda page: page.models, chosen.cursor)

    async def get_model(self, model_id: str, *, workspace: str | None = None) -> ModelDetail:
        """Get a model with its capabilities (GET models/{id})."""
        path = await self._path(workspace, "models", model_id)
        return (await self._http.ask(ModelAnswer, path)).model

    async def estimate_price(
        self, request: InferenceRequest, *, workspace: str | None = None
    ) -> PriceEstimate:
        """Get the price of a run with its references and mask (POST inferences/estimate).

        The published contract doesn't include references and masks. If Layer refuses them, this
        requests the price without them, and `references_refused` holds Layer's message.
        """
        check_type(request, InferenceRequest, "request")
        path = await self._path(workspace, "inferences", "estimate")
        body = _without(request.body(), FIELDS_WITHOUT_PRICE)
        has_references = bool(request.guidance_files or request.mask)
        if not has_references:
            body = _without(body, REFERENCE_FIELDS)
        try:
            return await self._http.ask(PriceEstimate, path, method="POST", json=body)
        except LayerError as error:
            named = any(name in error.message for name in REFERENCE_FIELDS)
            if not (has_references and named):
                raise
            why = error.message
        body = _without(body, REFERENCE_FIELDS)
        estimate = await self._http.ask(PriceEstimate, path, method="POST", json=body)
        return estimate.model_copy(update={"references_refused": why})

    async def execute_inference(
        self,
        request: InferenceRequest,
        *,
        workspace: str | None = None,
        before_sending: BeforeSending | None = None,
    ) -> StartedInference:
        """Start a run, which is charged (POST inferences).

        The request is retried only if Layer definitely didn't accept it. `before_sending` is called
        right before each attempt; raise a LayerError in it to send nothing.

        Raises:
            LayerError: OUTCOME_UNKNOWN, if the request was sent but it's unknown whether the run
                exists.
        """
        check_type(request, InferenceRequest, "request")
        path = await self._path(workspace, "inferences")
        return await self._http.submit(
            StartedInference,
            path,
            request.body(),
            id_name="inference_id",
            before_sending=before_sending,
        )

    async def get_inference(self, inference_id: str, *, workspace: str | None = None) -> Inference:
        """Get the state of a run (GET inferences/{id}); retry after a transport fault."""
        with _naming(inference_id=inference_id):
            path = await self._path(workspace, "inferences", inference_id)
            return await self._http.ask(Inference, path)

    async def wait(
        self,
        inference_id: str,
        timeout_seconds: float = LONGEST_WAIT_SECONDS,
        *,
        workspace: str | None = None,
        known: Inference | None = None,
        on_progress: OnProgress[Inference] | None = None,
    ) -> Inference:
        """Wait until the run has ended or time runs out, and return its last state.

        Polls no more often than Layer asks, starts no poll after the deadline, and ignores
        transient faults until then. A `known` state delays the first poll by one interval.
        `on_progress` is called with each new state and the seconds waited. With a timeout of 0,
        this is `get_inference`.

        Raises:
            LayerError: with `inference_id`, if waiting can't help or no state arrived in time.
        """
        check_type(timeout_seconds, (int, float), "timeout_seconds")
        if timeout_seconds <= 0:
            return known or await self.get_inference(inference_id, workspace=workspace)
        with _naming(inference_id=inference_id):
            path = await self._path(workspace, "inferences", inference_id)
            return await self._wait(Inference, path, timeout_seconds, known, on_progress)

    def list_workflows(
        self,
        query: WorkflowQuery | None = None,
        *,
        workspace: str | None = None,
        **filters: Unpack[WorkflowFilters],
    ) -> Pages[WorkflowList, Workflow]:
        """List the published workflows of a workspace (GET workflows); works like `list_models`."""
        chosen = _with_filters(WorkflowQuery, query, filters)

        async def read(cursor: str | None) -> WorkflowList:
            path = await self._path(workspace, "workflows")
            return await self._http.ask(WorkflowList, path, params=_page_params(chosen, cursor))

        return Pages(read, lambda page: page.workflows, chosen.cursor)

    async def find_workflow(self, workflow_id: str, *, workspace: str | None = None) -> Workflow:
        """Find a workflow by its ID in the list; Layer has no operation for a single one.

        Raises:
            LayerError: WORKFLOW_NOT_FOUND.
        """
        check_type(workflow_id, str, "workflow_id")
        path = await self._path(workspace, "workflows")
        async for page in self._pages(WorkflowList, path):
            for workflow in page.workflows:
                if workflow.workflow_id.lower() == workflow_id.lower():
                    return workflow
        raise LayerError("WORKFLOW_NOT_FOUND", "The workspace has no workflow with this id.")

    async def estimate_workflow(
        self, workflow_id: str, inputs: dict[str, Any], *, workspace: str | None = None
    ) -> WorkflowPriceEstimate:
        """Get the price and the outputs of a workflow run (POST workflows/{id}/estimate)."""
        path = await self._path(workspace, "workflows", workflow_id, "estimate")
        body = {"inputs": inputs}
        return await self._http.ask(WorkflowPriceEstimate, path, method="POST", json=body)

    async def execute_workflow(
        self,
        workflow_id: str,
        request: WorkflowRunRequest,
        *,
        workspace: str | None = None,
        before_sending: BeforeSending | None = None,
    ) -> StartedWorkflowRun:
        """Start a workflow run, which is charged (POST workflows/{id}/runs).

        Retries and `before_sending` work as in `execute_inference`.

        Raises:
            LayerError: OUTCOME_UNKNOWN, if the request was sent but it's unknown whether the run
                exists.
        """
        check_type(request, WorkflowRunRequest, "request")
        path = await self._path(workspace, "workflows", workflow_id, "runs")
        body = request.model_dump(mode="json", exclude_none=True)
        return await self._http.submit(
            StartedWorkflowRun, path, body, id_name="run_id", before_sending=before_sending
        )

    async def get_workflow_run(
        self, workflow_id: str, run_id: str, *, workspace: str | None = None
    ) -> WorkflowRun:
        """Get the state of a workflow run (GET workflows/{id}/runs/{run_id})."""
        with _naming(run_id=run_id):
            path = await self._path(workspace, "workflows", workflow_id, "runs", run_id)
            return await self._http.ask(WorkflowRun, path)

    async def wait_for_workflow_run(
        self,
        workflow_id: str,
        run_id: str,
        timeout_seconds: float = LONGEST_WAIT_SECONDS,
        *,
        workspace: str | None = None,
        known: WorkflowRun | None = None,
        on_progress: OnProgress[WorkflowRun] | None = None,
    ) -> WorkflowRun:
        """Wait until a workflow run has ended or time runs out, like `wait`.

        Raises:
            LayerError: with `run_id`, if waiting can't help or no state arrived in time.
        """
        check_type(timeout_seconds, (int, float), "timeout_seconds")
        if timeout_seconds <= 0:
            return known or await self.get_workflow_run(workflow_id, run_id, workspace=workspace)
        with _naming(run_id=run_id):
            path = await self._path(workspace, "workflows", workflow_id, "runs", run_id)
            return await self._wait(WorkflowRun, path, timeout_seconds, known, on_progress)

    async def request_upload_url(
        self, request: UploadUrlRequest, *, workspace: str | None = None
    ) -> UploadUrl:
        """Get a signed URL for a file's bytes, valid for minutes (POST files/upload-url)."""
        check_type(request, UploadUrlRequest, "request")
        path = await self._path(workspace, "files", "upload-url")
        body = request.model_dump(mode="json", exclude_none=True)
        return await self._http.ask(UploadUrl, path, method="POST", json=body)

    async def upload_file(
        self,
        file: "str | PathLike[str] | LocalFile",
        *,
        workspace: str | None = None,
        on_bytes: "OnBytes | None" = None,
    ) -> str:
        """Upload a media file and return its file_id.

        An interrupted transfer resumes where it stopped, even in a later call with the same file.
        The token is sent only to the API host.

        Raises:
            LayerError: an error for the file (see `open_media_file`), HOST_NOT_ALLOWED,
                UPLOAD_FAILED, UPLOAD_REFUSED or UPLOAD_EXPIRED.
        """
        from .upload import Uploader  # noqa: PLC0415

        with ExitStack() as stack:
            if not isinstance(file, LocalFile):
                media = open_media_file(
                    resolve_parent(path_of(file)),
                    max_bytes=self._max_upload_bytes,
                    private=self._private_folders(),
                )
                file = await to_thread.run_sync(stack.enter_context, media)
            workspace_id = await self.workspace_id(workspace)
            self._uploader = self._uploader or Uploader(self._files, self._request_url)
            return await self._uploader.upload(file, workspace_id, on_bytes=on_bytes)

    async def download(
        self,
        url: str,
        sink: BinaryIO,
        *,
        max_bytes: int | None = None,
        on_bytes: "OnReceivedBytes | None" = None,
        version: "Version | None" = None,
        on_version: "OnVersion | None" = None,
    ) -> "Downloaded":
        """Write an output to `sink`. A few downloads run at the same time, each within the size
        limit.

        No credentials are sent. Only Layer's media host, the API's host, and `media_hosts` are
        allowed. With `version`, `sink` holds the start of that version of the file from an earlier
        call, and only the rest is downloaded. `on_version` receives the value to pass then.

        Raises:
            LayerError: HOST_NOT_ALLOWED, DOWNLOAD_FAILED, OUTPUT_GONE or OUTPUT_TOO_LARGE.
            OSError: the sink can't be written.
        """
        from .download import download  # noqa: PLC0415

        check_type(url, str, "url")

        async with self._files.download_slots:
            return await download(
                self._files,
                url,
                sink,
                max_bytes=self._max_download_bytes if max_bytes is None else max_bytes,
                on_bytes=on_bytes,
                version=version,
                on_version=on_version,
            )

    async def workspace_id(self, workspace: str | None = None) -> str:
        """Return the ID of a workspace given by ID, slug, or name; cache a lookup for a minute.

        Raises:
            LayerError: WORKSPACE_NOT_FOUND or WORKSPACE_REQUIRED, listing the account's workspaces.
        """
        wanted = workspace or self._workspace
        if wanted is not None:
            check_type(wanted, str, "workspace")
        if wanted and is_uuid(wanted):
            return wanted.lower()
        found, until = self._found_workspaces.get(wanted, ("", 0.0))
        if found and anyio.current_time() < until:
            return found
        chosen = choose_workspace(wanted, await self.list_workspaces()).workspace_id.lower()
        self._found_workspaces[wanted] = (chosen, anyio.current_time() + WORKSPACE_KEPT_SECONDS)
        return chosen

    async def _wait(
        self,
        model: type[RunT],
        path: str,
        timeout_seconds: float,
        known: RunT | None,
        on_progress: OnProgress[RunT] | None,
    ) -> RunT:
        async def poll() -> RunT:
            return await self._http.ask(model, path, once=True)

        return await wait_for_end(
            poll, timeout_seconds=timeout_seconds, known=known, on_progress=on_progress
        )

    async def _pages(self, model: type[PageT], path: str) -> AsyncGenerator[PageT]:
        """Yield the pages of a list, within the time limit for a lookup."""
        deadline = anyio.current_time() + LOOKUP_SECONDS
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            params = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
            try:
                with anyio.fail_after(deadline - anyio.current_time()):
                    page = await self._http.ask(model, path, params=params)
            except TimeoutError:
                sentence = "Layer did not send the whole list in time."
                raise LayerError("TIMEOUT", sentence, transient=True) from None
            yield page
            if page.next_cursor in (None, cursor):
                break
            cursor = page.next_cursor

    async def _path(self, workspace: str | None, *parts: str) -> str:
        for part in parts:
            check_type(part, str, "An ID")
        workspace_id = await self.workspace_id(workspace)
        return "/".join(["v1/workspaces", workspace_id, *(quote(part, safe="") for part in parts)])

    async def _request_url(self, request: UploadUrlRequest, workspace_id: str) -> UploadUrl:
        return await self.request_upload_url(request, workspace=workspace_id)

    @property
    def _http(self) -> "Connection":
        if self._connection is None:
            # Imported here because only calls need httpx; a server that lists its tools starts
            # without it.
            from .http import Connection  # noqa: PLC0415

            self._connection = Connection(
                self._token, self._api_url, self._limits, trace_prompts=self._trace_prompts
            )
        return self._connection

    @property
    def _files(self) -> "FileTransport":
        if self._file_transport is None:
            from .file_transport import FileTransport  # noqa: PLC0415

            self._file_transport = FileTransport(self._host_rules, lambda: self._http.redactor)
        return self._file_transport


def _with_filters(
    model: type[QueryT], query: QueryT | None, filters: ModelFilters | WorkflowFilters
) -> QueryT:
    """Return a query with these filters.

    Raises:
        LayerError: INVALID_ARGUMENTS.
    """
    if query is not None:
        check_type(query, model, "query")
    if not filters:
        return query or model()
    given = query.model_dump(exclude_unset=True) if query else {}
    return parse_arguments(model, portable_schema(model), {**given, **filters})


def _page_params(query: ModelQuery | WorkflowQuery, cursor: str | None) -> dict[str, str]:
    return query.params() | ({"cursor": cursor} if cursor else {})


def choose_workspace(wanted: str | None, workspaces: Sequence[Workspace]) -> Workspace:
    """Return the workspace whose ID, slug, or name is `wanted`; if it's None, the only workspace.

    Raises:
        LayerError: WORKSPACE_NOT_FOUND or WORKSPACE_REQUIRED, listing the account's workspaces.
    """
    if wanted is None:
        if len(workspaces) == 1:
            return workspaces[0]
        step = None if workspaces else "Create a workspace at app.layer.ai."
        raise LayerError("WORKSPACE_REQUIRED", _list_names(workspaces), next_step=step)
    key = wanted.strip().casefold()
    matches = [
        one
        for one in workspaces
        if key in (one.workspace_id.casefold(), (one.slug or "").casefold())
    ]
    matches = matches or [one for one in workspaces if key == (one.name or "").casefold()]
    if len(matches) == 1:
        return matches[0]
    problem = "More than one workspace is" if matches else "No workspace of this account is"
    sentence = f"{problem} called {quote_name(wanted)}. {_list_names(workspaces)}"
    raise LayerError("WORKSPACE_NOT_FOUND", sentence)


def _list_names(workspaces: Sequence[Workspace]) -> str:
    if not workspaces:
        return "The account has no workspace."
    named = [
        f"{one_line(one.name or one.slug or 'without name', MAX_NAME_LENGTH)} ({one.workspace_id})"
        for one in workspaces[:MAX_LISTED_WORKSPACES]
    ]
    more = len(workspaces) - MAX_LISTED_WORKSPACES
    return f"The account has {'; '.join(named)}{f' and {more} more' if more > 0 else ''}."


def _without(body: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


@contextmanager
def _naming(*, inference_id: str | None = None, run_id: str | None = None) -> Generator[None]:
    """Add the run's ID to every error raised in the block."""
    try:
        yield
    except LayerError as error:
        error.inference_id, error.run_id = inference_id, run_id
        raise
