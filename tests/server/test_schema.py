"""The tools' schemas: portable, pinned by snapshots, and consistent with the models."""

import json
import re
from collections.abc import Iterator
from typing import Any, cast

import pytest
from annotated_types import Gt
from hypothesis import HealthCheck, assume, given, settings
from jsonschema import Draft202012Validator
from mcp import Client
from pydantic import BaseModel, ConfigDict, ValidationError
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from layer_mcp import Settings
from layer_mcp.arguments import parse_arguments
from layer_mcp.schema import SHAPE_KEYWORDS, outline, portable_schema
from layer_mcp.server.app import create_server
from layer_mcp.server.http.settings import HttpSettings
from layer_mcp.server.http.upload_links import UploadLinks
from layer_mcp.server.tools import tools_of
from layer_mcp.server.tools.execute_inference import ExecuteInferenceArguments
from layer_mcp.settings import DEFAULT_TOOLSETS, TOOLSETS, Toolset

from ..support.dialect_strategies import (
    MAX_TEXT_LENGTH,
    SOME_ID,
    allowed_by,
    near_the_limits,
)

pytestmark = pytest.mark.anyio

BANNED = {"$ref", "$defs", "anyOf", "oneOf", "allOf", "const", "format", "title", "nullable"}
TYPES = {"string", "integer", "number", "boolean", "array", "object"}
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

TOOLS = {
    tool.name: tool
    for tool in [*tools_of(TOOLSETS), *tools_of(["files"], upload_links=UploadLinks())]
}
ARGUMENTS: list[type[BaseModel]] = [tool.fn_metadata.arg_model for tool in TOOLS.values()]
FREE_FORM = {("estimate_workflow", "inputs"), ("execute_workflow", "inputs")}
# Their contents are those of execute_inference, which describes and limits them.
PARTS_OF_A_BATCH = ("requests", "defaults")
# Check a field that several tools share only once.
FIELDS = {
    (name, json.dumps(schema)): (model, name)
    for model in ARGUMENTS
    for name, schema in portable_schema(model)["properties"].items()
    if name not in PARTS_OF_A_BATCH
}.values()
SCHEMAS = {
    f"{name}-{kind}": schema
    for name, tool in TOOLS.items()
    for kind, schema in (("input", tool.parameters), ("output", tool.output_schema or {}))
}


def without_parts(name: str) -> dict[str, Any]:
    """Return the schema of a tool's arguments without what is in a batch's requests."""
    schema = TOOLS[name].parameters
    if name != "execute_batch":
        return schema
    flat = {
        part: {"type": "string", "description": schema["properties"][part].get("description")}
        for part in PARTS_OF_A_BATCH
    }
    return {**schema, "properties": {**schema["properties"], **flat}}


def subschemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for child in [*schema.get("properties", {}).values(), schema.get("items")]:
        if child is not None:
            yield from subschemas(child)


def allows(schema: dict[str, Any], value: dict[str, Any]) -> bool:
    errors = Draft202012Validator(schema).iter_errors(value)  # pyright: ignore[reportUnknownMemberType]
    return not list(errors)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_property_has_one_plain_type_and_no_banned_keyword(name: str) -> None:
    for schema in subschemas(SCHEMAS[name]):
        assert schema["type"] in TYPES
        assert not BANNED & schema.keys()
        assert not any(keyword.startswith("exclusive") for keyword in schema)
        assert schema.get("default", 0) is not None
        assert None not in schema.get("enum", [])


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_valid_json_schema(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize("name", TOOLS)
def test_objects_reject_unknown_properties(name: str) -> None:
    own = [TOOLS[name].parameters["properties"].get(p) for t, p in FREE_FORM if t == name]
    free_form = [schema.get("items", schema) for schema in own]
    for schema in subschemas(without_parts(name)):
        if schema["type"] == "object" and schema not in free_form:
            assert schema["additionalProperties"] is False


# execute_inference describes the arguments of estimate_price.
@pytest.mark.parametrize("name", sorted(TOOLS.keys() - {"estimate_price"}))
def test_every_argument_has_a_description(name: str) -> None:
    for schema in subschemas(without_parts(name)):
        assert all(p.get("description") for p in schema.get("properties", {}).values())


@pytest.mark.parametrize("name", ["guidance_files", "mask", "video_effects"])
def test_the_description_of_an_object_names_its_keys(name: str) -> None:
    schema = TOOLS["execute_inference"].parameters["properties"][name]
    keys = schema.get("items", schema)["properties"]
    assert [key for key in keys if key not in schema["description"]] == []


@pytest.mark.parametrize("part", ["requests", "defaults"])
def test_a_batch_names_every_argument_of_a_run(part: str) -> None:
    own = {"wait_seconds", "preview", "repeat", "max_price_creative_units", "workspace_id"}
    generation = outline(TOOLS["execute_inference"].parameters, SHAPE_KEYWORDS)["properties"]
    expected = {name: schema for name, schema in generation.items() if name not in own}
    schema = TOOLS["execute_batch"].parameters["properties"][part]
    assert schema.get("items", schema)["properties"] == expected


def test_estimate_price_takes_the_arguments_of_a_generation() -> None:
    own = {"wait_seconds", "preview", "repeat", "max_price_creative_units"}
    generation = outline(TOOLS["execute_inference"].parameters)["properties"]
    expected = {name: schema for name, schema in generation.items() if name not in own}
    assert TOOLS["estimate_price"].parameters["properties"] == expected


@pytest.mark.parametrize("name", TOOLS)
def test_names_and_texts_stay_within_the_limits_of_clients(name: str) -> None:
    tool = TOOLS[name]
    assert len(f"layer-mcp{name}") <= 40
    assert len(tool.description.encode()) < 2048
    assert tool.title


@pytest.mark.parametrize(
    ("toolsets", "most_bytes"), [(DEFAULT_TOOLSETS, 22_500), (TOOLSETS, 28_500)], ids=str
)
@pytest.mark.parametrize(
    "http", [None, HttpSettings(is_insecure=True)], ids=["stdio", "http for a team"]
)
async def test_the_list_of_tools_is_small(
    http: HttpSettings | None, toolsets: tuple[Toolset, ...], most_bytes: int
) -> None:
    async with Client(create_server(Settings(toolsets=toolsets), http=http)) as client:
        listed = (await client.list_tools()).model_dump(
            mode="json", by_alias=True, exclude_none=True
        )
    assert len(json.dumps(listed, separators=(",", ":"), ensure_ascii=False)) < most_bytes


@pytest.mark.parametrize("name", TOOLS)
def test_only_tools_that_read_are_marked_read_only(name: str) -> None:
    annotations = TOOLS[name].annotations
    assert annotations is not None
    assert annotations.read_only_hint is name.startswith(("get_", "list_", "estimate_"))


@pytest.mark.parametrize("name", ["execute_inference", "execute_workflow", "execute_batch"])
def test_paid_tools_are_not_marked_idempotent(name: str) -> None:
    annotations = TOOLS[name].annotations
    assert annotations is not None
    assert not annotations.idempotent_hint


@pytest.mark.parametrize("name", TOOLS)
def test_a_failed_call_matches_the_output_schema(name: str) -> None:
    failed = {"error": {"code": "TIMEOUT", "message": "Too slow."}, "next_step": "Call again."}
    assert allows(TOOLS[name].output_schema or {}, failed)


@pytest.mark.parametrize("name", TOOLS)
def test_published_tool_matches_its_snapshot(name: str, snapshot: SnapshotAssertion) -> None:
    tool = TOOLS[name]
    published = tool.model_dump(
        include={"name", "title", "description", "parameters", "annotations"}, exclude_none=True
    )
    golden = snapshot.use_extension(JSONSnapshotExtension)
    assert published | {"output_schema": tool.output_schema} == golden


def above_zero_only(model: type[BaseModel]) -> set[str]:
    """Return the numbers whose limit 'above 0' the dialect can't express."""
    properties = portable_schema(model)["properties"]
    return {
        name
        for name, field in model.model_fields.items()
        if properties[name]["type"] == "number" and "Gt(" in repr(field)
    }


def test_the_dialect_cannot_express_only_these_limits() -> None:
    assert above_zero_only(ExecuteInferenceArguments) == {"duration_seconds", "speed"}
    assert repr(Gt(0)) == "Gt(gt=0)"


@pytest.mark.parametrize("model", ARGUMENTS)
def test_generated_text_stays_within_the_limits_of_the_models(model: type[BaseModel]) -> None:
    limits = re.findall(r'"maxLength": (\d+)', json.dumps(model.model_json_schema()))
    assert all(int(limit) >= MAX_TEXT_LENGTH for limit in limits)


def give_one_source(reference: dict[str, Any]) -> None:
    """Keep either file_id or path, a limit that the dialect can't express."""
    if "file_id" in reference:
        reference.pop("path", None)
    elif "type" in reference and not reference.get("path"):
        reference["file_id"] = SOME_ID


def contains_not_given(value: object) -> bool:
    """Return whether a value contains "" or "null", which a required argument must not be."""
    if isinstance(value, dict):
        return any(map(contains_not_given, cast("dict[str, object]", value).values()))
    if isinstance(value, list):
        return any(map(contains_not_given, cast("list[object]", value)))
    return value in ("", "null")


@pytest.mark.slow
@pytest.mark.parametrize("model", ARGUMENTS)
def test_the_model_accepts_what_the_schema_allows(model: type[BaseModel]) -> None:
    schema = portable_schema(model)

    @MANY
    @given(allowed_by(schema))
    def check(arguments: dict[str, Any]) -> None:
        assert allows(schema, arguments)
        for name in above_zero_only(model) & arguments.keys():
            arguments[name] = arguments[name] or 1
        references: list[dict[str, Any]] = arguments.get("guidance_files", [])
        for reference in [*references, arguments.get("mask", {})]:
            give_one_source(reference)
        assume(not contains_not_given(arguments))
        parse_arguments(model, schema, arguments)

    check()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "name"), FIELDS, ids=lambda value: getattr(value, "__name__", value)
)
def test_the_schema_allows_what_the_model_accepts(model: type[BaseModel], name: str) -> None:
    schema = portable_schema(model)
    some: dict[str, object] = {"array": [{}], "integer": 1, "string": SOME_ID}
    required = {
        wanted: some[schema["properties"][wanted]["type"]] for wanted in schema.get("required", [])
    }
    accepted_count = 0

    @MANY
    @given(near_the_limits(schema["properties"][name]))
    def check(value: object) -> None:
        nonlocal accepted_count
        try:
            accepted = model.model_validate(required | {name: value})
        except ValidationError:
            return
        accepted_count += 1
        assert allows(schema, accepted.model_dump(mode="json", exclude_none=True))

    check()
    assert accepted_count > 0


def test_rejects_a_property_with_several_types() -> None:
    class Several(BaseModel):
        model_config = ConfigDict(extra="forbid")
        value: int | str

    with pytest.raises(ValueError, match="several types"):
        portable_schema(Several)
