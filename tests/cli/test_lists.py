"""layer-mcp price, runs, models and model."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from layer_mcp.api.models import InferenceRequest
from layer_mcp.cli.command_parser import CommandParser
from layer_mcp.cli.generation_options import add_request_options, request_arguments
from layer_mcp.sandbox import RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_models
from layer_mcp.server.schema import portable_schema

from ..support.hosts import SCRIPT, child_environment
from ..support.terminal import SMALL, Person

pytestmark = pytest.mark.process

VALUES = {"integer": ["2"], "number": ["0.5"], "string": ["high"], "boolean": []}
WITH_WORDS_OF_THEIR_OWN = ("model_id", "prompt", "guidance_files", "mask", "video_effects")


@pytest.fixture
def person(environment: dict[str, str], tmp_path: Path) -> Person:
    return Person(tmp_path, environment)


def request_of(*arguments: str) -> dict[str, object]:
    parser = CommandParser()
    add_request_options(parser)
    return request_arguments(parser.parse_args(["x", *arguments]), "x")


@pytest.mark.parametrize(
    "name", sorted(InferenceRequest.model_fields.keys() - set(WITH_WORDS_OF_THEIR_OWN))
)
def test_every_plain_field_of_the_request_is_an_option(name: str) -> None:
    kind = portable_schema(InferenceRequest)["properties"][name]["type"]
    given = request_of(f"--{name.replace('_', '-')}", *VALUES[kind])
    assert given.keys() == {"prompt", name}


def test_a_nested_field_is_given_as_json() -> None:
    given = request_of("--set", 'video_effects=[{"type": "zoom_in"}]')
    assert given["video_effects"] == [{"type": "zoom_in"}]


def test_a_file_that_layer_has_is_a_reference_by_its_id() -> None:
    file_id = "00000000-0000-4000-8000-0000000000f1"
    given = request_of("--reference", f"pose={file_id}")
    assert given["guidance_files"] == [{"type": "pose", "file_id": file_id}]


def test_a_file_in_the_home_is_a_reference_with_its_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    given = request_of("--reference", "init=~/sketch.png")
    assert given["guidance_files"] == [{"type": "init", "path": str(tmp_path / "sketch.png")}]


def test_the_price_is_told_and_nothing_is_started(person: Person, sandbox: RunningSandbox) -> None:
    printed = person.done("price", "x", *SMALL, "--width=1000", "-n=4")
    assert printed.splitlines()[0] == "Price 0.03 CU (estimated)."
    assert sandbox.state.arrived["execute_inference"] == 0


def test_models_are_listed_with_their_whole_ids_in_a_pipe(person: Person) -> None:
    rows = person.run("models").stdout.splitlines()[1:]
    assert [row[:36] for row in rows] == [model.model_id for model in sandbox_models()]
    assert all(model.description in row for model, row in zip(sandbox_models(), rows, strict=True))


def test_models_are_chosen_by_what_they_make_and_can_do(person: Person) -> None:
    found = person.json("models", "--modality", "image", "--inpainting")
    assert [model["name"] for model in found["models"]] == ["Sandbox Image"]


def test_a_model_names_the_options_that_it_uses(person: Person) -> None:
    printed = person.done("model", "SANDBOX 3D")
    uses = printed.partition("Uses:")[2].partition("May use")[0]
    assert "--include-textures" in uses
    assert "--reference" in uses
    assert "--set video_effects=JSON" in printed.partition("Ignores:")[2]


def test_a_name_that_two_models_have_is_refused_with_their_ids(
    person: Person, sandbox: RunningSandbox
) -> None:
    first, second = sandbox.state.models[:2]
    sandbox.state.models = (first, replace(second, name=first.name.upper()))
    said = person.failed("model", first.name)
    assert f"2 models are called Sandbox Image: {first.model_id}, {second.model_id}." in said


def test_runs_of_other_commands_are_listed_with_their_price_and_file(person: Person) -> None:
    run_id = person.json("generate", "a potion [red]x[/red]", *SMALL)["inference_id"]
    ended = person.here("runs", "--since", "1h")
    [row] = ended.stdout.splitlines()[1:]
    assert row.startswith(f"{run_id}  complete ")
    assert "a potion [red]x[/red]" in row
    assert row.endswith(".png")
    assert ended.stderr == "1 run, 0 running, 0 CU spent.\n"


def test_a_page_of_runs_says_how_to_see_the_next(person: Person) -> None:
    for prompt in ("x", "y"):
        person.done("generate", prompt, *SMALL, "--no-wait")
    first = person.here("runs", "--limit=1")
    cursor = first.stderr.partition("There are more: add --cursor ")[2].strip()
    second = person.done("runs", "--limit=1", "--cursor", cursor)
    assert len({first.stdout.splitlines()[1][:36], second.splitlines()[1][:36]}) == 2


def test_a_mistyped_command_is_told_with_the_nearest(person: Person) -> None:
    ended = person.here("genrate", "x")
    assert ended.returncode == 2
    assert ended.stderr.endswith("Did you mean generate?\n")


def test_an_option_that_is_near_to_none_is_told_without_a_guess_and_without_escapes(
    person: Person,
) -> None:
    ended = person.here("runs", "--\x1b[31mbogus")
    assert ended.stderr.endswith("error: unrecognized arguments: --[31mbogus\n")


def test_a_setting_that_cannot_be_used_is_an_object_for_programs(person: Person) -> None:
    ended = person.here("runs", "--json", LAYER_MAX_PRICE="much")
    content = json.loads(ended.stdout)
    assert (ended.returncode, content["error"]["code"]) == (2, "INVALID_ARGUMENTS")


def test_runs_that_are_kept_nowhere_are_listed_with_a_warning(person: Person) -> None:
    (person.folder / "file").touch()
    ended = person.here("runs", LAYER_STATE_DIR=str(person.folder / "file"))
    assert "Nothing is kept between runs" in ended.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_an_answer_that_cannot_be_written_is_a_failure_in_words(person: Person) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [SCRIPT, "models", "--limit=1", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
            env=child_environment(dict(person.environment)),
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith("layer-mcp: The answer cannot be written: No space left")
