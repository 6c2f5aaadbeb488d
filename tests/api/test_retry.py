"""When a request may be sent again."""

from datetime import UTC, datetime

import pytest

from layer_mcp.api.retry import (
    Delivery,
    delivery_of,
    may_submit_again,
    parse_retry_after,
    retry_delay_seconds,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "delivery"),
    [
        (200, "accepted"),
        (202, "accepted"),
        (101, "outcome_unknown"),
        (301, "refused"),
        (302, "refused"),
        (303, "outcome_unknown"),
        (307, "refused"),
        (400, "refused"),
        (401, "refused"),
        (402, "refused"),
        (404, "refused"),
        (408, "outcome_unknown"),
        (422, "refused"),
        (429, "refused_without_work"),
        (500, "outcome_unknown"),
        (502, "outcome_unknown"),
        (503, "refused_without_work"),
        (504, "outcome_unknown"),
    ],
)
def test_a_status_reports_the_outcome_of_a_submission(status: int, delivery: Delivery) -> None:
    assert delivery_of(sent=True, status=status, is_layers=True) == delivery


def test_an_unsent_request_was_never_delivered() -> None:
    assert delivery_of(sent=False) == "never_delivered"


def test_a_sent_but_unanswered_run_has_an_unknown_outcome() -> None:
    assert delivery_of(sent=True, status=None) == "outcome_unknown"


@pytest.mark.parametrize("status", [429, 503])
def test_a_rate_limit_that_may_not_be_layers_leaves_the_outcome_unknown(status: int) -> None:
    assert delivery_of(sent=True, status=status) == "outcome_unknown"


@pytest.mark.parametrize(("status", "delivery"), [(422, "refused"), (202, "accepted")])
def test_other_statuses_have_the_same_meaning_from_any_host(
    status: int, delivery: Delivery
) -> None:
    assert delivery_of(sent=True, status=status) == delivery


@pytest.mark.parametrize(
    ("delivery", "again"),
    [
        ("accepted", False),
        ("never_delivered", True),
        ("refused_without_work", True),
        ("outcome_unknown", False),
        ("refused", False),
    ],
)
def test_resubmits_only_definitely_rejected_requests(delivery: Delivery, again: bool) -> None:
    assert may_submit_again(delivery) is again


def test_the_pause_doubles_with_each_attempt_until_the_last() -> None:
    assert [retry_delay_seconds(n, None, 60) for n in (1, 2, 3, 4)] == [0.5, 1, 2, None]


def test_waits_exactly_as_long_as_retry_after_within_the_budget() -> None:
    assert retry_delay_seconds(1, 3, 5) == 3


def test_a_retry_after_beyond_the_budget_ends_the_attempts() -> None:
    assert retry_delay_seconds(1, 30, 5) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        (" 0 ", 0),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30),
        ("Wed, 31 Dec 2025 23:59:00 GMT", 0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("²", None),
        ("9" * 400, 86_400),
        ("Thu, 01 Jan 2026 00:00:30 +99999999999999999999", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds
