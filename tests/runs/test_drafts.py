"""Turning requests with local files into requests that Layer accepts."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from layer_mcp import LayerClient, LayerError
from layer_mcp.runs.drafts import Draft, InferenceDraft, WorkflowDraft, WorkflowRunDraft
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.operations import ModelLookup
from layer_mcp.runs.resolve import ANY_ID, resolve_drafts, resolve_for_price
from layer_mcp.runs.types.request import RunRequest
from layer_mcp.runs.uploads import Uploads
from layer_mcp.sandbox import Fault, RunningSandbox
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
    [request] = await resolve_drafts(
        [draft], sandbox.workspace_id, uploads, layer, ModelLookup(layer), seconds=20
    )
    return request


async def resolve_price(
    draft: Draft, uploads: Uploads, layer: LayerClient, sandbox: RunningSandbox
) -> tuple[RunRequest, list[str]]:
    """The request that is priced for a draft, and the files that it leaves out."""
    models = ModelLookup(layer)
    return await resolve_for_price(draft, sandbox.workspace_id, uploads, layer, models)


def picture_of(**fields: Any) -> InferenceDraft:
    return InferenceDraft.model_validate({"model_id": IMAGE_MODEL, "prompt": "x", **fields})


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


async def test_a_price_leaves_out_files_that_were_never_uploaded(
    uploads: Uploads, layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    reference = {"path": str(picture), "type": "reference_image"}
    draft = picture_of(guidance_files=[reference], mask={"path": str(picture)})
    request, left_out = await resolve_price(draft, uploads, layer, sandbox)
    assert (request.body["guidance_files"], request.body.get("mask")) == ([], None)
    assert left_out == [str(picture)]
    assert not sandbox.state.arrived["request_upload_url"]


async def test_a_price_includes_a_file_whose_content_was_uploaded_before(
    uploads: Uploads, layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    [known] = await uploads.upload([str(picture)], sandbox.workspace_id, seconds=20)
    copy = written(picture.with_name("copy.png"), picture.read_bytes())
    draft = picture_of(guidance_files=[{"path": str(copy), "type": "init"}])
    request, left_out = await resolve_price(draft, uploads, layer, sandbox)
    assert request.body["guidance_files"][0]["file_id"] == known.file_id
    assert left_out == []
    assert sandbox.state.arrived["request_upload_url"] == 1


async def test_a_price_of_a_workflow_leaves_out_a_file_that_was_never_uploaded(
    uploads: Uploads, layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    inputs = {"prompt": "x", FILE_INPUT: str(picture)}
    draft = WorkflowDraft(workflow_id=FILE_WORKFLOW, inputs=inputs)
    request, left_out = await resolve_price(draft, uploads, layer, sandbox)
    assert (request.inputs, left_out) == ({"prompt": "x"}, [str(picture)])
    assert not sandbox.state.arrived["request_upload_url"]


async def test_a_path_outside_the_input_folders_gets_no_price(
    uploads: Uploads, layer: LayerClient, sandbox: RunningSandbox
) -> None:
    draft = picture_of(guidance_files=[{"path": "../secret.png", "type": "init"}])
    with pytest.raises(LayerError, match="PATH_NOT_ALLOWED"):
        await resolve_price(draft, uploads, layer, sandbox)


async def test_a_reference_type_that_the_model_does_not_take_is_refused(
    uploads: Uploads, layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    draft = picture_of(guidance_files=[{"path": str(picture), "type": "depth"}])
    with pytest.raises(LayerError) as caught:
        await resolve(draft, uploads, layer, sandbox)
    assert caught.value.message == (
        "guidance_files: the model doesn't take type depth. It takes: init, reference_image, "
        "editing_reference."
    )
    assert not sandbox.state.arrived["request_upload_url"]


@pytest.mark.parametrize("name", ["INIT", "init_image", "ip_adapter"])
async def test_another_name_of_a_reference_type_is_passed_on(
    name: str, uploads: Uploads, layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    draft = picture_of(guidance_files=[{"path": str(picture), "type": name}])
    request = await resolve(draft, uploads, layer, sandbox)
    assert request.body["guidance_files"][0]["type"] == name.lower()


async def test_a_model_that_lists_no_types_gets_any(
    uploads: Uploads, layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    sandbox.state.models = tuple(replace(one, capabilities={}) for one in sandbox.state.models)
    draft = picture_of(guidance_files=[{"path": str(picture), "type": "depth"}])
    assert (await resolve(draft, uploads, layer, sandbox)).body["guidance_files"]


async def test_a_model_that_cannot_be_read_refuses_nothing(
    uploads: Uploads, layer: LayerClient, sandbox: RunningSandbox, picture: Path
) -> None:
    sandbox.state.knobs.fail_next("get_model", Fault("status", status=404))
    draft = picture_of(fps=24, guidance_files=[{"path": str(picture), "type": "depth"}])
    request = await resolve(draft, uploads, layer, sandbox)
    assert (request.ignored, len(request.body["guidance_files"])) == ((), 1)


async def test_the_arguments_that_a_model_ignores_are_known_before_it_is_paid(
    uploads: Uploads, layer: LayerClient, sandbox: RunningSandbox
) -> None:
    draft = picture_of(fps=24, width=64, video_effects=[{"type": "zoom_in"}], low_poly=False)
    request = await resolve(draft, uploads, layer, sandbox)
    assert request.ignored == ("fps", "video_effects")


async def test_a_call_with_common_arguments_does_not_read_the_model(
    uploads: Uploads, layer: LayerClient, sandbox: RunningSandbox
) -> None:
    await resolve(picture_of(width=64, height=64, seed=1, name="potion"), uploads, layer, sandbox)
    assert not sandbox.state.arrived["get_model"]


@pytest.mark.parametrize("reference", [{}, {"path": "a.png", "file_id": ANY_ID}], ids=str)
def test_a_reference_has_one_source(reference: dict[str, str]) -> None:
    given = reference | {"type": "init"}
    with pytest.raises(ValidationError, match="either file_id or path"):
        InferenceDraft.model_validate({"model_id": IMAGE_MODEL, "guidance_files": [given]})
