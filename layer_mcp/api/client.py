"""LayerClient: authentication, and one method an operation.

async with LayerClient.from_env() as layer:
    started = await layer.execute_inference(InferenceRequest(model_id=..., prompt="a potion"))
    run = await layer.wait(started.inference_id, timeout_seconds=300)
"""

import re
from collections.abc import Generator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from ..settings import DEFAULT_API_URL, Settings
from .errors import LayerError
from .models import (
    Inference,
    InferenceRequest,
    StartedInference,
    Workspace,
    WorkspaceList,
)
from .polling import OnProgress, wait_for_end
from .retry import Limits, Patience, may_submit_again
from .workspaces import choose_workspace, is_workspace_id

if TYPE_CHECKING:
    from .transport import Outcome, Pool

MAX_WORKSPACE_PAGES = 20

INFERENCE_ID_IN_JSON = re.compile(rb'"inference_id"\s*:\s*"([0-9a-fA-F-]{36})"')

ModelT = TypeVar("ModelT", bound=BaseModel)


class LayerClient:
    """Layer's API for one account: one connection pool, one token.

    Methods raise `LayerError`. A method that takes `workspace` accepts an id, slug or name; left
    out, it is the client's own, else the only one of the account.
    """

    def __init__(
        self,
        token: str | None,
        *,
        workspace: str | None = None,
        api_url: str = DEFAULT_API_URL,
        limits: Limits | None = None,
    ) -> None:
        self._token = token
        self._workspace = workspace
        self._api_url = api_url
        self._limits = limits or Limits()
        self._pool: Pool | None = None
        self._workspace_ids: dict[str | None, str] = {}

    @classmethod
    def from_env(cls) -> Self:
        """A client with the environment's token, workspace and address."""
        return cls.from_settings(Settings.from_env())

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """A client with the given settings."""
        return cls(settings.api_token, workspace=settings.workspace, api_url=settings.api_url)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            await self._pool.http.aclose()
            self._pool = None

    async def execute_inference(
        self, request: InferenceRequest, *, workspace: str | None = None
    ) -> StartedInference:
        """Start a run, which is charged (POST inferences).

        Sent again only when it surely was not accepted. An answer that was cut still counts when
        the run's id can be read from it.

        Raises:
            LayerError: OUTCOME_UNKNOWN when the request went out and nothing says whether the run
                exists.
        """
        path = f"v1/workspaces/{await self.workspace_id(workspace)}/inferences"
        limit_seconds = self._limits.submit_total_seconds
        patience = Patience(self._limits.retry_budget_seconds)
        while True:
            outcome = await self._exchange("POST", path, limit_seconds, json=request.body())
            if outcome.delivery == "accepted":
                started = _parse(StartedInference, outcome.body) or _rescue(outcome.body)
                if started is not None:
                    return started
            again = may_submit_again(outcome.delivery)
            if not again or not await patience.pause(outcome.retry_after_seconds):
                raise self._without_token(_submission_error(outcome))

    async def get_inference(self, inference_id: str, *, workspace: str | None = None) -> Inference:
        """The state of a run (GET inferences/{id}); sent again after a transport fault."""
        with _naming(inference_id):
            return await self._read(Inference, await self._inference_path(inference_id, workspace))

    async def wait(
        self,
        inference_id: str,
        timeout_seconds: float,
        *,
        workspace: str | None = None,
        known: Inference | None = None,
        on_progress: OnProgress | None = None,
    ) -> Inference:
        """Wait until the run has ended or the time is up, and return its last state.

        Polls no tighter than Layer asks and never past the deadline; rides out transient faults.
        See `polling.wait_for_end` for `known` and `on_progress`. With a timeout of 0 it is
        `get_inference`.

        Raises:
            LayerError: with `inference_id`, when waiting cannot help or no state arrived in time.
        """
        if timeout_seconds <= 0:
            return known or await self.get_inference(inference_id, workspace=workspace)
        with _naming(inference_id):
            path = await self._inference_path(inference_id, workspace)

            async def poll(seconds_left: float) -> Inference:
                return await self._read(Inference, path, once_within_seconds=seconds_left)

            return await wait_for_end(
                poll, timeout_seconds=timeout_seconds, known=known, on_progress=on_progress
            )

    async def list_workspaces(self) -> list[Workspace]:
        """All workspaces of the account, most recently active first (GET workspaces)."""
        workspaces: list[Workspace] = []
        params = {"limit": "100"}
        for _ in range(MAX_WORKSPACE_PAGES):
            page = await self._read(WorkspaceList, "v1/workspaces", params=params)
            workspaces += page.workspaces
            cursor = page.pagination.next_cursor
            if not page.pagination.has_more_results or not cursor:
                break
            params = {"limit": "100", "cursor": cursor}
        return workspaces

    async def workspace_id(self, workspace: str | None = None) -> str:
        """The id of a workspace given by id, slug or name; looked up once.

        Raises:
            LayerError: WORKSPACE_NOT_FOUND or WORKSPACE_REQUIRED, with the ones there are.
        """
        wanted = workspace or self._workspace
        if wanted and is_workspace_id(wanted):
            return wanted
        if wanted not in self._workspace_ids:
            chosen = choose_workspace(wanted, await self.list_workspaces())
            self._workspace_ids[wanted] = chosen.workspace_id
        return self._workspace_ids[wanted]

    async def _inference_path(self, inference_id: str, workspace: str | None) -> str:
        workspace_id = await self.workspace_id(workspace)
        return f"v1/workspaces/{workspace_id}/inferences/{quote(inference_id, safe='')}"

    async def _read(
        self,
        model: type[ModelT],
        path: str,
        *,
        params: dict[str, str] | None = None,
        once_within_seconds: float | None = None,
    ) -> ModelT:
        """GET an answer; sent again after a fault, unless it is to be asked once only."""
        limit_seconds = self._limits.read_total_seconds
        if once_within_seconds is not None:
            limit_seconds = min(limit_seconds, once_within_seconds)
        patience = Patience(self._limits.retry_budget_seconds)
        while True:
            outcome = await self._exchange("GET", path, limit_seconds, params=params)
            if outcome.delivery == "accepted":
                answer = _parse(model, outcome.body)
                if answer is not None:
                    return answer
            again = once_within_seconds is None and outcome.delivery != "refused"
            if not again or not await patience.pause(outcome.retry_after_seconds):
                raise self._without_token(_read_error(outcome))

    async def _exchange(
        self,
        method: str,
        path: str,
        limit_seconds: float,
        *,
        json: dict[str, Any] | None = None,
        params: dict[str, str] | None = None,
    ) -> "Outcome":
        # Only the first call needs httpx: a server that lists its tools starts without it.
        from .transport import exchange, open_pool  # noqa: PLC0415

        if not self._token:
            raise LayerError("MISSING_TOKEN", "No Layer token is set.")
        if self._pool is None:
            self._pool = open_pool(self._api_url, self._token, self._limits)
        return await exchange(
            self._pool, method, path, json=json, params=params, total_seconds=limit_seconds
        )

    def _without_token(self, error: LayerError) -> LayerError:
        error.message = error.message.replace(self._token or "\0", "[token]")
        return error


@contextmanager
def _naming(inference_id: str) -> Generator[None]:
    """Every failure in the block says which run it is about."""
    try:
        yield
    except LayerError as error:
        error.inference_id = inference_id
        raise


def _parse(model: type[ModelT], body: bytes) -> ModelT | None:
    try:
        return model.model_validate_json(body)
    except ValidationError:
        return None


def _submission_error(outcome: "Outcome") -> LayerError:
    if outcome.delivery in ("accepted", "outcome_unknown"):
        return LayerError("OUTCOME_UNKNOWN", f"{outcome.why} The outcome is unknown.")
    return outcome.error()


def _read_error(outcome: "Outcome") -> LayerError:
    if outcome.delivery == "accepted":
        return LayerError("UNEXPECTED_RESPONSE", outcome.why, transient=True)
    return outcome.error()


def _rescue(body: bytes) -> StartedInference | None:
    """The run that a cut or malformed answer still names."""
    found = INFERENCE_ID_IN_JSON.search(body)
    return StartedInference(inference_id=found[1].decode()) if found else None
