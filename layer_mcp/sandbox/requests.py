"""Handle requests: call an operation, look up what its request names, and check Layer's limits."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TypeVar

import anyio
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ..api.fields import is_uuid
from ..api.models import ModelQuery, WorkflowQuery
from .answers import ProblemError, validation_problem
from .catalog import SandboxModel, models_in_words, one_of_each_modality
from .faults import Connections, apply_fault, limit_body
from .knobs import Fault, Operation
from .state import Arrival, Run, SandboxState, SandboxWorkspace, StoredFile

MINUTE_SECONDS = 60.0
HOLD_PAUSE_SECONDS = 0.01

Handler = Callable[[SandboxState, Request], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]
Body = TypeVar("Body", bound=BaseModel)
Query = TypeVar("Query", ModelQuery, WorkflowQuery)


def route(method: str, path: str, endpoint: Endpoint) -> Route:
    """Return a route for one method only."""
    return Route(path, endpoint, methods=[method])


def make_endpoint(
    state: SandboxState, connections: Connections, operation: Operation, handler: Handler
) -> Endpoint:
    """Return an endpoint that records its requests, applies their faults, and calls the handler."""

    async def respond(request: Request) -> Response:
        try:
            return await handler(state, request)
        except ProblemError as error:
            return error.response()

    async def serve(request: Request) -> Response:
        fault = state.next_fault(operation)
        if fault is not None and fault.unread:
            state.record(Arrival(operation, request.url.path, dict(request.headers), b""))
            return apply_fault(fault, Response(), connections, request)
        state.record(await _read_arrival(operation, request))
        if fault is None:
            return await respond(request)
        await anyio.sleep(fault.delay_seconds)
        # It's set by another thread, and anyio's events don't allow that.
        while fault.held_until is not None and not fault.held_until.is_set():  # noqa: ASYNC110
            await anyio.sleep(HOLD_PAUSE_SECONDS)
        if fault.effect == "slow":
            return await respond(request)
        response = await _respond_despite(fault, request, respond)
        return apply_fault(fault, response, connections, request)

    async def endpoint(request: Request) -> Response:
        try:
            return await serve(request)
        except ClientDisconnect:
            return Response()

    return endpoint


async def _read_arrival(operation: Operation, request: Request) -> Arrival:
    # The handler of uploads reads the body itself, chunk by chunk.
    body = b"" if operation == "upload" else await request.body()
    return Arrival(operation, request.url.path, dict(request.headers), body)


async def _respond_despite(fault: Fault, request: Request, respond: Endpoint) -> Response:
    if fault.after_bytes is not None:
        with suppress(ClientDisconnect):
            await respond(limit_body(request, fault.after_bytes))
        return Response()
    if fault.is_processed:
        return await respond(request)
    if fault.effect != "drop":
        await drain(request)
    return Response()


async def drain(request: Request) -> None:
    """Read the rest of a body, so that the client can finish sending and read the response."""
    async for _ in request.stream():
        pass


def id_in_path(request: Request, name: str) -> str:
    """Return an ID from the path.

    Raises:
        ProblemError: it isn't a UUID.
    """
    value: str = request.path_params[name]
    if not is_uuid(value):
        raise ProblemError(422, "INVALID_INPUTS", f"{name}: must be a UUID.")
    return value.lower()


def visible_workspaces(state: SandboxState, request: Request) -> list[SandboxWorkspace]:
    """Return the workspaces that the token of a request sees.

    Raises:
        ProblemError: there is no account with this token.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    workspaces = state.workspaces_of(token) if scheme == "Bearer" else None
    if workspaces is None:
        raise ProblemError(401, "UNAUTHENTICATED", "The token is missing or wrong.")
    return workspaces


def workspace_in_path(state: SandboxState, request: Request) -> SandboxWorkspace:
    """Return the workspace that the path names.

    Raises:
        ProblemError: the workspace doesn't exist.
    """
    workspace_id = id_in_path(request, "workspace_id")
    for workspace in visible_workspaces(state, request):
        if workspace.workspace_id == workspace_id:
            return workspace
    raise ProblemError(404, "WORKSPACE_NOT_FOUND", "There is no such workspace for this token.")


def parse_query(state: SandboxState, request: Request, kind: type[Query]) -> Query:
    """Parse the query of a request. Unknown names are ignored, as Layer does.

    Raises:
        ProblemError: a value is invalid.
    """
    try:
        return kind.model_validate(dict(request.query_params), extra="ignore")
    except ValidationError as error:
        raise validation_problem(error, state.knobs.validation_style, place="query") from None


async def read_json(request: Request) -> object:
    """Read the body of a request as JSON.

    Raises:
        ProblemError: the body isn't JSON.
    """
    try:
        return from_json(await request.body(), allow_inf_nan=False)
    except ValueError:
        raise ProblemError(422, "INVALID_INPUTS", "The body is not JSON.") from None


def parse_body(state: SandboxState, value: object, kind: type[Body]) -> Body:
    """Parse the JSON of a body. Unknown keys are ignored, as Layer does.

    Raises:
        ProblemError: a field is missing or invalid.
    """
    try:
        return kind.model_validate(value, extra="ignore")
    except ValidationError as error:
        raise validation_problem(error, state.knobs.validation_style) from None


def find_model(state: SandboxState, model_id: str) -> SandboxModel:
    """Return the model with an ID.

    Raises:
        ProblemError: the model doesn't exist.
    """
    for model in state.models:
        if model.model_id == model_id.lower():
            return model
    some = models_in_words(one_of_each_modality(state.models))
    detail = f"No such model; there are, among others, {some}."
    raise ProblemError(404, "MODEL_NOT_FOUND", detail)


def find_files(
    state: SandboxState, workspace: SandboxWorkspace, file_ids: Iterable[str]
) -> list[StoredFile]:
    """Return the files with these IDs.

    Raises:
        ProblemError: a file doesn't exist, or its upload isn't complete.
    """
    files: list[StoredFile] = []
    for file_id in file_ids:
        file = state.find_file(workspace.workspace_id, file_id)
        if file is None:
            detail = f"There is no file {file_id} here, or its upload is not complete."
            raise ProblemError(404, "FILE_NOT_FOUND", detail)
        files.append(file)
    return files


def check_limits(
    state: SandboxState,
    workspace: SandboxWorkspace,
    price_creative_units: float,
    *,
    is_video: bool = False,
) -> None:
    """Check that a run is within the limits and that the workspace can pay for it.

    Raises:
        ProblemError: 429 or 402.
    """
    limit = state.knobs.max_runs_at_once
    if len(state.active_runs(workspace.workspace_id)) >= limit:
        raise ProblemError(429, "RATE_LIMITED", f"At most {limit} runs at a time.")
    _check_minute(state, workspace, is_video=is_video)
    if price_creative_units > state.available_creative_units(workspace):
        detail = (
            f"The run needs {price_creative_units:g} Creative Units, more than the workspace has."
        )
        raise ProblemError(402, "INSUFFICIENT_BALANCE", detail)


def _check_minute(state: SandboxState, workspace: SandboxWorkspace, *, is_video: bool) -> None:
    # These limits are per user, so the runs of all workspaces count. A video counts toward both.
    started = state.runs_started_within(MINUTE_SECONDS, workspace)
    if len(started) >= state.knobs.max_runs_a_minute:
        detail = f"At most {state.knobs.max_runs_a_minute} runs a minute."
        raise ProblemError(429, "RATE_LIMITED", detail)
    videos = sum(isinstance(run, Run) and run.model.modality == "video" for run in started)
    if is_video and videos >= state.knobs.max_video_runs_a_minute:
        detail = f"At most {state.knobs.max_video_runs_a_minute} videos a minute."
        raise ProblemError(429, "RATE_LIMITED", detail)
