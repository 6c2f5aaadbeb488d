"""Rows of the journal as runs, requests as text, and filters as SQL."""

import json
from pathlib import Path
from typing import Any

from ...api.models import Output
from ...errors import LayerError
from ..types import (
    ENDED_STATES,
    NOT_SENT,
    QUEUED,
    SENDING,
    UNKNOWN,
    Run,
    RunError,
    RunFilter,
    RunRequest,
)

LIVE = f"state IN ('{QUEUED}', '{SENDING}')"
ENDED = f"state IN ({', '.join(repr(state) for state in ENDED_STATES)})"
FOLDER = (
    "(SELECT folder FROM folders WHERE folders.account = runs.account "
    "AND folders.run_id = runs.run_id) AS folder"
)
# Each run is in exactly one of these groups.
STATUS = f"""(CASE
    WHEN state IN ('complete', 'failed', '{UNKNOWN}', '{NOT_SENT}') THEN state
    WHEN {ENDED} THEN 'stopped'
    ELSE 'running'
END)"""


def conditions(wanted: RunFilter) -> tuple[str, tuple[Any, ...]]:
    """Return a filter as SQL, and the values that it binds."""
    found: list[tuple[str, tuple[Any, ...]]] = []
    if wanted.since is not None:
        found.append(("created_at >= ?", (wanted.since,)))
    if wanted.workspace_id is not None:
        found.append(("workspace_id = ?", (wanted.workspace_id,)))
    if wanted.batch_id is not None:
        found.append(("batch_id = ?", (wanted.batch_id,)))
    if wanted.run_ids is not None:
        marks = ", ".join("?" * len(wanted.run_ids))
        found.append((f"run_id IN ({marks})", wanted.run_ids))
    if wanted.status is not None:
        found.append((f"{STATUS} = ?", (wanted.status,)))
    if wanted.before is not None:
        found.append(("(created_at, key) < (?, ?)", wanted.before))
    where = " AND ".join(condition for condition, _ in found) or "1 = 1"
    return where, tuple(value for _, values in found for value in values)


def run_from_row(row: Any) -> Run:
    """Return the run of a row that was selected with `FOLDER`; what cannot be read is left out."""
    error, request = _json_object(row["error"]), _json_object(row["request"])
    return Run(
        request=RunRequest(
            kind=row["kind"],
            subject_id=row["subject_id"],
            workspace_id=row["workspace_id"],
            body=request.get("body") or {},
            given=tuple(request.get("given") or ()),
            files=request.get("files") or {},
            output_count=request.get("output_count"),
            subject_name=request.get("subject_name"),
            label=request.get("label") or "",
            copy_number=row["copy_number"],
        ),
        state=row["state"],
        created_at=row["created_at"],
        key=row["key"],
        run_id=row["run_id"],
        batch_id=row["batch_id"],
        attempt=row["attempt"],
        estimated_price_creative_units=row["estimated_price"],
        actual_price_creative_units=row["actual_price"],
        outputs=_outputs(row["outputs"]),
        error=RunError(error.get("code", ""), error.get("message", "")) if error else None,
        start=_json_object(row["start"]),
        folder=Path(row["folder"]) if row["folder"] else None,
    )


def request_as_text(request: RunRequest) -> str:
    """Return what is needed to send a request from its row, as JSON."""
    content = {
        "body": request.body,
        "given": list(request.given),
        "files": dict(request.files),
        "output_count": request.output_count,
        "subject_name": request.subject_name,
        "label": request.label,
    }
    return json.dumps({name: value for name, value in content.items() if value})


def error_as_text(error: LayerError) -> str:
    """Return an error's code and message as JSON."""
    return json.dumps({"code": error.code, "message": error.message})


def _json_object(text: str | None) -> dict[str, Any]:
    try:
        return dict(json.loads(text or "{}"))
    except (ValueError, TypeError):
        return {}


def _outputs(text: str | None) -> tuple[Output, ...]:
    try:
        return tuple(Output.model_validate(output) for output in json.loads(text or "[]"))
    except (ValueError, TypeError):
        return ()
