"""The measures as rows: ours, its reference, how they compare, the aim, and whether it is met."""

from dataclasses import dataclass, replace

from .batch_wait import BatchWait
from .call_overhead import CallOverhead
from .file_rows import preview_rows, saving_rows, transfer_rows
from .install_size import InstallSizes
from .list_size import ListSize, ListSizes
from .many_waits import ManyWaits
from .paying_cost import PayingCost
from .preview_cost import PreviewCost
from .row import Row, budget_row, byte_count, count, megabytes, ms, whole_ms
from .run_rows import batch_row, paying_rows, waits_rows
from .saving_cost import SavingCost
from .startup import Startup
from .transfers import Transfers

MAX_STARTUP_RATIO = 1.10
NEVER_STARTUP_RATIO = 1.20
MAX_ADDED_OVER_STDIO_MS = 3.0
TRANSPORT_NAMES = {"stdio": "over stdio", "http": "over HTTP", "memory": "in memory"}


@dataclass(frozen=True)
class Results:
    """Everything that was measured in one run; without the installs where it had to be quick."""

    startup: Startup
    call_overhead: CallOverhead
    list_sizes: ListSizes
    paying_cost: PayingCost
    many_waits: ManyWaits
    batch_wait: BatchWait
    transfers: Transfers
    preview_cost: PreviewCost
    saving_cost: SavingCost
    install_sizes: InstallSizes | None


def rows_of(results: Results) -> list[Row]:
    """Every row, in the order in which they are shown."""
    return [
        _startup_row(results.startup),
        *_call_rows(results.call_overhead),
        *_added_rows(results.call_overhead),
        *paying_rows(results.paying_cost),
        *_list_rows(results.list_sizes),
        *waits_rows(results.many_waits),
        batch_row(results.batch_wait),
        *transfer_rows("upload", results.transfers.upload),
        *transfer_rows("download", results.transfers.download),
        *preview_rows(results.preview_cost),
        *saving_rows(results.saving_cost),
        *_install_rows(results.install_sizes),
    ]


def _startup_row(startup: Startup) -> Row:
    return Row(
        measure="Start-up until tools/list",
        ours=startup.layer_mcp_median_ms,
        shown=whole_ms,
        reference=startup.empty_server_median_ms,
        reference_name="empty SDK server",
        compared=f"{startup.median_ratio:.2f} x",
        aim=f"{MAX_STARTUP_RATIO:.2f} x, never {NEVER_STARTUP_RATIO:.2f}",
        is_met=startup.median_ratio <= MAX_STARTUP_RATIO,
        group="time",
    )


def _call_rows(overhead: CallOverhead) -> list[Row]:
    return [
        Row(
            measure=f"get_status {TRANSPORT_NAMES[transport]}",
            ours=medians.get_status_median_ms,
            shown=ms,
            reference=overhead.direct_get_median_ms,
            reference_name="its GET alone",
            compared=f"{medians.get_status_added_ms:+.1f} ms",
        )
        for transport, medians in overhead.by_transport.items()
    ]


def _added_rows(overhead: CallOverhead) -> list[Row]:
    rows = {
        transport: Row(
            measure=f"Added to the GET {TRANSPORT_NAMES[transport]}",
            ours=medians.get_status_added_ms,
            shown=ms,
            reference=medians.noop_tool_median_ms,
            reference_name="no-op tool, SDK alone",
            compared=f"{medians.get_status_added_ms - medians.noop_tool_median_ms:+.1f} ms",
            group="time",
        )
        for transport, medians in overhead.by_transport.items()
    }
    rows["stdio"] = replace(
        rows["stdio"],
        aim=f"ours at most {MAX_ADDED_OVER_STDIO_MS:.0f} ms",
        is_met=rows["stdio"].ours <= MAX_ADDED_OVER_STDIO_MS,
    )
    return list(rows.values())


def _list_rows(sizes: ListSizes) -> list[Row]:
    default, everything = sizes.default, sizes.all_toolsets
    more = {
        name: size_bytes
        for name, size_bytes in everything.bytes_by_tool.items()
        if name not in default.bytes_by_tool
    }
    return [
        _list_row("tools/list", default),
        *_tool_rows(default.bytes_by_tool),
        _list_row("tools/list, all toolsets", everything),
        *_tool_rows(more),
    ]


def _list_row(name: str, size: ListSize) -> Row:
    measure = f"{name}: {len(size.bytes_by_tool)} tools"
    return budget_row(measure, size.total_bytes, size.aim_bytes, byte_count)


def _tool_rows(bytes_by_tool: dict[str, int]) -> list[Row]:
    return [
        Row(measure=f"  {name}", ours=size_bytes, shown=byte_count)
        for name, size_bytes in bytes_by_tool.items()
    ]


def _install_rows(sizes: InstallSizes | None) -> list[Row]:
    if sizes is None:
        return []
    ours, reference = sizes.layer_mcp, sizes.fastmcp
    return [
        Row(
            measure="Packages that it brings",
            ours=ours.dependencies,
            shown=count,
            reference=reference.dependencies,
            reference_name="fastmcp, no server",
            compared=f"{ours.dependencies - reference.dependencies:+}",
        ),
        Row(
            measure="  installed",
            ours=ours.size_bytes,
            shown=megabytes,
            reference=reference.size_bytes,
            reference_name="fastmcp, no server",
            compared=f"{ours.size_bytes / reference.size_bytes:.2f} x",
        ),
    ]
