"""Requests that name local files become requests that Layer can take."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from layer_mcp import LayerClient, LayerError
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.references import (
    ANY_ID,
    Draft,
    InferenceDraft,
    Uploads,
    WorkflowDraft,
    WorkflowRunDraft,
    resolve_drafts,
)
from layer_mcp.runs.types import RunRequest
from layer_mcp.sandbox import RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_workflows

from ..support.hosts import IMAGE_MODEL
from ..support.local_uploads import client_of, uploads_of, written
from ..support.sandbox_calls import png

pytestmark = pytest.mark.anyio

FILE_WORKFLOW = sandbox_workflows()[1].workflow_id
FILE_INPUT = "image"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return written(tmp_path / "in" / "ein Trank.png", png("red"))


@pytest.fixture
async def layer(sandbox: RunningSandbox) -> AsyncGenerator[LayerClient]:
    async with client_of(sandbox) as client:
        yield client


@pytest.fixture
def uploads(tmp_path: Path, layer: LayerClient, journal: Journal) -> Uploads:
    return uploads_of(tmp_path, layer, journal)


async def resolve(
    draft: Draft, uploads: Uploads, layer: LayerClient, sandbox: RunningSandbox
) -> RunRequest:
    """The request that Layer gets for a draft."""
    [request] = await resolve_drafts([draft], sandbox.workspace_id, uploads, layer, seconds=20)
    return request


async def test_a_local_reference_becomes_an_uploaded_file(
    uploads: Uploads, layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    draft = InferenceDraft.model_validate(
        {
            "model_id": IMAGE_MODEL,
            "prompt": "x",
            "guidance_files": [{"path": str(picture), "type": "reference_image"}],
            "mask": {"path": str(picture)},
        }
    )
    request = await resolve(draft, uploads, layer, sandbox)
    [file_id] = sandbox.state.files
    [reference] = request.body["guidance_files"]
    assert (reference["file_id"], request.body["mask"]["file_id"]) == (file_id, file_id)
    assert "path" not in str(request.body)
    assert list(request.files) == [file_id]
    assert request.given == ("guidance_files", "mask", "model_id", "prompt")


async def test_a_local_input_of_a_workflow_becomes_an_uploaded_file(
    uploads: Uploads, layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    draft = WorkflowRunDraft(
        workflow_id=FILE_WORKFLOW,
        inputs={"prompt": "x", FILE_INPUT: str(picture)},
        session_name="today",
    )
    request = await resolve(draft, uploads, layer, sandbox)
    [file_id] = sandbox.state.files
    assert request.inputs[FILE_INPUT] == file_id
    assert request.body["session_name"] == "today"
    assert request.subject_name is not None


@pytest.mark.parametrize(
    ("workflow_id", "inputs", "code"),
    [
        (ANY_ID, {}, "WORKFLOW_NOT_FOUND"),
        (
            FILE_WORKFLOW,
            {"unknown": 1, "prompt": "x", FILE_INPUT: "ein Trank.png"},
            "INVALID_ARGUMENTS",
        ),
    ],
)
async def test_a_wrong_workflow_call_uploads_nothing(
    workflow_id: str,
    inputs: dict[str, Any],
    code: str,
    uploads: Uploads,
    layer: LayerClient,
    sandbox: RunningSandbox,
    picture: Path,
) -> None:
    draft = WorkflowDraft(workflow_id=workflow_id, inputs=inputs)
    with pytest.raises(LayerError, match=code):
        await resolve(draft, uploads, layer, sandbox)
    assert not sandbox.state.arrived["request_upload_url"]


@pytest.mark.parametrize("reference", [{}, {"path": "a.png", "file_id": ANY_ID}], ids=str)
def test_a_reference_has_one_source(reference: dict[str, str]) -> None:
    given = reference | {"type": "init"}
    with pytest.raises(ValidationError, match="either file_id or path"):
        InferenceDraft.model_validate({"model_id": IMAGE_MODEL, "guidance_files": [given]})
