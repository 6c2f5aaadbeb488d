"""The rows about runs: starting one, waiting for many."""

from .batch_wait import BatchWait
from .many_waits import ManyWaits
from .paying_cost import PayingCost
from .row import MEGABYTE, Row, budget_row, count, megabytes, ms, seconds

MAX_ADDED_BY_PAYING_MS = 5.0
MAX_POLLS_RATIO = 1.05
MAX_WAITS_GROWTH_BYTES = 64 * MEGABYTE
MAX_LAG_MS = 50.0


def paying_rows(cost: PayingCost) -> list[Row]:
    """A paid call beside the same one without journal and price gate, and what the disk takes."""
    added_ms = cost.median_ms - cost.ungated_median_ms
    added_when_old_ms = cost.old_journal_median_ms - cost.ungated_median_ms
    return [
        Row(
            measure="execute_inference in memory",
            ours=cost.median_ms,
            shown=ms,
            reference=cost.ungated_median_ms,
            reference_name="no journal, no gate",
            compared=f"{added_ms:+.1f} ms",
            aim=f"at most +{MAX_ADDED_BY_PAYING_MS:.0f} ms",
            is_met=added_ms <= MAX_ADDED_BY_PAYING_MS,
            group="time",
        ),
        Row(
            measure=f"  after {cost.earlier_runs:,} runs",
            ours=cost.old_journal_median_ms,
            shown=ms,
            reference=cost.ungated_median_ms,
            reference_name="no journal, no gate",
            compared=f"{added_when_old_ms:+.1f} ms",
            aim=f"at most +{MAX_ADDED_BY_PAYING_MS:.0f} ms",
            is_met=added_when_old_ms <= MAX_ADDED_BY_PAYING_MS,
        ),
        Row(measure="  one sync of the disk", ours=cost.disk_sync_median_ms, shown=ms),
    ]


def waits_rows(waits: ManyWaits) -> list[Row]:
    """Polls, the time until all are answered, memory and the lag of the event loop."""
    name = f"{waits.waits:,} waits"
    late_seconds = waits.wall_seconds - waits.least_wall_seconds
    return [
        _polls_row(f"{name}: polls", waits.polls, waits.least_polls),
        Row(
            measure=f"{name}: all answered",
            ours=waits.wall_seconds,
            shown=seconds,
            reference=waits.least_wall_seconds,
            reference_name="end of the last run",
            compared=f"{late_seconds:+.2f} s",
            aim=f"at most +{waits.poll_interval_seconds} s",
            is_met=late_seconds <= waits.poll_interval_seconds,
            group="waits",
        ),
        budget_row(
            f"{name}: memory",
            waits.peak_rss_growth_bytes,
            MAX_WAITS_GROWTH_BYTES,
            megabytes,
        ),
        Row(measure="  the server before", ours=waits.idle_rss_bytes, shown=megabytes),
        budget_row(f"{name}: lag, 99th percentile", waits.lag_ms_99, MAX_LAG_MS, ms),
        Row(measure="  the longest lag", ours=waits.longest_lag_ms, shown=ms),
    ]


def batch_row(wait: BatchWait) -> Row:
    """Polls of a list_runs call that waits for all runs of a batch."""
    return _polls_row(f"Batch of {wait.runs}: polls", wait.polls, wait.least_polls)


def _polls_row(measure: str, polls: int, least_polls: int) -> Row:
    ratio = polls / least_polls
    return Row(
        measure=measure,
        ours=polls,
        shown=count,
        reference=least_polls,
        reference_name="one an interval",
        compared=f"{ratio:.2f} x",
        aim=f"at most {MAX_POLLS_RATIO:.2f} x",
        is_met=ratio <= MAX_POLLS_RATIO,
        group="waits",
    )
