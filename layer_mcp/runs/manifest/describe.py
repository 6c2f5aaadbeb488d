"""Describe the files of a run from its journal row, its record, and the files themselves."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from io import FileIO
from itertools import groupby
from pathlib import Path
from typing import Any, cast

from anyio import from_thread

from ...api.models import Output
from ...files.folders import LinkError, NotAFileError, OpenFolder, PrivateFolders, open_folder
from ..outputs.record import record_facts
from ..types.filters import RunFilter
from ..types.plain import without_nulls
from ..types.request import RANDOM_SEED
from ..types.run import Run
from .records import RecordedFile, RunRecord, clean_text, json_object
from .types import FileState, MadeFile

CHUNK_BYTES = 1024 * 1024
MAX_REFERENCES = 100
# Use an estimate only if there is no final price.
PRICE_KINDS = ("actual", "estimated")
MAX_PRICE = 1e15


@dataclass(frozen=True)
class FoundRun:
    """A run in the journal, in a record, or in both."""

    run: Run | None
    folder: Path | None = None
    record: RunRecord | None = None


def describe_all(
    page: Sequence[FoundRun], *, private: PrivateFolders, is_simulated: bool
) -> list[MadeFile]:
    made: list[MadeFile] = []
    for folder, group in groupby(page, key=lambda found: found.folder):
        with ExitStack() as stack:
            opened: OpenFolder | None = None
            if folder is not None:
                with suppress(OSError):
                    opened = stack.enter_context(open_folder(folder, private))
            for found in group:
                made += _describe(found, opened, is_simulated=is_simulated)
    return made


def is_wanted(found: FoundRun, wanted: RunFilter) -> bool:
    """Return whether a run matches the filter; an unknown time or workspace matches."""
    values = _values_of(found, is_simulated=False)
    when = _asked_at(found, values) or _time(values.get("saved_at"))
    workspace_id = clean_text(values.get("workspace_id"))
    if when and wanted.since and when < wanted.since:
        return False
    return not workspace_id or wanted.workspace_id in (None, workspace_id)


def _describe(
    found: FoundRun, folder: OpenFolder | None, *, is_simulated: bool
) -> Iterator[MadeFile]:
    """Yield the saved files of a run, and its outputs that weren't saved."""
    values = _values_of(found, is_simulated=is_simulated)
    about = partial(MadeFile, **_about_run(found, values))
    files = found.record.files if found.record else ()
    for file in files:
        yield about(
            number=file.number,
            state=_state_of(folder, file),
            path=found.folder / file.name if found.folder else None,
            content_type=file.content_type,
            declared_type=file.declared_type,
            size_bytes=file.size_bytes,
            sha256=file.sha256,
            content_credentials=_has_content_credentials(file.facts),
            facts=file.facts,
        )
    saved = {file.number for file in files}
    outputs = found.run.outputs if found.run else ()
    # Without the record, it's unknown which files were saved.
    state: FileState = "missing" if found.folder and found.record is None else "not_saved"
    for number, output in enumerate(outputs, 1):
        if number not in saved:
            yield about(number=number, state=state, **_declared(output))


def _values_of(found: FoundRun, *, is_simulated: bool) -> dict[str, Any]:
    """Return a run in the form of its record; values from the journal take precedence."""
    recorded = dict(found.record.values) if found.record else {}
    return recorded | (record_facts(found.run, is_simulated=is_simulated) if found.run else {})


def _about_run(found: FoundRun, values: Mapping[str, Any]) -> dict[str, Any]:
    prices = {
        kind: price
        for kind in PRICE_KINDS
        if (price := _number(values.get(f"{kind}_price_creative_units"))) is not None
    }
    price_kind = next(iter(prices), None)
    workflow_id = clean_text(values.get("workflow_id"))
    return {
        "run_id": (found.run and found.run.run_id) or (found.record.run_id if found.record else ""),
        "kind": "workflow" if workflow_id else "inference",
        "model_id": clean_text(values.get("model_id")),
        "workflow_id": workflow_id,
        "workspace_id": clean_text(values.get("workspace_id")),
        "prompt": clean_text(values.get("prompt")),
        "seed": _seed(values),
        "references": tuple(_references(values, found.run.request.files if found.run else {})),
        "run_price_creative_units": prices[price_kind] if price_kind else None,
        "run_price_is": price_kind,
        "asked_at": _asked_at(found, values),
        "completed_at": _time(values.get("completed_at")),
        "is_simulated": values.get("simulated") is True,
    }


def _asked_at(found: FoundRun, values: Mapping[str, Any]) -> datetime | None:
    return found.run.created_at if found.run else _time(values.get("created_at"))


def _seed(values: Mapping[str, Any]) -> int | None:
    """Return the requested seed, or the one that Layer reports."""
    for seed in (values.get("seed"), json_object(values.get("normalized")).get("seed")):
        if type(seed) is int and seed != RANDOM_SEED:
            return seed
    return None


def _references(values: Mapping[str, Any], contents: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield the references of a run; for a workflow, those whose content is known."""
    asked = json_object(values.get("asked"))
    listed = asked.get("guidance_files")
    given = (
        [json_object(one) for one in cast("list[Any]", listed)]
        if listed and isinstance(listed, list)
        else []
    )
    given.append(json_object(asked.get("mask")) | {"type": "mask"})
    if values.get("workflow_id"):
        named = {value: name for name, value in asked.items() if isinstance(value, str)}
        given = [{"type": named.get(one, "input"), "file_id": one} for one in contents]
    for one in given[:MAX_REFERENCES]:
        if file_id := clean_text(one.get("file_id")):
            kind, sha256 = clean_text(one.get("type")), contents.get(file_id)
            yield without_nulls({"type": kind, "file_id": file_id, "sha256": sha256})


def _declared(output: Output) -> dict[str, Any]:
    return {
        "content_type": clean_text(output.content_type),
        "size_bytes": output.file_size_bytes,
    }


def _state_of(folder: OpenFolder | None, file: RecordedFile) -> FileState:
    """Return whether a file has changed; it's only read if its size is the same."""
    facts = folder.stat(file.name) if folder else None
    if folder is None or facts is None:
        return "missing"
    if facts.st_size != file.size_bytes:
        return "changed"
    try:
        with folder.open(file.name) as opened:
            return "unchanged" if _hash(opened) == file.sha256.lower() else "changed"
    except (LinkError, NotAFileError):
        return "changed"
    except OSError:
        return "unreadable"


def _hash(file: FileIO) -> str:
    digest, buffer = hashlib.sha256(), bytearray(CHUNK_BYTES)
    view = memoryview(buffer)
    # Not hashlib.file_digest: hashing a large file must be interruptible.
    while size := file.readinto(view):
        digest.update(view[:size])
        from_thread.check_cancelled()
    return digest.hexdigest()


def _time(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= MAX_PRICE else None


def _has_content_credentials(facts: Mapping[str, Any]) -> bool | None:
    """Return whether a file has content credentials, or None if it wasn't measured."""
    return facts.get("content_credentials") is True if facts else None
