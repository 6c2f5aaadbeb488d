"""The inputs of a workflow: checked by its own schemas, with local files in any shape."""

from typing import Any

import pytest

from layer_mcp import LayerError
from layer_mcp.api.models import Workflow
from layer_mcp.api.workflow_inputs import (
    check_inputs,
    describe_input,
    local_paths,
    with_file_ids,
)

from ..support.raw_servers import http_answer, raw_server

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
LIST_OF_FILES = {"type": "array", "items": {"type": "string"}}
FILE_OBJECT = {"type": "object", "properties": {"file_id": {"type": "string"}}}


def workflow(**inputs: dict[str, Any]) -> Workflow:
    """A workflow with these inputs, each a string that may be left out unless it says more."""
    entries = [
        {"name": name, "type": "string", "required": False, "description": "", **entry}
        for name, entry in inputs.items()
    ]
    return Workflow.model_validate({"workflow_id": ID, "inputs": entries})


def refusal(subject: Workflow, **inputs: Any) -> str:
    with pytest.raises(LayerError) as caught:
        check_inputs(subject, inputs)
    assert caught.value.code == "INVALID_ARGUMENTS"
    return caught.value.message


def test_accepts_inputs_that_match_the_schema() -> None:
    schema = {"type": "integer", "minimum": 1}
    check_inputs(workflow(count={"value_schema": schema}), {"count": 3})


def test_an_error_in_a_nested_value_names_its_location() -> None:
    schema = {"type": "array", "items": {"type": "object", "required": ["size"]}}
    sentence = refusal(workflow(parts={"value_schema": schema}), parts=[{"size": 1}, {}])
    assert sentence == 'inputs.parts.1 must have the fields ["size"].'


def test_a_required_input_with_a_default_may_be_left_out() -> None:
    check_inputs(workflow(mood={"required": True, "default": "calm"}), {})


def test_lists_only_some_of_many_problems() -> None:
    required = {name: {"required": True} for name in "abcde"}
    assert refusal(workflow(**required)).endswith("; and 2 more.")


@pytest.mark.parametrize(
    "schema",
    [{"type": "no-such-type"}, {"$ref": "#/nowhere"}, {"minimum": "three"}],
    ids=str,
)
def test_leaves_an_invalid_schema_to_layer(schema: dict[str, Any]) -> None:
    check_inputs(workflow(a={"value_schema": schema}), {"a": 1})


LOOPS: list[dict[str, Any]] = [
    {"$ref": "#"},
    {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}] * 2}}, "$ref": "#/$defs/a"},
    {"$id": "http://[::1", "$ref": "other.json"},
    {"$id": 5},
    {"$ref": "other.json"},
    {"$dynamicRef": "#nowhere"},
    {"$schema": "urn:none", "$ref": "#/$defs"},
    {"multipleOf": 0.5, "type": "integer"},
]


@pytest.mark.parametrize("schema", LOOPS, ids=str)
def test_leaves_a_schema_with_broken_references_to_layer(schema: dict[str, Any]) -> None:
    check_inputs(workflow(a={"value_schema": schema}), {"a": 10**400})


SLOW_PATTERN = "^(a+)+$"


SLOW_SCHEMAS: list[dict[str, Any]] = [
    {"pattern": SLOW_PATTERN},
    {"allOf": [{"$schema": DIALECT, "pattern": SLOW_PATTERN}]},
    {"patternProperties": {SLOW_PATTERN: {}}, "additionalProperties": False},
    {"allOf": [{"patternProperties": {SLOW_PATTERN: {}}}], "unevaluatedProperties": False},
    {"propertyNames": {"pattern": SLOW_PATTERN}},
    {"$ref": "#/enum/0", "enum": [{"pattern": SLOW_PATTERN}]},
    {"$ref": "#/$defs/pattern", "$defs": {"pattern": {"pattern": SLOW_PATTERN}}},
]


@pytest.mark.parametrize("schema", SLOW_SCHEMAS, ids=str)
def test_does_not_run_a_pattern_that_would_take_forever(schema: dict[str, Any]) -> None:
    text = "a" * 40 + "!"
    subject = workflow(a={"value_schema": schema}, b={"value_schema": schema})
    check_inputs(subject, {"a": text, "b": {text: 1}})


def test_values_are_not_compared_with_each_other() -> None:
    subject = workflow(a={"value_schema": {"type": "array", "uniqueItems": True}})
    check_inputs(subject, {"a": [{"b": number % 20} for number in range(20_000)]})


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (
            {"properties": {"pattern": {"type": "string"}}, "additionalProperties": False},
            {"pattern": "stripes"},
        ),
        ({"patternProperties": {"^x-": {}}, "additionalProperties": False}, {"x-a": 1}),
        ({"enum": [{"pattern": "stripes"}, {"pattern": "dots"}]}, {"pattern": "dots"}),
        ({"const": {"pattern": "stripes"}}, {"pattern": "stripes"}),
    ],
    ids=str,
)
def test_unchecked_rules_reject_nothing(schema: dict[str, Any], value: Any) -> None:
    check_inputs(workflow(a={"value_schema": schema}), {"a": value})


def test_a_property_that_is_called_like_a_rule_is_checked() -> None:
    schema = {"type": "object", "properties": {"pattern": {"enum": ["stripes"]}}}
    sentence = refusal(workflow(a={"value_schema": schema}), a={"pattern": "dots"})
    assert sentence == 'inputs.a.pattern must be one of ["stripes"].'


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"type": "string", "minLength": 3}, "ab", "inputs.a must have at least 3 characters."),
        ({"multipleOf": 8}, 12, "inputs.a must be a multiple of 8."),
        ({"exclusiveMinimum": 0}, 0, "inputs.a must be greater than 0."),
        ({"type": "integer", "minimum": 1}, 0, "inputs.a must be integer, 1..."),
    ],
    ids=str,
)
def test_an_error_names_the_violated_rule(schema: dict[str, Any], value: object, said: str) -> None:
    assert refusal(workflow(a={"value_schema": schema}), a=value) == said


def test_a_reference_in_a_foreign_schema_fetches_nothing() -> None:
    with raw_server(http_answer("200 OK", b"{}")) as server:
        schema = {"$ref": f"http://127.0.0.1:{server.port}/schema.json"}
        check_inputs(workflow(a={"value_schema": schema}), {"a": 1})
    assert server.heads == []


@pytest.mark.parametrize("kind", ["file", "File", "image", "file[]", "list_of_files", "video"])
def test_local_paths_are_found_where_files_are_wanted(kind: str) -> None:
    subject = workflow(a={"type": kind}, b={})
    inputs = {"a": ["x.png", ID, {"path": "y.png"}, "x.png"], "b": "not/a/file.png"}
    assert local_paths(subject, inputs) == ["x.png", "y.png"]


@pytest.mark.parametrize(
    ("schema", "value", "sent"),
    [
        ({"type": "string"}, "x.png", ID),
        ({"type": "string"}, {"path": "x.png"}, ID),
        (None, "x.png", ID),
        (LIST_OF_FILES, ["x.png", "other"], [ID, "other"]),
        (FILE_OBJECT, "x.png", {"file_id": ID}),
        (FILE_OBJECT, {"path": "x.png", "weight": 1}, {"weight": 1, "file_id": ID}),
        ({"type": "string"}, 5, 5),
    ],
    ids=str,
)
def test_an_uploaded_file_takes_the_shape_that_the_schema_wants(
    schema: dict[str, Any] | None, value: object, sent: object
) -> None:
    subject = workflow(a={"type": "file", "value_schema": schema})
    assert with_file_ids(subject, {"a": value}, {"x.png": ID}) == {"a": sent}


def test_text_that_equals_a_path_stays_text_where_no_file_is_wanted() -> None:
    subject = workflow(a={"type": "file"}, b={})
    replaced = with_file_ids(subject, {"a": "x.png", "b": "x.png"}, {"x.png": ID})
    assert replaced == {"a": ID, "b": "x.png"}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"value_schema": {"type": "integer", "minimum": 1, "maximum": 4}}, "integer, 1..4"),
        ({"value_schema": {"type": "number", "minimum": 0}}, "number, 0.."),
        ({"value_schema": {"enum": ["calm", "bright"]}}, "one of calm, bright"),
        ({"type": "prompt"}, "prompt"),
        ({"type": "file"}, "file_id or local path"),
        ({"default": "é"}, 'string, default "é"'),
    ],
    ids=str,
)
def test_an_input_is_described_by_its_rule(entry: dict[str, Any], words: str) -> None:
    [subject] = workflow(a=entry).inputs
    assert describe_input(subject) == words


def test_a_rule_of_many_choices_stays_short() -> None:
    [subject] = workflow(a={"value_schema": {"enum": ["choice"] * 1000}}).inputs
    assert len(describe_input(subject)) <= 160
