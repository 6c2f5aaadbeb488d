"""One HTTP request to Layer, with everything that can happen to it as a value."""

import logging
import os
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
import truststore

from .. import __version__
from ..errors import LayerError
from ..network import is_loopback
from .problems import error_from_response
from .retry import Delivery, Limits, delivery_of, parse_retry_after, utc_now

MAX_BODY_BYTES = 8_000_000
# Of zlib: the largest window, in a gzip wrapper.
GZIP_WINDOW_BITS = 31
MAX_CONNECTIONS = 20

FULL = "Too many requests to Layer are under way here."
NOT_CONNECTED = "No connection to Layer could be made."
UNTRUSTED = "The API's certificate is not trusted on this machine."
LOST = "The connection broke before Layer's answer was complete."

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What came of one request: an HTTP answer, whole or cut, or none at all.

    `delivery` says what that means for a submission; `body` is what arrived of the answer.
    `fault` is a failure below HTTP.
    """

    delivery: Delivery
    status: int | None = None
    content_type: str = ""
    body: bytes = b""
    retry_after_seconds: float | None = None
    fault: LayerError | None = None

    @property
    def why(self) -> str:
        """One sentence that says why there is no usable answer."""
        if self.fault is None and self.delivery == "accepted":
            return "Layer's answer could not be read."
        return self.error().message

    def error(self) -> LayerError:
        """The error that this outcome stands for."""
        return self.fault or error_from_response(
            self.status or 0, self.content_type, self.body, self.retry_after_seconds
        )


@dataclass(frozen=True)
class Pool:
    """The connections to the API host, and a place in line for each request.

    The line stands before httpx, whose own queue takes longer with each request that waits in it.
    """

    http: httpx.AsyncClient
    places: anyio.Semaphore


def open_pool(base_url: str, token: str, limits: Limits) -> Pool:
    """A pool for the API host that holds the token and never follows a redirect.

    Proxies come from the usual environment, except for a loopback address. Certificates are
    checked against the system's trust store and SSL_CERT_FILE or SSL_CERT_DIR.

    Raises:
        Exception: of httpx or ssl, when a certificate or proxy of the environment is not usable.
    """
    http = httpx.AsyncClient(
        base_url=base_url,
        headers={
            "Authorization": f"Bearer {token}",
            "User-Agent": f"layer-mcp/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        },
        follow_redirects=False,
        trust_env=not is_loopback(base_url),
        verify=tls_context() if base_url.startswith("https") else False,
        timeout=httpx.Timeout(limits.submit_total_seconds, connect=limits.connect_seconds),
        limits=httpx.Limits(
            max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS
        ),
    )
    return Pool(http, anyio.Semaphore(MAX_CONNECTIONS))


def tls_context() -> ssl.SSLContext:
    """The system's trust store, plus the private authorities that the environment names."""
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    cafile, capath = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if cafile or capath:
        context.load_verify_locations(cafile or None, capath or None)
    return context


async def exchange(
    pool: Pool,
    method: str,
    path: str,
    *,
    total_seconds: float,
    json: dict[str, Any] | None = None,
    params: dict[str, str] | None = None,
    paid: bool = False,
    before_sending: Callable[[], Awaitable[None]] | None = None,
) -> Outcome:
    """Send one request once and return what came of it; a fault is a value, not an exception.

    It may wait for its place as long as for its answer, `total_seconds` each. When a `paid`
    request goes out and no answer comes, that is logged, whatever becomes of the call.
    `before_sending` is called on an open connection, right before the first byte leaves; nothing
    leaves when it raises.
    """
    progress = _Progress(before_sending)
    try:
        request = pool.http.build_request(
            method, path, json=json, params=params, extensions={"trace": progress.watch}
        )
        with anyio.move_on_after(total_seconds) as queue:
            await pool.places.acquire()
        if queue.cancelled_caught:
            return Outcome("never_delivered", fault=LayerError("TOO_BUSY", FULL, transient=True))
        try:
            with anyio.fail_after(total_seconds):
                return await _answer(pool.http, request, progress)
        finally:
            pool.places.release()
    # Whatever it is: a submission that went out may be charged, and its outcome must be told.
    except Exception as error:
        logger.debug("%s %s: %r", method, path, error)
        return _outcome_of_fault(error, progress)
    finally:
        if paid and progress.sent and not progress.done:
            logger.warning("A submission went out and no answer came. Look in Layer.")


@dataclass
class _Progress:
    """How far one request came; what a fault means depends on it."""

    before_sending: Callable[[], Awaitable[None]] | None = None
    sent: bool = False
    done: bool = False
    status: int | None = None
    delivery: Delivery = "outcome_unknown"
    body: bytes = b""

    async def watch(self, event: str, info: dict[str, Any]) -> None:
        # A proxy's CONNECT tells its steps here too, and carries nothing of the request.
        if event == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":
            if self.before_sending is not None:
                await self.before_sending()
            self.sent = True


async def _answer(http: httpx.AsyncClient, request: httpx.Request, progress: _Progress) -> Outcome:
    response = await http.send(request, stream=True)
    try:
        progress.status = response.status_code
        progress.delivery = _delivery(response)
        async for chunk in _unpacked(response):
            progress.body += chunk
            if len(progress.body) > MAX_BODY_BYTES:
                raise httpx.RemoteProtocolError("The answer is too large.")
    finally:
        await response.aclose()
    progress.done = True
    return Outcome(
        delivery=_delivery(response),
        status=response.status_code,
        content_type=response.headers.get("content-type", ""),
        body=progress.body,
        retry_after_seconds=_retry_after_seconds(response),
    )


def _delivery(response: httpx.Response) -> Delivery:
    is_problem = "json" in response.headers.get("content-type", "")
    is_layers = is_problem or _retry_after_seconds(response) is not None
    return delivery_of(sent=True, status=response.status_code, is_layers=is_layers)


def _retry_after_seconds(response: httpx.Response) -> float | None:
    return parse_retry_after(response.headers.get("retry-after"), utc_now())


async def _unpacked(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body without one layer of gzip; a few bytes must not become gigabytes on the way.

    httpx unpacks any number of layers, and each piece of the network as a whole.
    """
    encoding = response.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise httpx.DecodingError("The answer is packed in a way that was not asked for.")
    unpacker = zlib.decompressobj(GZIP_WINDOW_BITS)
    async for chunk in response.aiter_raw():
        if encoding == "identity":
            yield chunk
            continue
        try:
            yield unpacker.decompress(chunk, MAX_BODY_BYTES)
        except zlib.error as error:
            raise httpx.DecodingError("The answer cannot be unpacked.") from error
        if unpacker.unconsumed_tail:
            raise httpx.RemoteProtocolError("The answer is too large.")


def _outcome_of_fault(error: Exception, progress: _Progress) -> Outcome:
    if not progress.sent:
        return _outcome_of_no_connection(error)
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        fault = LayerError("TIMEOUT", "Layer did not answer in time.", transient=True)
    else:
        fault = LayerError("CONNECTION_LOST", LOST, transient=True)
    # A refusal whose text was cut is still a refusal.
    cut = fault if progress.status is None or progress.delivery == "accepted" else None
    return Outcome(progress.delivery, progress.status, body=progress.body, fault=cut)


def _outcome_of_no_connection(error: Exception) -> Outcome:
    if isinstance(error, LayerError):
        return Outcome("refused", fault=error)
    if is_untrusted_certificate(error):
        return Outcome("refused", fault=LayerError("TLS_FAILED", UNTRUSTED))
    return Outcome(
        delivery_of(sent=False),
        fault=LayerError("CONNECTION_FAILED", NOT_CONNECTED, transient=True),
    )


def is_untrusted_certificate(error: BaseException | None) -> bool:
    """Whether a failed connection comes from a certificate that this machine does not trust."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
