"""The measures as rows: ours, its reference, how they compare, the aim, and whether it is met."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from .call_overhead import CallOverhead
from .list_size import ListSize
from .many_waits import ManyWaits
from .startup import Startup

MAX_STARTUP_RATIO = 1.10
NEVER_STARTUP_RATIO = 1.20
MAX_ADDED_OVER_STDIO_MS = 3.0
MAX_POLLS_RATIO = 1.05
TRANSPORT_NAMES = {"stdio": "over stdio", "http": "over HTTP", "memory": "in memory"}

Format = Callable[[float], str]


@dataclass(frozen=True)
class Results:
    """Everything that was measured in one run."""

    startup: Startup
    call_overhead: CallOverhead
    list_size: ListSize
    many_waits: ManyWaits


@dataclass(frozen=True)
class Row:
    """One measure. `is_charted` marks the rows that the chart shows."""

    measure: str
    ours: float
    shown: Format
    reference: float | None = None
    reference_name: str = ""
    compared: str = ""
    aim: str = ""
    is_met: bool | None = None
    is_charted: bool = True


def rows_of(results: Results) -> list[Row]:
    """Every row, in the order in which they are shown."""
    return [
        _startup_row(results.startup),
        *_call_rows(results.call_overhead),
        *_added_rows(results.call_overhead),
        *_size_rows(results.list_size),
        *_waits_rows(results.many_waits),
    ]


def _startup_row(startup: Startup) -> Row:
    return Row(
        measure="Start-up until tools/list",
        ours=startup.layer_mcp_median_ms,
        shown=_whole_ms,
        reference=startup.empty_server_median_ms,
        reference_name="empty SDK server",
        compared=f"{startup.median_ratio:.2f} x",
        aim=f"{MAX_STARTUP_RATIO:.2f} x, never {NEVER_STARTUP_RATIO:.2f}",
        is_met=startup.median_ratio <= MAX_STARTUP_RATIO,
    )


def _call_rows(overhead: CallOverhead) -> list[Row]:
    return [
        Row(
            measure=f"get_status {TRANSPORT_NAMES[transport]}",
            ours=medians.get_status_median_ms,
            shown=_ms,
            reference=overhead.direct_get_median_ms,
            reference_name="its GET alone",
            compared=f"{medians.get_status_added_ms:+.1f} ms",
            is_charted=False,
        )
        for transport, medians in overhead.by_transport.items()
    ]


def _added_rows(overhead: CallOverhead) -> list[Row]:
    rows = {
        transport: Row(
            measure=f"Added to the GET {TRANSPORT_NAMES[transport]}",
            ours=medians.get_status_added_ms,
            shown=_ms,
            reference=medians.noop_tool_median_ms,
            reference_name="no-op tool, SDK alone",
            compared=f"{medians.get_status_added_ms - medians.noop_tool_median_ms:+.1f} ms",
        )
        for transport, medians in overhead.by_transport.items()
    }
    rows["stdio"] = replace(
        rows["stdio"],
        aim=f"ours at most {MAX_ADDED_OVER_STDIO_MS:.0f} ms",
        is_met=rows["stdio"].ours <= MAX_ADDED_OVER_STDIO_MS,
    )
    return list(rows.values())


def _size_rows(size: ListSize) -> list[Row]:
    total = Row(
        measure=f"tools/list, {len(size.bytes_by_tool)} tools",
        ours=size.total_bytes,
        shown=_bytes,
        reference=size.aim_bytes,
        reference_name="budget",
        compared=f"{size.total_bytes / size.aim_bytes:.2f} x",
        aim="at most 1.00 x",
        is_met=size.total_bytes <= size.aim_bytes,
    )
    tools = [
        Row(measure=f"  {name}", ours=size_bytes, shown=_bytes, is_charted=False)
        for name, size_bytes in size.bytes_by_tool.items()
    ]
    return [total, *tools]


def _waits_rows(waits: ManyWaits) -> list[Row]:
    polls_ratio = waits.polls / waits.least_polls
    late_seconds = waits.wall_seconds - waits.least_wall_seconds
    return [
        Row(
            measure=f"{waits.waits} waits: polls",
            ours=waits.polls,
            shown=_count,
            reference=waits.least_polls,
            reference_name="least possible",
            compared=f"{polls_ratio:.2f} x",
            aim=f"at most {MAX_POLLS_RATIO:.2f} x",
            is_met=polls_ratio <= MAX_POLLS_RATIO,
        ),
        Row(
            measure=f"{waits.waits} waits: all answered",
            ours=waits.wall_seconds,
            shown=_seconds,
            reference=waits.least_wall_seconds,
            reference_name="end of the last run",
            compared=f"{late_seconds:+.2f} s",
            aim=f"at most +{waits.poll_interval_seconds} s",
            is_met=late_seconds <= waits.poll_interval_seconds,
        ),
        Row(
            measure=f"{waits.waits} waits: peak memory",
            ours=waits.idle_rss_bytes + waits.peak_rss_growth_bytes,
            shown=_megabytes,
            reference=waits.idle_rss_bytes,
            reference_name="same process, idle",
            compared=f"+{_megabytes(waits.peak_rss_growth_bytes)}",
        ),
    ]


def _whole_ms(value: float) -> str:
    return f"{value:.0f} ms"


def _ms(value: float) -> str:
    return f"{value:.1f} ms"


def _seconds(value: float) -> str:
    return f"{value:.2f} s"


def _bytes(value: float) -> str:
    return f"{value:,.0f} bytes"


def _megabytes(value: float) -> str:
    return f"{value / 1_000_000:.1f} MB"


def _count(value: float) -> str:
    return f"{value:,.0f}"
