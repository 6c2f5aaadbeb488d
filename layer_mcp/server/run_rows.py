"""Runs of the journal as rows of a list."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, Field

from ..journal.entries import RunEntry
from ..runs.sidecar import earlier_saved
from .common import short
from .since import iso_time

MAX_FILES = 4
QUEUED = "queued"
SENDING = "sending"


class RunRow(BaseModel):
    """One run, short."""

    inference_id: str | None = None
    run_id: str | None = None
    workflow_id: str | None = None
    model_id: str | None = None
    status: str = Field(
        description="As Layer says; or queued, sending, unknown (may be charged), not_sent."
    )
    prompt: str | None = None
    asked_at: str
    batch_id: str | None = None
    estimated_price_creative_units: float | None = None
    actual_price_creative_units: float | None = None
    files: list[str] | None = Field(default=None, description="Paths, or URLs if not saved.")
    more_files: int | None = None
    error: str | None = None

    def line(self) -> str:
        """The row for people."""
        price = self.actual_price_creative_units
        estimate = self.estimated_price_creative_units
        differs = estimate is not None and price != estimate
        cost = f"{price:g} CU" if price is not None else ""
        cost += f" (estimated {estimate:g})" if cost and differs else ""
        cost = cost or (f"about {estimate:g} CU" if estimate is not None else "")
        name = self.inference_id or self.run_id or "no id"
        facts = [name, self.status, cost, self.prompt, self.error]
        lines = [", ".join(fact for fact in facts if fact), *(self.files or [])]
        return " | ".join(lines)


def run_row(entry: RunEntry) -> RunRow:
    """An entry as a row; reads the record beside its saved files."""
    inference = entry.kind == "inference"
    files = _files(entry)
    error = entry.outcome.error
    prompt = entry.facts.get("prompt")
    return RunRow(
        inference_id=entry.run_id if inference else None,
        run_id=None if inference else entry.run_id,
        model_id=entry.subject_id if inference else None,
        workflow_id=None if inference else entry.subject_id,
        status=status_in_words(entry),
        prompt=short(prompt) if isinstance(prompt, str) else None,
        asked_at=iso_time(entry.created_at),
        batch_id=entry.batch_id,
        estimated_price_creative_units=entry.estimated_price_creative_units,
        actual_price_creative_units=entry.actual_price_creative_units,
        files=list(files[:MAX_FILES]) or None,
        more_files=max(len(files) - MAX_FILES, 0) or None,
        error=short(f"{error.get('code')}: {error.get('message')}") if error else None,
    )


def status_in_words(entry: RunEntry) -> str:
    """Layer's status once it has the run, else how far the submission came."""
    if entry.delivery == "confirmed":
        return entry.status or "in_progress"
    return {"intended": QUEUED, "sending": SENDING}.get(entry.delivery, entry.delivery)


def _files(entry: RunEntry) -> Sequence[str]:
    paths = _paths(entry.folder, entry.run_id)
    urls = [output["url"] for output in entry.outcome.outputs if output.get("url")]
    return paths or urls


def _paths(folder: Path | None, run_id: str | None) -> list[str]:
    if folder is None or run_id is None:
        return []
    saved = earlier_saved(folder, run_id)
    present = saved.present() if saved else {}
    return [str(present[number]) for number in sorted(present)]
