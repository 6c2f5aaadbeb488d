"""The rows about files: transfers, the picture in a result, saving."""

from .preview_cost import PreviewCost
from .row import MEGABYTE, Row, budget_row, byte_count, megabytes, megabytes_a_second, ms, whole_ms
from .saving_cost import SavingCost
from .transfers import Transfer

MIN_SPEED_RATIO = 0.9
MAX_TRANSFER_GROWTH_BYTES = 8 * MEGABYTE


def transfer_rows(direction: str, transfer: Transfer) -> list[Row]:
    """Speed beside plain httpx, with the hash and without it; memory."""
    name = f"{transfer.size_bytes / MEGABYTE:.0f} MB {direction}"
    ours_seconds = transfer.size_bytes / transfer.ours_bytes_a_second
    return [
        Row(
            measure=f"{name}: speed",
            ours=transfer.ours_bytes_a_second,
            shown=megabytes_a_second,
            reference=transfer.plain_bytes_a_second,
            reference_name="plain httpx",
            compared=f"{transfer.median_ratio:.2f} x",
            aim=f"at least {MIN_SPEED_RATIO:.2f} x",
            is_met=transfer.median_ratio >= MIN_SPEED_RATIO,
            group="speed",
        ),
        Row(
            measure=f"{name} less its hash",
            ours=transfer.size_bytes / (ours_seconds - transfer.sha256_seconds),
            shown=megabytes_a_second,
            reference=transfer.plain_bytes_a_second,
            reference_name="plain httpx",
            compared=f"{transfer.median_ratio_without_sha256:.2f} x",
            group="speed",
        ),
        Row(
            measure="  SHA-256 alone",
            ours=transfer.sha256_seconds * 1000,
            shown=whole_ms,
        ),
        budget_row(
            f"{name}: memory",
            transfer.peak_rss_growth_bytes,
            MAX_TRANSFER_GROWTH_BYTES,
            megabytes,
        ),
    ]


def preview_rows(cost: PreviewCost) -> list[Row]:
    """Bytes of the picture and of the text beside it, and what the picture adds to the call."""
    added_ms = cost.with_preview_median_ms - cost.without_preview_median_ms
    with_preview = cost.with_preview
    return [
        budget_row(
            "Result of 4 images: preview",
            with_preview.picture_bytes,
            cost.aim_picture_bytes,
            byte_count,
        ),
        budget_row(
            "Result of 4 images: text", with_preview.text_bytes, cost.aim_text_bytes, byte_count
        ),
        Row(
            measure="  structured content",
            ours=with_preview.structured_bytes,
            shown=byte_count,
        ),
        Row(
            measure="  without preview: text",
            ours=cost.without_preview.text_bytes,
            shown=byte_count,
        ),
        Row(
            measure="  without preview: structured content",
            ours=cost.without_preview.structured_bytes,
            shown=byte_count,
        ),
        Row(
            measure="get_status with the preview",
            ours=cost.with_preview_median_ms,
            shown=ms,
            reference=cost.without_preview_median_ms,
            reference_name="without it",
            compared=f"{added_ms:+.0f} ms",
        ),
        Row(
            measure="Added by preview of 4 images",
            ours=added_ms,
            shown=whole_ms,
            reference=cost.gets_median_ms,
            reference_name="4 GETs alone",
            compared=f"{added_ms - cost.gets_median_ms:+.0f} ms",
            group="time",
        ),
    ]


def saving_rows(cost: SavingCost) -> list[Row]:
    """The first call of a server that saves the files."""
    added_ms = cost.saving_median_ms - cost.without_saving_median_ms
    return [
        Row(
            measure="First call, saves 4 images",
            ours=cost.saving_median_ms,
            shown=ms,
            reference=cost.without_saving_median_ms,
            reference_name="without saving",
            compared=f"{added_ms:+.1f} ms",
            group="time",
        )
    ]
