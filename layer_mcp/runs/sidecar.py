"""The record of a run's outputs: the JSON beside them that says how they were made."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import BaseModel

from ..api.models import Output
from ..errors import LayerError
from .file_names import numbered, output_name

MAX_COPIES = 1000
MAX_TOLD_FAILURES = 3


@dataclass(frozen=True)
class FinishedRun:
    """What is saved: a run's outputs, the readable start of their names, what the record says."""

    run_id: str
    outputs: Sequence[Output]
    slug: str
    facts: dict[str, Any]

    def name(self, number: int, extension: str) -> str:
        """The name of one output, numbered from 1."""
        return output_name(self.slug, self.run_id, number, extension)


@dataclass(frozen=True)
class SavedFile:
    """An output on disk, as the record beside it knows it."""

    number: int
    name: str
    file_id: str | None
    url: str | None
    content_type: str | None
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class NotSaved:
    """An output that could not be saved, and why."""

    number: int
    error: LayerError

    def sentence(self) -> str:
        """What an agent reads about it."""
        what = f"Output {self.number}" if self.number else "The record beside the files"
        return f"{what} was not saved: {self.error.message} {self.error.next_step}"


@dataclass(frozen=True)
class Saved:
    """What saving came to; `record` is the JSON file beside the outputs.

    `files` is all that was ever saved of the run, `fetched` what was fetched just now.
    """

    folder: Path
    record: Path
    files: tuple[SavedFile, ...]
    fetched: tuple[SavedFile, ...] = ()
    failures: tuple[NotSaved, ...] = ()

    def path(self, file: SavedFile) -> Path:
        """Where an output was put."""
        return self.folder / file.name

    def present(self) -> dict[int, Path]:
        """The outputs that are still where they were put, by number; no links to elsewhere."""
        paths = {file.number: self.path(file) for file in self.files}
        return {
            number: path
            for number, path in paths.items()
            if path.is_file() and not path.is_symlink()
        }

    def shortfall(self) -> list[str]:
        """What an agent reads about what could not be saved: the first few, and how many more."""
        said = [failure.sentence() for failure in self.failures[:MAX_TOLD_FAILURES]]
        more = len(self.failures) - len(said)
        return [*said, f"{more} more were not saved."] if more else said


class _Record(BaseModel):
    """What is read back of the JSON beside the outputs."""

    run_id: str
    files: tuple[SavedFile, ...]


def earlier_saved(folder: Path, run_id: str) -> Saved | None:
    """What the record in a folder says of a run, or None when there is none."""
    short = output_name("", run_id, 0, "json").removesuffix("-0.json")
    try:
        for record in sorted(folder.glob(f"*{short}*.json")):
            saved = _read_record(record, run_id)
            if saved is not None:
                return saved
    except OSError:
        return None
    return None


def write_record(saved: Saved, run: FinishedRun) -> Saved:
    """Write the JSON beside the outputs; it replaces its own earlier version and nothing else.

    Raises:
        OSError: the folder cannot be written.
    """
    if not saved.files:
        return saved
    if saved.record.exists() and _read_record(saved.record, run.run_id) is None:
        # A run with the same short id was saved meanwhile.
        saved = replace(saved, record=free_record(saved.folder, run))
    content = {
        "run_id": run.run_id,
        **run.facts,
        "saved_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": [asdict(file) for file in saved.files],
    }
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    part = saved.folder / f".{uuid4().hex}.part"
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(saved.record)
    finally:
        part.unlink(missing_ok=True)
    return saved


def free_record(folder: Path, run: FinishedRun) -> Path:
    """A name for the record that nothing has yet."""
    name = run.name(0, "json").replace("-0.json", ".json")
    names = (folder / numbered(name, attempt) for attempt in range(1, MAX_COPIES))
    return next(path for path in names if not path.exists())


def _read_record(record: Path, run_id: str) -> Saved | None:
    try:
        if not record.is_file():
            return None
        content = _Record.model_validate_json(record.read_bytes())
    except (OSError, ValueError):
        return None
    if content.run_id.lower() != run_id.lower():
        return None
    # Someone may have edited it: a name must stay a name.
    files = (file for file in content.files if file.number > 0 and _is_name(file.name))
    return Saved(record.parent, record, tuple(files))


def _is_name(text: str) -> bool:
    return text not in ("", "..") and "\0" not in text and Path(text).name == text
