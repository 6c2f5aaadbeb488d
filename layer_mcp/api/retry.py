"""When a request may be sent again, and how long to wait before: pure rules, one small clock."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import anyio

from .errors import Delivery

MAX_ATTEMPTS = 4
FIRST_DELAY_SECONDS = 0.5


@dataclass(frozen=True)
class Limits:
    """How long one operation may take, in seconds.

    Together they keep an MCP call under 45 s: a look-up (budget + read) and a submission
    (budget + submit).
    """

    connect_seconds: float = 5
    read_total_seconds: float = 10
    submit_total_seconds: float = 25
    retry_budget_seconds: float = 5


def may_submit_again(delivery: Delivery) -> bool:
    """Whether a paid request may be sent again: only if it surely was not accepted."""
    return delivery in ("never_delivered", "refused_without_work")


def retry_delay_seconds(
    attempt: int, retry_after_seconds: float | None, budget_left_seconds: float
) -> float | None:
    """The pause before attempt `attempt + 1`, or None when it would leave the budget."""
    if attempt >= MAX_ATTEMPTS:
        return None
    backoff = FIRST_DELAY_SECONDS * 2 ** (attempt - 1)
    delay = backoff if retry_after_seconds is None else max(retry_after_seconds, 0.0)
    return delay if delay <= budget_left_seconds else None


class Patience:
    """The time that one operation has for sending its request again."""

    def __init__(self, budget_seconds: float) -> None:
        self._deadline = anyio.current_time() + budget_seconds
        self._attempts = 1

    async def pause(self, retry_after_seconds: float | None) -> bool:
        """Wait before the next attempt; False, at once, when there is no time for one."""
        left = self._deadline - anyio.current_time()
        delay = retry_delay_seconds(self._attempts, retry_after_seconds, left)
        if delay is None:
            return False
        await anyio.sleep(delay)
        self._attempts += 1
        return True


def parse_retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds of a Retry-After header: a number or an HTTP date (RFC 9110, section 10.2.3)."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max((when - now).total_seconds(), 0.0)
