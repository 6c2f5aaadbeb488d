"""Runs as programs and people read them: JSON, words and times."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..api.models import Output
from ..errors import LayerError
from .outputs import find_saved
from .types import Run, error_as_json, without_nulls

# Prices are sums of decimal fractions.
TOLERANCE = 1e-6
NOTICEABLE_SHARE = 0.1
MAX_ROW_TEXT = 100
MAX_ROW_FILES = 4
OUTPUT_FIELDS = {
    "file_id",
    "url",
    "content_type",
    "width",
    "height",
    "duration_seconds",
    "file_size_bytes",
}
AGO = re.compile(r"(\d{1,6})\s*([mhd])")
SECONDS = {"m": 60, "h": 3_600, "d": 86_400}


def run_as_json(
    run: Run, paths: Mapping[int, Path] | None = None, record: Path | None = None
) -> dict[str, Any]:
    """Return a run as JSON without nulls.

    `paths` are those of its saved outputs by their numbers, from 1; `record` is the JSON file
    beside them.
    """
    difference = price_difference(
        run.estimated_price_creative_units, run.actual_price_creative_units
    )
    warnings = [difference, *run.warnings] if difference else run.warnings
    values = {
        "workspace_id": run.request.workspace_id,
        "status": run.state,
        "error": error_as_json(run.error),
        "outputs": [
            _output_as_json(output, (paths or {}).get(number))
            for number, output in enumerate(run.outputs, 1)
        ]
        or None,
        "record": str(record) if record else None,
        "estimated_price_creative_units": run.estimated_price_creative_units,
        "actual_price_creative_units": run.actual_price_creative_units,
        "session_id": run.session_id,
        "duplicate": run.is_duplicate or None,
        "warning": " ".join(warnings) or None,
    }
    about = _workflow_run_as_json(run) if run.request.kind == "workflow" else _ids_of_inference(run)
    return without_nulls(values | about)


def row_as_json(run: Run) -> dict[str, Any]:
    """Return a run as the short row of a list, without nulls; reads the record of its files."""
    is_inference = run.request.kind == "inference"
    files = _saved_paths(run) or [output.url for output in run.outputs if output.url]
    return without_nulls(
        {
            "inference_id": run.run_id if is_inference else None,
            "run_id": None if is_inference else run.run_id,
            "model_id": run.request.subject_id if is_inference else None,
            "workflow_id": None if is_inference else run.request.subject_id,
            "status": run.state,
            "prompt": shorten(run.request.prompt),
            "asked_at": iso_time(run.created_at),
            "batch_id": run.batch_id,
            "estimated_price_creative_units": run.estimated_price_creative_units,
            "actual_price_creative_units": run.actual_price_creative_units,
            "files": files[:MAX_ROW_FILES] or None,
            "more_files": max(len(files) - MAX_ROW_FILES, 0) or None,
            "error": shorten(f"{run.error.code}: {run.error.message}") if run.error else None,
        }
    )


def price_difference(estimate: float | None, actual: float | None) -> str | None:
    """Return a sentence when a run cost noticeably other than estimated, or None."""
    if estimate is None or actual is None:
        return None
    if abs(actual - estimate) <= NOTICEABLE_SHARE * estimate + TOLERANCE:
        return None
    word = "more" if actual > estimate else "less"
    return f"The run cost {abs(actual - estimate):g} CU {word} than estimated."


def describe_price(estimate: float | None, actual: float | None) -> str:
    """Return the price of a run as a sentence after a space, or nothing."""
    if actual is not None:
        estimated = f" (estimated {estimate:g})" if estimate not in (None, actual) else ""
        return f" Price {actual:g} CU{estimated}."
    return f" Estimated price {estimate:g} CU." if estimate is not None else ""


def describe_size(size_bytes: int) -> str:
    """Return a file's size for people."""
    for unit, factor in (("MB", 1_000_000), ("KB", 1_000)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} bytes"


def shorten(text: str | None) -> str | None:
    """Return foreign text as one line for a row."""
    line = " ".join((text or "").split())
    return (line if len(line) <= MAX_ROW_TEXT else line[: MAX_ROW_TEXT - 3] + "...") or None


def count_noun(number: int, noun: str) -> str:
    """Return a number with its noun: 1 run, 2 runs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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


def page_cursor(run: Run) -> str:
    """Return the cursor of the page that follows a run."""
    return f"{run.created_at!r}-{run.key}"


def parse_cursor(cursor: str | None) -> tuple[float, str] | None:
    """Return the (time, key) that a page ended at.

    Raises:
        LayerError: INVALID_ARGUMENTS.
    """
    if cursor is None:
        return None
    created_at, _, key = cursor.partition("-")
    try:
        return float(created_at), key
    except ValueError:
        raise LayerError("INVALID_ARGUMENTS", "cursor must be a next_cursor.") from None


def _ids_of_inference(run: Run) -> dict[str, Any]:
    return {"inference_id": run.run_id, "changed_parameters": run.changed_parameters}


def _workflow_run_as_json(run: Run) -> dict[str, Any]:
    current = [step.name for step in run.steps if step.status in ("in_progress", "failed")]
    done = sum(step.status == "complete" for step in run.steps)
    return {
        "run_id": run.run_id,
        "workflow_id": run.request.subject_id,
        "steps_done": done if run.steps else None,
        "steps_total": len(run.steps) or None,
        "current_step": current[0] if current else None,
    }


def _output_as_json(output: Output, path: Path | None) -> dict[str, Any]:
    values = output.model_dump(include=OUTPUT_FIELDS, exclude_none=True)
    return values | ({"path": str(path)} if path else {})


def _saved_paths(run: Run) -> Sequence[str]:
    if run.folder is None or run.run_id is None:
        return []
    saved = find_saved(run.folder, run.run_id)
    present = saved.present() if saved else {}
    return [str(present[number]) for number in sorted(present)]
