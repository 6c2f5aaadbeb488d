"""One request to the API without the token: does Layer answer there, and what time is it."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import anyio

from ..api.http import Exchange, open_pool, send_once
from ..api.retry import Limits
from ..errors import LayerError

PROBE_SECONDS = 3.5
QUICK = Limits(
    connect_seconds=2,
    read_total_seconds=PROBE_SECONDS,
    submit_total_seconds=PROBE_SECONDS,
    retry_budget_seconds=0,
)
# It is Layer who says so to a request without a token.
ANSWERS_OF_LAYER = ("UNAUTHENTICATED", "FORBIDDEN", "RATE_LIMITED")


@dataclass(frozen=True)
class Probe:
    """What came of the request. `clock_offset_seconds` is this machine's time minus the API's."""

    problem: LayerError | None
    status: int | None
    seconds: float
    clock_offset_seconds: float | None


def probe(api_url: str) -> Probe:
    """Ask for the workspaces without a token; takes at most 4 s.

    Raises:
        Exception: of httpx or ssl, when a certificate or proxy of the environment is not usable.
    """
    return anyio.run(_probe, api_url)


async def _probe(api_url: str) -> Probe:
    pool = open_pool(api_url, None, QUICK)
    started = time.monotonic()
    try:
        exchange = await send_once(pool, "GET", "v1/workspaces", total_seconds=PROBE_SECONDS)
    finally:
        await pool.close()
    seconds = time.monotonic() - started
    offset_seconds = clock_offset_seconds(exchange.date, datetime.now(UTC))
    return Probe(_problem(exchange), exchange.status, seconds, offset_seconds)


def clock_offset_seconds(date: str | None, now: datetime) -> float | None:
    """How far this clock is before the other; None when the header is no date (RFC 9110, 6.6.1)."""
    try:
        when = parsedate_to_datetime(date or "")
    except (ValueError, OverflowError):
        return None
    return (now - (when if when.tzinfo else when.replace(tzinfo=UTC))).total_seconds()


def _problem(exchange: Exchange) -> LayerError | None:
    if exchange.delivery == "accepted" and exchange.fault is None:
        if _is_object(exchange.body):
            return None
        return LayerError("UNEXPECTED_RESPONSE", "What answers there is not Layer.")
    error = exchange.error()
    return None if error.code in ANSWERS_OF_LAYER else error


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False
