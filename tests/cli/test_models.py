"""layer-mcp models and layer-mcp model."""

from dataclasses import replace

import pytest

from layer_mcp.sandbox import RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_models

from ..support.terminal import Person


@pytest.mark.process
def test_a_pipe_gets_the_models_with_their_whole_ids_and_descriptions(person: Person) -> None:
    rows = person.run("models").stdout.splitlines()[1:]
    assert [row[-36:] for row in rows] == [model.model_id for model in sandbox_models()]
    assert all(model.description in row for model, row in zip(sandbox_models(), rows, strict=True))


def test_models_are_filtered_by_what_they_make_and_can_do(person: Person) -> None:
    found = person.json("models", "--modality", "image", "--inpainting")
    assert [model["name"] for model in found["models"]] == ["Sandbox Image"]


def test_shows_a_model_with_the_options_it_uses(person: Person) -> None:
    printed = person.done("model", "SANDBOX 3D")
    uses = printed.partition("Uses:")[2].partition("May use")[0]
    assert "--include-textures" in uses
    assert "--reference" in uses
    assert "--set video_effects=JSON" in printed.partition("Ignores:")[2]


def test_a_name_of_two_models_is_refused_with_their_ids(
    person: Person, sandbox: RunningSandbox
) -> None:
    first, second = sandbox.state.models[:2]
    sandbox.state.models = (first, replace(second, name=first.name.upper()))
    said = person.failed("model", first.name)
    assert f"2 models are called Sandbox Image: {first.model_id}, {second.model_id}." in said


def test_an_unknown_model_is_refused_with_the_nearest_name(person: Person) -> None:
    said = person.failed("generate", "x", "--model", "Sandbox Imag")
    assert "No model is called Sandbox Imag. Did you mean Sandbox Image" in said
    assert said.endswith("Run layer-mcp models to see which models are available.\n")
