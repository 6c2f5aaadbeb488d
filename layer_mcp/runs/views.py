"""Runs, prices, and models as JSON for programs and as text for people."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ..api.model_arguments import argument_use
from ..api.models import ModelDetail, ModelSummary, Output, PriceEstimate
from ..errors import LayerError
from ..files.folders import PrivateFolders
from ..text.plain_text import one_line
from ..text.plain_text import quote as quote_name
from .outputs import FilesOnDisk, find_saved
from .outputs.remarks import list_remarks, remark_on_count
from .rules.quotes import ignored_arguments, unpriced_references
from .types.plain import without_nulls
from .types.plan import Confirmation
from .types.run import Run, error_as_json

SIMULATED_LINE = "Simulated by the sandbox: nothing was charged."
# Prices are sums of decimal fractions.
TOLERANCE = 1e-6
NOTICEABLE_SHARE = 0.1
MAX_ROW_TEXT = 100
MAX_ROW_FILES = 4
# A longer URL is used for the download, but costs an agent too much to read.
MAX_SHOWN_URL_LENGTH = 2000
MAX_MODEL_TEXT = 1000
OUTPUT_FIELDS = {
    "content_type",
    "width",
    "height",
    "duration_seconds",
    "file_size_bytes",
}
# What the journal calls each kind of run.
KEY = re.compile(r"[0-9a-f]{32}")
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
            _output_as_json(run, number, files) for number in range(1, len(run.outputs) + 1)
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
    """Return the differences from the request, and what went wrong apart from the run itself."""
    estimate, actual = run.estimated_price_creative_units, run.actual_price_creative_units
    difference = price_difference(estimate, actual)
    about_price = [difference] if difference else []
    count = remark_on_count(run)
    about_files = [*files.warnings, *describe_arriving(files)] if files else []
    return [*about_price, *([count] if count else []), *about_files, *run.warnings]


def row_as_json(run: Run, private: PrivateFolders) -> dict[str, Any]:
    """Return a run as a short list row, without nulls; this reads the record of its files.

    Files in `private` folders aren't opened.
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
    values = estimate.model_dump(exclude={"references_refused", "remarks"}, exclude_none=True)
    warnings = [unpriced_references(estimate.references_refused), *estimate.remarks]
    return values | without_nulls({"warning": " ".join(filter(None, warnings)) or None})


def model_row_as_json(model: ModelSummary) -> dict[str, Any]:
    """Return a model as a short list row, without nulls."""
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
    """Return a model's facts and the arguments it uses, as JSON without nulls.

    `name_of` returns the caller's name for an argument.
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
    """Return the question for a person who has to approve a price.

    Text from Layer comes last and in quotes, so it can't suggest another price.
    """
    quote = confirmation.quote
    price = f" for {quote.total:g} CU" if quote.total is not None else ""
    unknown = "" if price else " Layer didn't give a price."
    excluded = " The price doesn't include the references." if quote.references_refused else ""
    ignored = f" {sentence}" if (sentence := ignored_arguments(confirmation.ignored)) else ""
    balance = f"{quote.balance:g} CU" if quote.balance is not None else "unknown"
    names = _quote_names(confirmation)
    return (
        f"Start {confirmation.subject}{price}?{unknown}{excluded}{ignored} The balance is "
        f"{balance}.{names}"
    )


def _quote_names(confirmation: Confirmation) -> str:
    if not confirmation.names:
        return ""
    more = f" and {confirmation.more_names} more" if confirmation.more_names else ""
    return f" It uses {', '.join(map(quote_name, confirmation.names))}{more}."


def describe_estimate(estimate: Mapping[str, Any]) -> list[str]:
    """Return one line for the price and one for the balance; `estimate` is its JSON."""
    lines = [f"Price {estimate['estimated_price_creative_units']:g} CU (estimated)."]
    balance = estimate.get("workspace_balance_creative_units")
    remaining = estimate.get("estimated_remaining_balance_creative_units")
    if balance is not None:
        after = f", {remaining:g} CU after the run" if remaining is not None else ""
        lines.append(f"Balance {balance:g} CU{after}.")
    return [*lines, estimate["warning"]] if estimate.get("warning") else lines


def describe_state(run: Mapping[str, Any]) -> str:
    """Describe a run with its state, steps, and price; `run` is its JSON."""
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
    """Return a sentence if a run's price noticeably differs from the estimate, or None."""
    if estimate is None or actual is None:
        return None
    if abs(actual - estimate) <= NOTICEABLE_SHARE * estimate + TOLERANCE:
        return None
    word = "more" if actual > estimate else "less"
    return f"The run cost {abs(actual - estimate):g} CU {word} than estimated."


def describe_price(estimate: float | None, actual: float | None) -> str:
    """Return a run's price as a sentence after a space, or an empty string."""
    if actual is not None:
        estimated = f" (estimated {estimate:g})" if estimate not in (None, actual) else ""
        return f" Price {actual:g} CU{estimated}."
    return f" Estimated price {estimate:g} CU." if estimate is not None else ""


def describe_size(size_bytes: int) -> str:
    """Format a file's size for people."""
    for unit, factor in (("MB", 1_000_000), ("KB", 1_000)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} bytes"


def shorten(text: str | None) -> str | None:
    """Return text from outside as one line for a row."""
    return one_line(text or "", MAX_ROW_TEXT) or None


def count_noun(number: int, noun: str) -> str:
    """Return a number with its noun: 1 run, 2 runs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def parse_since(text: str, now: float) -> datetime:
    """Parse "30m", "24h" or "7d" ago, or an ISO 8601 date or time.

    `now` is in seconds since 1970. A time without a zone is in UTC.

    Raises:
        LayerError: INVALID_ARGUMENTS.
    """
    ago = AGO.fullmatch(text.strip().lower())
    if ago is not None:
        seconds = max(now - int(ago[1]) * SECONDS[ago[2]], 0)
        return datetime.fromtimestamp(seconds, UTC)
    try:
        when = datetime.fromisoformat(text.strip())
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        sentence = "since must be like 30m, 24h or 7d, or a date such as 2026-01-31."
        raise LayerError("INVALID_ARGUMENTS", sentence) from None


def iso_time(when: datetime) -> str:
    """Return a time as ISO 8601 in UTC, to the second."""
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def page_cursor(run: Run) -> str:
    """Return the cursor of the page that follows a run."""
    return run.key


def parse_cursor(cursor: str | None) -> str | None:
    """Return the key of the last run on the previous page.

    Raises:
        LayerError: INVALID_ARGUMENTS.
    """
    if cursor is None:
        return None
    if not KEY.fullmatch(cursor):
        raise LayerError("INVALID_ARGUMENTS", "cursor must be a next_cursor.")
    return cursor


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


def describe_arriving(files: FilesOnDisk) -> list[str]:
    """Return a sentence about the outputs that are still downloading."""
    if not files.arriving:
        return []
    arrived = describe_size(sum(one.arrived_bytes for one in files.arriving))
    sizes = [one.size_bytes for one in files.arriving]
    known = [size for size in sizes if size is not None]
    total = f" of {describe_size(sum(known))}" if len(known) == len(sizes) else ""
    what = f"{count_noun(len(sizes), 'file')} {'is' if len(sizes) == 1 else 'are'}"
    return [f"{what} still downloading in the background: {arrived}{total} so far."]


def _output_as_json(run: Run, number: int, files: FilesOnDisk) -> dict[str, Any]:
    output, path = run.outputs[number - 1], files.paths.get(number)
    measured = files.measured.get(number)
    place = {"file_id": output.file_id, "path": str(path) if path else None}
    place |= {"url": _shown_url(output)}
    declared = output.model_dump(include=OUTPUT_FIELDS, exclude_none=True)
    facts = dict(measured.facts) if measured else {}
    # Measured facts replace declared ones, so that nothing is listed twice.
    seen = {name: facts.pop(name, None) for name in OUTPUT_FIELDS}
    seen = {name: value for name, value in seen.items() if isinstance(value, int | float)}
    if measured:
        seen |= {"content_type": measured.content_type, "file_size_bytes": measured.size_bytes}
    more = {"facts": facts or None, "remarks": list_remarks(run, number, measured) or None}
    return without_nulls(place) | declared | without_nulls(seen | more)


def _shown_url(output: Output) -> str | None:
    is_short = output.url is not None and len(output.url) <= MAX_SHOWN_URL_LENGTH
    return output.url if is_short else None


def _saved_paths(run: Run, private: PrivateFolders) -> Sequence[str]:
    if run.folder is None or run.run_id is None:
        return []
    saved = find_saved(run.folder, run.run_id, private)
    present = saved.present() if saved else {}
    return [str(present[number]) for number in sorted(present)]
