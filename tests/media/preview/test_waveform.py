"""Waveforms, read from WAV files of several encodings, and drawn."""

import io
import math
import struct
import wave
from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from layer_mcp.media.preview.waveform import Peaks, draw_waveform, read_peaks

RATE_HZ = 8000
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


def riff(kind: int, bits: int, data: bytes, *, channels: int = 1, extra: bytes = b"") -> bytes:
    frame_bytes = channels * bits // 8
    form = struct.pack("<HHIIHH", kind, channels, RATE_HZ, RATE_HZ * frame_bytes, frame_bytes, bits)
    form += extra
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    body += b"LIST\x03\0\0\0abc\0data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def encode(samples: Sequence[float], kind: int, bits: int) -> bytes:
    if kind == FLOAT:
        return struct.pack(f"<{len(samples)}f", *samples)
    if bits == 8:
        return bytes(round(128 + 127 * sample) for sample in samples)
    largest = 2 ** (bits - 1) - 1
    return b"".join(
        round(sample * largest).to_bytes(bits // 8, "little", signed=True) for sample in samples
    )


def peaks_of(data: bytes, columns: int = 4) -> Peaks:
    peaks = read_peaks(io.BytesIO(data), columns)
    assert peaks is not None
    return peaks


def sine(seconds: float = 1, loudness: float = 0.5) -> bytes:
    count = int(RATE_HZ * seconds)
    samples = [loudness * math.sin(2 * math.pi * 440 * n / RATE_HZ) for n in range(count)]
    return riff(PCM, 16, encode(samples, PCM, 16))


@pytest.mark.parametrize(("kind", "bits"), [(PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32)])
def test_reads_the_lowest_and_the_highest_sample_of_each_part(kind: int, bits: int) -> None:
    samples = [0, 0.25, -1, 0, 0.5, -0.5, 0, 1]
    peaks = peaks_of(riff(kind, bits, encode(samples, kind, bits)))
    expected = [(0, 0.25), (-1, 0), (-0.5, 0.5), (0, 1)]
    for column, wanted in zip(peaks.columns, expected, strict=True):
        assert column == pytest.approx(wanted, abs=0.02)
    assert peaks.highest == pytest.approx(1, abs=0.02)


def test_all_channels_count() -> None:
    data = riff(PCM, 16, array("h", [0, 100, 0, -32767]).tobytes(), channels=2)
    assert peaks_of(data, 1).columns == [pytest.approx((-1, 0.003), abs=0.001)]


def test_reads_an_extended_header() -> None:
    extra = struct.pack("<HHI", 22, 16, 4) + struct.pack("<H", PCM) + bytes(14)
    data = riff(EXTENSIBLE, 16, array("h", [16384] * 8).tobytes(), extra=extra)
    assert peaks_of(data, 1).highest == pytest.approx(0.5, abs=0.001)


def test_reads_what_another_program_wrote() -> None:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((2, 3, 48_000, 0, "NONE", ""))
        file.writeframes(b"\0\0\x40" * 96_000)
    peaks = peaks_of(buffer.getvalue(), 10)
    assert peaks.duration_seconds == 1
    assert peaks.highest == pytest.approx(0.5, abs=0.001)


def test_limits_a_declared_length_to_the_file() -> None:
    data = bytearray(sine(0.5))
    at = data.index(b"data") + 4
    data[at : at + 4] = b"\xff\xff\xff\xff"
    assert peaks_of(bytes(data)).duration_seconds == 0.5


def test_a_part_that_is_not_a_number_is_silence() -> None:
    data = riff(FLOAT, 32, struct.pack("<4f", math.nan, math.inf, -math.inf, 0.5))
    assert all(-1 <= low <= high <= 1 for low, high in peaks_of(data).columns)


def test_a_file_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layer_mcp.media.preview.waveform.MAX_FILE_BYTES", 1000)
    assert read_peaks(io.BytesIO(sine()), 4) is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"ID3\4\0\0\0\0\0\0", id="mp3"),
        pytest.param(riff(PCM, 16, b""), id="no samples"),
        pytest.param(riff(2, 4, bytes(90)), id="compressed"),
        pytest.param(riff(PCM, 16, bytes(90), channels=0), id="no channels"),
        pytest.param(sine()[:20], id="cut header"),
    ],
)
def test_other_files_have_no_waveform(data: bytes) -> None:
    assert draw_waveform(data) is None


def has_red(data: bytes) -> bool:
    picture = draw_waveform(data)
    assert picture is not None
    return any(picture.image.getchannel("R").histogram()[220:])


def test_clipped_parts_are_red() -> None:
    assert has_red(sine(loudness=1))
    assert not has_red(sine(loudness=0.9))


def test_a_louder_sound_fills_more_of_the_picture() -> None:
    def wave_pixels(loudness: float) -> int:
        picture = draw_waveform(sine(loudness=loudness))
        assert picture is not None
        blue: Image.Image = picture.image.getchannel("B")
        return sum(blue.histogram()[200:])

    assert wave_pixels(0.2) < wave_pixels(0.4) < wave_pixels(0.8)


def test_silence_is_drawn_too() -> None:
    assert draw_waveform(riff(PCM, 16, bytes(8000))) is not None


@given(st.binary(max_size=80), st.integers(0, 200))
def test_a_damaged_sound_never_raises(noise: bytes, place: int) -> None:
    data = bytearray(sine(0.01))
    data[place : place + len(noise)] = noise
    read_peaks(io.BytesIO(bytes(data)), 16)
