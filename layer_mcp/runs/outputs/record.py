"""The JSON record next to the saved outputs of a run: the request, price, and files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from ...api.models import Output
from ...errors import LayerError
from ...files.folders import OpenFolder, PrivateFolders, open_folder
from ...files.local_files import MEGABYTE
from ...media.facts import clean_facts
from ...version import __version__
from ..types.plain import time_as_text, without_nulls
from ..types.run import Run
from .names import MAX_COPIES, numbered, output_name, slug_of

MAX_FAILURES_SHOWN = 3
# Many times larger than a record with a long prompt and a hundred files.
MAX_RECORD_BYTES = 4 * MEGABYTE


@dataclass(frozen=True)
class MeasuredFile:
    """What an output contains; see `SavedFile`. If the file was changed, it has no facts."""

    content_type: str | None
    size_bytes: int
    declared_type: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    is_changed: bool = False


@dataclass(frozen=True)
class SavedFile:
    """An output on disk, as described by the record next to it.

    `content_type` is detected from the content; `declared_type` is Layer's type, if it differs.
    `facts` were measured when the file was saved.
    """

    number: int
    name: str
    file_id: str | None
    url: str | None
    content_type: str | None
    size_bytes: int
    sha256: str
    declared_type: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def measured(self, size_bytes: int) -> MeasuredFile:
        """Return what the file contains; `size_bytes` is its current size."""
        if size_bytes != self.size_bytes:
            return MeasuredFile(self.content_type, size_bytes, is_changed=True)
        return MeasuredFile(self.content_type, size_bytes, self.declared_type, self.facts)


@dataclass(frozen=True)
class NotSaved:
    """An output that couldn't be saved, and why; number 0 is the record itself."""

    number: int
    error: LayerError

    def sentence(self) -> str:
        """Return the sentence that an agent reads."""
        what = f"Output {self.number}" if self.number else "The record next to the files"
        return f"{what} was not saved: {self.error.message} {self.error.next_step}"


@dataclass(frozen=True)
class Arriving:
    """An output that is being downloaded in the background, with its progress."""

    number: int
    arrived_bytes: int
    size_bytes: int | None


@dataclass(frozen=True)
class SavedOutputs:
    """The files of a run in a folder; `record` is the JSON file next to them.

    `files` is everything that was ever saved of the run, `fetched` what was just downloaded, and
    `arriving` what is still being downloaded. `wrong` lists pages and empty files that earlier
    versions saved instead of outputs.
    """

    folder: Path
    record: Path
    files: tuple[SavedFile, ...]
    fetched: tuple[SavedFile, ...] = ()
    failures: tuple[NotSaved, ...] = ()
    arriving: tuple[Arriving, ...] = ()
    wrong: tuple[SavedFile, ...] = ()

    def path(self, file: SavedFile) -> Path:
        """Return the path of an output."""
        return self.folder / file.name

    def present(self) -> dict[int, Path]:
        """Return the outputs that still exist, by number; links are ignored."""
        paths = {file.number: self.path(file) for file in self.files}
        return {
            number: path
            for number, path in paths.items()
            if path.is_file() and not path.is_symlink()
        }

    def describe_failures(self) -> list[str]:
        """Return sentences about the first few failures, and the number of others."""
        sentences = [failure.sentence() for failure in self.failures[:MAX_FAILURES_SHOWN]]
        more = len(self.failures) - len(sentences)
        return [*sentences, f"{more} more were not saved."] if more else sentences


@dataclass(frozen=True)
class FilesOnDisk:
    """A run's files for an answer, by number, with their record and failures.

    `paths` are the files that still exist. `measured` describes these, or outputs that were only
    loaded for a preview.
    """

    paths: Mapping[int, Path] = field(default_factory=dict[int, Path])
    measured: Mapping[int, MeasuredFile] = field(default_factory=dict[int, MeasuredFile])
    record: Path | None = None
    warnings: Sequence[str] = ()
    arriving: Sequence[Arriving] = ()

    @classmethod
    def of(cls, outputs: SavedOutputs) -> "FilesOnDisk":
        """Return what an answer says about saved outputs; check which files still exist."""
        sizes = {file.number: _size_bytes(outputs.path(file)) for file in outputs.files}
        paths = {n: path for n, path in outputs.present().items() if sizes[n] is not None}
        return cls(
            paths,
            {
                file.number: file.measured(size_bytes)
                for file in outputs.files
                if (size_bytes := sizes[file.number]) is not None
            },
            outputs.record if outputs.files else None,
            outputs.describe_failures(),
            outputs.arriving,
        )

    def has_all_of(self, run: Run) -> bool:
        """Return whether every output of the run is saved."""
        return all(number in self.paths for number in range(1, len(run.outputs) + 1))


def _size_bytes(path: Path) -> int | None:
    """Return the size of a file, or None if it no longer exists."""
    try:
        return path.lstat().st_size
    except OSError:
        return None


def find_saved(folder: Path, run_id: str, private: PrivateFolders) -> SavedOutputs | None:
    """Return what the record in a folder says about a run, or None if there is no record.

    Links to the folder are followed; links in it aren't.
    """
    try:
        with open_folder(folder.resolve(), private) as opened:
            return find_record(opened, run_id)
    except (OSError, RuntimeError, ValueError):
        return None


def record_facts(run: Run, *, is_simulated: bool) -> dict[str, Any]:
    """Return the facts for the record: how a run was made, and what it cost."""
    end = {
        "completed_at": time_as_text(run.completed_at),
        "actual_price_creative_units": run.actual_price_creative_units,
    }
    made = {"made_with": f"layer-mcp {__version__}"} | ({"simulated": True} if is_simulated else {})
    return run.facts() | without_nulls(end) | made


def file_slug(run: Run) -> str:
    """Return the readable start of a run's file names, from the prompt or Layer's own name."""
    prompt = run.request.inputs.get("prompt")
    return slug_of(prompt if isinstance(prompt, str) else _name_in_url(run.outputs))


def write_record(
    folder: OpenFolder, saved: SavedOutputs, run: Run, *, is_simulated: bool
) -> SavedOutputs:
    """Write the JSON next to the outputs, replacing only its own earlier version.

    Raises:
        OSError: the folder can't be written to.
    """
    if not saved.files:
        return saved
    run_id = run.run_id or ""
    name = saved.record.name
    if folder.stat(name) is not None and _read_record(folder, name, run_id) is None:
        # A run with the same short ID was saved in the meantime.
        name = free_record(folder, run)
        saved = replace(saved, record=folder.path / name)
    content = {
        "run_id": run_id,
        **record_facts(run, is_simulated=is_simulated),
        "saved_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": [_file_as_json(file) for file in saved.files],
    }
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    part = f".{uuid4().hex}.part"
    try:
        with folder.create(part) as file:
            file.write(text.encode())
        folder.replace(part, name)
    finally:
        folder.remove(part)
    return saved


def _file_as_json(file: SavedFile) -> dict[str, Any]:
    content = asdict(file)
    for name in ("declared_type", "facts"):
        if not content[name]:
            del content[name]
    return content


def free_record(folder: OpenFolder, run: Run) -> str:
    """Return an unused name for the record."""
    name = output_name(file_slug(run), run.run_id or "", 0, "json").replace("-0.json", ".json")
    names = (numbered(name, attempt) for attempt in range(1, MAX_COPIES))
    return next(name for name in names if folder.stat(name) is None)


def _name_in_url(outputs: Sequence[Output]) -> str | None:
    """Return the slug in Layer's URLs, `<slug>-<time>.<ext>`, which is better than no name."""
    name = (outputs[0].url or "").rpartition("/")[2] if outputs else ""
    stem = name.partition("?")[0].rpartition(".")[0]
    return stem.rstrip("0123456789").rstrip("-") or None


def find_record(folder: OpenFolder, run_id: str) -> SavedOutputs | None:
    """Return the record of a run in an open folder, or None if there is none."""
    short = output_name("", run_id, 0, "json").removesuffix("-0.json")
    try:
        names = sorted(n for n in folder.names() if short in n and n.endswith(".json"))
    except OSError:
        return None
    found = (_read_record(folder, name, run_id) for name in names)
    return next((saved for saved in found if saved is not None), None)


def _read_record(folder: OpenFolder, name: str, run_id: str) -> SavedOutputs | None:
    # Its model takes time to build, and a server must start fast.
    from .record_model import Record  # noqa: PLC0415

    try:
        raw = folder.read(name, MAX_RECORD_BYTES)
        content = Record.model_validate_json(raw or b"")
    except (OSError, ValueError):
        return None
    if content.run_id.lower() != run_id.lower():
        return None
    # Records can be edited, so check that a name is only a name.
    files = [
        replace(file, facts=clean_facts(file.facts))
        for file in content.files
        if file.number > 0 and is_name(file.name)
    ]
    wrong = [file for file in files if not file.facts and _is_wrong(folder, file)]
    right = [file for file in files if file not in wrong]
    return SavedOutputs(folder.path, folder.path / name, tuple(right), wrong=tuple(wrong))


def _is_wrong(folder: OpenFolder, file: SavedFile) -> bool:
    """Return whether a page or an empty file was saved instead of the output."""
    # Files in current records have facts, so they were inspected when they were saved.
    from .inspect import is_wrong_file  # noqa: PLC0415

    facts = folder.stat(file.name)
    if facts is None or facts.st_size != file.size_bytes:
        return False
    try:
        with folder.open(file.name) as opened:
            return is_wrong_file(opened, facts.st_size, file.content_type, file.url)
    except OSError:
        return False


def is_name(text: str) -> bool:
    """Return whether a text is just a file name, not a path to another folder."""
    return text not in ("", "..") and "\0" not in text and Path(text).name == text
