"""What the containers of videos say, in files that ffmpeg wrote and in broken ones."""

import io
import struct
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layer_mcp.media.containers.parts import MAX_READS
from layer_mcp.media.sniff import sniff
from layer_mcp.media.video_facts import describe_video, measure_video

from ..support.counting_file import CountingFile
from ..support.tiny_videos import VIDEOS

SILENT = {"width": 32, "height": 16, "duration_seconds": 1.0, "frame_rate": 10.0}
FACTS: dict[str, dict[str, Any]] = {
    "plain.mp4": SILENT | {"codec": "h264", "has_sound": True, "audio_codec": "aac"},
    "fragmented.mp4": SILENT | {"codec": "h264", "has_sound": True, "audio_codec": "aac"},
    "hevc.mp4": SILENT | {"codec": "hevc", "has_sound": False},
    "av1.mp4": SILENT | {"codec": "av1", "has_sound": False},
    "mp3.mp4": SILENT | {"codec": "mpeg4", "has_sound": True, "audio_codec": "mp3"},
    "prores.mov": SILENT | {"duration_seconds": 0.2, "codec": "prores", "has_sound": False},
    "turned.mov": SILENT
    | {"width": 16, "height": 32, "codec": "h264", "has_sound": True, "audio_codec": "aac"},
    "sound.m4a": {"duration_seconds": 1.0, "has_sound": True, "audio_codec": "aac"},
    "vp9.webm": SILENT
    | {"duration_seconds": 1.008, "codec": "vp9", "has_sound": True, "audio_codec": "opus"},
    "pipe.webm": SILENT | {"codec": "vp8", "has_sound": False},
    "h264.mkv": SILENT
    | {
        "width": 16,
        "height": 32,
        "duration_seconds": 1.064,
        "codec": "h264",
        "has_sound": True,
        "audio_codec": "aac",
    },
}


def measure(data: bytes, content_type: str | None = None) -> dict[str, Any]:
    declared = content_type or sniff(data, len(data)) or "video/mp4"
    return measure_video(io.BytesIO(data), len(data), declared)


def box(name: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return struct.pack(">I4s", 8 + len(content), name) + content


def element(name: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return name + struct.pack(">I", 0x10000000 | len(content)) + content


def webm(*parts: bytes) -> bytes:
    header = element(b"\x1a\x45\xdf\xa3", element(b"\x42\x82", b"webm"))
    return header + element(b"\x18\x53\x80\x67", *parts)


def tracks(*fields: bytes) -> bytes:
    picture = element(b"\xe0", element(b"\xb0", b"\x20"), element(b"\xba", b"\x10"))
    track = element(b"\xd7", b"\1") + element(b"\x83", b"\1") + element(b"\x86", b"V_AV1") + picture
    return element(b"\x16\x54\xae\x6b", element(b"\xae", track, *fields))


def cluster(time: int, *offsets: int) -> bytes:
    blocks = (element(b"\xa3", b"\x81", struct.pack(">hB", at, 0), b"frame") for at in offsets)
    return element(b"\x1f\x43\xb6\x75", element(b"\xe7", struct.pack(">H", time)), *blocks)


@pytest.mark.parametrize("name", FACTS)
def test_a_video_has_the_facts_that_ffmpeg_wrote(name: str) -> None:
    assert measure(VIDEOS[name]) == FACTS[name]


def test_the_sandbox_makes_an_ordinary_video() -> None:
    facts = measure((files("layer_mcp.sandbox") / "clip.mp4").read_bytes())
    assert (facts["codec"], facts["has_sound"]) == ("h264", False)
    assert "flaw" not in facts


def test_the_index_may_come_before_the_frames() -> None:
    data = VIDEOS["plain.mp4"]
    ftyp, rest = data[: data.index(b"moov") - 4], data[data.index(b"moov") - 4 :]
    start = ftyp.index(b"mdat") - 4
    assert measure(ftyp[:start] + rest + ftyp[start:]) == FACTS["plain.mp4"]


def test_frames_are_counted_if_nothing_says_how_long_a_webm_is() -> None:
    data = webm(tracks(), cluster(0, 0, 120, 40, 80), cluster(160, 0, 40, 80))
    facts = measure(data)
    assert (facts["frame_rate"], facts["duration_seconds"]) == (25.0, 0.28)


def test_a_webm_shows_its_pixels_without_those_that_are_cropped() -> None:
    crop = element(b"\xe0", element(b"\x54\xaa", b"\x04"), element(b"\x54\xcc", b"\x02"))
    facts = measure(webm(tracks(crop)))
    assert (facts["width"], facts["height"]) == (30, 12)


@pytest.mark.parametrize("name", ["plain.mp4", "fragmented.mp4", "vp9.webm", "h264.mkv"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_truncated_video_ends_too_early(name: str, share: float) -> None:
    data = VIDEOS[name]
    assert measure(data[: int(len(data) * share)])["flaw"] == "it ends too early"


def test_a_truncated_video_keeps_the_facts_at_its_start() -> None:
    facts = measure(VIDEOS["vp9.webm"][:1200])
    assert {"width": 32, "codec": "vp9", "has_sound": True}.items() <= facts.items()


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"", "video/mp4"),
        (b"", "video/webm"),
        (box(b"ftyp", b"isom\0\0\0\0isom") + box(b"mdat"), "video/mp4"),
        (webm(), "video/webm"),
        (b"\0\0\0\x08\0\0\0\1", "video/mp4"),
        (b"\0\0\0\x04moov", "video/mp4"),
        (bytes(99), "video/webm"),
    ],
)
def test_a_file_that_is_not_a_video_has_a_flaw(data: bytes, content_type: str) -> None:
    assert set(measure(data, content_type)) == {"flaw"}


def test_another_container_has_no_facts() -> None:
    assert measure(b"RIFF\0\0\0\0AVI LIST", "video/x-msvideo") == {}


@pytest.mark.parametrize(
    ("table", "size_bytes"),
    [
        (box(b"stts", struct.pack(">II", 0, 0xFFFFFFFF)), 0),
        (box(b"stts", struct.pack(">II", 0, 2_000_000)), 16_000_000),
    ],
)
def test_a_table_that_is_too_long_is_not_read(table: bytes, size_bytes: int) -> None:
    inner = box(b"mdia", box(b"minf", box(b"stbl", table)))
    data = box(b"moov", box(b"trak", inner)) + bytes(size_bytes)
    file = CountingFile(data)
    facts = measure_video(file, len(data), "video/mp4")
    assert "frame_rate" not in facts
    assert file.read_bytes < 10_000


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (box(b"free") * (MAX_READS + 10), "video/mp4"),
        (webm(b"\xec\x80" * (MAX_READS + 10)), "video/webm"),
    ],
    ids=["mp4", "webm"],
)
@pytest.mark.slow
def test_stops_reading_a_file_with_too_many_parts(data: bytes, content_type: str) -> None:
    file = CountingFile(data)
    assert measure_video(file, len(data), content_type) == {}
    assert file.reads == MAX_READS


def test_limits_the_depth_of_nested_boxes() -> None:
    data = b""
    for number in range(5000):
        data = box(b"minf" if number % 2 else b"mdia", data)
    assert measure(box(b"moov", box(b"trak", data)), "video/mp4") == {"has_sound": False}


@given(
    name=st.sampled_from(sorted(VIDEOS)),
    damage=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=8),
    length=st.none() | st.integers(0, 3000),
)
def test_a_damaged_video_is_measured_without_failing(
    name: str, damage: list[tuple[int, int]], length: int | None
) -> None:
    data = bytearray(VIDEOS[name])
    for place, value in damage:
        data[place % len(data)] = value
    for content_type in ("video/mp4", "video/webm"):
        facts = measure(bytes(data[:length]), content_type)
        assert all(isinstance(remark, str) for remark in describe_video(facts))


@given(st.binary(max_size=300), st.sampled_from(["video/mp4", "video/quicktime", "video/webm"]))
def test_any_bytes_are_measured_without_failing(data: bytes, content_type: str) -> None:
    measure(data, content_type)


@pytest.mark.parametrize(
    ("facts", "remarks"),
    [
        (FACTS["plain.mp4"], []),
        ({}, []),
        (FACTS["sound.m4a"], ["no video track, only sound"]),
        ({"flaw": "it ends too early"}, ["it ends too early"]),
        ({"flaw": 3, "codec": None}, []),
    ],
)
def test_remarks_only_on_unusual_facts_about_a_video(
    facts: dict[str, Any], remarks: list[str]
) -> None:
    assert describe_video(facts) == remarks
