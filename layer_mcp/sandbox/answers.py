"""What the sandbox answers: the contract's JSON."""

from typing import Any

from .catalog import SandboxModel
from .preview import has_preview
from .records import Run, SandboxWorkspace, StoredFile
from .state import SandboxState

CREATED_AT = "2026-01-01T00:00:00Z"


def workspace_json(state: SandboxState, workspace: SandboxWorkspace) -> dict[str, Any]:
    """A workspace as the contract shows it (WorkspaceInfo)."""
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
    """A model in a list (ModelSummary)."""
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
    """A price beside the balance (EstimateForgePriceOutput)."""
    available = state.available_creative_units(workspace)
    return {
        "estimated_price_creative_units": price_creative_units,
        "workspace_balance_creative_units": available,
        "estimated_remaining_balance_creative_units": round(available - price_creative_units, 2),
        "has_sufficient_creative_units": price_creative_units <= available,
    }


def started_json(state: SandboxState, run: Run) -> dict[str, Any]:
    """A run that was just submitted (ExecuteForgeOutput)."""
    return {
        "inference_id": run.inference_id,
        "status": spelled(state, "in_progress"),
        "poll_interval_seconds": state.knobs.poll_interval_seconds,
        "created_at": CREATED_AT,
        "estimated_price_creative_units": run.price_creative_units,
        "session_id": None,
        "normalized_parameters": run.normalized,
    }


def run_json(state: SandboxState, run: Run) -> dict[str, Any]:
    """The state of a run (GetForgeRunOutput)."""
    answer: dict[str, Any] = {
        "inference_id": run.inference_id,
        "status": spelled(state, run.status),
    }
    if run.status == "in_progress":
        answer["poll_interval_seconds"] = state.knobs.poll_interval_seconds
    elif run.status == "complete":
        answer["completed_at"] = CREATED_AT
        answer["actual_price_creative_units"] = state.actual_price(run)
        answer["outputs"] = [output_json(state, output) for output in run.outputs]
    elif run.error is not None:
        answer["error_code"], answer["error"] = run.error
    return answer


def output_json(state: SandboxState, file: StoredFile) -> dict[str, Any]:
    """A file that a run made (ForgeRunAsset)."""
    return {
        "file_id": file.file_id,
        **(_addresses(state, file) if state.knobs.output_urls else {}),
        "content_type": file.content_type,
        "width": file.width,
        "height": file.height,
        "duration_seconds": file.duration_seconds,
        "file_size_bytes": len(file.data),
    }


def _addresses(state: SandboxState, file: StoredFile) -> dict[str, str]:
    place = f"workspaces/{file.workspace_id}/files/{file.file_id}"
    addresses = {"url": f"{state.media_url}/media/{place}/{file.name}"}
    if state.knobs.previews and has_preview(file):
        addresses["preview_url"] = f"{state.media_url}/previews/{place}.jpg"
    return addresses


def spelled(state: SandboxState, status: str) -> str:
    """A status as the knobs want it spelled."""
    return state.knobs.status_spelling.get(status, status)
