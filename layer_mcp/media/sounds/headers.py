"""Read the headers of FLAC, Ogg, MP3 and AAC without decoding them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import BinaryIO

from ..containers.parts import CUT
from .frames import (
    AAC_RATES_HZ,
    ADTS_HEAD_BYTES,
    MP3_SAMPLE_RATES,
    adts_frame_bytes,
    is_mp3_frame,
    mp3_frame_bytes,
)

NO_SOUND = "it has no sound"

FLAC_MARK, STREAM_INFO_BYTES = b"fLaC", 34

OGG_MARK, OGG_HEAD_BYTES, MAX_OGG_PAGE_BYTES = b"OggS", 27, 65_307
NO_GRANULE = (1 << 64) - 1
VORBIS_MARK, OPUS_MARK, OGG_FLAC_MARK = b"\x01vorbis", b"OpusHead", b"\x7fFLAC"
IDENTIFICATION_BYTES = 64
OPUS_RATE_HZ = 48_000

# About two hours of sound; of more, the rest is taken to have as many bytes a second.
MAX_FRAMES = 300_000
BLOCK_BYTES, FRAME_HEAD_BYTES = 256 * 1024, 8
XING_MARKS, VBRI_MARK, VBRI_OFFSET = (b"Xing", b"Info"), b"VBRI", 36
XING_HAS_FRAMES, XING_HAS_BYTES = 1, 2
# Each flag says that a field of so many bytes follows: frames, bytes, a table, the quality.
XING_FIELDS = ((XING_HAS_FRAMES, 4), (XING_HAS_BYTES, 4), (4, 100), (8, 4))
ENCODERS_WITH_GAPS, LAME_GAPS_OFFSET = (b"LAME", b"Lavc", b"Lavf"), 21
MIN_MP3_FRAME_BYTES = 24

AAC_CHANNELS = (0, 1, 2, 3, 4, 5, 6, 8)
AAC_FRAME_SAMPLES = 1024


@dataclass(frozen=True)
class SoundHeader:
    """What a header says; what it doesn't say is 0."""

    codec: str
    sample_rate_hz: int = 0
    channels: int = 0
    bit_depth: int = 0
    duration_seconds: float = 0
    flaw: str | None = None


def read_flac(file: BinaryIO, offset: int) -> SoundHeader:
    """Read the STREAMINFO of a FLAC file (RFC 9639), which may follow a tag."""
    file.seek(offset + len(FLAC_MARK))
    # The head of the metadata block comes first.
    return _stream_info(file.read(4 + STREAM_INFO_BYTES)[4:])


def _stream_info(data: bytes) -> SoundHeader:
    if len(data) < STREAM_INFO_BYTES:
        return SoundHeader("flac", flaw=CUT)
    packed = int.from_bytes(data[10:18])
    rate, samples = packed >> 44, packed & (1 << 36) - 1
    return SoundHeader(
        codec="flac",
        sample_rate_hz=rate,
        channels=(packed >> 41 & 7) + 1,
        bit_depth=(packed >> 36 & 31) + 1,
        duration_seconds=samples / rate if rate else 0,
    )


def read_ogg(file: BinaryIO, size_bytes: int) -> SoundHeader:
    """Read the first page of an Ogg file (RFC 3533), and its last one for the duration."""
    file.seek(0)
    page = file.read(OGG_HEAD_BYTES + 255 + IDENTIFICATION_BYTES)
    if not page.startswith(OGG_MARK) or len(page) < OGG_HEAD_BYTES:
        return SoundHeader("", flaw=NO_SOUND)
    packet = page[OGG_HEAD_BYTES + page[26] :]
    header, skipped = _identify(packet)
    granule, is_cut = _last_granule(file, size_bytes, serial=page[14:18])
    if granule is not None and header.sample_rate_hz:
        seconds = max(granule - skipped, 0) / header.sample_rate_hz
        header = replace(header, duration_seconds=seconds)
    return replace(header, flaw=CUT) if is_cut else header


def _identify(packet: bytes) -> tuple[SoundHeader, int]:
    """Return what the identification header says, and how many samples are skipped at the start."""
    if packet.startswith(VORBIS_MARK) and len(packet) >= 16:
        rate = int.from_bytes(packet[12:16], "little")
        return SoundHeader("vorbis", sample_rate_hz=rate, channels=packet[11]), 0
    if packet.startswith(OPUS_MARK) and len(packet) >= 12:
        # Opus always decodes at 48 kHz, whatever was encoded (RFC 7845).
        skipped = int.from_bytes(packet[10:12], "little")
        return SoundHeader("opus", sample_rate_hz=OPUS_RATE_HZ, channels=packet[9]), skipped
    if packet.startswith(OGG_FLAC_MARK):
        return replace(_stream_info(packet[17:]), duration_seconds=0), 0
    return SoundHeader(""), 0


def _last_granule(file: BinaryIO, size_bytes: int, serial: bytes) -> tuple[int | None, bool]:
    """Return the last position of a stream in samples, and whether its last page is cut."""
    start = max(size_bytes - 2 * MAX_OGG_PAGE_BYTES, 0)
    file.seek(start)
    tail, is_cut = file.read(2 * MAX_OGG_PAGE_BYTES), False
    at = tail.rfind(OGG_MARK)
    while at >= 0:
        head = tail[at : at + OGG_HEAD_BYTES + 255]
        if len(head) < OGG_HEAD_BYTES:
            is_cut = True
        elif head[14:18] == serial and head[4] == 0:
            lacing = head[OGG_HEAD_BYTES : OGG_HEAD_BYTES + head[26]]
            end = start + at + OGG_HEAD_BYTES + head[26] + sum(lacing)
            granule = int.from_bytes(head[6:14], "little")
            if end > size_bytes or len(lacing) < head[26]:
                is_cut = True
            elif granule != NO_GRANULE:
                return granule, is_cut
        at = tail.rfind(OGG_MARK, 0, at)
    return None, is_cut


def read_adts(file: BinaryIO, size_bytes: int, offset: int) -> SoundHeader:
    """Read the first header of raw AAC, and count its frames (ISO 13818-7, ADTS)."""
    file.seek(offset)
    head = file.read(ADTS_HEAD_BYTES)
    if adts_frame_bytes(head) is None:
        return SoundHeader("aac", flaw=NO_SOUND)
    rate = AAC_RATES_HZ[head[2] >> 2 & 15]
    frames, is_cut = _count_frames(file, size_bytes, offset, adts_frame_bytes)
    return SoundHeader(
        codec="aac",
        sample_rate_hz=rate,
        channels=AAC_CHANNELS[(head[2] & 1) << 2 | head[3] >> 6],
        duration_seconds=frames * AAC_FRAME_SAMPLES / rate,
        flaw=CUT if is_cut else None,
    )


def read_mp3(file: BinaryIO, size_bytes: int, offset: int) -> SoundHeader:
    """Read the first frame of an MP3, which says how many there are, or count them.

    An encoder's delay and padding are no part of the duration.
    """
    file.seek(offset)
    frame = file.read(256)
    if not is_mp3_frame(frame):
        return SoundHeader("mp3", flaw=NO_SOUND)
    version, is_mono = frame[1] >> 3 & 3, frame[3] >> 6 == 3
    is_first = version == 3
    rate = MP3_SAMPLE_RATES[version][frame[2] >> 2 & 3]
    side_bytes = (17 if is_mono else 32) if is_first else (9 if is_mono else 17)
    declared = _vbr_header(frame, 4 + side_bytes)
    frames, gaps = declared.frames, declared.delay + declared.padding
    is_cut = offset + declared.size_bytes > size_bytes
    if not frames or is_cut or frames * MIN_MP3_FRAME_BYTES > size_bytes:
        counted, last_is_cut = _count_frames(file, size_bytes, offset, mp3_frame_bytes)
        # The frame that declares something is silent, and players skip it.
        frames = counted - (frames > 0)
        is_cut = is_cut or last_is_cut
        gaps = declared.delay if is_cut else gaps
    samples = frames * (1152 if is_first else 576) - gaps
    return SoundHeader(
        codec="mp3",
        sample_rate_hz=rate,
        channels=1 if is_mono else 2,
        duration_seconds=max(samples, 0) / rate,
        flaw=CUT if is_cut else None,
    )


@dataclass(frozen=True)
class _VbrHeader:
    """What the first frame of an MP3 declares: frames, bytes, and samples that don't count."""

    frames: int = 0
    size_bytes: int = 0
    delay: int = 0
    padding: int = 0


def _vbr_header(frame: bytes, offset: int) -> _VbrHeader:
    if frame[VBRI_OFFSET : VBRI_OFFSET + 4] == VBRI_MARK:
        fields = frame[VBRI_OFFSET + 10 :]
        return _VbrHeader(int.from_bytes(fields[4:8]), int.from_bytes(fields[:4]))
    if frame[offset : offset + 4] not in XING_MARKS:
        return _VbrHeader()
    flags = int.from_bytes(frame[offset + 4 : offset + 8])
    values, offset = dict[int, int](), offset + 8
    for flag, field_bytes in XING_FIELDS:
        if flags & flag:
            values[flag] = int.from_bytes(frame[offset : offset + field_bytes])
            offset += field_bytes
    header = _VbrHeader(values.get(XING_HAS_FRAMES, 0), values.get(XING_HAS_BYTES, 0))
    if frame[offset : offset + 4] not in ENCODERS_WITH_GAPS:
        return header
    gaps = int.from_bytes(frame[offset + LAME_GAPS_OFFSET :][:3])
    return replace(header, delay=gaps >> 12, padding=gaps & 0xFFF)


def _count_frames(
    file: BinaryIO, size_bytes: int, offset: int, frame_bytes: Callable[[bytes], int | None]
) -> tuple[int, bool]:
    """Return how many frames follow each other, and whether the last one is cut."""
    start, frames = offset, 0
    block, block_start = b"", offset
    while frames < MAX_FRAMES and offset < size_bytes:
        at = offset - block_start
        if not 0 <= at <= len(block) - FRAME_HEAD_BYTES:
            file.seek(offset)
            block, block_start, at = file.read(BLOCK_BYTES), offset, 0
        length = frame_bytes(block[at : at + FRAME_HEAD_BYTES])
        if length is None:
            return frames, False
        offset += length
        if offset > size_bytes:
            return frames, True
        frames += 1
    # Only after very many frames is something left.
    return round(frames * (size_bytes - start) / (offset - start)), False
