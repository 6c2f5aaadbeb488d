"""What a request names: its workspace, its model, its files, the JSON of its body."""

from collections.abc import Iterable
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from ..api.fields import is_uuid
from .catalog import SandboxModel, models_in_words, one_of_each_modality
from .problems import RefusalError, refused_fields
from .records import Run, SandboxWorkspace, StoredFile
from .state import SandboxState

Body = TypeVar("Body", bound=BaseModel)

MINUTE_SECONDS = 60.0


def id_in_path(request: Request, name: str) -> str:
    """An id of the path.

    Raises:
        RefusalError: it is no UUID.
    """
    value: str = request.path_params[name]
    if not is_uuid(value):
        raise RefusalError(422, "INVALID_INPUTS", f"{name}: must be a UUID.")
    return value.lower()


def workspace_in_path(state: SandboxState, request: Request) -> SandboxWorkspace:
    """The workspace of the path.

    Raises:
        RefusalError: there is no such workspace.
    """
    wanted = id_in_path(request, "workspace_id")
    for workspace in state.workspaces:
        if workspace.workspace_id == wanted:
            return workspace
    raise RefusalError(404, "WORKSPACE_NOT_FOUND", "There is no such workspace for this token.")


def model_with(state: SandboxState, model_id: str) -> SandboxModel:
    """The model with this id.

    Raises:
        RefusalError: there is no such model.
    """
    for model in state.models:
        if model.model_id == model_id.lower():
            return model
    some = models_in_words(one_of_each_modality(state.models))
    detail = f"No such model; there are, among others, {some}."
    raise RefusalError(404, "MODEL_NOT_FOUND", detail)


def files_with(
    state: SandboxState, workspace: SandboxWorkspace, file_ids: Iterable[str]
) -> list[StoredFile]:
    """The files with these ids.

    Raises:
        RefusalError: one is not there, or its upload is not complete.
    """
    found: list[StoredFile] = []
    for file_id in file_ids:
        file = state.file(workspace.workspace_id, file_id)
        if file is None:
            detail = f"There is no file {file_id} here, or its upload is not complete."
            raise RefusalError(404, "FILE_NOT_FOUND", detail)
        found.append(file)
    return found


async def json_body(request: Request) -> object:
    """The JSON of the body.

    Raises:
        RefusalError: it is not JSON.
    """
    try:
        return from_json(await request.body(), allow_inf_nan=False)
    except ValueError:
        raise RefusalError(422, "INVALID_INPUTS", "The body is not JSON.") from None


def as_model(state: SandboxState, value: object, kind: type[Body]) -> Body:
    """The body as a request of this kind; unknown keys are ignored, as Layer does.

    Raises:
        RefusalError: a field is missing or not allowed.
    """
    try:
        return kind.model_validate(value, extra="ignore")
    except ValidationError as error:
        raise refused_fields(error, state.knobs.validation_style) from None


def check_limits(
    state: SandboxState,
    workspace: SandboxWorkspace,
    price_creative_units: float,
    *,
    is_video: bool = False,
) -> None:
    """Refuse a run that is one too many, or that the workspace cannot pay.

    Raises:
        RefusalError: 429 or 402.
    """
    limit = state.knobs.max_runs_at_once
    if len(state.under_way(workspace.workspace_id)) >= limit:
        raise RefusalError(429, "RATE_LIMITED", f"At most {limit} runs at once.")
    _check_minute(state, is_video=is_video)
    if price_creative_units > state.available_creative_units(workspace):
        detail = (
            f"{price_creative_units:g} Creative Units are needed, which the workspace does not "
            "have."
        )
        raise RefusalError(402, "INSUFFICIENT_BALANCE", detail)


def _check_minute(state: SandboxState, *, is_video: bool) -> None:
    """The limits are the user's, whatever the workspace; a video counts against both."""
    started = state.started_since(MINUTE_SECONDS)
    if len(started) >= state.knobs.max_runs_a_minute:
        detail = f"At most {state.knobs.max_runs_a_minute} runs a minute."
        raise RefusalError(429, "RATE_LIMITED", detail)
    videos = sum(isinstance(run, Run) and run.model.modality == "video" for run in started)
    if is_video and videos >= state.knobs.max_video_runs_a_minute:
        detail = f"At most {state.knobs.max_video_runs_a_minute} videos a minute."
        raise RefusalError(429, "RATE_LIMITED", detail)
