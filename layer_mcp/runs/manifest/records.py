"""Read records next to saved files, whatever version, machine, or editor wrote them."""

import re
import stat
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any, cast

from pydantic_core import from_json

from ...errors import LayerError
from ...files.folders import OpenFolder, PrivateFolders, open_folder, read_bounded
from ...media.facts import clean_facts
from ...text.plain_text import remove_controls
from ..outputs.record import MAX_RECORD_BYTES, is_name

# A record starts with its run's ID, so other JSON files needn't be read completely.
HEAD_BYTES = 512
HEAD = re.compile(rb'\s*\{\s*"run_id"\s*:\s*"([^"\\]{1,255})"')
# Longer than any prompt that Layer accepts.
MAX_TEXT_LENGTH = 100_000
# A larger or deeper tree probably isn't a folder of assets.
MAX_FOLDERS = 50_000
MAX_DEPTH = 64
FOLDER_STEP = "Choose another folder."


@dataclass(frozen=True)
class RecordedFile:
    """A saved file, as described by the record next to it."""

    number: int
    name: str
    size_bytes: int
    sha256: str
    content_type: str | None = None
    declared_type: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class RunRecord:
    """A run, as described by the record next to its files; `values` is everything but the files."""

    run_id: str
    values: Mapping[str, Any]
    files: tuple[RecordedFile, ...]


def find_records(folder: OpenFolder) -> dict[str, str]:
    """Return the names of the records in a folder, by the lowercase IDs of their runs.

    Raises:
        OSError: the folder can't be listed.
    """
    found: dict[str, str] = {}
    for name in sorted(folder.names()):
        if name.endswith(".json"):
            with suppress(OSError), folder.open(name) as file:
                if head := HEAD.match(file.read(HEAD_BYTES)):
                    found.setdefault(head[1].decode("utf-8", "replace").lower(), name)
    return found


def read_record(folder: OpenFolder, name: str) -> RunRecord | None:
    """Return the record in a file, or None if it isn't a record."""
    with suppress(OSError, ValueError), folder.open(name) as file:
        return _read(file)
    return None


def walk_records(root: Path, private: PrivateFolders) -> Generator[tuple[Path, RunRecord]]:
    """Yield each record in a folder and its subfolders, together with its folder.

    Links to `root` are followed. Links in it, hidden folders, and journal folders are skipped.

    Raises:
        LayerError: INVALID_FOLDER, if `root` can't be read or has too many folders.
    """
    try:
        waiting = [root.resolve()]
        with open_folder(waiting[0], private) as opened:
            opened.names()
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it isn't a folder"
        raise LayerError(
            "INVALID_FOLDER", f"Can't read {root}: {reason}.", next_step=FOLDER_STEP
        ) from None
    top, seen = waiting[0], 0
    while waiting:
        seen += 1
        path = waiting.pop()
        depth = len(path.parts) - len(top.parts)
        if seen + len(waiting) > MAX_FOLDERS or depth > MAX_DEPTH:
            sentence = f"{root} has more than {MAX_FOLDERS:,} folders or {MAX_DEPTH} levels."
            raise LayerError("INVALID_FOLDER", sentence, next_step=FOLDER_STEP)
        # Skip a folder that can't be read or was replaced with a link.
        with suppress(OSError), open_folder(path, private) as folder:
            names = sorted(folder.names())
            waiting += [path / name for name in reversed(names) if _is_folder(folder, name)]
            for name in names:
                if name.endswith(".json") and (record := read_record(folder, name)) is not None:
                    yield path, record


def clean_text(value: object) -> str | None:
    """Return text without unsafe characters and with limited length, or None for anything else."""
    return remove_controls(value[:MAX_TEXT_LENGTH]) or None if isinstance(value, str) else None


def json_object(value: object) -> dict[str, Any]:
    """Return a JSON object, or {} for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _is_folder(folder: OpenFolder, name: str) -> bool:
    facts = None if name.startswith(".") else folder.stat(name)
    return facts is not None and stat.S_ISDIR(facts.st_mode)


def _read(file: FileIO) -> RunRecord | None:
    head = file.read(HEAD_BYTES)
    if not HEAD.match(head):
        return None
    rest = read_bounded(file, MAX_RECORD_BYTES - len(head))
    if rest is None:
        return None
    values = json_object(from_json(head + rest))
    listed = values.pop("files", None)
    run_id = clean_text(values.get("run_id"))
    if run_id is None or not isinstance(listed, list):
        return None
    found = [_recorded_file(json_object(item)) for item in cast("list[Any]", listed)]
    files = {one.number: one for one in found if one is not None}
    return RunRecord(run_id.lower(), values, tuple(files[number] for number in sorted(files)))


def _recorded_file(values: Mapping[str, Any]) -> RecordedFile | None:
    number, name, size_bytes, sha256 = (
        values.get(key) for key in ("number", "name", "size_bytes", "sha256")
    )
    is_described = (
        type(number) is int and number > 0 and type(size_bytes) is int and isinstance(sha256, str)
    )
    # Records can be edited, so check that a name is only a name.
    if not is_described or not isinstance(name, str) or not is_name(name):
        return None
    return RecordedFile(
        cast("int", number),
        name,
        cast("int", size_bytes),
        clean_text(sha256) or "",
        clean_text(values.get("content_type")),
        clean_text(values.get("declared_type")),
        clean_facts(json_object(values.get("facts"))),
    )
