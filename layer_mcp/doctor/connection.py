"""How requests reach the API: through a proxy, over a TCP connection, to a first response."""

import contextlib
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

import anyio

from ..api.problems import SENTENCES
from ..api.retry import Limits
from ..errors import LayerError
from .timeout import run_with_timeout

if TYPE_CHECKING:
    from ..api.http import Exchange

LOOKUP_SECONDS = 2.0
CONNECT_SECONDS = 2.0
PING_SECONDS = 3.5
SHORT_LIMITS = Limits(
    connect_seconds=2,
    read_total_seconds=PING_SECONDS,
    submit_total_seconds=PING_SECONDS,
    retry_budget_seconds=0,
)
# Layer's own answers to a request without a token.
LAYER_CODES = ("UNAUTHENTICATED", "FORBIDDEN", "RATE_LIMITED")
# Errors with our own messages, which contain nothing from a response.
OWN_MESSAGE_CODES = (
    "CONNECTION_FAILED",
    "CONNECTION_LOST",
    "TLS_FAILED",
    "UNEXPECTED_REDIRECT",
    "UNEXPECTED_RESPONSE",
)


@dataclass(frozen=True)
class Ping:
    """The API's response to a request without a token.

    `clock_offset_seconds` is this machine's time minus the API's, if the API sent its time.
    """

    problem: LayerError | None
    seconds: float
    clock_offset_seconds: float | None


def proxy_credentials(environ: Mapping[str, str]) -> set[str]:
    """Return the credentials in an environment's proxy URLs, both as written and unquoted.

    A user name without a password may be a token, so it's included.
    """
    credentials: set[str] = set()
    for name, value in environ.items():
        if not name.lower().endswith("_proxy") or "@" not in value:
            continue
        user_and_password = value.rpartition("@")[0].rpartition("//")[2]
        user, _, password = user_and_password.partition(":")
        secret = password or user
        credentials |= {user_and_password, secret, unquote(secret)}
    return credentials


def find_connection_problem(host: str, port: int) -> str | None:
    """Connect to a host, and return the problem, if any. Takes at most 4 s."""
    # Look up the name here first: asyncio can't end while its own lookup hangs.
    try:
        run_with_timeout(LOOKUP_SECONDS, lambda: socket.getaddrinfo(host, port))
    except TimeoutError:
        return f"the name {host} isn't resolved within {LOOKUP_SECONDS:g} s"
    except (OSError, UnicodeError):
        return f"the name {host} isn't known"
    return anyio.run(_find_tcp_problem, host, port)


def ping_api(api_url: str) -> Ping:
    """Request the workspaces without a token. Takes at most 4 s.

    Raises:
        NetworkSettingsError: A certificate or proxy variable is invalid.
    """
    return anyio.run(_ping_api, api_url)


def safe_message(error: LayerError) -> str:
    """Return an error's message without text from the response, as that may repeat the token."""
    if error.code in OWN_MESSAGE_CODES:
        return error.message
    return SENTENCES.get(error.code, f"it responded with {error.code}.")


async def _find_tcp_problem(host: str, port: int) -> str | None:
    try:
        with anyio.fail_after(CONNECT_SECONDS):
            stream = await anyio.connect_tcp(host, port)
    except TimeoutError:
        return f"{host}:{port} doesn't respond within {CONNECT_SECONDS:g} s"
    except OSError as error:
        is_refused = _is_refused(error.__cause__ or error)
        return f"{host}:{port} {'refuses connections' if is_refused else 'is unreachable'}"
    with contextlib.suppress(OSError):
        await stream.aclose()
    return None


def _is_refused(error: BaseException | None) -> bool:
    """Return whether every address refused; anyio groups the errors of several addresses."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return all(map(_is_refused, group.exceptions))
    return isinstance(error, ConnectionRefusedError)


async def _ping_api(api_url: str) -> Ping:
    # Loads httpx, which may be the package that is missing.
    from ..api.http import open_pool, send_once  # noqa: PLC0415

    pool = open_pool(api_url, None, SHORT_LIMITS)
    started = time.monotonic()
    try:
        exchange = await send_once(pool, "GET", "v1/workspaces", total_seconds=PING_SECONDS)
    finally:
        await pool.close()
    seconds = time.monotonic() - started
    offset_seconds = _clock_offset_seconds(exchange.date, datetime.now(UTC))
    return Ping(_problem_of(exchange), seconds, offset_seconds)


def _clock_offset_seconds(date: str | None, now: datetime) -> float | None:
    """Return this machine's time minus a Date header's (RFC 9110, 6.6.1), or None if invalid."""
    try:
        when = parsedate_to_datetime(date or "")
    except (ValueError, OverflowError):
        return None
    return (now - (when if when.tzinfo else when.replace(tzinfo=UTC))).total_seconds()


def _problem_of(exchange: "Exchange") -> LayerError | None:
    if exchange.delivery == "accepted" and exchange.fault is None:
        if _is_json_object(exchange.body):
            return None
        return LayerError("UNEXPECTED_RESPONSE", "The server at this URL isn't Layer.")
    error = exchange.error()
    return None if error.code in LAYER_CODES else error


def _is_json_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False
