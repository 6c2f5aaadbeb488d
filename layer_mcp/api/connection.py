"""Calls to Layer with one account: reads that may be repeated, submissions that may not."""

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from pydantic import BaseModel, ValidationError

from ..credentials import TokenSource, foreign_kind
from ..errors import LayerError, one_sentence
from .retry import Limits, Patience, may_submit_again

if TYPE_CHECKING:
    from .transport import Outcome, Pool

MIN_SECRET_LENGTH = 8

logger = logging.getLogger(__name__)

ModelT = TypeVar("ModelT", bound=BaseModel)

BeforeSending = Callable[[], Awaitable[None]]
"""Called on an open connection, right before a paid request leaves."""


class Connection:
    """One token, one pool of connections to the API host, opened at the first call."""

    def __init__(
        self,
        token: str | TokenSource | None,
        api_url: str,
        limits: Limits,
        *,
        trace_prompts: bool = False,
    ) -> None:
        self._token = token
        self._api_url = api_url
        self._limits = limits
        self._trace_prompts = trace_prompts
        self._pool: Pool | None = None

    async def close(self) -> None:
        """Close the pool; a later call opens another."""
        if self._pool is not None:
            await self._pool.http.aclose()
            self._pool = None

    async def ask(
        self,
        model: type[ModelT],
        path: str,
        *,
        method: str = "GET",
        json: dict[str, Any] | None = None,
        params: dict[str, str] | None = None,
        once: bool = False,
    ) -> ModelT:
        """The answer to a call that is free of charge.

        Sent again after a fault, unless it is to be asked `once` only.

        Raises:
            LayerError: Layer's refusal, or the fault that stayed.
        """
        limit_seconds = self._limits.read_total_seconds
        patience = Patience(self._limits.retry_budget_seconds)
        while True:
            outcome = await self._exchange(
                method,
                path,
                limit_seconds,
                resend_count=patience.resend_count,
                json=json,
                params=params,
            )
            if outcome.delivery == "accepted":
                answer = _parse(model, outcome.body)
                if answer is not None:
                    return answer
            again = not once and outcome.delivery != "refused"
            if not again or not await patience.pause(outcome.retry_after_seconds):
                raise _read_error(outcome)

    async def submit(
        self,
        model: type[ModelT],
        path: str,
        json: dict[str, Any],
        *,
        id_name: str,
        before_sending: BeforeSending | None = None,
    ) -> ModelT:
        """The answer to a call that is charged; `id_name` is the field that names the run.

        Sent again only when it surely was not accepted. An answer that was cut still counts when
        the run's id can be read from it. `before_sending` is called each time before the first
        byte leaves, and keeps it back by raising a LayerError.

        Raises:
            LayerError: OUTCOME_UNKNOWN when the request went out and nothing says whether the run
                exists.
        """
        limit_seconds = self._limits.submit_total_seconds
        patience = Patience(self._limits.retry_budget_seconds)
        while True:
            outcome = await self._exchange(
                "POST",
                path,
                limit_seconds,
                resend_count=patience.resend_count,
                json=json,
                id_name=id_name,
                before_sending=before_sending,
            )
            started = _started(model, outcome, id_name)
            if started is not None:
                logger.info("Started run %s", getattr(started, id_name))
                return started
            again = may_submit_again(outcome.delivery)
            if not again or not await patience.pause(outcome.retry_after_seconds):
                raise _submission_error(outcome, id_name)

    async def _exchange(
        self,
        method: str,
        path: str,
        limit_seconds: float,
        *,
        resend_count: int,
        json: dict[str, Any] | None = None,
        params: dict[str, str] | None = None,
        id_name: str | None = None,
        before_sending: BeforeSending | None = None,
    ) -> "Outcome":
        """What came of one request; it is paid when its answer names a run by `id_name`."""
        # Only the first call needs httpx: a server that lists its tools starts without it.
        from .tracing import api_span, record_outcome  # noqa: PLC0415
        from .transport import exchange  # noqa: PLC0415

        token = await self._known_token()
        prompt = (json or {}).get("prompt") if self._trace_prompts else None
        with api_span(
            method, self._api_url, path, resend_count=resend_count, prompt=prompt
        ) as span:
            outcome = await exchange(
                self._open_pool(token),
                method,
                path,
                json=json,
                params=params,
                total_seconds=limit_seconds,
                paid=id_name is not None,
                before_sending=before_sending,
            )
            outcome = replace(outcome, body=_without(token, outcome.body))
            record_outcome(span, outcome)
            if id_name is not None and (run_id := _id_in(outcome.body, id_name)):
                span.set_attribute(f"layer.{id_name}", run_id)
            return outcome

    async def _known_token(self) -> str:
        if callable(self._token):
            token = await anyio.to_thread.run_sync(self._token)
            self._token = token or self._token
        else:
            token = self._token
        if not token:
            raise LayerError("MISSING_TOKEN", "No Layer token is set, and none is stored.")
        if kind := foreign_kind(token):
            raise LayerError("UNAUTHENTICATED", f"The token is {kind}, not one of Layer.")
        return token

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


def _parse(model: type[ModelT], body: bytes) -> ModelT | None:
    try:
        return model.model_validate_json(body)
    except ValidationError:
        return None


def _without(token: str, body: bytes) -> bytes:
    """The answer without the token: whatever is read from it later cannot show it."""
    return body.replace(token.encode(), b"[token]") if len(token) >= MIN_SECRET_LENGTH else body


def _started(model: type[ModelT], outcome: "Outcome", id_name: str) -> ModelT | None:
    """The run that an answer names, also if the answer is cut or malformed."""
    if outcome.delivery != "accepted":
        return None
    started = _parse(model, outcome.body)
    run_id = _id_in(outcome.body, id_name)
    return started or (model.model_validate({id_name: run_id}) if run_id else None)


def _submission_error(outcome: "Outcome", id_name: str) -> LayerError:
    if outcome.delivery not in ("accepted", "outcome_unknown"):
        return outcome.error()
    run_id = _id_in(outcome.body, id_name)
    error = LayerError(
        "OUTCOME_UNKNOWN",
        f"{outcome.why} The outcome is unknown.",
        next_step="Read the state of that run before trying again." if run_id else None,
    )
    setattr(error, id_name, run_id)
    return error


def _read_error(outcome: "Outcome") -> LayerError:
    if outcome.delivery == "accepted":
        return LayerError("UNEXPECTED_RESPONSE", outcome.why, transient=True)
    return outcome.error()


def _id_in(body: bytes, id_name: str) -> str | None:
    found = re.search(rb'"%b"\s*:\s*"([^"\\]{1,100})"' % id_name.encode(), body)
    return found[1].decode(errors="replace") if found else None
