"""WAV and AIFF files of every sample format, of other programs, and with wrong headers."""

import io
import struct

import pytest

from layer_mcp.media.sound_facts import measure_sound

from ...support.wav_files import SOUNDS, facts_of, riff, sine, wav

FORMAT = struct.pack("<HHIIHH", 1, 1, 8000, 16_000, 2, 16)
SAMPLES = struct.pack("<4h", 0, 16_384, -16_384, 0)
CUT = "it ends too early"


class SizedFile(io.BytesIO):
    """Keeps the sizes of what is read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.sizes = list[int]()

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.sizes.append(len(data))
        return data


def aiff(*, bits: int, data: bytes, rate: bytes = b"\x40\x0b\xfa\0\0\0\0\0\0\0") -> bytes:
    """Return an AIFF file of one channel at 8 kHz."""
    frames = len(data) * 8 // bits
    common = struct.pack(">hIh", 1, frames, bits) + rate
    body = b"AIFFCOMM" + struct.pack(">I", len(common)) + common
    body += b"SSND" + struct.pack(">III", len(data) + 8, 0, 0) + data
    return b"FORM" + struct.pack(">I", len(body)) + body


@pytest.mark.parametrize(
    ("bits", "is_float", "codec"),
    [
        (8, False, "pcm"),
        (16, False, "pcm"),
        (24, False, "pcm"),
        (32, False, "pcm"),
        (32, True, "float"),
        (64, True, "float"),
    ],
)
def test_every_sample_format_is_read(bits: int, is_float: bool, codec: str) -> None:
    tone = sine(0.1, decibels=-6)
    facts = facts_of(wav(tone, tone, bits=bits, is_float=is_float))
    assert facts["loudness_lufs"] == pytest.approx(-6.0, abs=0.1)
    facts = {name: facts[name] for name in ("codec", "bit_depth", "channels", "peak_dbfs")}
    assert facts == {"codec": codec, "bit_depth": bits, "channels": 2, "peak_dbfs": -6.0}


def test_an_extensible_header_is_read() -> None:
    facts = facts_of(wav([0.5] * 480, [0.0] * 480, mask=3))
    assert (facts["codec"], facts["bit_depth"], facts["peak_dbfs"]) == ("pcm", 16, -6.0)


@pytest.mark.parametrize(
    ("name", "codec", "bits"),
    [
        ("sox_float.wav", "float", 32),
        ("sox_stream.wav", "pcm", 16),
        ("sox.aiff", "pcm", 16),
        ("ffmpeg_stream.wav", "pcm", 16),
        ("ffmpeg_rf64.wav", "pcm", 16),
        ("ffmpeg_24.aiff", "pcm", 24),
    ],
)
def test_files_of_other_programs_are_read(name: str, codec: str, bits: int) -> None:
    content_type = "audio/aiff" if name.endswith("aiff") else "audio/wav"
    facts = facts_of((SOUNDS / name).read_bytes(), content_type)
    assert facts == {
        "codec": codec,
        "bit_depth": bits,
        "duration_seconds": 0.02,
        "sample_rate_hz": 22_050,
        "channels": 1,
        "peak_dbfs": 0.0,
        "clipped_samples": 0,
        "loudness_lufs": -3.0,
        "silence_start_seconds": 0.0,
        "silence_end_seconds": 0.0,
        "loop_step": 2.2,
    }


def test_signed_bytes_of_aiff_are_read() -> None:
    facts = facts_of(aiff(bits=8, data=b"\0\x40\xc0\0"), "audio/aiff")
    assert (facts["peak_dbfs"], facts["sample_rate_hz"]) == (-6.0, 8000)


@pytest.mark.parametrize("exponent", [b"\0\0", b"\x7f\xff", b"\xc0\x0b"])
def test_an_impossible_sample_rate_of_aiff_is_a_flaw(exponent: bytes) -> None:
    data = aiff(bits=8, data=b"\0\x40\xc0\0", rate=exponent + b"\xff" * 8)
    assert facts_of(data, "audio/aiff")["flaw"] == "it has no sample rate"


def test_a_truncated_file_is_measured_as_far_as_it_goes() -> None:
    facts = facts_of(wav(sine(1))[:-48_000])
    assert (facts["duration_seconds"], facts["flaw"]) == (0.5, CUT)


def test_a_truncated_aiff_is_measured_as_far_as_it_goes() -> None:
    facts = facts_of(aiff(bits=16, data=bytes(1600))[:-800], "audio/aiff")
    assert (facts["duration_seconds"], facts["flaw"]) == (0.05, CUT)


def test_a_declared_length_of_4_gb_is_a_flaw() -> None:
    data = riff((b"fmt ", FORMAT), (b"data", SAMPLES * 10))
    facts = facts_of(data.replace(b"data\x50\0\0\0", b"data\xf0\xff\xff\xff"))
    assert (facts["duration_seconds"], facts["flaw"]) == (0.005, CUT)


@pytest.mark.parametrize("length", [0, 0x7FFF_F000, 0xFFFF_FFFF])
def test_a_stream_lasts_to_the_end_of_the_file(length: int) -> None:
    data = riff((b"fmt ", FORMAT), (b"data", SAMPLES * 10), size=0xFFFF_FFFF)
    data = data.replace(b"data\x50\0\0\0", b"data" + struct.pack("<I", length))
    facts = facts_of(data)
    assert facts["duration_seconds"] == 0.005
    assert "flaw" not in facts


def test_chunks_around_the_samples_are_skipped() -> None:
    data = riff((b"LIST", b"abc"), (b"fmt ", FORMAT), (b"data", SAMPLES * 2), (b"cue ", b"12"))
    assert facts_of(data)["duration_seconds"] == 0.001


def test_an_odd_chunk_without_a_filling_byte_is_skipped() -> None:
    data = riff((b"LIST", b"abc"), (b"fmt ", FORMAT), (b"data", SAMPLES * 2))
    assert facts_of(data.replace(b"abc\0", b"abc"))["duration_seconds"] == 0.001


@pytest.mark.parametrize(
    "chunks",
    [
        (),
        ((b"fmt ", FORMAT),),
        ((b"data", SAMPLES),),
        ((b"fmt ", FORMAT), (b"data", b"")),
        ((b"fmt ", FORMAT[:8]), (b"data", SAMPLES)),
        ((b"fmt ", FORMAT[:2] + bytes(2) + FORMAT[4:]), (b"data", SAMPLES)),
    ],
    ids=["empty", "no data", "no format", "no samples", "cut format", "no channels"],
)
def test_a_file_without_sound_has_a_flaw(chunks: tuple[tuple[bytes, bytes], ...]) -> None:
    assert facts_of(riff(*chunks))["flaw"] == "it has no sound"


def test_a_sample_rate_of_0_is_a_flaw() -> None:
    data = riff((b"fmt ", FORMAT[:4] + bytes(4) + FORMAT[8:]), (b"data", SAMPLES))
    facts = facts_of(data)
    assert facts["flaw"] == "it has no sample rate"
    assert "sample_rate_hz" not in facts


@pytest.mark.parametrize(("rate", "block_bytes"), [(44_100, 8820), (8000, 1600), (1, 1600)])
def test_samples_are_read_in_blocks(rate: int, block_bytes: int) -> None:
    data = wav([0.0] * 20_000, rate=rate)
    file = SizedFile(data)
    assert measure_sound(file, len(data), "audio/wav")["silent"] is True
    assert max(file.sizes) == block_bytes


def test_compressed_samples_are_not_measured() -> None:
    mu_law = struct.pack("<HHIIHH", 7, 1, 8000, 8000, 1, 8)
    data = riff((b"fmt ", mu_law), (b"data", bytes(4000)))
    assert facts_of(data) == {
        "codec": "mulaw",
        "duration_seconds": 0.5,
        "sample_rate_hz": 8000,
        "channels": 1,
    }


def test_compressed_samples_last_as_long_as_their_fact_chunk_says() -> None:
    adpcm = struct.pack("<HHIIHH", 2, 1, 8000, 9999, 256, 4)
    data = riff((b"fmt ", adpcm), (b"fact", struct.pack("<I", 6000)), (b"data", bytes(4000)))
    assert facts_of(data)["duration_seconds"] == 0.75


def test_unused_bits_of_a_sample_do_not_make_it_quieter() -> None:
    twelve = struct.pack("<HHIIHH", 1, 1, 8000, 16_000, 2, 12)
    facts = facts_of(riff((b"fmt ", twelve), (b"data", struct.pack("<4h", 0, 0x7FF0, 0, 0))))
    assert (facts["bit_depth"], facts["peak_dbfs"]) == (12, 0.0)
