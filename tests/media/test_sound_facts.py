"""What is said about a sound, and that no content breaks it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layer_mcp.media.sound_facts import describe_sound

from ..support.wav_files import SOUNDS, facts_of, sine, wav

TYPES = {
    "wav": "audio/wav",
    "aiff": "audio/aiff",
    "mp3": "audio/mpeg",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
}
FILES = {path.name: path.read_bytes() for path in sorted(SOUNDS.iterdir())} | {
    "extensible.wav": wav([0.5] * 100, [0.1] * 100, bits=24, mask=3),
    "double.wav": wav([0.5] * 100, bits=64, is_float=True),
}
LIES = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\1"]


def test_an_ordinary_sound_needs_no_remark() -> None:
    assert describe_sound(facts_of(wav(sine(0.5, decibels=-3)))) == []


@pytest.mark.parametrize(
    ("facts", "remarks"),
    [
        ({"clipped_samples": 9}, []),
        ({"clipped_samples": 12}, ["12 clipped samples"]),
        ({"silent": True, "clipped_samples": 0}, ["silent"]),
        ({"silence_start_seconds": 0.49, "silence_end_seconds": 0.99}, []),
        ({"silence_start_seconds": 0.8}, ["0.8 s of silence at the start"]),
        ({"silence_end_seconds": 1.25}, ["1.2 s of silence at the end"]),
        ({"flaw": "it ends too early"}, ["it ends too early"]),
    ],
)
def test_remarks_only_on_what_matters(facts: dict[str, Any], remarks: list[str]) -> None:
    assert describe_sound(facts) == remarks


@pytest.mark.parametrize("value", [None, "12", [], {}, -1, float("nan")])
def test_makes_no_remarks_on_facts_of_other_types(value: object) -> None:
    names = ("clipped_samples", "silence_start_seconds", "silence_end_seconds")
    assert describe_sound(dict.fromkeys(names, value)) == []


def test_remarks_only_on_flaws_that_are_text() -> None:
    assert describe_sound({"flaw": 1, "silent": "yes"}) == []


def assert_facts(data: bytes, content_type: str) -> None:
    facts = facts_of(data, content_type)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert all(len(remark) < 50 for remark in describe_sound(facts))


@st.composite
def broken_files(draw: st.DrawFn) -> tuple[bytes, str]:
    """Return a file with some wrong, missing or additional bytes, mostly in its header."""
    name = draw(st.sampled_from(sorted(FILES)))
    data = bytearray(FILES[name])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, min(len(data), draw(st.sampled_from([64, 400, len(data)])))))
        wrong = draw(st.sampled_from(LIES) | st.binary(max_size=4))
        data[at : at + draw(st.sampled_from([0, len(wrong), 200]))] = wrong
    return bytes(data), TYPES[name.rpartition(".")[2]]


@given(broken_files())
@settings(max_examples=150)
@pytest.mark.slow
def test_no_broken_file_breaks_the_facts(file: tuple[bytes, str]) -> None:
    assert_facts(*file)


@given(st.binary(max_size=200), st.sampled_from(sorted(TYPES.values())))
def test_no_bytes_break_the_facts(data: bytes, content_type: str) -> None:
    assert_facts(data, content_type)
