"""LayerClient: authentication, and one method an operation.

async with LayerClient.from_env() as layer:
    started = await layer.execute_inference(InferenceRequest(model_id=..., prompt="a potion"))
    run = await layer.wait(started.inference_id, timeout_seconds=300)
"""

import logging
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote

import anyio
from pydantic import BaseModel, ValidationError

from ..settings import DEFAULT_API_URL, Settings, normal_api_url, refuse_paid_sandbox
from .errors import LayerError, one_sentence
from .fields import is_uuid
from .models import (
    Inference,
    InferenceRequest,
    StartedInference,
    Workspace,
    WorkspaceList,
)
from .polling import OnProgress, wait_for_end
from .retry import Limits, Patience, may_submit_again
from .workspaces import choose_workspace

if TYPE_CHECKING:
    from .transport import Outcome, Pool

MAX_WORKSPACE_PAGES = 20

WORKSPACE_LOOKUP_SECONDS = 15
WORKSPACE_KEPT_SECONDS = 60
MIN_SECRET_LENGTH = 8
INFERENCE_ID_IN_JSON = re.compile(rb'"inference_id"\s*:\s*"([^"\\]{1,100})"')

logger = logging.getLogger(__name__)

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
        self._api_url = normal_api_url(api_url)
        self._limits = limits or Limits()
        self._pool: Pool | None = None
        self._found_workspaces: dict[str | None, tuple[str, float]] = {}

    @classmethod
    def from_env(cls) -> Self:
        """A client with the environment's token, workspace and address.

        Raises:
            SettingsError: a setting that cannot be used.
        """
        return cls.from_settings(Settings.from_env())

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """A client with the given settings.

        Raises:
            SettingsError: the sandbox is wanted, but the address is not one.
        """
        refuse_paid_sandbox(settings)
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
            started = _started(outcome)
            if started is not None:
                logger.info("Started run %s", started.inference_id)
                return started
            again = may_submit_again(outcome.delivery)
            if not again or not await patience.pause(outcome.retry_after_seconds):
                raise _submission_error(outcome)

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

        Polls no tighter than Layer asks, starts none after the deadline and rides out transient
        faults: see `polling.wait_for_end`, also for `known` and `on_progress`. With a timeout of 0
        it is `get_inference`.

        Raises:
            LayerError: with `inference_id`, when waiting cannot help or no state arrived in time.
        """
        if timeout_seconds <= 0:
            return known or await self.get_inference(inference_id, workspace=workspace)
        with _naming(inference_id):
            path = await self._inference_path(inference_id, workspace)

            async def poll() -> Inference:
                return await self._read(Inference, path, once=True)

            return await wait_for_end(
                poll, timeout_seconds=timeout_seconds, known=known, on_progress=on_progress
            )

    async def list_workspaces(self) -> list[Workspace]:
        """All workspaces of the account, most recently active first (GET workspaces)."""
        workspaces: list[Workspace] = []
        cursor: str | None = None
        for _ in range(MAX_WORKSPACE_PAGES):
            params = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
            page = await self._read(WorkspaceList, "v1/workspaces", params=params)
            workspaces += page.workspaces
            cursor = page.pagination.next_cursor if page.pagination else None
            if not cursor or not (page.pagination and page.pagination.has_more_results):
                break
        return workspaces

    async def workspace_id(self, workspace: str | None = None) -> str:
        """The id of a workspace given by id, slug or name; a look-up counts for a minute.

        Raises:
            LayerError: WORKSPACE_NOT_FOUND or WORKSPACE_REQUIRED, with the ones there are.
        """
        wanted = workspace or self._workspace
        if wanted and is_uuid(wanted):
            return wanted
        found, until = self._found_workspaces.get(wanted, ("", 0.0))
        if found and anyio.current_time() < until:
            return found
        try:
            with anyio.fail_after(WORKSPACE_LOOKUP_SECONDS):
                chosen = choose_workspace(wanted, await self.list_workspaces()).workspace_id
        except TimeoutError:
            sentence = "Layer did not list the workspaces in time."
            raise LayerError("TIMEOUT", sentence, transient=True) from None
        self._found_workspaces[wanted] = (chosen, anyio.current_time() + WORKSPACE_KEPT_SECONDS)
        return chosen

    async def _inference_path(self, inference_id: str, workspace: str | None) -> str:
        workspace_id = await self.workspace_id(workspace)
        return f"v1/workspaces/{workspace_id}/inferences/{quote(inference_id, safe='')}"

    async def _read(
        self,
        model: type[ModelT],
        path: str,
        *,
        params: dict[str, str] | None = None,
        once: bool = False,
    ) -> ModelT:
        """GET an answer; sent again after a fault, unless it is to be asked once only."""
        limit_seconds = self._limits.read_total_seconds
        patience = Patience(self._limits.retry_budget_seconds)
        while True:
            outcome = await self._exchange("GET", path, limit_seconds, params=params)
            if outcome.delivery == "accepted":
                answer = _parse(model, outcome.body)
                if answer is not None:
                    return answer
            again = not once and outcome.delivery != "refused"
            if not again or not await patience.pause(outcome.retry_after_seconds):
                raise _read_error(outcome)

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
        from .transport import exchange  # noqa: PLC0415

        if not self._token:
            raise LayerError("MISSING_TOKEN", "No Layer token is set.")
        outcome = await exchange(
            self._open_pool(self._token),
            method,
            path,
            json=json,
            params=params,
            total_seconds=limit_seconds,
        )
        return replace(outcome, body=_without(self._token, outcome.body))

    def _open_pool(self, token: str) -> "Pool":
        from .transport import open_pool  # noqa: PLC0415

        if self._pool is None:
            try:
                self._pool = open_pool(self._api_url, token, self._limits)
            # httpx, its proxies and ssl raise many things here, and nothing was sent yet.
            except Exception as error:
                sentence = one_sentence(f"The certificate or proxy settings fail: {error}")
                raise LayerError("NETWORK_SETTINGS", sentence) from error
        return self._pool


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


def _without(token: str, body: bytes) -> bytes:
    """The answer without the token: whatever is read from it later cannot show it."""
    return body.replace(token.encode(), b"[token]") if len(token) >= MIN_SECRET_LENGTH else body


def _started(outcome: "Outcome") -> StartedInference | None:
    """The run that an answer names, also if the answer is cut or malformed."""
    if outcome.delivery != "accepted":
        return None
    started = _parse(StartedInference, outcome.body)
    inference_id = _inference_id_in(outcome.body)
    return started or (StartedInference(inference_id=inference_id) if inference_id else None)


def _submission_error(outcome: "Outcome") -> LayerError:
    if outcome.delivery not in ("accepted", "outcome_unknown"):
        return outcome.error()
    inference_id = _inference_id_in(outcome.body)
    return LayerError(
        "OUTCOME_UNKNOWN",
        f"{outcome.why} The outcome is unknown.",
        next_step="Read the state of that run before trying again." if inference_id else None,
        inference_id=inference_id,
    )


def _read_error(outcome: "Outcome") -> LayerError:
    if outcome.delivery == "accepted":
        return LayerError("UNEXPECTED_RESPONSE", outcome.why, transient=True)
    return outcome.error()


def _inference_id_in(body: bytes) -> str | None:
    found = INFERENCE_ID_IN_JSON.search(body)
    return found[1].decode(errors="replace") if found else None
