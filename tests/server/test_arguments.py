"""Arguments from hosts: normalized, or rejected in one sentence."""

from typing import Any

import pytest

from layer_mcp import LayerError
from layer_mcp.arguments import NAMES_ELSEWHERE, normalize, parse_arguments
from layer_mcp.schema import portable_schema
from layer_mcp.server.tools import tools_of
from layer_mcp.server.tools.execute_inference import ExecuteInferenceArguments

ID = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
SCHEMA = portable_schema(ExecuteInferenceArguments)


def parse(**arguments: Any) -> ExecuteInferenceArguments:
    return parse_arguments(ExecuteInferenceArguments, SCHEMA, {"model_id": ID, **arguments})


def refusal(**arguments: Any) -> str:
    with pytest.raises(LayerError) as caught:
        parse(**arguments)
    assert caught.value.code == "INVALID_ARGUMENTS"
    return caught.value.message


@pytest.mark.parametrize("absent", [None, "null", ""])
def test_null_and_empty_mean_not_given(absent: object) -> None:
    arguments = parse(prompt=absent, width=absent, batch_size=absent, mask=absent)
    assert arguments.request({}).body() == parse().request({}).body()


def test_null_inside_an_object_means_not_given() -> None:
    guidance = {"file_id": ID, "type": "init", "weight": "null"}
    assert parse(guidance_files=[guidance]).guidance_files[0].weight is None


@pytest.mark.parametrize("empty", [{}, "{}", {"file_id": None, "path": "null"}], ids=str)
def test_an_object_without_anything_in_it_means_not_given(empty: object) -> None:
    assert parse(mask=empty).mask is None


@pytest.mark.parametrize("absent", [None, "null", ""])
def test_an_absent_item_of_a_list_means_not_given(absent: object) -> None:
    assert parse(guidance_files=[absent], video_effects=[absent]).guidance_files == []


@pytest.mark.parametrize(
    "sent",
    [
        f'[{{"file_id": "{ID}", "type": "init"}}]',
        [f'{{"file_id": "{ID}", "type": "init"}}'],
    ],
)
def test_parses_an_array_or_object_that_arrives_as_a_string(sent: object) -> None:
    assert parse(guidance_files=sent).guidance_files[0].type == "init"


@pytest.mark.parametrize("prompt", ['["a", "b"]', '{"a": 1}', "true", "12", "nullify it"])
def test_a_prompt_that_looks_like_json_stays_text(prompt: str) -> None:
    assert parse(prompt=prompt).prompt == prompt


def test_accepts_numbers_and_booleans_as_text() -> None:
    arguments = parse(width="64", guidance_scale="3.5", vectorize="true", wait_seconds="2")
    assert (arguments.width, arguments.guidance_scale) == (64, 3.5)
    assert (arguments.vectorize, arguments.wait_seconds) == (True, 2)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"promt": "x"}, 'promt is not an argument (did you mean "prompt"?).'),
        ({"Batch-Size": 2}, 'Batch-Size is not an argument (did you mean "batch_size"?).'),
        ({"zzz": 1}, "zzz is not an argument."),
        (
            {"parameters": {"prompt": "x"}},
            "parameters is not an argument (arguments are flat: pass what is in it directly).",
        ),
        ({"batch_size": True}, "batch_size must be a number, not True."),
        ({"speed": False}, "speed must be a number, not False."),
        ({"seed": 1e300}, "seed is too large"),
        ({"guidance_files": [{"type": "x"}] * 21}, "guidance_files must have at most 20 items."),
        ({"batch_size": 17}, "batch_size must be less than or equal to 16, not 17."),
        ({"width": 0}, "width must be greater than 0, not 0."),
        ({"width": "wide"}, "width must be a whole number."),
        ({"width": 1.5}, "width must be a whole number, not 1.5."),
        ({"vectorize": "maybe"}, "vectorize must be true or false."),
        ({"mask": [1]}, "mask must be an object."),
        ({"guidance_files": 3}, "guidance_files must be a list, not 3."),
        ({"quality": "best"}, "quality must be 'low', 'medium' or 'high'."),
        ({"model_id": "flux"}, "model_id must be an ID such as 0f8fad5b-"),
        ({"prompt": ["a"]}, "prompt must be text."),
        ({"session_name": "x" * 256}, "session_name must have at most 255 characters."),
        (
            {"mask": {"edgeradius": 1}},
            'mask.edgeradius is not an argument (did you mean "edge_radius"?).',
        ),
        (
            {"guidance_files": [{"file_id": ID, "typ": "init"}]},
            "guidance_files.0.type is missing; guidance_files.0.typ is not an argument (did you "
            'mean "type"?).',
        ),
    ],
    ids=str,
)
def test_an_error_names_the_field_the_limit_and_the_nearest_name(
    wrong: dict[str, Any], sentence: str
) -> None:
    assert refusal(**wrong).startswith(sentence.removesuffix("."))


def test_an_error_names_a_missing_argument() -> None:
    with pytest.raises(LayerError, match="model_id is missing"):
        parse_arguments(ExecuteInferenceArguments, SCHEMA, {"prompt": "x"})


def test_an_error_lists_the_first_problems_and_counts_the_rest() -> None:
    message = refusal(width=0, height=0, fps=0, face_limit=0, batch_size=0)
    assert message.endswith("; and 2 more.")


def test_an_error_stays_short_and_does_not_repeat_long_values() -> None:
    message = refusal(**{"x" * 5000: 1, "prompt": {"a": "b" * 5000}})
    assert len(message) < 300


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 50_000, "1" * 10_000])
def test_leaves_text_that_is_not_json_to_validation(deep: str) -> None:
    assert normalize(deep, {"type": "array", "items": {}}) == deep or deep.isdigit()
    assert "guidance_files" in refusal(guidance_files=deep)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("n", '"batch_size"'),
        ("num_images", '"batch_size"'),
        ("count", '"batch_size"'),
        ("size", '"width" and "height"'),
        ("aspect_ratio", '"width" and "height"'),
        ("steps", '"num_inference_steps"'),
        ("image", '"guidance_files"'),
        ("images", '"guidance_files"'),
        ("reference_images", '"guidance_files"'),
        ("imageUrl", '"guidance_files"'),
        ("upscale_factor", '"upscale_ratio"'),
        ("timeout", '"wait_seconds"'),
        ("cfg_scale", '"guidance_scale"'),
        ("duration", '"duration_seconds"'),
        ("Frame-Rate", '"fps"'),
        ("widht", '"width"'),
    ],
)
def test_suggests_the_argument_for_another_services_name(name: str, meant: str) -> None:
    assert f"(did you mean {meant}?)" in refusal(**{name: 1})


def test_a_negative_prompt_is_not_suggested_as_the_prompt() -> None:
    assert refusal(negative_prompt="blurry") == (
        'negative_prompt is not an argument (describe what to avoid in "prompt").'
    )


@pytest.mark.parametrize(
    ("tool", "name", "meant"),
    [
        ("get_status", "run_id", "inference_id"),
        ("get_status", "id", "inference_id"),
        ("list_models", "query", "search"),
        ("upload_file", "file_path", "path"),
        ("save_outputs", "output_dir", "folder"),
    ],
)
def test_a_translation_is_an_argument_of_the_tool(tool: str, name: str, meant: str) -> None:
    [found] = [one for one in tools_of() if one.name == tool]
    with pytest.raises(LayerError) as caught:
        parse_arguments(found.fn_metadata.arg_model, found.parameters, {name: "x"})
    assert f'{name} is not an argument (did you mean "{meant}"?)' in caught.value.message


@pytest.mark.parametrize("name", ["scheduler", "lora", "webhook", "xyz"])
def test_a_name_unlike_any_other_gets_no_suggestion(name: str) -> None:
    assert "did you mean" not in refusal(**{name: 1})


def test_every_translation_is_an_argument() -> None:
    references = SCHEMA["properties"]["guidance_files"]["items"]["properties"].keys()
    known = {name for tool in tools_of() for name in tool.parameters["properties"]} | references
    assert {name for names in NAMES_ELSEWHERE.values() for name in names} <= known
    assert not any("_" in name or name != name.lower() for name in NAMES_ELSEWHERE)
