"""Requests are strict, responses are lenient, and both agree with the published contract."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from layer_mcp import GuidanceFile, Inference, InferenceRequest, Mask, StartedInference, VideoEffect
from layer_mcp.api.models import (
    ModelAnswer,
    ModelCapabilities,
    ModelDetail,
    ModelList,
    ModelQuery,
    ModelSummary,
    Output,
    Pagination,
    PriceEstimate,
    StartedWorkflowRun,
    UploadUrl,
    Workflow,
    WorkflowInput,
    WorkflowPriceEstimate,
    WorkflowQuery,
    WorkflowRun,
    WorkflowRunRequest,
    WorkflowStep,
    Workspace,
    canonical_status,
    canonical_step_status,
)
from layer_mcp.schema import portable_schema

from ..support.contract import paths, plain, schemas

ID = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
LIMITS = ("type", "minimum", "maximum", "maxLength", "maxItems", "enum", "default")
PARTS: dict[str, type[BaseModel]] = {
    "ExecuteInferenceRequest": InferenceRequest,
    "ForgeGuidanceFileInput": GuidanceFile,
    "ForgeMaskInput": Mask,
    "ForgeVideoEffectInput": VideoEffect,
    "ExecuteWorkflowRequest": WorkflowRunRequest,
}
ANSWERS: dict[str, type[BaseModel]] = {
    "ExecuteForgeOutput": StartedInference,
    "GetForgeRunOutput": Inference,
    "ForgeRunAsset": Output,
    "EstimateForgePriceOutput": PriceEstimate,
    "ModelSummary": ModelSummary,
    "ModelDetailREST": ModelDetail,
    "ModelCapabilitiesREST": ModelCapabilities,
    "RequestUploadUrlResponse": UploadUrl,
    "WorkflowSummary": Workflow,
    "WorkflowInput": WorkflowInput,
    "EstimateWorkflowPriceOutput": WorkflowPriceEstimate,
    "ExecuteWorkflowOutput": StartedWorkflowRun,
    "GetWorkflowRunOutput": WorkflowRun,
    "GetWorkflowRunStep": WorkflowStep,
    "PaginationOutput": Pagination,
    "WorkspaceInfo": Workspace,
}
# Fields that aren't read here, and the one field that is ours.
NOT_READ = {
    "WorkflowSummary": {"created_at", "published_at"},
    "ExecuteWorkflowOutput": {"created_at"},
    "WorkspaceInfo": {"last_active_at"},
}
OURS = {"references_refused", "remarks"}
# Layer adds names to these lists: any name is passed on. A blur below 0 is ours.
OPEN_LISTS = {("ForgeGuidanceFileInput", "type"), ("ForgeVideoEffectInput", "type")}
STRICTER = {
    ("ForgeMaskInput", "edge_radius"): {"minimum": 0},
    ("ExecuteWorkflowRequest", "session_name"): {"maxLength": 255},
}


def limits(schema: dict[str, Any]) -> dict[str, Any]:
    found = {name: schema[name] for name in LIMITS if name in schema}
    if "exclusiveMinimum" in schema:
        found["minimum"] = schema["exclusiveMinimum"] + (schema["type"] == "integer")
    if found.get("default") in (None, []):
        found.pop("default", None)
    return found


def max_length(schema: dict[str, Any]) -> dict[str, int]:
    branches = [schema, *schema.get("anyOf", [])]
    lengths = [branch["maxLength"] for branch in branches if "maxLength" in branch]
    return {"maxLength": lengths[0]} if lengths else {}


def test_the_body_has_all_38_fields() -> None:
    assert len(InferenceRequest.model_fields) == 38


@pytest.mark.parametrize("name", PARTS)
def test_each_field_of_the_contract_is_in_the_model_with_the_same_limits(name: str) -> None:
    published = schemas()[name]["properties"]
    ours = portable_schema(PARTS[name])["properties"]
    exact = PARTS[name].model_json_schema()["properties"]
    assert list(ours) == list(published)
    for field, schema in published.items():
        expected = limits(plain(schema)) | STRICTER.get((name, field), {})
        if (name, field) in OPEN_LISTS:
            expected.pop("enum")
        # The published schema does not say how long a text may be; the model does.
        assert limits(ours[field]) | max_length(exact[field]) == expected, field


@pytest.mark.parametrize("name", PARTS)
def test_the_same_fields_are_required_as_in_the_contract(name: str) -> None:
    required = [field for field, info in PARTS[name].model_fields.items() if info.is_required()]
    assert required == schemas()[name].get("required", [])


@pytest.mark.parametrize("name", ANSWERS)
def test_each_field_of_an_answer_is_in_the_model(name: str) -> None:
    published = set(schemas()[name]["properties"]) - NOT_READ.get(name, set())
    assert set(ANSWERS[name].model_fields) - OURS == published


def query_of(path: str) -> dict[str, Any]:
    """The query parameters of a list in the contract, by name."""
    parameters: list[dict[str, Any]] = paths()[path]["get"]["parameters"]
    return {entry["name"]: entry["schema"] for entry in parameters if entry["in"] == "query"}


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/workspaces/{workspace_id}/models", ModelQuery),
        ("/v1/workspaces/{workspace_id}/workflows", WorkflowQuery),
    ],
)
def test_each_filter_of_a_list_is_in_its_query(path: str, model: type[BaseModel]) -> None:
    assert list(model.model_fields) == list(query_of(path))


def test_a_query_has_only_the_given_fields_and_lowercase_booleans() -> None:
    query = ModelQuery(search="cats", inpainting=True, outpainting=False)
    assert query.params() == {
        "search": "cats",
        "inpainting": "true",
        "outpainting": "false",
        "limit": "20",
    }


@pytest.mark.parametrize("key", ["model_id", "id", "base_model_id"])
def test_the_key_of_a_models_id_may_be_any_of_three(key: str) -> None:
    assert ModelSummary.model_validate({key: ID, "name": "m"}).model_id == ID


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_model_may_come_wrapped_or_bare(wrapped: bool) -> None:
    model = {"model_id": ID, "name": "m"}
    answer = ModelAnswer.model_validate({"model": model} if wrapped else model)
    assert answer.model.model_id == ID


@pytest.mark.parametrize(
    "strange",
    [{}, {"capabilities": 3}, {"capabilities": {"seed": "maybe", "duration_seconds": "long"}}],
    ids=str,
)
def test_strange_capabilities_do_not_hide_a_model(strange: dict[str, Any]) -> None:
    assert ModelAnswer.model_validate({"model_id": ID, **strange}).model.model_id == ID


def test_one_model_without_an_id_does_not_hide_the_others() -> None:
    page = ModelList.model_validate({"models": [{"name": "x"}, None, {"model_id": ID}]})
    assert [model.model_id for model in page.models] == [ID]


@pytest.mark.parametrize(
    ("spelled", "meant"),
    [
        ("PENDING", "pending"),
        ("queued", "pending"),
        ("running", "in_progress"),
        ("success", "complete"),
        ("failure", "failed"),
        ("canceled", "cancelled"),
        ("dreaming", "dreaming"),
    ],
)
def test_a_workflow_step_has_the_statuses_of_a_run_and_pending(spelled: str, meant: str) -> None:
    assert canonical_step_status(spelled) == meant


@pytest.mark.parametrize(
    "wire", ["pending", "running", "success", "failure", "cancelled", "dreaming"]
)
def test_workflow_runs_and_inferences_describe_a_status_the_same_way(wire: str) -> None:
    run = WorkflowRun.model_validate({"run_id": "r", "status": wire})
    inference = Inference.model_validate({"inference_id": "i", "status": wire})
    assert run.status == inference.status == canonical_status(wire)


@pytest.mark.parametrize(
    "wrong",
    [
        {"parameters": {"prompt": "x"}},
        {"promt": "x"},
        {"guidance_files": [{"file_id": ID, "type": "init", "weigth": 1}]},
        {"mask": {"file": ID}},
    ],
)
def test_an_unknown_name_is_refused_at_every_level(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        InferenceRequest.model_validate({"model_id": ID, **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_size": 0},
        {"batch_size": 17},
        {"width": 0},
        {"duration_seconds": 0},
        {"speed": -1},
        {"stability": 1.01},
        {"guidance_scale": float("inf")},
        {"creativity": float("nan")},
        {"quality": "ultra"},
        {"prompt": "x" * 100_001},
        {"prompt": "\ud800"},
        {"session_name": "x" * 256},
        {"guidance_files": [{"file_id": ID, "type": "init"}] * 21},
        {"guidance_files": [{"file_id": ID, "type": "init", "weight": 2}]},
        {"video_effects": [{"type": "zoom_in", "weight": 101}]},
        {"mask": {"edge_radius": -1}},
        {"model_id": "flux"},
    ],
    ids=str,
)
def test_a_value_outside_its_limits_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        InferenceRequest.model_validate({"model_id": ID, **wrong})


def test_passes_on_an_unknown_type_name_in_lowercase() -> None:
    request = InferenceRequest.model_validate(
        {"model_id": ID, "guidance_files": [{"file_id": ID, "type": "Reference_Smell"}]}
    )
    assert request.body()["guidance_files"] == [{"file_id": ID, "type": "reference_smell"}]


def test_requests_to_layer_contain_no_nulls() -> None:
    request = InferenceRequest.model_validate(
        {"model_id": ID, "prompt": None, "mask": {"file_id": ID, "for_transparency": None}}
    )
    assert "null" not in json.dumps(request.body())
    assert request.body()["mask"] == {"file_id": ID, "edge_radius": 0}


@pytest.mark.parametrize(
    ("spelled", "meant"),
    [
        ("complete", "complete"),
        ("COMPLETE", "complete"),
        ("COMPLETED", "complete"),
        (" Completed ", "complete"),
        ("IN_PROGRESS", "in_progress"),
        ("pending", "in_progress"),
        ("QUEUED", "in_progress"),
        ("running", "in_progress"),
        ("success", "complete"),
        ("Succeeded", "complete"),
        ("failure", "failed"),
        ("in-progress", "in_progress"),
        ("In Progress", "in_progress"),
        ("canceled", "cancelled"),
        ("CANCELLED", "cancelled"),
        ("Failed", "failed"),
        ("deleted", "deleted"),
        ("Sleeping", "sleeping"),
    ],
)
def test_the_spellings_of_a_status_are_one(spelled: str, meant: str) -> None:
    assert canonical_status(spelled) == meant


@pytest.mark.parametrize(
    "extra",
    [
        {"new_field": {"a": 1}},
        {"status": "half_done"},
        {"poll_interval_seconds": "soon"},
        {"poll_interval_seconds": 2.5},
        {"outputs": None},
        {"outputs": "none"},
        {"outputs": [None, 3, {"url": 5, "width": "wide"}]},
        {"actual_price_creative_units": "free"},
        {"error": {"message": "x"}},
        {"completed_at": 5},
    ],
    ids=str,
)
def test_a_strange_answer_never_breaks_the_state_of_a_run(extra: dict[str, Any]) -> None:
    run = Inference.model_validate({"inference_id": "i", "status": "complete", **extra})
    assert run.inference_id == "i"


def test_the_answer_to_a_submission_needs_nothing_but_the_id() -> None:
    started = StartedInference.model_validate({"inference_id": "i", "normalized_parameters": 3})
    assert (started.inference_id, started.status) == ("i", "in_progress")
