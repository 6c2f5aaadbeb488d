"""Points in time as people and agents write and read them."""

import re
from datetime import UTC, datetime

from ..errors import LayerError

AGO = re.compile(r"(\d{1,6})\s*([mhd])")
SECONDS = {"m": 60, "h": 3_600, "d": 86_400}


def parse_since(text: str, now: float) -> float:
    """Return the time that is meant by "30m", "24h" or "7d" ago, or by an ISO 8601 date or time.

    Times are seconds since 1970; a time without a zone is UTC.

    Raises:
        LayerError: INVALID_ARGUMENTS.
    """
    ago = AGO.fullmatch(text.strip().lower())
    if ago is not None:
        return now - int(ago[1]) * SECONDS[ago[2]]
    try:
        when = datetime.fromisoformat(text.strip())
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        sentence = "since must be like 30m, 24h or 7d, or a date such as 2026-01-31."
        raise LayerError("INVALID_ARGUMENTS", sentence) from None


def iso_time(seconds: float) -> str:
    """Return seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
