"""Whether a media file is one from its first byte to its last, not just at its start.

A picture's first bytes in front of a secret text make no picture. The parts that a file is made of
are followed by their lengths, up to its end; what is in them is not decoded. Only their heads are
read, except for JPEG and MP3, where the end of a part isn't written at its start.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO

from .media_files import id3_tag_bytes, is_mp3_frame

MAX_PARTS = 200_000
MAX_FRAMES = 2_000_000
BLOCK_BYTES = 1024 * 1024

CUT = "it ends too early"
TOO_MANY = "it has too many parts"
MORE = "something else follows its end"
NOT_A_PART = "it has something in it that isn't part of its format"

PNG_HEAD_BYTES, PNG_END_BYTES = 8, 12
CHUNK_NAME = re.compile(rb"[A-Za-z]{4}")
RIFF_NAME = re.compile(rb"[ -~]{4}")
BOX_NAME = re.compile(rb"[ -~\xa9]{4}")

JPEG_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_START, JPEG_END, JPEG_SCAN = 0xD8, 0xD9, 0xDA
# In compressed data, 0xFF is followed by a zero or a restart mark, or repeated to fill up.
JPEG_MARK = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
SAMSUNG_HEAD, SAMSUNG_END = b"SEFH", b"SEFT"
SAMSUNG_ENTRY_BYTES, MAX_SAMSUNG_ENTRIES = 12, 1000

# What encoders write that can't go back to fill in the size, such as ffmpeg and SoX in a pipe.
RIFF_SIZES_OF_STREAMS = range(0x7FFF_F000, 0x1_0000_0000)
WAV_FORMAT_BYTES = 14

MP3_BIT_RATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
MP3_SAMPLE_RATES = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8000),
}
MP3_FRAMES_TO_TRUST = 2
ID3V1_BYTES, ID3V1_MORE_BYTES, APE_BYTES = 128, 227, 32
LYRICS_END = b"LYRICS200"


class FlawError(Exception):
    """What is wrong with a file."""


def find_flaw(stream: FileIO, size_bytes: int, content_type: str) -> str | None:
    """Return what is wrong with a file of one of the six types that Layer takes, or None.

    Raises:
        OSError: it can't be read.
    """
    check = {
        "image/png": _check_png,
        "image/jpeg": _check_jpeg,
        "image/webp": _check_webp,
        "video/mp4": _check_mp4,
        "audio/mpeg": _check_mp3,
        "audio/wav": _check_wav,
    }[content_type]
    try:
        check(_File(stream, size_bytes))
    except FlawError as flaw:
        return str(flaw)
    return None


@dataclass(frozen=True)
class _File:
    """A file that is read here and there."""

    stream: FileIO
    size_bytes: int

    def read(self, offset: int, count: int) -> bytes:
        """Read some bytes, or fail if they aren't there."""
        data = self.read_some(offset, count)
        if len(data) < count:
            raise FlawError(CUT)
        return data

    def read_some(self, offset: int, count: int) -> bytes:
        self.stream.seek(offset)
        return self.stream.read(min(count, max(self.size_bytes - offset, 0)))


def _check_png(file: _File) -> None:
    offset, names = PNG_HEAD_BYTES, set[bytes]()
    for _ in range(MAX_PARTS):
        head = file.read(offset, 8)
        length, name = int.from_bytes(head[:4]), head[4:]
        if not CHUNK_NAME.fullmatch(name) or (not names and (name, length) != (b"IHDR", 13)):
            raise FlawError(NOT_A_PART)
        names.add(name)
        offset += PNG_END_BYTES + length
        if offset > file.size_bytes:
            raise FlawError(CUT)
        if name == b"IEND":
            break
    else:
        raise FlawError(TOO_MANY)
    if b"IDAT" not in names:
        raise FlawError("it has no pixels")
    if offset < file.size_bytes:
        raise FlawError(MORE)


def _check_webp(file: _File) -> None:
    if int.from_bytes(file.read(4, 4), "little") + 8 not in (file.size_bytes, file.size_bytes - 1):
        raise FlawError("its size isn't the one that it declares")
    names = [name for name, _, _ in _riff_chunks(file, is_stream=False)]
    if not {b"VP8 ", b"VP8L", b"ANMF"}.intersection(names):
        raise FlawError("it has no pixels")


def _check_wav(file: _File) -> None:
    # Programs often get the size of the whole wrong, but not those of its parts.
    declared = int.from_bytes(file.read(4, 4), "little")
    is_stream = declared == 0 or declared in RIFF_SIZES_OF_STREAMS
    chunks = list(_riff_chunks(file, is_stream=is_stream))
    names = [name for name, _, _ in chunks]
    if b"fmt " not in names or b"data" not in names[names.index(b"fmt ") :]:
        raise FlawError("it has no sound")
    length = chunks[names.index(b"fmt ")][2]
    if length < WAV_FORMAT_BYTES:
        raise FlawError(NOT_A_PART)


def _riff_chunks(file: _File, *, is_stream: bool) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, offset and length of each chunk; the sound of a stream lasts to its end."""
    offset = 12
    for _ in range(MAX_PARTS):
        # One byte may fill up the last chunk.
        if file.size_bytes - offset <= 1:
            return
        head = file.read(offset, 8)
        name, length = head[:4], int.from_bytes(head[4:], "little")
        if not RIFF_NAME.fullmatch(name):
            raise FlawError(NOT_A_PART)
        end = offset + 8 + length
        has_no_length = name == b"data" and (length == 0 or end > file.size_bytes)
        if is_stream and has_no_length:
            end = file.size_bytes
        if end > file.size_bytes:
            raise FlawError(CUT)
        yield name, offset, length
        # Some programs don't fill up a chunk of odd length.
        is_filled = length % 2 == 1 and file.read_some(end, 1) == b"\0"
        offset = end + is_filled
    raise FlawError(TOO_MANY)


def _check_mp4(file: _File) -> None:
    names = [name for name, _ in _boxes(file, 0)]
    if b"moov" not in names or not {b"mdat", b"moof"}.intersection(names):
        raise FlawError("it has no video")


def _boxes(file: _File, offset: int) -> Iterator[tuple[bytes, int]]:
    """Yield name and offset of each box from here to the end of the file."""
    for _ in range(MAX_PARTS):
        head = file.read_some(offset, 8)
        # Nothing is left, or zeros that fill it up.
        if not head.strip(b"\0") and _skip_zeros(file, offset) == file.size_bytes:
            return
        head = file.read(offset, 8)
        length, name, head_bytes = int.from_bytes(head[:4]), head[4:], 8
        if not BOX_NAME.fullmatch(name):
            raise FlawError(NOT_A_PART)
        if length == 1:
            length, head_bytes = int.from_bytes(file.read(offset + 8, 8)), 16
        elif length == 0:
            length = file.size_bytes - offset
        if length < head_bytes:
            raise FlawError(NOT_A_PART)
        yield name, offset
        offset += length
        if offset > file.size_bytes:
            raise FlawError(CUT)
    raise FlawError(TOO_MANY)


def _skip_boxes(file: _File, offset: int) -> int:
    for _ in _boxes(file, offset):
        pass
    return file.size_bytes


def _check_jpeg(file: _File) -> None:
    offset = _skip_jpeg(file, 0)
    # Phones append more pictures, a short film, or notes of their own.
    notes = _find_samsung_notes(file)
    while offset < file.size_bytes:
        head = file.read_some(offset, 8)
        zeros_end = _skip_zeros(file, offset)
        if head.startswith(b"\xff\xd8\xff"):
            offset = _skip_jpeg(file, offset)
        elif notes is not None and offset <= notes <= zeros_end:
            return
        elif head[4:] == b"ftyp":
            film = _File(file.stream, file.size_bytes if notes is None else notes)
            offset = _skip_boxes(film, offset)
        elif zeros_end > offset:
            offset = zeros_end
        else:
            raise FlawError(MORE)


def _skip_jpeg(file: _File, offset: int) -> int:
    """Return where the picture at an offset ends."""
    markers = set[int]()
    for _ in range(MAX_PARTS):
        head = file.read(offset, 2)
        if head == b"\xff\xff":
            offset += 1
            continue
        if head[0] != 0xFF or head[1] == 0 or (head[1] == JPEG_START) == bool(markers):
            raise FlawError(NOT_A_PART)
        markers.add(head[1])
        offset += 2
        if head[1] == JPEG_END:
            break
        if head[1] not in JPEG_WITHOUT_LENGTH:
            length = int.from_bytes(file.read(offset, 2))
            if length < 2:
                raise FlawError(NOT_A_PART)
            offset += length
        if head[1] == JPEG_SCAN:
            offset = _find(file, JPEG_MARK, offset)
    else:
        raise FlawError(TOO_MANY)
    if JPEG_SCAN not in markers or not JPEG_FRAMES.intersection(markers):
        raise FlawError("it has no pixels")
    return offset


def _find(file: _File, pattern: re.Pattern[bytes], offset: int) -> int:
    while block := file.read_some(offset, BLOCK_BYTES):
        found = pattern.search(block)
        if found:
            return offset + found.start()
        if len(block) < 2:
            break
        # A mark may begin with the last byte.
        offset += len(block) - 1
    raise FlawError(CUT)


def _skip_zeros(file: _File, offset: int) -> int:
    while block := file.read_some(offset, BLOCK_BYTES):
        rest = block.lstrip(b"\0")
        offset += len(block) - len(rest)
        if rest:
            break
    return offset


def _find_samsung_notes(file: _File) -> int | None:
    """Return where the blocks begin that Samsung's cameras append, by the table at the end."""
    end = file.size_bytes - 8
    tail = file.read_some(end, 8)
    table = end - int.from_bytes(tail[:4], "little")
    if tail[4:] != SAMSUNG_END or table < 0:
        return None
    head = file.read_some(table, 12)
    count = int.from_bytes(head[8:12], "little")
    if head[:4] != SAMSUNG_HEAD or not 0 < count <= MAX_SAMSUNG_ENTRIES:
        return None
    entries = file.read_some(table + 12, count * SAMSUNG_ENTRY_BYTES)
    offsets = [
        int.from_bytes(entries[at + 4 : at + 8], "little")
        for at in range(0, len(entries), SAMSUNG_ENTRY_BYTES)
    ]
    return table - max(offsets)


def _check_mp3(file: _File) -> None:
    offset, frames = 0, 0
    block, start = b"", 0
    for _ in range(MAX_FRAMES):
        if offset >= file.size_bytes:
            break
        if not start <= offset <= start + len(block) - ID3V1_BYTES:
            block, start = file.read_some(offset, BLOCK_BYTES), offset
        head = block[offset - start : offset - start + APE_BYTES]
        length = _mp3_frame_bytes(head)
        if length is None:
            offset = _skip_tag(file, head, offset)
            continue
        offset += length
        frames += offset <= file.size_bytes
        # The last frame of a recording that was stopped may be cut.
        if offset > file.size_bytes and frames < MP3_FRAMES_TO_TRUST:
            raise FlawError(CUT)
    else:
        raise FlawError(TOO_MANY)
    if frames < MP3_FRAMES_TO_TRUST:
        raise FlawError("it has no sound")


def _mp3_frame_bytes(head: bytes) -> int | None:
    if not is_mp3_frame(head):
        return None
    version, bit_rate, sample_rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    is_first = version == 3
    rate = MP3_BIT_RATES[not is_first][bit_rate] * 1000
    padding = head[2] >> 1 & 1
    return (144 if is_first else 72) * rate // MP3_SAMPLE_RATES[version][sample_rate] + padding


def _skip_tag(file: _File, head: bytes, offset: int) -> int:
    """Return where a tag between or behind the frames of an MP3 ends."""
    end = offset
    if head.startswith(b"ID3"):
        end = offset + (id3_tag_bytes(head) or 0)
    elif head.startswith(b"TAG+"):
        end = offset + ID3V1_MORE_BYTES
    elif head.startswith(b"TAG"):
        end = offset + ID3V1_BYTES
    elif head.startswith(b"APETAGEX"):
        # The size counts the items and the footer. A header comes before them, a footer after.
        is_header = len(head) > 23 and head[23] & 0x20
        end = offset + APE_BYTES + (int.from_bytes(head[12:16], "little") if is_header else 0)
    elif head.startswith(b"LYRICSBEGIN"):
        end = _find(file, re.compile(LYRICS_END), offset) + len(LYRICS_END)
    elif head.startswith(b"\0"):
        end = _skip_zeros(file, offset)
    if end == offset:
        raise FlawError(NOT_A_PART)
    if end > file.size_bytes:
        raise FlawError(CUT)
    return end
