"""The tracks of MP4, M4A and QuickTime (ISO 14496-12, and Apple's QuickTime File Format)."""

import struct
from dataclasses import dataclass, field
from typing import Any

from .parts import BrokenFileError, Part, PartReader, boxes

CODECS = {
    **dict.fromkeys(("avc1", "avc2", "avc3", "avc4"), "h264"),
    **dict.fromkeys(("hvc1", "hev1", "dvh1", "dvhe"), "hevc"),
    **dict.fromkeys(("apch", "apcn", "apcs", "apco", "ap4h", "ap4x"), "prores"),
    **dict.fromkeys(("jpeg", "mjpa", "mjpb"), "mjpeg"),
    **dict.fromkeys(("Hap1", "Hap5", "HapY", "HapM"), "hap"),
    **dict.fromkeys(("sowt", "twos", "lpcm", "ipcm", "fpcm", "in24", "fl32", "raw"), "pcm"),
    "av01": "av1",
    "vp08": "vp8",
    "vp09": "vp9",
    "vvc1": "vvc",
    "mp4v": "mpeg4",
    "rle": "qtrle",
    "AVdn": "dnxhd",
    "mp4a": "aac",
    "ac-3": "ac3",
    "ec-3": "eac3",
    ".mp3": "mp3",
}
# Object types of MPEG-4 systems (mp4ra.org), where they aren't AAC.
MP4A_CODECS = {0x69: "mp3", 0x6B: "mp3", 0xA5: "ac3", 0xA6: "eac3", 0xA9: "dts", 0xDD: "vorbis"}
# Where the boxes of a track are, down to its table of samples.
INNER_BOXES = {b"trak": b"mdia", b"mdia": b"minf", b"minf": b"stbl"}
MAX_ENTRY_BYTES = 1024
MAX_TRACKS = 64
UNKNOWN_DURATIONS = (0, 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF)

# Flags of a track fragment's header and of its runs: which fields are there.
HAS_BASE, HAS_DESCRIPTION, HAS_DURATION, HAS_SIZE = 0x1, 0x2, 0x8, 0x10
RUN_HAS_OFFSET, RUN_HAS_FIRST_FLAGS, RUN_HAS_DURATION = 0x1, 0x4, 0x100
RUN_FIELDS = (0x100, 0x200, 0x400, 0x800)


@dataclass
class Track:
    """What is known of a track so far; `entry` is the start of its first sample description."""

    track_id: int = 0
    kind: bytes = b""
    is_enabled: bool = True
    size: tuple[int, int] | None = None
    is_turned: bool = False
    codec: str | None = None
    entry: bytes = b""
    timescale: int = 0
    shown_units: int = 0
    media_units: int = 0
    frames: int = 0
    frame_units: int = 0


@dataclass
class Movie:
    """What is known of a file so far."""

    is_found: bool = False
    timescale: int = 0
    tracks: list[Track] = field(default_factory=list[Track])
    default_units: dict[int, int] = field(default_factory=dict[int, int])

    def tracks_of(self, kind: bytes) -> list[Track]:
        """Return the tracks with pictures (b"vide") or sound (b"soun")."""
        return [track for track in self.tracks if track.kind == kind]

    def duration_seconds(self, track: Track) -> float | None:
        """Return how much of a track is shown: what an edit list says comes first."""
        if track.shown_units not in UNKNOWN_DURATIONS and self.timescale:
            return track.shown_units / self.timescale
        units = track.frame_units
        if not units and track.media_units not in UNKNOWN_DURATIONS:
            units = track.media_units
        return units / track.timescale if track.timescale else None


def add_facts(file: PartReader, facts: dict[str, Any]) -> None:
    """Add what a file says about its first video track, and whether it has sound.

    Raises:
        BrokenFileError: the file is broken; what was found before is in `facts`.
    """
    movie = Movie()
    try:
        read_movie(file, movie)
    finally:
        if movie.is_found:
            _add_tracks(movie, facts)
    if not movie.is_found:
        raise BrokenFileError("it has no video")


def read_movie(file: PartReader, movie: Movie) -> None:
    """Read the tracks of a file, and the fragments of a movie that was streamed.

    Raises:
        BrokenFileError: the file is broken; what was found before is in `movie`.
    """
    for box in boxes(file, 0, file.size_bytes):
        if box.name == b"moov" and not movie.is_found:
            movie.is_found = True
            _read_tracks(file, box, movie)
        elif box.name == b"moof" and movie.is_found:
            _add_fragment(file, box, movie)


def _add_tracks(movie: Movie, facts: dict[str, Any]) -> None:
    videos, sounds = movie.tracks_of(b"vide"), movie.tracks_of(b"soun")
    if videos:
        # A cover is a track that isn't shown.
        _add_video(next((t for t in videos if t.is_enabled), videos[0]), movie, facts)
    elif sounds and (seconds := movie.duration_seconds(sounds[0])):
        facts["duration_seconds"] = round(seconds, 3)
    facts["has_sound"] = bool(sounds)
    if sounds and sounds[0].codec:
        facts["audio_codec"] = sounds[0].codec


def _add_video(track: Track, movie: Movie, facts: dict[str, Any]) -> None:
    if track.size and all(track.size):
        width, height = reversed(track.size) if track.is_turned else track.size
        facts |= {"width": width, "height": height}
    if seconds := movie.duration_seconds(track):
        facts["duration_seconds"] = round(seconds, 3)
    if track.frames > 1 and track.frame_units and track.timescale:
        facts["frame_rate"] = round(track.frames * track.timescale / track.frame_units, 3)
    if track.codec:
        facts["codec"] = track.codec


def _read_tracks(file: PartReader, movie_box: Part, movie: Movie) -> None:
    for box in boxes(file, movie_box.start, movie_box.end):
        if box.name == b"mvhd":
            movie.timescale, _ = _read_times(file, box)
        elif box.name == b"trak" and len(movie.tracks) < MAX_TRACKS:
            track = Track()
            movie.tracks.append(track)
            _read_track(file, box, track)
        elif box.name == b"mvex":
            for extends in boxes(file, box.start, box.end):
                if extends.name == b"trex":
                    _, track_id, _, units = struct.unpack(">4I", file.read(extends.start, 16))
                    movie.default_units[track_id] = units


def _read_track(file: PartReader, parent: Part, track: Track) -> None:
    for box in boxes(file, parent.start, parent.end):
        if box.name == INNER_BOXES.get(parent.name):
            _read_track(file, box, track)
        elif box.name == b"tkhd":
            _read_track_header(file, box, track)
        elif box.name == b"mdhd":
            track.timescale, track.media_units = _read_times(file, box)
        elif box.name == b"hdlr" and parent.name == b"mdia":
            track.kind = file.read(box.start + 8, 4)
        elif box.name == b"stsd":
            _read_format(file, box, track)
        elif box.name == b"stts":
            _read_frame_times(file, box, track)


def _read_times(file: PartReader, box: Part) -> tuple[int, int]:
    """Return the timescale (units a second) and the duration of a movie or a track's media."""
    if file.read(box.start, 1) == b"\x01":
        return struct.unpack(">IQ", file.read(box.start + 20, 12))
    return struct.unpack(">II", file.read(box.start + 12, 8))


def _read_track_header(file: PartReader, box: Part, track: Track) -> None:
    is_long = file.read(box.start, 1) == b"\x01"
    track.is_enabled = bool(file.read(box.start + 3, 1)[0] & 1)
    at = box.start + (20 if is_long else 12)
    track.track_id = int.from_bytes(file.read(at, 4))
    track.shown_units = int.from_bytes(file.read(at + 8, 8 if is_long else 4))
    # Turned by a quarter, the first row of the matrix has nothing in its first place.
    a, b, _, c, d = struct.unpack(">5i", file.read(at + (32 if is_long else 28), 20))
    track.is_turned = a == d == 0 and b != 0 and c != 0


def _read_format(file: PartReader, box: Part, track: Track) -> None:
    """Read the codec of the first sample description, and the pixels of a picture."""
    track.entry = file.read_some(box.start + 8, min(MAX_ENTRY_BYTES, box.end - box.start - 8))
    entry = track.entry
    name = entry[4:8].decode("latin-1").strip()
    # A QuickTime file may give the number of a Windows format instead of a name.
    is_name = name.isascii() and name.isprintable() and name != ""
    track.codec = CODECS.get(name, name.lower()) if is_name else None
    if name == "mp4a":
        track.codec = _mp4a_codec(entry)
    if len(entry) >= 36:
        track.size = struct.unpack(">HH", entry[32:36])


def _mp4a_codec(entry: bytes) -> str:
    """Look up the object type in the description of the stream (ISO 14496-1, 7.2.6)."""
    offset = entry.find(b"esds")
    descriptor = entry[offset + 8 :] if offset >= 0 else b""
    try:
        at = _after_length(descriptor, 1)
        flags = descriptor[at + 2]
        at += 3 + (2 if flags & 0x80 else 0) + (2 if flags & 0x20 else 0)
        object_type = descriptor[_after_length(descriptor, at + 1)]
    except IndexError:
        return "aac"
    return MP4A_CODECS.get(object_type, "aac")


def _after_length(descriptor: bytes, at: int) -> int:
    """Return where the content begins behind a length, whose bytes but the last have a high bit."""
    while descriptor[at] & 0x80:
        at += 1
    return at + 1


def _read_frame_times(file: PartReader, box: Part, track: Track) -> None:
    """Add up how many frames last how long (the `stts` box)."""
    count = int.from_bytes(file.read(box.start + 4, 4))
    data = file.read_table(box, box.start + 8, 8 * count)
    for frames, units in struct.iter_unpack(">II", data):
        track.frames += frames
        track.frame_units += frames * units


def _add_fragment(file: PartReader, fragment: Part, movie: Movie) -> None:
    """Add the frames of a movie fragment to the tracks that they belong to."""
    for box in boxes(file, fragment.start, fragment.end):
        if box.name != b"traf":
            continue
        track, units = None, 0
        for part in boxes(file, box.start, box.end):
            if part.name == b"tfhd":
                track, units = _read_fragment_header(file, part, movie)
            elif part.name == b"trun" and track is not None:
                _add_frames(file, part, track, units)


def _read_fragment_header(file: PartReader, box: Part, movie: Movie) -> tuple[Track | None, int]:
    """Return whose frames follow, and how long each is unless it says so itself."""
    flags, track_id = struct.unpack(">II", file.read(box.start, 8))
    track = next((track for track in movie.tracks if track.track_id == track_id), None)
    if not flags & HAS_DURATION:
        return track, movie.default_units.get(track_id, 0)
    at = box.start + 8 + (8 if flags & HAS_BASE else 0) + (4 if flags & HAS_DESCRIPTION else 0)
    return track, int.from_bytes(file.read(at, 4))


def _add_frames(file: PartReader, box: Part, track: Track, units: int) -> None:
    flags, count = struct.unpack(">II", file.read(box.start, 8))
    track.frames += count
    if not flags & RUN_HAS_DURATION:
        track.frame_units += count * units
        return
    at = box.start + 8 + (4 if flags & RUN_HAS_OFFSET else 0)
    at += 4 if flags & RUN_HAS_FIRST_FLAGS else 0
    # The duration is the first of up to four fields of a frame.
    step = sum(bool(flags & name) for name in RUN_FIELDS)
    fields = struct.unpack(f">{count * step}I", file.read_table(box, at, 4 * count * step))
    track.frame_units += sum(fields[::step])
