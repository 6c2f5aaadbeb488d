"""Remarks on an output that differs from the request."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from layer_mcp.api.models import Output
from layer_mcp.runs.outputs.record import MeasuredFile
from layer_mcp.runs.outputs.remarks import list_remarks, remark_on_count
from layer_mcp.runs.types.request import RunRequest
from layer_mcp.runs.types.run import Run


def run_with(asked: dict[str, Any], output: Output | None = None, **more: Any) -> Run:
    request = RunRequest("inference", "m", "w", asked, output_count=asked.get("batch_size"))
    return Run(request, "complete", datetime.now(UTC), outputs=(output or Output(),), **more)


def measured_with(
    content_type: str | None = "image/png", declared_type: str | None = None, **facts: Any
) -> MeasuredFile:
    return MeasuredFile(content_type, 1, declared_type, facts)


@pytest.mark.parametrize(
    ("asked", "facts", "remarks"),
    [
        ({"remove_background": True}, {"alpha": "none"}, ["opaque: no transparency"]),
        ({"remove_background": True}, {"alpha": "unused"}, ["opaque: no transparency"]),
        ({"remove_background": True}, {"alpha": "soft"}, []),
        ({"remove_background": False}, {"alpha": "none"}, []),
        ({}, {"alpha": "none"}, []),
        ({"width": 512, "height": 512}, {"width": 512, "height": 512}, []),
        ({"width": 512}, {"width": 1024, "height": 1024}, ["width 1024, not 512"]),
        (
            {"width": 512, "height": 256},
            {"width": 512, "height": 512},
            ["512x512, not 512x256"],
        ),
        (
            {"prompt": "a seamless stone wall"},
            {"seam_x": 4.2, "seam_y": 1.0},
            ["a seam shows when tiled left to right"],
        ),
        (
            {"prompt": "tileable grass"},
            {"seam_x": 3, "seam_y": 3},
            ["a seam shows when tiled left to right and top to bottom"],
        ),
        ({"prompt": "seamless grass"}, {"seam_x": 1.1, "seam_y": 1.0}, []),
        ({"prompt": "a reptile"}, {"seam_x": 9, "seam_y": 9}, []),
        ({"vectorize": True}, {}, ["not a vector file"]),
    ],
)
def test_a_picture_that_differs_from_the_request_gets_one_remark(
    asked: dict[str, Any], facts: dict[str, Any], remarks: list[str]
) -> None:
    assert list_remarks(run_with(asked), 1, measured_with(**facts)) == remarks


@pytest.mark.parametrize(
    ("asked", "facts", "remarks"),
    [
        ({"duration_seconds": 4}, {"duration_seconds": 2.0}, ["2 s long, not 4 s"]),
        ({"duration_seconds": 4}, {"duration_seconds": 4.04}, []),
        ({"fps": 30}, {"frame_rate": 12.0}, ["12 frames a second, not 30"]),
        ({"fps": 30}, {"frame_rate": 29.97}, []),
        ({"generate_audio": True}, {"has_sound": False}, ["no sound"]),
        ({"generate_audio": True}, {"has_sound": True}, []),
        ({"generate_audio": False}, {"has_sound": False}, []),
    ],
)
def test_a_video_that_differs_from_the_request_gets_one_remark(
    asked: dict[str, Any], facts: dict[str, Any], remarks: list[str]
) -> None:
    assert (
        list_remarks(run_with(asked), 1, measured_with("video/mp4", codec="h264", **facts))
        == remarks
    )


@pytest.mark.parametrize(
    ("asked", "facts", "remarks"),
    [
        ({"include_textures": True}, {"triangles": 9, "textures": 0}, ["no textures"]),
        ({"include_textures": True}, {"triangles": 9, "textures": 1}, []),
        ({"face_limit": 1000}, {"triangles": 1200}, ["1,200 triangles, not at most 1,000"]),
        ({"face_limit": 1000}, {"triangles": 1020}, []),
        ({"face_limit": 1000, "quad_mesh": True}, {"triangles": 1990}, []),
    ],
)
def test_a_mesh_that_differs_from_the_request_gets_one_remark(
    asked: dict[str, Any], facts: dict[str, Any], remarks: list[str]
) -> None:
    assert list_remarks(run_with(asked), 1, measured_with("model/gltf-binary", **facts)) == remarks


def test_reports_a_different_type_than_declared_once() -> None:
    measured = measured_with("image/webp", "image/png")
    assert list_remarks(run_with({}), 1, measured) == ["image/webp, not image/png"]


def test_layers_facts_apply_to_an_output_until_it_is_saved() -> None:
    output = Output(width=256, height=256)
    run = run_with({"width": 512, "height": 512}, output)
    assert list_remarks(run, 1, None) == ["256x256, not 512x512"]


def test_measured_facts_take_precedence_over_declared_ones() -> None:
    run = run_with({"width": 512}, Output(width=256, height=256))
    assert list_remarks(run, 1, measured_with(width=512, height=512)) == []


def test_does_not_report_layers_changes_twice() -> None:
    run = run_with({"width": 512}, start={"changed": ["width asked 512, runs 1024"]})
    assert list_remarks(run, 1, measured_with(width=1024, height=1024)) == []


@pytest.mark.parametrize("facts", [{"width": "x"}, {"seam_x": []}, {"alpha": 7}, {"flaw": 1}])
def test_facts_of_a_record_that_somebody_edited_do_no_harm(facts: dict[str, Any]) -> None:
    asked = {"width": 512, "prompt": "seamless", "remove_background": True}
    assert all(
        isinstance(one, str) for one in list_remarks(run_with(asked), 1, measured_with(**facts))
    )


@pytest.mark.parametrize(
    ("asked", "made", "remark"),
    [
        (4, 2, "Asked for 4 outputs, got 2."),
        (1, 4, "Asked for 1 output, got 4."),
        (4, 4, None),
        (None, 2, None),
    ],
)
def test_reports_a_different_number_of_outputs(
    asked: int | None, made: int, remark: str | None
) -> None:
    run = run_with({"batch_size": asked})
    assert remark_on_count(replace(run, outputs=(Output(),) * made)) == remark


def test_a_run_without_outputs_gets_no_remark_on_their_number() -> None:
    assert remark_on_count(replace(run_with({"batch_size": 4}), outputs=())) is None
