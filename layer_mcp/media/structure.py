"""Check that a media file is valid from its first byte to its last, not just at its start.

A secret text that starts like a picture isn't a picture. Each part of the file is skipped by its
declared length, up to the end, without decoding. Only the headers of parts are read, except in JPEG
and MP3, which don't declare the length of every part.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from .containers.parts import (
    CUT,
    JPEG_END,
    JPEG_FRAMES,
    JPEG_SCAN,
    JPEG_START,
    JPEG_WITHOUT_LENGTH,
    NOT_A_PART,
    PNG_CHECK_BYTES,
    RIFF_HEAD_BYTES,
    BrokenFileError,
    Part,
    PartReader,
    TooManyPartsError,
    boxes,
    filled_end,
    png_chunks,
    riff_chunks,
)
from .sounds.frames import id3_tag_bytes, mp3_frame_bytes

MAX_PARTS = 200_000
MAX_FRAMES = 2_000_000
BLOCK_BYTES = 1024 * 1024
# Bytes read twice: up to a block after each scan of a JPEG.
MAX_REPEATED_BYTES = 1024 * 1024 * 1024

TOO_MANY = "it has too many parts"
MORE = "extra data follows its end"

CHUNK_NAME = re.compile(rb"[A-Za-z]{4}")
RIFF_NAME = re.compile(rb"[ -~]{4}")
BOX_HEAD_BYTES = 8

# In compressed data, 0xFF is followed by a zero or a restart mark, or repeated to fill up.
JPEG_MARK = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
SAMSUNG_HEAD, SAMSUNG_END = b"SEFH", b"SEFT"
SAMSUNG_ENTRY_BYTES, MAX_SAMSUNG_ENTRIES = 12, 1000

# Written by encoders that can't seek back to fill in the size, such as ffmpeg and SoX in a pipe.
RIFF_SIZES_OF_STREAMS = range(0x7FFF_F000, 0x1_0000_0000)
WAV_FORMAT_BYTES = 14

MP3_FRAMES_TO_TRUST = 2
ID3V1_BYTES, ID3V1_MORE_BYTES, APE_BYTES = 128, 227, 32
LYRICS_END = b"LYRICS200"


def find_flaw(stream: BinaryIO, size_bytes: int, content_type: str) -> str | None:
    """Return what is wrong with a file of one of the six types that Layer accepts, or None.

    Raises:
        OSError: the file can't be read.
    """
    check = {
        "image/png": _check_png,
        "image/jpeg": _check_jpeg,
        "image/webp": _check_webp,
        "video/mp4": _check_mp4,
        "audio/mpeg": _check_mp3,
        "audio/wav": _check_wav,
    }[content_type]
    max_bytes = size_bytes + MAX_REPEATED_BYTES
    try:
        check(PartReader(stream, size_bytes, max_reads=MAX_PARTS, max_bytes=max_bytes))
    except BrokenFileError as error:
        return str(error)
    except TooManyPartsError:
        return TOO_MANY
    return None


def _check_png(file: PartReader) -> None:
    names, end = set[bytes](), 0
    for chunk in png_chunks(file):
        head = chunk.name, chunk.end - chunk.start
        if not CHUNK_NAME.fullmatch(chunk.name) or (not names and head != (b"IHDR", 13)):
            raise BrokenFileError(NOT_A_PART)
        names.add(chunk.name)
        end = chunk.end + PNG_CHECK_BYTES
        if chunk.name == b"IEND":
            break
    if b"IEND" not in names or end > file.size_bytes:
        raise BrokenFileError(CUT)
    if b"IDAT" not in names:
        raise BrokenFileError("it has no pixels")
    if end < file.size_bytes:
        raise BrokenFileError(MORE)


def _check_webp(file: PartReader) -> None:
    declared_bytes = int.from_bytes(file.read(4, 4), "little") + 8
    if declared_bytes > file.size_bytes:
        raise BrokenFileError(CUT)
    if declared_bytes < file.size_bytes - 1:
        raise BrokenFileError("its size doesn't match its header")
    names = [chunk.name for chunk in _whole_chunks(file, is_stream=False)]
    if not {b"VP8 ", b"VP8L", b"ANMF"}.intersection(names):
        raise BrokenFileError("it has no pixels")


def _check_wav(file: PartReader) -> None:
    # Programs often get the total size wrong, but not the sizes of the parts.
    declared = int.from_bytes(file.read(4, 4), "little")
    is_stream = declared == 0 or declared in RIFF_SIZES_OF_STREAMS
    chunks = list(_whole_chunks(file, is_stream=is_stream))
    names = [chunk.name for chunk in chunks]
    if b"fmt " not in names or b"data" not in names[names.index(b"fmt ") :]:
        raise BrokenFileError("it has no sound")
    form = chunks[names.index(b"fmt ")]
    if form.end - form.start < WAV_FORMAT_BYTES:
        raise BrokenFileError(NOT_A_PART)


def _whole_chunks(file: PartReader, *, is_stream: bool) -> Iterator[Part]:
    """Yield the chunks of a RIFF file; the sound of a stream lasts to its end."""
    end = RIFF_HEAD_BYTES
    for chunk in riff_chunks(file):
        if not RIFF_NAME.fullmatch(chunk.name):
            raise BrokenFileError(NOT_A_PART)
        is_cut = chunk.end > file.size_bytes
        has_no_length = chunk.name == b"data" and (chunk.end == chunk.start or is_cut)
        if is_cut and not (is_stream and has_no_length):
            raise BrokenFileError(CUT)
        yield chunk
        if is_stream and has_no_length:
            return
        end = filled_end(file, chunk)
    # The last chunk may be padded with a byte.
    if file.size_bytes - end > 1:
        raise BrokenFileError(CUT)


def _check_mp4(file: PartReader) -> None:
    names = _whole_boxes(file, 0, file.size_bytes)
    if b"moov" not in names or not {b"mdat", b"moof"}.intersection(names):
        raise BrokenFileError("it has no video")


def _whole_boxes(file: PartReader, start: int, end: int) -> set[bytes]:
    """Return the names of the boxes between two offsets, where only zeros may follow them."""
    names, offset = set[bytes](), start
    for box in boxes(file, start, end):
        names.add(box.name)
        offset = box.end
    if _skip_zeros(file, offset) < end:
        raise BrokenFileError(CUT if end - offset < BOX_HEAD_BYTES else NOT_A_PART)
    return names


def _check_jpeg(file: PartReader) -> None:
    offset = _skip_jpeg(file, 0)
    # Phones append more pictures, a short video, or their own data.
    notes = _find_samsung_notes(file)
    while offset < file.size_bytes:
        head = file.read_some(offset, 8)
        zeros_end = _skip_zeros(file, offset)
        if head.startswith(b"\xff\xd8\xff"):
            offset = _skip_jpeg(file, offset)
        elif notes is not None and offset <= notes <= zeros_end:
            return
        elif head[4:] == b"ftyp":
            end = file.size_bytes if notes is None else notes
            _whole_boxes(file, offset, end)
            offset = end
        elif zeros_end > offset:
            offset = zeros_end
        else:
            raise BrokenFileError(MORE)


def _skip_jpeg(file: PartReader, offset: int) -> int:
    """Return where the picture at an offset ends."""
    markers = set[int]()
    while JPEG_END not in markers:
        head = file.read(offset, 2)
        if head == b"\xff\xff":
            offset += 1
            continue
        if head[0] != 0xFF or head[1] == 0 or (head[1] == JPEG_START) == bool(markers):
            raise BrokenFileError(NOT_A_PART)
        markers.add(head[1])
        offset += 2
        if head[1] not in JPEG_WITHOUT_LENGTH:
            length = int.from_bytes(file.read(offset, 2))
            if length < 2:
                raise BrokenFileError(NOT_A_PART)
            offset += length
        if head[1] == JPEG_SCAN:
            offset = _find(file, JPEG_MARK, offset)
    if JPEG_SCAN not in markers or not JPEG_FRAMES.intersection(markers):
        raise BrokenFileError("it has no pixels")
    return offset


def _find(file: PartReader, pattern: re.Pattern[bytes], offset: int) -> int:
    while block := file.read_some(offset, BLOCK_BYTES):
        found = pattern.search(block)
        if found:
            return offset + found.start()
        if len(block) < 2:
            break
        # A marker may start with the last byte.
        offset += len(block) - 1
    raise BrokenFileError(CUT)


def _skip_zeros(file: PartReader, offset: int) -> int:
    while block := file.read_some(offset, BLOCK_BYTES):
        rest = block.lstrip(b"\0")
        offset += len(block) - len(rest)
        if rest:
            break
    return offset


def _find_samsung_notes(file: PartReader) -> int | None:
    """Return where the blocks appended by Samsung cameras start, from the table at the end."""
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


def _check_mp3(file: PartReader) -> None:
    offset, frames = 0, 0
    block, start = b"", 0
    for _ in range(MAX_FRAMES):
        if offset >= file.size_bytes:
            break
        if not start <= offset <= start + len(block) - ID3V1_BYTES:
            block, start = file.read_some(offset, BLOCK_BYTES), offset
        head = block[offset - start : offset - start + APE_BYTES]
        length = mp3_frame_bytes(head)
        if length is None:
            offset = _skip_tag(file, head, offset)
            continue
        offset += length
        frames += offset <= file.size_bytes
        # The last frame of a stopped recording may be truncated.
        if offset > file.size_bytes and frames < MP3_FRAMES_TO_TRUST:
            raise BrokenFileError(CUT)
    else:
        raise TooManyPartsError
    if frames < MP3_FRAMES_TO_TRUST:
        raise BrokenFileError("it has no sound")


def _skip_tag(file: PartReader, head: bytes, offset: int) -> int:
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
        raise BrokenFileError(NOT_A_PART)
    if end > file.size_bytes:
        raise BrokenFileError(CUT)
    return end
