"""What is known about compressed sounds without decoding them, in files of other programs."""

import io
import sys
from typing import Any

import pytest

from layer_mcp.media.sound_facts import measure_sound
from layer_mcp.media.sounds import headers

from ...support.tiny_videos import VIDEOS
from ...support.wav_files import SOUNDS, facts_of

CUT, NO_SOUND = "it ends too early", "it has no sound"
MPEG, OGG, MP4 = "audio/mpeg", "audio/ogg", "audio/mp4"
# 32 kbit/s at 44.1 kHz mono, without sound: 104 bytes.
FRAME = b"\xff\xfb\x10\xc4" + bytes(100)
ID3 = b"ID3\x04\0\0\0\0\0\x05" + bytes(5)


class CountedFile(io.BytesIO):
    """Counts how often it is read."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        return super().read(size)


@pytest.fixture(autouse=True)
def no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "miniaudio", None)


@pytest.mark.parametrize(
    ("name", "content_type", "codec", "seconds"),
    [
        ("vbr.mp3", MPEG, "mp3", 0.6),
        ("vorbis.ogg", OGG, "vorbis", 0.6),
        ("aac.m4a", MP4, "aac", 0.6),
    ],
)
def test_lossy_sounds_have_no_bit_depth(
    name: str, content_type: str, codec: str, seconds: float
) -> None:
    assert facts_of((SOUNDS / name).read_bytes(), content_type) == {
        "codec": codec,
        "duration_seconds": seconds,
        "sample_rate_hz": 22_050,
        "channels": 1,
    }


@pytest.mark.parametrize(
    ("name", "content_type", "codec"),
    [
        ("lossless.flac", "audio/flac", "flac"),
        ("lossless.ogg", OGG, "flac"),
        ("alac.m4a", MP4, "alac"),
    ],
)
def test_lossless_sounds_have_a_bit_depth(name: str, content_type: str, codec: str) -> None:
    assert facts_of((SOUNDS / name).read_bytes(), content_type) == {
        "codec": codec,
        "duration_seconds": 0.2,
        "sample_rate_hz": 22_050,
        "channels": 1,
        "bit_depth": 16,
    }


def test_opus_is_decoded_at_48_khz() -> None:
    assert facts_of((SOUNDS / "opus.ogg").read_bytes(), OGG) == {
        "codec": "opus",
        "duration_seconds": 0.6,
        "sample_rate_hz": 48_000,
        "channels": 1,
    }


def test_frames_of_an_mp3_without_a_count_are_counted() -> None:
    # 25 frames of 576 samples.
    facts = facts_of((SOUNDS / "cbr.mp3").read_bytes(), MPEG)
    assert facts["duration_seconds"] == round(25 * 576 / 22_050, 3)


def test_frames_of_raw_aac_are_counted() -> None:
    # 12 frames of 1024 samples.
    facts = facts_of((SOUNDS / "adts.aac").read_bytes(), "audio/aac")
    assert facts == {
        "codec": "aac",
        "duration_seconds": round(12 * 1024 / 22_050, 3),
        "sample_rate_hz": 22_050,
        "channels": 1,
    }


def test_tags_before_the_sound_are_skipped() -> None:
    data = ID3 + ID3 + bytes(50) + FRAME * 100
    assert facts_of(data, MPEG)["duration_seconds"] == round(100 * 1152 / 44_100, 3)


def test_a_tag_after_the_sound_is_not_a_flaw() -> None:
    facts = facts_of(FRAME * 100 + b"TAG" + bytes(125), MPEG)
    assert facts["duration_seconds"] == round(100 * 1152 / 44_100, 3)
    assert "flaw" not in facts


def test_flac_after_a_tag_is_read() -> None:
    data = ID3 + (SOUNDS / "lossless.flac").read_bytes()
    assert facts_of(data, MPEG)["codec"] == "flac"


def test_frames_count_when_an_mp3_declares_more_than_there_is() -> None:
    # 23 frames of 576 samples, one of them of delay, follow the one with the count.
    facts = facts_of((SOUNDS / "vbr.mp3").read_bytes()[:1405], MPEG)
    assert facts["duration_seconds"] == round(22 * 576 / 22_050, 3)
    assert facts["flaw"] == CUT


def test_ignores_a_frame_count_that_the_file_cannot_hold() -> None:
    head = FRAME[:21] + b"Xing" + b"\0\0\0\1" + b"\x7f\xff\xff\xff"
    data = head.ljust(len(FRAME), b"\0") + FRAME * 9
    facts = facts_of(data, MPEG)
    assert facts["duration_seconds"] == round(9 * 1152 / 44_100, 3)


def test_counts_only_the_first_of_very_many_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "MAX_FRAMES", 10)
    assert facts_of(FRAME * 100, MPEG)["duration_seconds"] == round(100 * 1152 / 44_100, 3)


def test_reads_only_the_first_of_very_many_boxes() -> None:
    data = (8 + 8 * 100_000).to_bytes(4) + b"moov" + b"\0\0\0\x08free" * 100_000
    file = CountedFile(data)
    assert measure_sound(file, len(data), MP4) == {"flaw": NO_SOUND}
    assert file.reads <= 10_001


def test_the_delay_and_padding_of_an_encoder_do_not_count() -> None:
    # Without the name of the encoder, both stay in.
    data = (SOUNDS / "vbr.mp3").read_bytes()
    facts = facts_of(data.replace(b"LAME", b"none", 1), MPEG)
    assert facts["duration_seconds"] > 0.65


def test_a_cut_last_frame_is_a_flaw() -> None:
    assert facts_of(FRAME * 10 + FRAME[:50], MPEG)["flaw"] == CUT


@pytest.mark.parametrize("name", ["vorbis.ogg", "opus.ogg"])
def test_a_cut_last_page_is_a_flaw(name: str) -> None:
    assert facts_of((SOUNDS / name).read_bytes()[:-10], OGG)["flaw"] == CUT


def test_the_last_whole_page_counts_when_the_last_one_is_cut() -> None:
    page = b"OggS\0\0" + (4410).to_bytes(8, "little") + b"\1\0\0\0" + bytes(8) + b"\1\x1e"
    vorbis = b"\1vorbis" + bytes(4) + b"\1" + (44_100).to_bytes(4, "little") + bytes(14)
    cut = page.replace((4410).to_bytes(2, "little"), b"\xff\xff", 1)
    assert facts_of(page + vorbis + cut, OGG) == {
        "codec": "vorbis",
        "duration_seconds": 0.1,
        "sample_rate_hz": 44_100,
        "channels": 1,
        "flaw": CUT,
    }


def test_pages_of_another_stream_do_not_count() -> None:
    data = (SOUNDS / "opus.ogg").read_bytes()
    other = b"OggS\0\4" + b"\0\0\0\0\0\0\0\1" + b"abcd" + bytes(8) + b"\0"
    assert facts_of(data + other, OGG)["duration_seconds"] == 0.6


def test_an_impossible_duration_is_left_out() -> None:
    data = bytearray((SOUNDS / "lossless.flac").read_bytes())
    data[21:26] = b"\xff" * 5
    facts = facts_of(bytes(data), "audio/flac")
    assert "duration_seconds" not in facts


@pytest.mark.parametrize("name", ["aac.m4a", "alac.m4a"])
def test_a_truncated_m4a_has_a_flaw(name: str) -> None:
    assert facts_of((SOUNDS / name).read_bytes()[:-10], MP4)["flaw"] == CUT


def test_the_fragments_of_a_streamed_m4a_count() -> None:
    # 18.75 frames of 1024 samples: an encoder's delay counts where no edit list leaves it out.
    facts = facts_of(VIDEOS["fragmented.mp4"], MP4)
    assert facts["duration_seconds"] == 18.75 * 1024 / 16_000


def test_an_m4a_without_a_header_has_no_sound() -> None:
    data = (SOUNDS / "aac.m4a").read_bytes().replace(b"moov", b"free")
    assert facts_of(data, MP4) == {"flaw": NO_SOUND}


def test_an_m4a_with_another_track_only_has_no_sound() -> None:
    data = (SOUNDS / "aac.m4a").read_bytes().replace(b"soun", b"vide")
    assert facts_of(data, MP4)["flaw"] == NO_SOUND


@pytest.mark.parametrize("content_type", [MPEG, OGG, MP4, "audio/aac", "audio/flac"])
@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"some text, and no sound at all"])
def test_other_content_has_no_sound(data: bytes, content_type: str) -> None:
    facts: dict[str, Any] = facts_of(data, content_type)
    assert facts in ({"flaw": NO_SOUND}, {"flaw": CUT})
