"""Rows of the journal as runs, requests as text, and filters as SQL."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...api.models import Output
from ...errors import LayerError
from ..types.filters import RunFilter
from ..types.request import RunRequest
from ..types.run import Run, RunError
from ..types.states import ENDED_STATES, NOT_SENT, QUEUED, SENDING, UNKNOWN

LIVE = f"state IN ('{QUEUED}', '{SENDING}')"
ENDED = f"state IN ({', '.join(repr(state) for state in ENDED_STATES)})"
FOLDER = (
    "(SELECT folder FROM folders WHERE folders.account = runs.account "
    "AND folders.run_id = runs.run_id) AS folder"
)
# A datetime in Python would lose the last digits. The key comes from outside.
LAST = (
    "(SELECT last.created_at, last.key FROM runs AS last WHERE last.key = ? AND last.account = ?)"
)
# Every run is in exactly one of these groups.
STATUS = f"""(CASE
    WHEN state IN ('complete', 'failed', '{UNKNOWN}', '{NOT_SENT}') THEN state
    WHEN {ENDED} THEN 'stopped'
    ELSE 'running'
END)"""


def conditions(wanted: RunFilter, account: str) -> tuple[str, tuple[Any, ...]]:
    """Return a filter of an account's runs as SQL, and the values to bind."""
    found: list[tuple[str, tuple[Any, ...]]] = []
    if wanted.since is not None:
        found.append(("created_at >= ?", (wanted.since.timestamp(),)))
    if wanted.workspace_id is not None:
        found.append(("workspace_id = ?", (wanted.workspace_id,)))
    if wanted.batch_id is not None:
        found.append(("batch_id = ?", (wanted.batch_id,)))
    if wanted.run_ids is not None:
        marks = ", ".join("?" * len(wanted.run_ids))
        found.append((f"run_id IN ({marks})", wanted.run_ids))
    if wanted.id_prefix is not None:
        found.append(("substr(run_id, 1, ?) = ?", (len(wanted.id_prefix), wanted.id_prefix)))
    if wanted.status is not None:
        found.append((f"{STATUS} = ?", (wanted.status,)))
    if wanted.before is not None:
        found.append((f"(created_at, key) < {LAST}", (wanted.before, account)))
    where = " AND ".join(condition for condition, _ in found) or "1 = 1"
    return where, tuple(value for _, values in found for value in values)


def run_from_row(row: Any) -> Run:
    """Return the run in a row selected with `FOLDER`; unreadable parts are dropped."""
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
            name=request.get("name"),
        ),
        state=row["state"],
        created_at=datetime.fromtimestamp(row["created_at"], UTC),
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
    """Return what is needed to send a request later, as JSON."""
    content = {
        "body": request.body,
        "given": list(request.given),
        "files": dict(request.files),
        "output_count": request.output_count,
        "subject_name": request.subject_name,
        "label": request.label,
        "name": request.name,
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
