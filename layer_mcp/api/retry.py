"""Pure rules for retrying a request and for the pause before it, and a small clock."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import anyio

Delivery = Literal[
    "accepted", "never_delivered", "refused_without_work", "outcome_unknown", "refused"
]
"""What came of a submission."""

BeforeSending = Callable[[], Awaitable[None]]
"""Called on an open connection, right before a paid request is sent."""

MAX_ATTEMPTS = 4
FIRST_DELAY_SECONDS = 0.5
MAX_RETRY_AFTER_SECONDS = 86_400.0


@dataclass(frozen=True)
class Limits:
    """Time limits for one operation, in seconds.

    An attempt starts within the retry budget and ends within its total, so a read takes at most
    15 s and a submission at most 30 s.
    """

    connect_seconds: float = 5
    read_total_seconds: float = 10
    submit_total_seconds: float = 25
    retry_budget_seconds: float = 5


def delivery_of(*, sent: bool, status: int | None = None, is_layers: bool = False) -> Delivery:
    """Return the result of a submission from whether it was sent and its HTTP status.

    With a 429 or 503, Layer didn't accept the request. Unless the response is Layer's own
    (`is_layers`), it may come from a gateway that forwarded the request and lost the response. A
    redirect that repeats the request means that it wasn't accepted; a 303 may follow an accepted
    one.
    """
    if not sent:
        return "never_delivered"
    if status is None:
        return "outcome_unknown"
    if 200 <= status < 300:
        return "accepted"
    if status in (429, 503):
        return "refused_without_work" if is_layers else "outcome_unknown"
    if status in (301, 302, 307, 308) or (400 <= status < 500 and status != 408):
        return "refused"
    return "outcome_unknown"


def may_submit_again(delivery: Delivery) -> bool:
    """Return whether to retry a paid request: only if it definitely wasn't accepted."""
    return delivery in ("never_delivered", "refused_without_work")


def retry_delay_seconds(
    attempt: int, retry_after_seconds: float | None, budget_left_seconds: float
) -> float | None:
    """Return the pause before attempt `attempt + 1`, or None if it would exceed the budget."""
    if attempt >= MAX_ATTEMPTS:
        return None
    backoff = FIRST_DELAY_SECONDS * 2 ** (attempt - 1)
    delay = backoff if retry_after_seconds is None else max(retry_after_seconds, 0.0)
    return delay if delay <= budget_left_seconds else None


class Patience:
    """The time that an operation has left for retries."""

    def __init__(self, budget_seconds: float) -> None:
        self._deadline = anyio.current_time() + budget_seconds
        self._attempts = 1

    @property
    def resend_count(self) -> int:
        """Return how often the request was retried."""
        return self._attempts - 1

    async def pause(self, retry_after_seconds: float | None) -> bool:
        """Wait before the next attempt, or return False immediately if there is no time for one."""
        left = self._deadline - anyio.current_time()
        delay = retry_delay_seconds(self._attempts, retry_after_seconds, left)
        if delay is None:
            return False
        await anyio.sleep(delay)
        self._attempts += 1
        return True


def utc_now() -> datetime:
    """Return the current time, to compare with the date in a Retry-After header."""
    return datetime.now(UTC)


def parse_retry_after(header: str | None, now: datetime) -> float | None:
    """Return the seconds of a Retry-After header: a number or a date (RFC 9110, section 10.2.3).

    The maximum is a day. Returns None for any other text.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_RETRY_AFTER_SECONDS)
    try:
        when = parsedate_to_datetime(text)
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return None
    return min(max(seconds.total_seconds(), 0.0), MAX_RETRY_AFTER_SECONDS)
