"""Files that a run made and saved, and their manifest."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from layer_mcp import Run, Runs, SavedOutputs
from layer_mcp.runs.manifest.types import MadeFile

from .library import submit

SHA256_OF_ART = "d3cec99112255db9bf4963f7798562b6a36f1bd0b2016918629e007d474deb70"


async def ended_run(runs: Runs, **fields: Any) -> Run:
    """Make a small image, without the pause before the first poll."""
    started = await submit(runs, **fields)
    return await runs.get(started.run_id or "")


async def saved_run(runs: Runs, folder: Path, **fields: Any) -> SavedOutputs:
    """Make a small image, and save it to a folder."""
    return await runs.save(await ended_run(runs, **fields), folder)


async def manifest_of(runs: Runs, **wanted: Any) -> list[MadeFile]:
    """Return the whole manifest."""
    return [made async for made in runs.manifest(**wanted)]


def edit_record(record: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a record, as a person with an editor would."""
    content = json.loads(record.read_text(encoding="utf-8"))
    change(content)
    record.write_text(json.dumps(content), encoding="utf-8")


def write_record(folder: Path, run_id: str, **values: Any) -> Path:
    """Write the record of a run of another machine, with one file of the text "art"."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"art-{run_id[:8]}-1.png"
    (folder / name).write_bytes(b"art")
    file = {"number": 1, "name": name, "size_bytes": 3, "sha256": SHA256_OF_ART}
    record = folder / f"art-{run_id[:8]}.json"
    record.write_text(json.dumps({"run_id": run_id, "files": [file], **values}), encoding="utf-8")
    return record
