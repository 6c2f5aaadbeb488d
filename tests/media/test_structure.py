"""Media files that are whole, and files that only begin like one."""

import io
import struct
import wave
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from layer_mcp import LayerError
from layer_mcp.files.folders import PrivateFolders
from layer_mcp.files.local_files import open_media_file
from layer_mcp.media.sniff import sniff
from layer_mcp.media.structure import find_flaw

SECRET = b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAA\n" * 40
# 128 kbit/s at 44.1 kHz, without sound.
FRAME = b"\xff\xfb\x90\x64" + bytes(413)
ID3 = b"ID3\x04\0\0\0\0\0\x05" + bytes(5)
LONG_ID3 = b"ID3\x03\0\0\0\0\x01\0" + bytes(128)
ID3V1 = b"TAG" + bytes(125)
APE_ITEM = b"\x04\0\0\0\0\0\0\0key\0text"
APE_FACTS = struct.pack("<III", 2000, len(APE_ITEM) + 32, 1)
APE = (
    b"APETAGEX"
    + APE_FACTS
    + b"\0\0\0\xa0"
    + bytes(8)
    + APE_ITEM
    + b"APETAGEX"
    + APE_FACTS
    + b"\0\0\0\x80"
    + bytes(8)
)
LYRICS = b"LYRICSBEGIN" + b"IND0000310" + b"000021LYRICS200"


def picture(kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((40, 30), 90).convert("RGB").save(buffer, kind, **options)
    return buffer.getvalue()


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (40, 30), color) for color in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], duration=100)
    return buffer.getvalue()


def sound(frames: bytes = bytes(100), width: int = 2) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, width, 8000, 0, "NONE", ""))
        file.writeframes(frames)
    return buffer.getvalue()


def streamed_sound(size: bytes, data_size: bytes) -> bytes:
    """Return a sound as an encoder writes it that can't go back to its start."""
    plain = sound()
    return b"RIFF" + size + plain[8:40] + data_size + plain[44:]


def box(name: bytes, content: bytes = b"") -> bytes:
    return (8 + len(content)).to_bytes(4) + name + content


def clip() -> bytes:
    return (files("layer_mcp.sandbox") / "clip.mp4").read_bytes()


def long_box() -> bytes:
    return clip() + (1).to_bytes(4) + b"free" + (20).to_bytes(8) + b"more"


def with_notes(
    jpeg: bytes, block: bytes = b"\0\0\x01\x0a\x0e\0\0\0Image_UTC_Data1700000000000"
) -> bytes:
    """Append a block as Samsung's cameras do: its table, the table's length, and a mark."""
    table = b"SEFH" + struct.pack("<IIHHII", 107, 1, 0, 0x0A01, len(block), len(block))
    return jpeg + block + table + struct.pack("<I", len(table)) + b"SEFT"


JPEG = picture("JPEG")
WHOLE = {
    "png": picture("PNG"),
    "png, animated": animated("PNG"),
    "jpeg": JPEG,
    "jpeg, progressive": picture("JPEG", progressive=True),
    "jpeg with restart marks": picture("JPEG", restart_marker_blocks=2),
    "jpeg with a thumbnail": picture("JPEG", exif=b"Exif\0\0" + picture("JPEG")),
    "jpeg with more pictures": animated("MPO"),
    "jpeg with zeros at its end": JPEG + bytes(7),
    "jpeg with a film": JPEG + clip(),
    "jpeg with notes": with_notes(JPEG),
    "jpeg with a film and notes": with_notes(JPEG + clip()),
    "jpeg with fill bytes": JPEG[:2] + b"\xff\xff" + JPEG[2:],
    "webp": picture("WEBP"),
    "webp, lossless": picture("WEBP", lossless=True),
    "webp, animated": animated("WEBP"),
    "webp with metadata": picture("WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
    "mp4": clip(),
    "mp4 with a long box": long_box(),
    "mp4 with zeros at its end": clip() + bytes(16),
    "mp4, fragmented": box(b"ftyp", b"isom\0\0\0\0isom") + box(b"moov") + box(b"moof"),
    "mp4 whose last box has no length": box(b"ftyp", b"isom\0\0\0\0isom")
    + box(b"moov")
    + b"\0\0\0\0mdatmore",
    "wav": sound(),
    "wav of odd length": sound(bytes(3), 1),
    "wav with metadata": sound() + b"LIST\x03\0\0\0abc",
    "wav of ffmpeg in a pipe": streamed_sound(b"\xff" * 4, b"\xff" * 4),
    "wav of SoX in a pipe": streamed_sound(b"\x24\xf0\xff\x7f", b"\0\xf0\xff\x7f"),
    "wav without sizes": streamed_sound(bytes(4), bytes(4)),
    "wav whose size is wrong": b"RIFF\x44\0\0\0" + sound()[8:],
    "mp3": FRAME * 3,
    "mp3 with tags": ID3 + FRAME * 3 + APE + ID3V1,
    "mp3 with lyrics": FRAME * 3 + LYRICS + ID3V1,
    "mp3 with a longer tag": FRAME * 2 + b"TAG+" + bytes(223) + ID3V1,
    "mp3, cut": FRAME * 3 + FRAME[:100],
    "mp3 with zeros": LONG_ID3 + bytes(3000) + FRAME * 3 + bytes(3000),
    "mp3 of two recordings": (ID3 + FRAME * 2) * 2,
}
SHORT = {
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "jpeg": b"\xff\xd8\xff\xe0",
    "webp": b"RIFF\0\0\0\0WEBPVP8 ",
    "mp4": b"\0\0\0\x14ftypisom\0\0\0\0isom",
    "wav": b"RIFF\0\0\0\0WAVEfmt ",
    "mp3": b"\xff\xfb\x90\x64",
    "mp3 with a tag": b"ID3\x04\0\0\0\0\0\x05" + bytes(5) + b"\xff\xfb\x90\x64",
    "mp3 with a tag that is too long": b"ID3\x04\0\0\0\0\x7f\x05",
}
CAN_HAVE_A_TAIL = ("mp4 whose last box has no length", "in a pipe", "without sizes")


def flaw_of(data: bytes, folder: Path) -> str | None:
    path = folder / "file"
    path.write_bytes(data)
    content_type = sniff(data[:64])
    assert content_type is not None
    with io.FileIO(path) as stream:
        return find_flaw(stream, len(data), content_type)


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_has_no_flaw(name: str, tmp_path: Path) -> None:
    assert flaw_of(WHOLE[name], tmp_path) is None


@pytest.mark.parametrize("name", SHORT)
def test_rejects_text_that_begins_like_a_media_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(SHORT[name] + SECRET)
    with (
        pytest.raises(LayerError, match="FILE_TYPE_NOT_SUPPORTED") as caught,
        open_media_file(path, private=PrivateFolders()),
    ):
        pass
    assert "begins like" in caught.value.message
    assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in WHOLE if not name.endswith(CAN_HAVE_A_TAIL)])
def test_a_text_behind_a_whole_file_is_a_flaw(name: str, tmp_path: Path) -> None:
    assert flaw_of(WHOLE[name] + SECRET, tmp_path)


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "mp4", "wav"])
def test_a_truncated_file_has_a_flaw(name: str, tmp_path: Path) -> None:
    data = WHOLE[name]
    assert flaw_of(data[: len(data) * 2 // 3], tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(WHOLE["png"][:33] + WHOLE["png"][-12:], id="png without pixels"),
        pytest.param(b"\xff\xd8\xff\xd9", id="jpeg without pixels"),
        pytest.param(b"RIFF\x0c\0\0\0WEBPVP8X\0\0\0\0", id="webp without pixels"),
        pytest.param(box(b"ftyp", b"isom\0\0\0\0isom") + box(b"moov"), id="mp4 without video"),
        pytest.param(sound()[:36], id="wav without sound"),
        pytest.param(LONG_ID3 + ID3V1, id="mp3 without sound"),
        pytest.param(ID3 + FRAME, id="mp3 of one frame"),
        pytest.param(JPEG + with_notes(b"") + b"x", id="jpeg with notes that don't end it"),
        pytest.param(with_notes(JPEG + SECRET), id="jpeg with a text before its notes"),
    ],
)
def test_a_file_without_content_has_a_flaw(data: bytes, tmp_path: Path) -> None:
    assert flaw_of(data, tmp_path)


def test_stops_reading_a_file_with_too_many_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layer_mcp.media.structure.MAX_PARTS", 10)
    plain = WHOLE["png"]
    data = plain[:33] + b"\0\0\0\0prVtAAAA" * 20 + plain[33:]
    assert flaw_of(data, tmp_path) == "it has too many parts"


@given(
    name=st.sampled_from(sorted(WHOLE)),
    damage=st.lists(st.tuples(st.integers(64, 5000), st.integers(0, 255)), max_size=6),
)
def test_inspecting_a_damaged_file_does_not_fail(
    name: str, damage: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = bytearray(WHOLE[name])
    for place, value in damage:
        data[place % len(data)] = value
    if sniff(bytes(data[:64])):
        flaw_of(bytes(data), tmp_path_factory.getbasetemp())
