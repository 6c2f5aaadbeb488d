"""What makes two requests equal."""

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layer_mcp.api.models import InferenceRequest, WorkflowRunRequest
from layer_mcp.runs.types.fingerprint import fingerprint
from layer_mcp.runs.types.request import RunRequest

from ...support.hosts import IMAGE_MODEL

WORKSPACE = "0000aaaa-0000-4000-8000-0000000000aa"
names = st.text(max_size=8)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), names
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
parameters = st.dictionaries(names, values, max_size=5)


def digest(asked: dict[str, Any]) -> str:
    return fingerprint("inference", WORKSPACE, IMAGE_MODEL, asked, {})


def inference(files: Mapping[str, str] | None = None, **asked: Any) -> RunRequest:
    request = InferenceRequest(model_id=IMAGE_MODEL, **asked)
    return RunRequest.inference(request, WORKSPACE, files or {})


def request_digest(**asked: Any) -> str:
    return inference(**asked).fingerprint


def shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        items: list[tuple[str, Any]] = list(value.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        chance.shuffle(items)
        return {name: shuffled(item, chance) for name, item in items}
    return value


@given(parameters, st.integers())
def test_the_order_of_names_does_not_matter(asked: dict[str, Any], seed: int) -> None:
    assert digest(shuffled(asked, random.Random(seed))) == digest(asked)


@given(parameters, st.lists(names, max_size=3))
def test_null_is_the_same_as_absent(asked: dict[str, Any], nulls: list[str]) -> None:
    assert digest(dict.fromkeys(nulls) | asked) == digest(asked)


@given(st.dictionaries(names, parameters, max_size=3), names)
def test_null_within_an_object_is_the_same_as_absent(
    asked: dict[str, dict[str, Any]], name: str
) -> None:
    with_nulls = {outer: {name: None} | inner for outer, inner in asked.items()}
    assert digest(with_nulls) == digest(asked)


@given(parameters)
def test_a_question_survives_a_round_trip_as_json(asked: dict[str, Any]) -> None:
    assert digest(json.loads(json.dumps(asked))) == digest(asked)


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_is_the_same_with_a_point(number: int) -> None:
    assert digest({"a": float(number)}) == digest({"a": number})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {}),
        ({"a": 0.1}, {"a": 0.2}),
        ({"a": 1}, {"a": "1"}),
        ({"a": True}, {"a": 1}),
        ({"a": False}, {}),
        ({"a": ""}, {}),
        ({"a": []}, {}),
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}),
        ({"a": ["x", None]}, {"a": ["x"]}),
        ({"a": {"b": 1}}, {"a": {"b": 2}}),
        ({"a": "x"}, {"a": "X"}),
    ],
    ids=str,
)
def test_requests_that_differ_for_layer_have_different_fingerprints(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert digest(one) != digest(other)


@pytest.mark.parametrize(
    "place",
    [
        ("workflow", WORKSPACE, IMAGE_MODEL),
        ("inference", "another", IMAGE_MODEL),
        ("inference", WORKSPACE, "another"),
    ],
    ids=["kind", "workspace", "model"],
)
def test_the_fingerprint_includes_kind_workspace_and_model(place: tuple[str, str, str]) -> None:
    assert fingerprint(*place, {"a": 1}, {}) != digest({"a": 1})


def test_ids_are_the_same_in_any_case() -> None:
    upper = fingerprint("inference", WORKSPACE.upper(), IMAGE_MODEL.upper(), {"a": 1}, {})
    assert upper == digest({"a": 1})


def test_an_explicit_default_equals_an_omitted_one() -> None:
    assert request_digest(prompt="x", batch_size=4) == request_digest(prompt="x")


def test_a_request_with_another_prompt_differs() -> None:
    assert request_digest(prompt="x") != request_digest(prompt="y")


def test_a_file_uploaded_again_counts_as_the_same() -> None:
    first, second = (
        inference({file_id: "ab" * 32}, guidance_files=[{"file_id": file_id, "type": "init"}])
        for file_id in (f"1234abcd-0000-4000-8000-00000000000{number}" for number in (1, 2))
    )
    assert first.fingerprint == second.fingerprint


def test_files_of_unknown_content_differ_by_their_ids() -> None:
    first, second = (
        inference(guidance_files=[{"file_id": file_id, "type": "init"}])
        for file_id in (f"1234abcd-0000-4000-8000-00000000000{number}" for number in (1, 2))
    )
    assert first.fingerprint != second.fingerprint


def test_a_requests_label_and_name_do_not_matter() -> None:
    body = WorkflowRunRequest(inputs={"count": 2})
    named = RunRequest.workflow("flow", body, WORKSPACE, {}, "Potions")
    labeled = replace(named, subject_name=None, label="request 2: ", copy_number=3)
    assert labeled.fingerprint == named.fingerprint
