"""A file in the manifest, and the totals of all files."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from ..types.plain import without_nulls
from ..views import count_noun, iso_time
from .records import clean_text

FileState = Literal["unchanged", "changed", "missing", "unreadable", "not_saved"]
"""What became of an output: whether the file on disk is the one that was saved."""
STATES: tuple[FileState, ...] = get_args(FileState)


@dataclass(frozen=True)
class MadeFile:
    """An output of a run: how it was made, what it contains, and the state of its file.

    The price is for the whole run, which several files may share. `references` are the run's
    reference files, with their SHA-256 if it's known. Unknown values are None.
    `path` is None if the output wasn't saved, or if its record is missing.
    """

    run_id: str
    kind: Literal["inference", "workflow"]
    number: int
    state: FileState
    path: Path | None = None
    model_id: str | None = None
    workflow_id: str | None = None
    workspace_id: str | None = None
    prompt: str | None = None
    seed: int | None = None
    references: tuple[Mapping[str, str], ...] = ()
    run_price_creative_units: float | None = None
    run_price_is: Literal["actual", "estimated"] | None = None
    asked_at: datetime | None = None
    completed_at: datetime | None = None
    is_simulated: bool = False
    content_type: str | None = None
    declared_type: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    content_credentials: bool | None = None
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def as_json(self) -> dict[str, Any]:
        """Return the file as plain JSON without nulls."""
        values = asdict(self)
        values |= {
            "path": clean_text(str(self.path)) if self.path else None,
            "references": values["references"] or None,
            "asked_at": iso_time(self.asked_at) if self.asked_at else None,
            "completed_at": iso_time(self.completed_at) if self.completed_at else None,
            "facts": values["facts"] or None,
            "simulated": values.pop("is_simulated") or None,
        }
        return without_nulls(values)


@dataclass
class ManifestTotals:
    """The totals of a manifest; add each file once."""

    files: int = 0
    creative_units: float = 0.0
    models: set[str] = field(default_factory=set[str])
    workflows: set[str] = field(default_factory=set[str])
    states: dict[FileState, int] = field(default_factory=dict[FileState, int])
    _runs: set[str] = field(default_factory=set[str])

    def add(self, made: MadeFile) -> None:
        """Count a file, and the price of its run if it's the run's first file."""
        self.files += 1
        self.states[made.state] = self.states.get(made.state, 0) + 1
        self.models |= {made.model_id} if made.model_id else set()
        self.workflows |= {made.workflow_id} if made.workflow_id else set()
        if made.run_id not in self._runs:
            self._runs.add(made.run_id)
            self.creative_units += made.run_price_creative_units or 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the totals as plain JSON."""
        return {
            "files": self.files,
            "runs": len(self._runs),
            "creative_units": round(self.creative_units, 4),
            "models": sorted(self.models),
            "workflows": sorted(self.workflows),
            **{state: self.states.get(state, 0) for state in STATES},
        }

    def describe(self) -> str:
        """Return the totals in one line, including files that have changed."""
        sums = [
            f"{count_noun(self.files, 'file')} of {count_noun(len(self._runs), 'run')}",
            count_noun(len(self.models), "model"),
            f"{round(self.creative_units, 4):g} CU",
        ]
        others = [
            f"{self.states[state]} {state.replace('_', ' ')}"
            for state in STATES
            if state != "unchanged" and state in self.states
        ]
        return f"{', '.join([*sums, *others])}."
