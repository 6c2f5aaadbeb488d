"""Rows of the journal as runs, and requests and errors as text."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...api.models import Output
from ...errors import LayerError
from ..types.request import RunRequest
from ..types.run import Run, RunError
from ..types.states import ENDED_STATES, QUEUED, SENDING
from .accounts import Account
from .databases.database import Connection

LIVE = f"state IN ('{QUEUED}', '{SENDING}')"
ENDED = f"state IN ({', '.join(repr(state) for state in ENDED_STATES)})"
FOLDER = (
    "(SELECT folder FROM folders WHERE folders.account = runs.account "
    "AND folders.run_id = runs.run_id) AS folder"
)


def select(connection: Connection, account: Account, where: str, *values: Any) -> list[Run]:
    """Return the account's runs that match a condition."""
    return _select(connection, f"account = ? AND {where}", account.name, *values)


def select_first(connection: Connection, account: Account, where: str, *values: Any) -> Run | None:
    """Return the first of the account's runs that match a condition, or None."""
    found = select(connection, account, f"{where} LIMIT 1", *values)
    return found[0] if found else None


def select_shared(connection: Connection, account: Account, where: str, *values: Any) -> list[Run]:
    """Return runs of all owners of the Layer account, which no answer may show."""
    return _select(connection, f"layer_account = ? AND {where}", account.layer_account, *values)


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


def _select(connection: Connection, where: str, *values: Any) -> list[Run]:
    rows = connection.execute(f"SELECT runs.*, {FOLDER} FROM runs WHERE {where}", values).fetchall()
    return [run_from_row(row) for row in rows]


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
