"""Facts about compressed sounds that are decoded, with miniaudio and without it."""

import io
import sys

import pytest

from layer_mcp.media.sounds.decoder import open_decoder

from ...support.tiny_videos import VIDEOS
from ...support.wav_files import SOUNDS, facts_of

DECODABLE = [
    ("vbr.mp3", "audio/mpeg"),
    ("lossless.flac", "audio/flac"),
    ("lossless.ogg", "audio/ogg"),
]


@pytest.mark.parametrize(("name", "content_type"), DECODABLE)
def test_decoded_sounds_are_measured(name: str, content_type: str) -> None:
    facts = facts_of((SOUNDS / name).read_bytes(), content_type)
    assert facts["loudness_lufs"] == pytest.approx(-3.0, abs=0.1)
    assert facts["peak_dbfs"] == pytest.approx(0.0, abs=0.2)
    assert facts["silence_start_seconds"] == facts["silence_end_seconds"] == 0.0


@pytest.mark.parametrize(("name", "content_type"), DECODABLE)
def test_without_a_decoder_only_the_header_is_read(
    name: str, content_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "miniaudio", None)
    facts = facts_of((SOUNDS / name).read_bytes(), content_type)
    assert "duration_seconds" in facts
    assert "loudness_lufs" not in facts


def test_vorbis_is_not_decoded() -> None:
    # The decoder of miniaudio crashes the process on some broken files.
    assert (
        open_decoder(io.BytesIO((SOUNDS / "vorbis.ogg").read_bytes()), "vorbis", 1, 22_050) is None
    )


def test_an_mp3_in_a_container_is_not_decoded() -> None:
    assert facts_of(VIDEOS["mp3.mp4"], "audio/mp4") == {
        "codec": "mp3",
        "duration_seconds": 1.0,
        "sample_rate_hz": 16_000,
        "channels": 1,
    }


def test_a_truncated_flac_has_a_flaw() -> None:
    facts = facts_of((SOUNDS / "lossless.flac").read_bytes()[:-700], "audio/flac")
    assert facts["flaw"] == "it ends too early"


def test_content_that_cannot_be_decoded_is_not_measured() -> None:
    data = (SOUNDS / "lossless.flac").read_bytes()
    facts = facts_of(data[:42] + bytes(len(data) - 42), "audio/flac")
    assert facts["codec"] == "flac"
    assert "peak_dbfs" not in facts


def test_decoded_frames_can_be_skipped() -> None:
    data = (SOUNDS / "lossless.flac").read_bytes()
    whole, rest = (open_decoder(io.BytesIO(data), "flac", 1, 22_050) for _ in (1, 2))
    assert whole is not None
    assert rest is not None
    rest.skip(1000)
    assert rest.read(100) == whole.read(1100)[1000:]
