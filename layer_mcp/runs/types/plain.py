"""Convert values to plain JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the items that aren't None."""
    return {name: value for name, value in values.items() if value is not None}


def time_as_text(when: datetime | None) -> str | None:
    """Return a time as ISO 8601 in UTC."""
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z") if when else None
