"""Runs as programs and people read them."""

from datetime import UTC, datetime

import pytest

from layer_mcp import LayerError
from layer_mcp.runs.types.request import RunRequest
from layer_mcp.runs.types.run import Run
from layer_mcp.runs.views import iso_time, page_cursor, parse_cursor, parse_since, price_difference

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOW = NOON.timestamp()
HOUR = 3_600


@pytest.mark.parametrize(
    ("estimate", "actual", "sentence"),
    [
        (10, 11, None),
        (10, 9, None),
        (10, 11.5, "The run cost 1.5 CU more than estimated."),
        (10, 8.5, "The run cost 1.5 CU less than estimated."),
        (0.3, 0.1 + 0.2, None),
        (0.1, 0.11, None),
        (0, 0, None),
        (0, 0.5, "The run cost 0.5 CU more than estimated."),
        (0.6, 1.4, "The run cost 0.8 CU more than estimated."),
        (None, 5, None),
        (5, None, None),
    ],
)
def test_a_price_more_than_a_tenth_off_is_named(
    estimate: float | None, actual: float | None, sentence: str | None
) -> None:
    assert price_difference(estimate, actual) == sentence


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("30m", NOW - HOUR / 2),
        ("24h", NOW - 24 * HOUR),
        (" 7D ", NOW - 7 * 24 * HOUR),
        ("2026-01-31", NOW - 12 * HOUR),
        ("2026-01-31T11:00", NOW - HOUR),
        ("2026-01-31T12:00+01:00", NOW - HOUR),
    ],
)
def test_since_is_a_time_ago_or_a_date(text: str, when: float) -> None:
    assert parse_since(text, NOW).timestamp() == when


@pytest.mark.parametrize("text", ["", "yesterday", "1w", "-1h", "2026-13-01", "1" * 7 + "h"])
def test_any_other_since_is_refused(text: str) -> None:
    with pytest.raises(LayerError, match="INVALID_ARGUMENTS"):
        parse_since(text, NOW)


def test_a_time_is_written_in_utc() -> None:
    assert iso_time(NOON) == "2026-01-31T12:00:00Z"


def test_a_cursor_returns_the_page_after_a_run() -> None:
    run = Run(RunRequest("inference", "model", "w1"), "complete", NOON, key="0a1b" * 8)
    assert parse_cursor(page_cursor(run)) == run.key
    assert parse_cursor(None) is None


def test_rejects_a_foreign_cursor() -> None:
    with pytest.raises(LayerError, match="INVALID_ARGUMENTS"):
        parse_cursor("page 2")
