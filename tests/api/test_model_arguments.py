"""Which parts of a request a model uses."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layer_mcp.api.model_arguments import (
    ALWAYS_USED,
    MODALITIES_BY_FIELD,
    ArgumentUse,
    argument_use,
)
from layer_mcp.api.models import InferenceRequest, ModelCapabilities, ModelDetail
from layer_mcp.sandbox.catalog import sandbox_models

MODEL_ID = "00000000-0000-4000-8000-000000000001"
FIELDS = tuple(InferenceRequest.model_fields)
MODALITIES = ["image", "video", "three_d", "audio", "text"]
MODES = ["create", "create_video", "create_3_d", "create_speech", "create_sound_effect"]
FLAGS = [
    name
    for name in ModelCapabilities.model_fields
    if name not in ("session_modes", "guidance_file_types", "duration_seconds")
]


def use(modality: str | None, **capabilities: Any) -> ArgumentUse:
    return argument_use(
        ModelDetail.model_validate(
            {"model_id": MODEL_ID, "modality": modality, "capabilities": capabilities or None}
        )
    )


def any_capabilities() -> st.SearchStrategy[dict[str, Any]]:
    flags: dict[str, st.SearchStrategy[Any]] = {name: st.booleans() for name in FLAGS}
    modes = st.lists(st.sampled_from([*MODES, "prompt_edit_image", "upscale"]) | st.text())
    lists: dict[str, st.SearchStrategy[Any]] = {
        "session_modes": modes,
        "guidance_file_types": st.lists(st.sampled_from(["init", "depth"])),
        "duration_seconds": st.lists(st.integers(1, 60)),
    }
    return st.fixed_dictionaries({}, optional={**flags, **lists})


@given(st.none() | st.sampled_from(MODALITIES) | st.text(), any_capabilities())
def test_every_argument_is_in_exactly_one_group(
    modality: str | None, capabilities: dict[str, Any]
) -> None:
    sorted_use = use(modality, **capabilities)
    grouped = sorted_use.uses + sorted_use.may_use + sorted_use.ignores
    assert sorted(grouped) == sorted(FIELDS)


@given(st.sampled_from(MODALITIES), any_capabilities())
def test_the_arguments_are_in_the_order_of_the_request(
    modality: str, capabilities: dict[str, Any]
) -> None:
    sorted_use = use(modality, **capabilities)
    for group in (sorted_use.uses, sorted_use.may_use, sorted_use.ignores):
        assert group == tuple(name for name in FIELDS if name in group)


def test_each_argument_of_the_request_has_its_modalities() -> None:
    assert ALWAYS_USED | set(MODALITIES_BY_FIELD) == set(FIELDS)


@pytest.mark.parametrize("modality", [*MODALITIES, None, "world"])
def test_some_arguments_always_apply(modality: str | None) -> None:
    assert set(use(modality).uses) == {"model_id", "batch_size", "session_name"}


@pytest.mark.parametrize("modality", [None, "", "world"])
def test_an_unknown_modality_rules_nothing_out(modality: str | None) -> None:
    assert use(modality).ignores == ()


@pytest.mark.parametrize(
    ("modality", "fits", "foreign"),
    [
        ("image", {"width", "num_inference_steps", "vectorize", "mask"}, {"fps", "face_limit"}),
        ("video", {"width", "duration_seconds", "fps"}, {"vectorize", "speed", "quad_mesh"}),
        ("three_d", {"face_limit", "low_poly", "include_textures"}, {"width", "stability"}),
        ("audio", {"duration_seconds", "stability", "prompt_strength"}, {"width", "mask"}),
        ("text", {"prompt", "seed", "guidance_files"}, {"width", "fps", "quality"}),
        ("IMAGE", {"width"}, {"fps"}),
    ],
)
def test_without_capabilities_the_modality_decides(
    modality: str, fits: set[str], foreign: set[str]
) -> None:
    assert fits <= set(use(modality).may_use)
    assert foreign <= set(use(modality).ignores)


@pytest.mark.parametrize(
    ("modality", "capability", "argument"),
    [
        ("image", "text_prompt", "prompt"),
        ("image", "seed", "seed"),
        ("video", "generate_audio", "generate_audio"),
        ("three_d", "textures", "include_textures"),
        ("three_d", "quad_mesh", "quad_mesh"),
        ("three_d", "pbr_materials", "pbr_materials"),
        ("audio", "text_to_speech", "stability"),
        ("audio", "text_to_speech", "speed"),
    ],
)
def test_a_capability_decides_on_its_argument(
    modality: str, capability: str, argument: str
) -> None:
    assert argument in use(modality, **{capability: True}).uses
    assert argument in use(modality, **{capability: False}).ignores
    assert argument in use(modality).may_use


@pytest.mark.parametrize("capability", ["inpainting", "outpainting"])
def test_a_model_that_repaints_or_extends_uses_a_mask(capability: str) -> None:
    assert "mask" in use("image", **{capability: True}).uses


def test_a_mask_is_ignored_only_when_neither_is_possible() -> None:
    assert "mask" in use("image", inpainting=False, outpainting=False).ignores
    assert "mask" in use("image", inpainting=False).may_use


def test_types_of_references_say_that_references_are_used() -> None:
    types = ["init", "reference_image"]
    assert "guidance_files" in use("image", guidance_file_types=types).uses
    assert "guidance_files" in use("image", guidance_file_types=[]).ignores


def test_lengths_say_that_a_length_is_used() -> None:
    assert "duration_seconds" in use("video", duration_seconds=[4]).uses


def test_no_listed_length_leaves_the_length_open() -> None:
    assert "duration_seconds" in use("audio", duration_seconds=[]).may_use
    assert "duration_seconds" in use("image", duration_seconds=[]).ignores


def test_the_mode_of_speech_counts_as_speech() -> None:
    assert "speed" in use("audio", session_modes=["create_speech"], text_to_speech=False).uses


def test_a_model_of_sound_effects_alone_ignores_the_voice() -> None:
    assert "speed" in use("audio", session_modes=["create_sound_effect"]).ignores


def test_a_mode_of_another_modality_adds_its_arguments() -> None:
    assert "fps" in use("image", session_modes=["create", "create_video"]).may_use


def test_the_notes_name_types_and_lengths() -> None:
    sorted_use = use("video", guidance_file_types=["init", "depth"], duration_seconds=[4, 8, 12.5])
    assert sorted_use.notes[:2] == (
        "guidance_files types: init, depth.",
        "duration_seconds: 4, 8 or 12.5.",
    )


def test_a_single_length_is_named_alone() -> None:
    assert "duration_seconds: 5." in use("video", duration_seconds=[5]).notes


@pytest.mark.parametrize(
    "modes", [["prompt_edit_image"], ["upscale"], ["image_to_3d", "prompt_edit_image"]]
)
def test_a_model_that_only_works_on_files_says_that_it_needs_one(modes: list[str]) -> None:
    assert "Needs an input file in guidance_files." in use("image", session_modes=modes).notes


@pytest.mark.parametrize("modes", [[], ["create", "prompt_edit_image"], ["something_new"]])
def test_does_not_guess_whether_a_file_is_needed(modes: list[str]) -> None:
    assert not any("Needs" in note for note in use("image", session_modes=modes).notes)


def test_remove_background_comes_with_a_warning() -> None:
    assert any("remove_background" in note for note in use("image").notes)


def test_a_model_of_sound_has_no_warning_about_backgrounds() -> None:
    assert use("audio").notes == ()


def test_the_sandboxs_image_model_uses_what_it_says() -> None:
    model = sandbox_models()[0]
    assert use(model.modality, **model.capabilities).uses == (
        "model_id",
        "prompt",
        "batch_size",
        "seed",
        "guidance_files",
        "mask",
        "session_name",
    )
