"""The options of a generation and of the commands: every field, files, and unknown names."""

from pathlib import Path

import pytest

from layer_mcp.api.models import InferenceRequest
from layer_mcp.cli.generation.options import add_request_options, request_arguments
from layer_mcp.cli.parser import CommandParser
from layer_mcp.schema import portable_schema

from ...support.terminal import Person

VALUES = {"integer": ["2"], "number": ["0.5"], "string": ["high"], "boolean": []}
FIELDS_WITH_SEPARATE_OPTIONS = ("model_id", "prompt", "guidance_files", "mask", "video_effects")


def request_of(*arguments: str) -> dict[str, object]:
    parser = CommandParser()
    add_request_options(parser)
    return request_arguments(parser.parse_args(["x", *arguments]))


@pytest.mark.parametrize(
    "name", sorted(InferenceRequest.model_fields.keys() - set(FIELDS_WITH_SEPARATE_OPTIONS))
)
def test_every_plain_field_of_the_request_is_an_option(name: str) -> None:
    kind = portable_schema(InferenceRequest)["properties"][name]["type"]
    given = request_of(f"--{name.replace('_', '-')}", *VALUES[kind])
    assert given.keys() == {name}


def test_a_nested_field_is_given_as_json() -> None:
    given = request_of("--set", 'video_effects=[{"type": "zoom_in"}]')
    assert given["video_effects"] == [{"type": "zoom_in"}]


def test_a_reference_may_be_the_id_of_an_uploaded_file() -> None:
    file_id = "00000000-0000-4000-8000-0000000000f1"
    given = request_of("--reference", f"pose={file_id}")
    assert given["guidance_files"] == [{"type": "pose", "file_id": file_id}]


def test_a_reference_with_a_type_may_be_a_file_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    given = request_of("--reference", "init=~/sketch.png")
    assert given["guidance_files"] == [{"type": "init", "path": str(tmp_path / "sketch.png")}]


def test_suggests_the_nearest_command_for_an_unknown_one(person: Person) -> None:
    ended = person.here("genrate", "x")
    assert ended.returncode == 2
    assert ended.stderr.endswith("Did you mean generate?\n")


def test_an_unknown_option_without_a_near_one_is_shown_without_escapes(person: Person) -> None:
    ended = person.here("runs", "--\x1b[31mbogus")
    assert ended.stderr.endswith("error: unrecognized arguments: --[31mbogus\n")
