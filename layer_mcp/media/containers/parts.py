"""Walk files that consist of parts with declared lengths, reading as little as possible."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

BOX_NAME = re.compile(rb"[ -~\xa9]{4}")
RIFF_HEAD_BYTES = 12
PNG_HEAD_BYTES, PNG_CHECK_BYTES = 8, 4
JPEG_START, JPEG_END, JPEG_SCAN = 0xD8, 0xD9, 0xDA
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xDA)))
# A long recording needs about one read per frame; a hostile file has a part every few bytes.
MAX_READS = 200_000
MAX_READ_BYTES = 64 * 1024 * 1024
MAX_TABLE_BYTES = 4 * 1024 * 1024

CUT = "it ends too early"
NOT_A_PART = "it contains data that isn't part of its format"


class BrokenFileError(Exception):
    """A file is broken; the message says how."""

    @property
    def is_cut(self) -> bool:
        """Return whether the file ends too early."""
        return str(self) == CUT


class TooManyPartsError(Exception):
    """A file has more parts than are inspected."""


@dataclass(frozen=True)
class Part:
    """A part of a file, and where its content starts and ends.

    If it ends after the end of the file, the file is truncated.
    """

    name: bytes
    start: int
    end: int


class PartReader:
    """Reads parts of an open file, limiting the number of reads and bytes."""

    def __init__(
        self,
        stream: BinaryIO,
        size_bytes: int,
        *,
        max_reads: int = MAX_READS,
        max_bytes: int = MAX_READ_BYTES,
    ) -> None:
        self.size_bytes = size_bytes
        self._stream = stream
        self._reads_left = max_reads
        self._bytes_left = max_bytes

    def read(self, offset: int, count: int) -> bytes:
        """Read bytes at an offset.

        Raises:
            BrokenFileError: the file ends before them.
            TooManyPartsError: the limit was reached.
        """
        data = self.read_some(offset, count)
        if len(data) < count:
            raise BrokenFileError(CUT)
        return data

    def read_some(self, offset: int, count: int) -> bytes:
        """Read up to `count` bytes at an offset; fewer at the end of the file.

        Raises:
            TooManyPartsError: the limit was reached.
        """
        count = max(0, min(count, self.size_bytes - offset))
        self._reads_left -= 1
        self._bytes_left -= count
        if self._reads_left < 0 or self._bytes_left < 0:
            raise TooManyPartsError
        # The offset may be too large to seek to.
        if count == 0:
            return b""
        self._stream.seek(offset)
        return self._stream.read(count)

    def read_table(self, part: Part, offset: int, count: int) -> bytes:
        """Read bytes at an offset within a part.

        Raises:
            BrokenFileError: the part or the file ends before them.
            TooManyPartsError: the table is too large, or the limit was reached.
        """
        if count > MAX_TABLE_BYTES:
            raise TooManyPartsError
        if offset + count > part.end:
            raise BrokenFileError(NOT_A_PART)
        return self.read(offset, count)


def boxes(file: PartReader, start: int, end: int) -> Iterator[Part]:
    """Yield the boxes of ISO 14496-12 between two offsets.

    Raises:
        BrokenFileError: a box is longer than its parent, or invalid.
        TooManyPartsError: there are too many.
    """
    offset = start
    while end - offset >= 8:
        head = file.read_some(offset, min(16, end - offset))
        # Zeros end a QuickTime list, and pad a file.
        if not head[:8].strip(b"\0"):
            return
        length, name, head_bytes = int.from_bytes(head[:4]), head[4:8], 8
        if length == 1:
            length, head_bytes = int.from_bytes(head[8:16]), 16
        elif length == 0:
            length = end - offset
        if length < head_bytes or not BOX_NAME.fullmatch(name):
            raise BrokenFileError(NOT_A_PART)
        if offset + length > end:
            raise BrokenFileError(CUT)
        yield Part(name, offset + head_bytes, offset + length)
        offset += length


def riff_chunks(
    file: PartReader, byte_order: Literal["little", "big"] = "little"
) -> Iterator[Part]:
    """Yield the chunks of a RIFF file, or of an IFF file in the other byte order.

    Raises:
        TooManyPartsError: there are too many.
    """
    offset = RIFF_HEAD_BYTES
    while offset + 8 <= file.size_bytes:
        head = file.read_some(offset, 8)
        end = offset + 8 + int.from_bytes(head[4:], byte_order)
        chunk = Part(head[:4], offset + 8, end)
        yield chunk
        offset = filled_end(file, chunk)


def filled_end(file: PartReader, chunk: Part) -> int:
    """Return where a RIFF chunk ends, including the padding byte after an odd length.

    Some programs omit the padding.
    """
    is_odd = (chunk.end - chunk.start) % 2 == 1
    return chunk.end + (is_odd and file.read_some(chunk.end, 1) == b"\0")


def png_chunks(file: PartReader) -> Iterator[Part]:
    """Yield the chunks of a PNG without their checksums; the last one may be truncated.

    Raises:
        TooManyPartsError: there are too many.
    """
    offset = PNG_HEAD_BYTES
    while offset + 8 + PNG_CHECK_BYTES <= file.size_bytes:
        head = file.read_some(offset, 8)
        end = offset + 8 + int.from_bytes(head[:4])
        yield Part(head[4:], offset + 8, end)
        offset = end + PNG_CHECK_BYTES


def jpeg_segments(file: PartReader) -> Iterator[Part]:
    """Yield the segments of a JPEG before its first scan, with their markers as names.

    What is between them is skipped, as decoders do.

    Raises:
        TooManyPartsError: there are too many.
    """
    offset = 2
    while offset + 4 <= file.size_bytes:
        head = file.read_some(offset, 4)
        marker = head[1]
        if head[0] != 0xFF or marker in (0x00, 0xFF):
            offset += 1
            continue
        if marker == JPEG_SCAN:
            return
        has_length = marker not in JPEG_WITHOUT_LENGTH
        end = offset + 2 + (int.from_bytes(head[2:]) if has_length else 0)
        yield Part(head[1:2], offset + 4, end)
        offset = end
