"""Facts about WebM and Matroska videos (RFC 8794 for the elements, RFC 9559 for their meaning)."""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .parts import CUT, NOT_A_PART, BrokenFileError, Part, PartReader

SEGMENT, CLUSTER, TRACKS, TRACK = 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE
INFO, TIMESTAMP_SCALE, DURATION = 0x1549A966, 0x2AD7B1, 0x4489
TRACK_NUMBER, TRACK_TYPE, CODEC_ID, DEFAULT_DURATION = 0xD7, 0x83, 0x86, 0x23E383
VIDEO, WIDTH, HEIGHT, PROJECTION, ROLL = 0xE0, 0xB0, 0xBA, 0x7670, 0x7675
CROP_BOTTOM, CROP_TOP, CROP_LEFT, CROP_RIGHT = 0x54AA, 0x54BB, 0x54CC, 0x54DD
CLUSTER_TIMESTAMP, SIMPLE_BLOCK, BLOCK_GROUP, BLOCK = 0xE7, 0xA3, 0xA0, 0xA1
# Their content is read as if it followed them: a live stream doesn't know how long they are.
OPEN_ELEMENTS = (SEGMENT, CLUSTER, BLOCK_GROUP)
PICTURE, SOUND = 1, 2
MAX_VALUE_BYTES = 64
MAX_DEPTH, MAX_TRACKS = 5, 64
NANOSECONDS = 1_000_000_000

CODECS = {
    "V_MPEG4/ISO/AVC": "h264",
    "V_MPEGH/ISO/HEVC": "hevc",
    "V_MPEG4/ISO/ASP": "mpeg4",
    "A_MPEG/L3": "mp3",
    "A_MPEG/L2": "mp2",
}


@dataclass
class _Track:
    number: int = 0
    kind: int = 0
    codec: str | None = None
    frame_nanoseconds: int = 0
    values: dict[int, int] = field(default_factory=dict[int, int])
    roll: float = 0.0


@dataclass
class _Recording:
    """What is known of the file so far; the first frame and the last, by their times."""

    scale: int = 1_000_000
    duration: float = 0.0
    tracks: list[_Track] = field(default_factory=list[_Track])
    cluster_time: int = 0
    frames: int = 0
    first: int | None = None
    last: int = 0
    is_whole: bool = False


def add_facts(file: PartReader, facts: dict[str, Any]) -> None:
    """Add what a file says about its first video track, and whether it has sound.

    Raises:
        BrokenFileError: the file is broken; what was found before is in `facts`.
    """
    recording = _Recording()
    try:
        _read(file, recording)
    finally:
        if recording.tracks:
            _add_tracks(recording, facts)
    if not recording.tracks:
        raise BrokenFileError("it has no video")


def _add_tracks(recording: _Recording, facts: dict[str, Any]) -> None:
    video = _first(recording, PICTURE)
    sound = _first(recording, SOUND)
    rate = _frame_rate(recording, video) if video else None
    if video:
        width, height = _size(video)
        if width > 0 and height > 0:
            facts |= {"width": width, "height": height}
    seconds = _duration(recording, rate)
    if seconds and math.isfinite(seconds):
        facts["duration_seconds"] = round(seconds, 3)
    if rate:
        facts["frame_rate"] = round(rate, 3)
    if video and video.codec:
        facts["codec"] = video.codec
    facts["has_sound"] = sound is not None
    if sound and sound.codec:
        facts["audio_codec"] = sound.codec


def _first(recording: _Recording, kind: int) -> _Track | None:
    return next((track for track in recording.tracks if track.kind == kind), None)


def _size(track: _Track) -> tuple[int, int]:
    get = track.values.get
    width = get(WIDTH, 0) - get(CROP_LEFT, 0) - get(CROP_RIGHT, 0)
    height = get(HEIGHT, 0) - get(CROP_TOP, 0) - get(CROP_BOTTOM, 0)
    is_turned = abs(track.roll) in (90, 270)
    return (height, width) if is_turned else (width, height)


def _frame_rate(recording: _Recording, video: _Track) -> float | None:
    if video.frame_nanoseconds:
        return NANOSECONDS / video.frame_nanoseconds
    shown = recording.last - (recording.first or 0)
    if recording.frames < 2 or shown <= 0 or not recording.scale:
        return None
    return (recording.frames - 1) * NANOSECONDS / (shown * recording.scale)


def _duration(recording: _Recording, frame_rate: float | None) -> float | None:
    """Return the seconds that the file declares, or until its last frame ends."""
    if recording.duration > 0:
        return recording.duration * recording.scale / NANOSECONDS
    if recording.first is None or not recording.is_whole:
        return None
    shown = recording.last - recording.first
    return shown * recording.scale / NANOSECONDS + (1 / frame_rate if frame_rate else 0)


def _read(file: PartReader, recording: _Recording) -> None:
    needs_frames = True
    for element_id, part in _elements(file, 0, file.size_bytes, OPEN_ELEMENTS):
        if element_id == INFO:
            _read_info(file, part, recording)
        elif element_id == TRACKS:
            _read_tracks(file, part, recording)
            video = _first(recording, PICTURE)
            needs_frames = not (recording.duration and video and video.frame_nanoseconds)
        elif element_id == CLUSTER_TIMESTAMP and needs_frames:
            recording.cluster_time = _unsigned(file, part)
        elif element_id in (SIMPLE_BLOCK, BLOCK) and needs_frames:
            _count_frame(file, part, recording)
    recording.is_whole = True


def _read_info(file: PartReader, info: Part, recording: _Recording) -> None:
    for element_id, part in _elements(file, info.start, info.end):
        if element_id == TIMESTAMP_SCALE:
            recording.scale = _unsigned(file, part)
        elif element_id == DURATION:
            recording.duration = _float(file, part)


def _read_tracks(file: PartReader, tracks: Part, recording: _Recording) -> None:
    for element_id, part in _elements(file, tracks.start, tracks.end):
        if element_id == TRACK and len(recording.tracks) < MAX_TRACKS:
            track = _Track()
            _read_track(file, part, track)
            recording.tracks.append(track)


def _read_track(file: PartReader, parent: Part, track: _Track, depth: int = 0) -> None:
    for element_id, part in _elements(file, parent.start, parent.end):
        if element_id in (VIDEO, PROJECTION) and depth < MAX_DEPTH:
            _read_track(file, part, track, depth + 1)
        elif element_id == TRACK_NUMBER:
            track.number = _unsigned(file, part)
        elif element_id == TRACK_TYPE:
            track.kind = _unsigned(file, part)
        elif element_id == DEFAULT_DURATION:
            track.frame_nanoseconds = _unsigned(file, part)
        elif element_id == CODEC_ID:
            track.codec = _codec(_value(file, part).rstrip(b"\0").decode("latin-1"))
        elif element_id == ROLL:
            track.roll = _float(file, part)
        elif element_id in (WIDTH, HEIGHT, CROP_TOP, CROP_BOTTOM, CROP_LEFT, CROP_RIGHT):
            track.values[element_id] = _unsigned(file, part)


def _codec(name: str) -> str | None:
    """Return the common name: V_VP9 is vp9, A_AAC/MPEG4/LC is aac."""
    if not name.isascii() or not name.isprintable():
        return None
    family = name.partition("/")[0].partition("_")[2].lower()
    return CODECS.get(name, family or None)


def _count_frame(file: PartReader, block: Part, recording: _Recording) -> None:
    """Note the time of a frame of the video; a block begins with its track and its time."""
    video = _first(recording, PICTURE)
    head = file.read_some(block.start, 12)
    number, length = _variable_integer(head)
    time_bytes = head[length : length + 2]
    if video is None or number != video.number or len(time_bytes) < 2:
        return
    time = recording.cluster_time + int.from_bytes(time_bytes, signed=True)
    recording.frames += 1
    recording.first = time if recording.first is None else min(recording.first, time)
    recording.last = max(recording.last, time)


def _elements(
    file: PartReader, start: int, end: int, opened: tuple[int, ...] = ()
) -> Iterator[tuple[int, Part]]:
    """Yield the elements between two offsets; those in `opened` are entered, not passed over.

    Raises:
        BrokenFileError: an element is longer than what it is in, or isn't one.
    """
    offset, is_cut = start, False
    while offset < end:
        head = file.read_some(offset, min(12, end - offset))
        id_bytes = 9 - head[0].bit_length()
        size, size_bytes = _variable_integer(head[id_bytes:])
        if id_bytes > 4 or size_bytes == 0:
            raise BrokenFileError(CUT if len(head) < 12 else NOT_A_PART)
        element_id = int.from_bytes(head[:id_bytes])
        content = offset + id_bytes + size_bytes
        is_endless = size == (1 << 7 * size_bytes) - 1
        stop = end if is_endless else content + size
        if stop > end and element_id not in opened:
            raise BrokenFileError(CUT)
        is_cut = is_cut or stop > end
        yield element_id, Part(b"", content, stop)
        offset = content if element_id in opened else stop
    if is_cut:
        raise BrokenFileError(CUT)


def _variable_integer(data: bytes) -> tuple[int, int]:
    """Return a number and how many bytes it takes (RFC 8794, section 4); 0 bytes if it's cut."""
    if not data or not data[0]:
        return 0, 0
    length = 9 - data[0].bit_length()
    if len(data) < length:
        return 0, 0
    return int.from_bytes(data[:length]) & ((1 << 7 * length) - 1), length


def _value(file: PartReader, part: Part) -> bytes:
    return file.read_some(part.start, min(part.end - part.start, MAX_VALUE_BYTES))


def _unsigned(file: PartReader, part: Part) -> int:
    return int.from_bytes(_value(file, part)[:8])


def _float(file: PartReader, part: Part) -> float:
    data = _value(file, part)
    kinds = {4: ">f", 8: ">d"}
    return struct.unpack(kinds[len(data)], data)[0] if len(data) in kinds else 0.0
