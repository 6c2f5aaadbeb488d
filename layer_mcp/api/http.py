"""HTTP requests to Layer's API: reads, paid submissions, and the result of each exchange.

Reads are retried. A submission is charged, so it's retried only if Layer definitely didn't accept
it. This module imports httpx, so import it at the first call.
"""

import logging
import re
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import anyio
import httpx
from pydantic import BaseModel, ValidationError

from ..credentials import TokenSource
from ..errors import LayerError
from ..network import NetworkSettingsError, find_proxy, is_untrusted_certificate, tls_context
from ..text.foreign_json import clean_body
from ..text.redact import Redactor
from ..tokens import InvalidTokenError, parse_token
from ..version import __version__
from .deadline import run_within
from .problems import error_from_response, is_layers_own
from .retry import (
    BeforeSending,
    Delivery,
    Limits,
    Patience,
    delivery_of,
    may_submit_again,
    parse_retry_after,
    utc_now,
)
from .tracing import api_span, record_answer

MAX_BODY_BYTES = 8_000_000
# The largest window of zlib, in a gzip wrapper.
GZIP_WINDOW_BITS = 31
MAX_CONNECTIONS = 20
# Gateways return these too, after they have forwarded a request.
GATEWAY_STATUSES = (429, 503)

FULL = "This server is sending too many requests to Layer."
NOT_CONNECTED = "Couldn't connect to Layer."
UNTRUSTED = "This machine doesn't trust the API's certificate."
LOST = "The connection was lost before Layer's full response arrived."

logger = logging.getLogger(__name__)

ModelT = TypeVar("ModelT", bound=BaseModel)


class Connection:
    """A token and a pool of connections to the API host, opened at the first call."""

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
        self.redactor = Redactor()
        """Removes the token from what hosts say, once a call has read the token."""

    async def close(self) -> None:
        """Close the pool. A later call opens a new one."""
        if self._pool is not None:
            await self._pool.close()
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
        """Return the response to a free call.

        Failed attempts are retried unless `once` is set.

        Raises:
            LayerError: Layer rejected the call, or the last attempt failed.
        """
        patience = Patience(self._limits.retry_budget_seconds)
        while True:
            exchange = await self._send(
                method,
                path,
                total_seconds=self._limits.read_total_seconds,
                resend_count=patience.resend_count,
                json=json,
                params=params,
            )
            if exchange.delivery == "accepted":
                answer = _parse(model, exchange.body)
                if answer is not None:
                    return answer
            again = not once and exchange.delivery != "refused"
            if not again or not await patience.pause(exchange.retry_after_seconds):
                raise _read_error(exchange)

    async def submit(
        self,
        model: type[ModelT],
        path: str,
        json: dict[str, Any],
        *,
        id_name: str,
        before_sending: BeforeSending | None = None,
    ) -> ModelT:
        """Return the response to a paid call, whose field `id_name` identifies the run.

        The request is retried only if Layer definitely didn't accept it. A truncated response
        still counts if it contains the run's ID. `before_sending` is called before the first byte
        of each attempt; raise a LayerError in it to send nothing.

        Raises:
            LayerError: OUTCOME_UNKNOWN if the request was sent and the run may exist.
        """
        patience = Patience(self._limits.retry_budget_seconds)
        while True:
            exchange = await self._send(
                "POST",
                path,
                total_seconds=self._limits.submit_total_seconds,
                resend_count=patience.resend_count,
                json=json,
                id_name=id_name,
                before_sending=before_sending,
            )
            started = _parse_started(model, exchange, id_name)
            if started is not None:
                logger.info("Started run %s", getattr(started, id_name))
                return started
            again = may_submit_again(exchange.delivery)
            if not again or not await patience.pause(exchange.retry_after_seconds):
                raise _submission_error(exchange, id_name)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        total_seconds: float,
        resend_count: int,
        json: dict[str, Any] | None = None,
        params: dict[str, str] | None = None,
        id_name: str | None = None,
        before_sending: BeforeSending | None = None,
    ) -> "Exchange":
        """Send a request in a span. A request with an `id_name` is paid."""
        token = await self._read_token()
        prompt = (json or {}).get("prompt") if self._trace_prompts else None
        with api_span(
            method, self._api_url, path, resend_count=resend_count, prompt=prompt
        ) as span:
            exchange = await send_once(
                self._open_pool(token),
                method,
                path,
                json=json,
                params=params,
                total_seconds=total_seconds,
                paid=id_name is not None,
                before_sending=before_sending,
            )
            exchange = replace(exchange, body=clean_body(exchange.body, self.redactor))
            record_answer(span, exchange.status, exchange.error_type)
            if id_name is not None and (run_id := _find_id(exchange.body, id_name)):
                span.set_attribute(f"layer.{id_name}", run_id)
            return exchange

    async def _read_token(self) -> str:
        if self.redactor.token is not None:
            return self.redactor.token
        token = self._token
        if callable(token):
            token = await anyio.to_thread.run_sync(token)
        if not token:
            raise LayerError("MISSING_TOKEN", "No Layer token is set or saved.")
        try:
            token = parse_token(token)
        except InvalidTokenError as error:
            sentence = f"The token is {error.kind}, not a Layer token."
            raise LayerError("UNAUTHENTICATED", sentence) from None
        self.redactor = Redactor(token)
        return token

    def _open_pool(self, token: str) -> "Pool":
        if self._pool is None:
            try:
                self._pool = open_pool(self._api_url, token, self._limits)
            except NetworkSettingsError as error:
                raise LayerError("NETWORK_SETTINGS", f"{error}") from None
        return self._pool


@dataclass(frozen=True)
class Exchange:
    """One request and its result: a complete or truncated HTTP response, or none.

    `delivery` is what that means for a submission, `body` what arrived of the response, and `fault`
    a failure below HTTP. `date` is the response's Date header, for comparing clocks.
    """

    delivery: Delivery
    status: int | None = None
    content_type: str = ""
    body: bytes = b""
    retry_after_seconds: float | None = None
    date: str | None = None
    fault: LayerError | None = None

    @property
    def error_type(self) -> str | None:
        """Return the code of a fault or the status of an error response, or None."""
        if self.fault is not None:
            return self.fault.code
        return None if self.delivery == "accepted" else str(self.status)

    @property
    def why(self) -> str:
        """Return a sentence that says why there is no usable response."""
        if self.fault is None and self.delivery == "accepted":
            return "Layer's response couldn't be read."
        if self.fault is None and self.status in GATEWAY_STATUSES:
            return f"The response was HTTP {self.status}, and it may not be Layer's own."
        return self.error().message

    def error(self) -> LayerError:
        """Return the error that this exchange resulted in."""
        return self.fault or error_from_response(
            self.status or 0, self.content_type, self.body, self.retry_after_seconds
        )


@dataclass(frozen=True)
class Pool:
    """Connections to the API host, with a slot for each request.

    Requests wait for a slot here, because httpx's own queue slows down with each waiting request.
    """

    http: httpx.AsyncClient
    slots: anyio.Semaphore

    async def close(self) -> None:
        """Close all connections."""
        await self.http.aclose()


def open_pool(base_url: str, token: str | None, limits: Limits) -> Pool:
    """Open a pool for the API host that sends the token and never follows a redirect.

    Proxies come from the usual environment variables, except for a loopback address. Certificates
    are checked against the system's trust store and SSL_CERT_FILE or SSL_CERT_DIR.

    Raises:
        NetworkSettingsError: A certificate or proxy variable is invalid.
    """
    authorization = {"Authorization": f"Bearer {token}"} if token else {}
    proxy = find_proxy(base_url)
    http = httpx.AsyncClient(
        base_url=base_url,
        headers={
            **authorization,
            "User-Agent": f"layer-mcp/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        },
        follow_redirects=False,
        trust_env=False,
        proxy=proxy.url if proxy else None,
        verify=tls_context() if base_url.startswith("https") else False,
        # `send_once` limits the whole exchange.
        timeout=httpx.Timeout(None, connect=limits.connect_seconds),
        limits=httpx.Limits(
            max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS
        ),
    )
    return Pool(http, anyio.Semaphore(MAX_CONNECTIONS))


async def send_once(
    pool: Pool,
    method: str,
    path: str,
    *,
    total_seconds: float,
    json: dict[str, Any] | None = None,
    params: dict[str, str] | None = None,
    paid: bool = False,
    before_sending: BeforeSending | None = None,
) -> Exchange:
    """Send a request once and return the result; a fault is a value, not an exception.

    The request waits up to `total_seconds` for a slot, and as long again for the response. If a
    `paid` request gets no response, that is logged, even if the call is canceled.
    `before_sending` is called on an open connection, right before the first byte is sent; if it
    raises, nothing is sent.
    """
    progress = _Progress(before_sending)
    try:
        build = partial(
            pool.http.build_request,
            method,
            path,
            json=json,
            params=params,
            extensions={"trace": progress.watch},
        )
        with anyio.move_on_after(total_seconds) as queue:
            await pool.slots.acquire()
        if queue.cancelled_caught:
            return Exchange("never_delivered", fault=LayerError("TOO_BUSY", FULL, transient=True))
        try:
            exchange: Exchange | None = None
            if paid:
                work = partial(_receive, pool.http, build, progress)
                exchange = await run_within(total_seconds, work)
            else:
                with anyio.move_on_after(total_seconds):
                    exchange = await _receive(pool.http, build, progress)
            return exchange or _fault_exchange(TimeoutError(), progress)
        finally:
            pool.slots.release()
    finally:
        if paid and progress.sent and not progress.done:
            logger.warning("A paid request was sent, but no response arrived. Look in Layer.")


@dataclass
class _Progress:
    """How far a request got, which decides what a fault means."""

    before_sending: BeforeSending | None = None
    sent: bool = False
    done: bool = False
    status: int | None = None
    content_type: str = ""
    retry_after_seconds: float | None = None
    date: str | None = None
    body: bytes = b""

    async def watch(self, event: str, info: dict[str, Any]) -> None:
        # A proxy's CONNECT is reported here too, but carries nothing of the request.
        if event == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":
            if self.before_sending is not None:
                await self.before_sending()
            self.sent = True

    def exchange(self, fault: LayerError | None = None) -> Exchange:
        """Return the result so far; an error response counts even if its body is truncated."""
        delivery = delivery_of(
            sent=True, status=self.status, is_layers=is_layers_own(self.content_type, self.body)
        )
        is_needed = self.status is None or delivery == "accepted"
        return Exchange(
            delivery=delivery,
            status=self.status,
            content_type=self.content_type,
            body=self.body,
            retry_after_seconds=self.retry_after_seconds,
            date=self.date,
            fault=fault if is_needed else None,
        )


async def _receive(
    http: httpx.AsyncClient, build: Callable[[], httpx.Request], progress: _Progress
) -> Exchange:
    """Send a request and return the result."""
    try:
        await _read_answer(http, build(), progress)
    # A submission that was sent may be charged, so no exception may hide its result.
    except Exception as error:
        logger.debug("A request to Layer failed: %s", type(error).__name__)
        return _fault_exchange(error, progress)
    return progress.exchange()


async def _read_answer(
    http: httpx.AsyncClient, request: httpx.Request, progress: _Progress
) -> None:
    response = await http.send(request, stream=True)
    try:
        progress.status = response.status_code
        progress.content_type = response.headers.get("content-type", "")
        retry_after = response.headers.get("retry-after")
        progress.retry_after_seconds = parse_retry_after(retry_after, utc_now())
        progress.date = response.headers.get("date")
        async for chunk in _decompress(response):
            progress.body += chunk
            if len(progress.body) > MAX_BODY_BYTES:
                raise httpx.RemoteProtocolError("The response is too large.")
    finally:
        await response.aclose()
    progress.done = True


async def _decompress(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the body without one layer of gzip, so that a few bytes can't expand to gigabytes.

    httpx removes any number of layers, and decompresses each chunk from the network as a whole.
    """
    encoding = response.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise httpx.DecodingError("The response has an unexpected compression.")
    decompressor = zlib.decompressobj(GZIP_WINDOW_BITS)
    async for chunk in response.aiter_raw():
        if encoding == "identity":
            yield chunk
            continue
        try:
            yield decompressor.decompress(chunk, MAX_BODY_BYTES)
        except zlib.error as error:
            raise httpx.DecodingError("The response can't be decompressed.") from error
        if decompressor.unconsumed_tail:
            raise httpx.RemoteProtocolError("The response is too large.")


def _fault_exchange(error: Exception, progress: _Progress) -> Exchange:
    if not progress.sent:
        return _unsent_exchange(error)
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        fault = LayerError("TIMEOUT", "Layer didn't respond in time.", transient=True)
    else:
        fault = LayerError("CONNECTION_LOST", LOST, transient=True)
    return progress.exchange(fault)


def _unsent_exchange(error: Exception) -> Exchange:
    if isinstance(error, LayerError):
        return Exchange("refused", fault=error)
    if is_untrusted_certificate(error):
        return Exchange("refused", fault=LayerError("TLS_FAILED", UNTRUSTED))
    fault = LayerError("CONNECTION_FAILED", NOT_CONNECTED, transient=True)
    return Exchange(delivery_of(sent=False), fault=fault)


def _read_error(exchange: Exchange) -> LayerError:
    if exchange.delivery == "accepted":
        return LayerError("UNEXPECTED_RESPONSE", exchange.why, transient=True)
    return exchange.error()


def _submission_error(exchange: Exchange, id_name: str) -> LayerError:
    if exchange.delivery not in ("accepted", "outcome_unknown"):
        return exchange.error()
    run_id = _find_id(exchange.body, id_name)
    error = LayerError(
        "OUTCOME_UNKNOWN",
        f"{exchange.why} The outcome is unknown.",
        next_step="Check the status of that run before trying again." if run_id else None,
    )
    setattr(error, id_name, run_id)
    return error


def _parse_started(model: type[ModelT], exchange: Exchange, id_name: str) -> ModelT | None:
    """Return the run that a response names, even if the response is truncated or malformed."""
    if exchange.delivery != "accepted":
        return None
    started = _parse(model, exchange.body)
    run_id = _find_id(exchange.body, id_name)
    return started or (model.model_validate({id_name: run_id}) if run_id else None)


def _parse(model: type[ModelT], body: bytes) -> ModelT | None:
    try:
        return model.model_validate_json(body)
    except ValidationError:
        return None


def _find_id(body: bytes, id_name: str) -> str | None:
    found = re.search(rb'"%b"\s*:\s*"([^"\\]{1,100})"' % id_name.encode(), body)
    return found[1].decode(errors="replace") if found else None
