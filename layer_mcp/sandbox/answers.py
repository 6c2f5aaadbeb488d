"""The JSON that the sandbox responds with, pages of lists, and Layer's errors."""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from .catalog import SandboxModel
from .state import Run, SandboxState, SandboxWorkspace, StoredFile

Entry = TypeVar("Entry")


class ProblemError(Exception):
    """An error that a handler raises and the client receives as problem+json.

    With `fields` it has the shape of FastAPI's list of invalid fields instead.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, fields: list[dict[str, Any]] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.fields = fields

    def response(self) -> Response:
        """Return the error as an HTTP response."""
        if self.fields is not None:
            return JSONResponse({"detail": self.fields}, status_code=self.status)
        return problem_response(self.status, self.code, self.detail)


def problem_response(
    status: int, code: str, detail: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return problem+json (RFC 7807) as Layer writes it."""
    content = {
        "type": f"https://api.layer.ai/errors/{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
    }
    return JSONResponse(content, status, headers, "application/problem+json")


def validation_problem(
    error: ValidationError,
    style: Literal["problem", "fields"],
    *,
    place: Literal["body", "query"] = "body",
) -> ProblemError:
    """Return the 422 for invalid fields, in one of its two shapes."""
    fields = [
        {"loc": [place, *item["loc"]], "msg": item["msg"], "type": item["type"]}
        for item in error.errors()
    ]
    first = fields[0]
    name = ".".join(str(part) for part in first["loc"][1:])
    detail = f"{name}: {first['msg']}"
    return ProblemError(422, "INVALID_INPUTS", detail, fields=fields if style == "fields" else None)


def page(
    entries: Sequence[Entry], *, limit: int, cursor: str | None
) -> tuple[Sequence[Entry], dict[str, Any]]:
    """Return the entries of one page, and how to get the next page (PaginationOutput).

    Raises:
        ProblemError: the cursor is invalid.
    """
    start = 0 if cursor is None else _decode_cursor(cursor)
    end = start + limit
    has_more = end < len(entries)
    return entries[start:end], {
        "next_cursor": encode_cursor(end) if has_more else None,
        "has_more_results": has_more,
        "total_count": len(entries),
    }


def encode_cursor(offset: int) -> str:
    """Return the opaque cursor of the page that starts at an offset."""
    return base64.urlsafe_b64encode(f"offset:{offset}".encode()).decode()


def _decode_cursor(cursor: str) -> int:
    try:
        offset = int(base64.urlsafe_b64decode(cursor).removeprefix(b"offset:"))
    except (ValueError, binascii.Error):
        offset = -1
    if offset < 0 or encode_cursor(offset) != cursor:
        raise ProblemError(422, "INVALID_INPUTS", "cursor: is not one of this list.")
    return offset


def workspace_json(state: SandboxState, workspace: SandboxWorkspace) -> dict[str, Any]:
    """Return a workspace (WorkspaceInfo)."""
    return {
        "workspace_id": workspace.workspace_id,
        "slug": workspace.slug,
        "name": workspace.name,
        "balance_creative_units": round(workspace.balance_creative_units, 2),
        "reserved_creative_units": state.reserved_creative_units(workspace.workspace_id),
        "available_creative_units": state.available_creative_units(workspace),
        "last_active_at": None,
    }


def model_json(model: SandboxModel) -> dict[str, Any]:
    """Return a model as lists show it (ModelSummary)."""
    return {
        "model_id": model.model_id,
        "name": model.name,
        "modality": model.modality,
        "base_model_id": None,
        "description": model.description,
        "inference_timing": model.inference_timing,
    }


def price_json(
    state: SandboxState, workspace: SandboxWorkspace, price_creative_units: float
) -> dict[str, Any]:
    """Return an estimated price and the balance after it (EstimateForgePriceOutput)."""
    available = state.available_creative_units(workspace)
    return {
        "estimated_price_creative_units": price_creative_units,
        "workspace_balance_creative_units": available,
        "estimated_remaining_balance_creative_units": round(available - price_creative_units, 2),
        "has_sufficient_creative_units": price_creative_units <= available,
    }


def started_run_json(state: SandboxState, run: Run) -> dict[str, Any]:
    """Return a run that was just submitted (ExecuteForgeOutput)."""
    return {
        "inference_id": run.inference_id,
        "status": spell_status(state, "in_progress"),
        "poll_interval_seconds": state.knobs.poll_interval_seconds,
        "created_at": format_time(run.submitted_at),
        "estimated_price_creative_units": run.price_creative_units,
        "session_id": None,
        "normalized_parameters": run.normalized_parameters,
    }


def run_json(state: SandboxState, run: Run) -> dict[str, Any]:
    """Return the status and the outputs of a run (GetForgeRunOutput)."""
    answer: dict[str, Any] = {
        "inference_id": run.inference_id,
        "status": spell_status(state, run.status),
    }
    if run.status == "in_progress":
        answer["poll_interval_seconds"] = state.knobs.poll_interval_seconds
    elif run.status == "complete":
        answer["completed_at"] = format_time(run.submitted_at + state.knobs.run_seconds)
        answer["actual_price_creative_units"] = state.actual_price(run)
        answer["outputs"] = [output_json(state, output) for output in run.outputs]
    elif run.error is not None:
        answer["error_code"], answer["error"] = run.error
    return answer


def output_json(state: SandboxState, file: StoredFile) -> dict[str, Any]:
    """Return a file that a run made (ForgeRunAsset)."""
    return {
        "file_id": file.file_id,
        **(_file_urls(state, file) if state.knobs.output_urls else {}),
        "content_type": state.knobs.declared_type or file.content_type,
        "width": file.width,
        "height": file.height,
        "duration_seconds": file.duration_seconds,
        "file_size_bytes": len(file.data),
    }


def _file_urls(state: SandboxState, file: StoredFile) -> dict[str, str]:
    path = f"workspaces/{file.workspace_id}/files/{file.file_id}"
    urls = {"url": f"{state.media_url}/media/{path}/{file.name}"}
    if state.knobs.previews and file.has_preview:
        urls["preview_url"] = f"{state.media_url}/previews/{path}.jpg"
    return urls


def format_time(seconds: float) -> str:
    """Return seconds since 1970 as Layer writes a time."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def spell_status(state: SandboxState, status: str) -> str:
    """Return a status as `Knobs.status_spelling` spells it."""
    return state.knobs.status_spelling.get(status, status)
