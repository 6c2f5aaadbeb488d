"""Runs, prices and models as programs and people read them: JSON, words and times."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..api.model_arguments import argument_use
from ..api.models import ModelDetail, ModelSummary, Output, PriceEstimate
from ..errors import LayerError
from ..files.folders import PrivateFolders
from ..text.plain_text import one_line
from ..text.plain_text import quote as quote_name
from .outputs import FilesOnDisk, find_saved
from .rules import unpriced_references
from .types import Confirmation, Run, error_as_json, without_nulls

SIMULATED_LINE = "Simulated by the sandbox: nothing was charged."
# Prices are sums of decimal fractions.
TOLERANCE = 1e-6
NOTICEABLE_SHARE = 0.1
MAX_ROW_TEXT = 100
MAX_ROW_FILES = 4
# A longer one is downloaded, but costs an agent too much to read.
MAX_SHOWN_URL_LENGTH = 2000
MAX_MODEL_TEXT = 1000
OUTPUT_FIELDS = {
    "content_type",
    "width",
    "height",
    "duration_seconds",
    "file_size_bytes",
}
AGO = re.compile(r"(\d{1,6})\s*([mhd])")
SECONDS = {"m": 60, "h": 3_600, "d": 86_400}


def run_as_json(run: Run, files: FilesOnDisk | None = None) -> dict[str, Any]:
    """Return a run as JSON without nulls, with its saved files."""
    files = files or FilesOnDisk()
    values = {
        "workspace_id": run.request.workspace_id,
        "status": run.state,
        "error": error_as_json(run.error),
        "outputs": [
            _output_as_json(output, files.paths.get(number))
            for number, output in enumerate(run.outputs, 1)
        ]
        or None,
        "record": str(files.record) if files.record else None,
        "estimated_price_creative_units": run.estimated_price_creative_units,
        "actual_price_creative_units": run.actual_price_creative_units,
        "session_id": run.session_id,
        "duplicate": run.is_duplicate or None,
        "warning": " ".join(list_warnings(run, files)) or None,
    }
    about = _workflow_run_as_json(run) if run.request.kind == "workflow" else _ids_of_inference(run)
    return without_nulls(values | about)


def list_warnings(run: Run, files: FilesOnDisk | None = None) -> list[str]:
    """Return what differs from what was expected of a run, and what went wrong beside it."""
    estimate, actual = run.estimated_price_creative_units, run.actual_price_creative_units
    difference = price_difference(estimate, actual)
    about_price = [difference] if difference else []
    return [*about_price, *(files.warnings if files else ()), *run.warnings]


def row_as_json(run: Run, private: PrivateFolders) -> dict[str, Any]:
    """Return a run as the short row of a list, without nulls; reads the record of its files.

    Files in `private` are not opened.
    """
    is_inference = run.request.kind == "inference"
    urls = (_shown_url(output) for output in run.outputs)
    files = _saved_paths(run, private) or [url for url in urls if url]
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


def estimate_as_json(estimate: PriceEstimate) -> dict[str, Any]:
    """Return the price of a run and the balance as JSON without nulls."""
    values = estimate.model_dump(exclude={"references_refused"}, exclude_none=True)
    warning = unpriced_references(estimate.references_refused)
    return values | without_nulls({"warning": warning})


def model_row_as_json(model: ModelSummary) -> dict[str, Any]:
    """Return a model as the short row of a list, without nulls."""
    return without_nulls(
        {
            "model_id": model.model_id,
            "name": shorten(model.name),
            "modality": shorten(model.modality),
            "inference_timing": shorten(model.inference_timing),
            "description": shorten(model.description),
        }
    )


def model_as_json(model: ModelDetail, name_of: Callable[[str], str] = str) -> dict[str, Any]:
    """Return what a model is and which arguments it uses, as JSON without nulls.

    `name_of` gives the names that a caller has for the arguments.
    """
    use = argument_use(model, name_of)
    return without_nulls(
        {
            "model_id": model.model_id,
            "name": shorten(model.name),
            "modality": shorten(model.modality),
            "inference_timing": shorten(model.inference_timing),
            "description": one_line(model.description or "", MAX_MODEL_TEXT) or None,
            "prompt_format": one_line(model.prompt_format or "", MAX_MODEL_TEXT) or None,
            "uses": [name_of(name) for name in use.uses],
            "may_use": [name_of(name) for name in use.may_use],
            "ignores": [name_of(name) for name in use.ignores],
            "notes": [one_line(note, MAX_MODEL_TEXT) for note in use.notes],
        }
    )


def describe_confirmation(confirmation: Confirmation) -> str:
    """Return the question for a person who has to agree to a price.

    What Layer says stands last and in quotes, so that it can't name another price.
    """
    quote = confirmation.quote
    price = f" for {quote.total:g} CU" if quote.total is not None else ""
    unknown = "" if price else " Layer didn't give a price."
    excluded = " References are not in the price." if quote.references_refused else ""
    balance = f"{quote.balance:g} CU" if quote.balance is not None else "unknown"
    names = _quote_names(confirmation)
    return (
        f"Start {confirmation.subject}{price}?{unknown}{excluded} The balance is {balance}.{names}"
    )


def _quote_names(confirmation: Confirmation) -> str:
    if not confirmation.names:
        return ""
    more = f" and {confirmation.more_names} more" if confirmation.more_names else ""
    return f" It uses {', '.join(map(quote_name, confirmation.names))}{more}."


def describe_estimate(estimate: Mapping[str, Any]) -> list[str]:
    """Return a line for the price, and one for the balance; `estimate` is its JSON."""
    lines = [f"Price {estimate['estimated_price_creative_units']:g} CU (estimated)."]
    balance = estimate.get("workspace_balance_creative_units")
    remaining = estimate.get("estimated_remaining_balance_creative_units")
    if balance is not None:
        after = f", {remaining:g} CU after the run" if remaining is not None else ""
        lines.append(f"Balance {balance:g} CU{after}.")
    return [*lines, estimate["warning"]] if estimate.get("warning") else lines


def describe_state(run: Mapping[str, Any]) -> str:
    """Return which run it is, its state, its steps and its price; `run` is its JSON."""
    price = describe_price(
        run.get("estimated_price_creative_units"), run.get("actual_price_creative_units")
    )
    if "run_id" not in run:
        return f"Run {run.get('inference_id')}: {run['status']}.{price}"
    steps, current = "", run.get("current_step")
    if run.get("steps_total"):
        steps = f" {run['steps_done']} of {run['steps_total']} steps done"
        steps += f", now {current}." if current else "."
    return f"Workflow run {run['run_id']}: {run['status']}.{steps}{price}"


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
    return one_line(text or "", MAX_ROW_TEXT) or None


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
        "current_step": shorten(current[0]) if current else None,
    }


def _output_as_json(output: Output, path: Path | None) -> dict[str, Any]:
    place = without_nulls({"file_id": output.file_id, "path": str(path) if path else None})
    facts = output.model_dump(include=OUTPUT_FIELDS, exclude_none=True)
    return place | without_nulls({"url": _shown_url(output)}) | facts


def _shown_url(output: Output) -> str | None:
    is_short = output.url is not None and len(output.url) <= MAX_SHOWN_URL_LENGTH
    return output.url if is_short else None


def _saved_paths(run: Run, private: PrivateFolders) -> Sequence[str]:
    if run.folder is None or run.run_id is None:
        return []
    saved = find_saved(run.folder, run.run_id, private)
    present = saved.present() if saved else {}
    return [str(present[number]) for number in sorted(present)]
