"""What the sandbox answers: the contract's JSON, its filters and its pages."""

from typing import Any

from starlette.requests import Request

from .catalog import SandboxModel
from .problems import RefusalError
from .state import OutputFile, Run, SandboxState, SandboxWorkspace

CREATED_AT = "2026-01-01T00:00:00Z"
CAPABILITY_FILTERS = (
    "inpainting",
    "outpainting",
    "generate_audio",
    "text_to_speech",
    "sound_effect",
)


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


def matches(model: SandboxModel, request: Request) -> bool:
    """Whether a model passes the filters of a list request."""
    query = request.query_params
    if query.get("modality") not in (None, model.modality):
        return False
    words = f"{model.name} {model.description}".lower()
    if query.get("search", "").lower() not in words:
        return False
    return all(
        query.get(name) is None or (query[name] == "true") == has
        for name, has in _capabilities(model).items()
    )


def _capabilities(model: SandboxModel) -> dict[str, bool]:
    modes = model.capabilities.get("session_modes", [])
    references = model.capabilities.get("guidance_file_types", [])
    return {
        **{name: bool(model.capabilities.get(name)) for name in CAPABILITY_FILTERS},
        "supports_reference_images": "reference_image" in references,
        "text_to_3d": "create_3_d" in modes,
        "image_to_3d": "create_3_d" in modes and bool(references),
    }


def page(request: Request, items: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    """The items of one page, and where the next one is (PaginationOutput)."""
    try:
        limit = int(request.query_params.get("limit", "20"))
        start = int(request.query_params.get("cursor", "0"))
    except ValueError:
        raise RefusalError(422, "INVALID_INPUTS", "limit and cursor are not usable.") from None
    if not 1 <= limit <= 100 or start < 0:
        raise RefusalError(422, "INVALID_INPUTS", "limit: must be from 1 to 100.")
    end = start + limit
    more = end < len(items)
    return items[start:end], {
        "next_cursor": str(end) if more else None,
        "has_more_results": more,
        "total_count": len(items),
    }


def run_json(state: SandboxState, run: Run, request: Request) -> dict[str, Any]:
    """The state of a run (GetForgeRunOutput)."""
    answer: dict[str, Any] = {
        "inference_id": run.inference_id,
        "status": spelled(state, run.status),
    }
    if run.status == "in_progress":
        answer["poll_interval_seconds"] = state.knobs.poll_interval_seconds
    elif run.status == "complete":
        answer["completed_at"] = CREATED_AT
        answer["actual_price_creative_units"] = run.price_creative_units
        answer["outputs"] = [_output_json(run, output, request) for output in run.outputs]
    elif run.error is not None:
        answer["error_code"], answer["error"] = run.error
    return answer


def _output_json(run: Run, output: OutputFile, request: Request) -> dict[str, Any]:
    path = f"media/workspaces/{run.workspace_id}/files/{output.file_id}/{output.name}"
    return {
        "file_id": output.file_id,
        "url": f"{request.url.scheme}://{request.url.netloc}/{path}",
        "content_type": output.content_type,
        "width": output.width,
        "height": output.height,
        "duration_seconds": output.duration_seconds,
        "file_size_bytes": len(output.data),
    }


def spelled(state: SandboxState, status: str) -> str:
    """A status as the knobs want it spelled."""
    return state.knobs.status_spelling.get(status, status)
