"""Read the header of an M4A: the sound track of an ISO base media file (ISO 14496-12)."""

import re
from typing import BinaryIO

from ..containers.mp4 import Movie, read_movie
from ..containers.parts import CUT, BrokenFileError, PartReader, TooManyPartsError
from .headers import AAC_CHANNELS, NO_SOUND, SoundHeader

MAX_READS = 10_000
# An entry of stsd: its own boxes come behind its fields.
ENTRY_BYTES, ALAC_COOKIE_OFFSET, ALAC_COOKIE_BYTES = 36, 48, 24
LOSSLESS_CODECS = ("alac", "flac")

# DecoderConfigDescriptor of MPEG-4 audio, then DecoderSpecificInfo; lengths have 1 or 4 bytes.
AUDIO_CONFIG = re.compile(
    rb"\x04(?:\x80\x80\x80)?[\r-\x7f]\x40.{12}\x05(?:\x80\x80\x80)?[\x02-\x7f](..)", re.DOTALL
)
OTHER_RATE = 15


def read_m4a(file: BinaryIO, size_bytes: int) -> SoundHeader:
    """Read codec, sample rate, channels and duration of the first sound track."""
    movie, flaw, is_whole = Movie(), None, True
    try:
        read_movie(PartReader(file, size_bytes, max_reads=MAX_READS), movie)
    except BrokenFileError as error:
        # Players don't look at what else is wrong in the parts that they don't need.
        flaw = CUT if error.is_cut else None
    except TooManyPartsError:
        is_whole = False
    track = next(iter(movie.tracks_of(b"soun")), None)
    entry = track.entry if track else b""
    if track is None or len(entry) < ENTRY_BYTES:
        return SoundHeader("", flaw=flaw or NO_SOUND)
    channels, bits, rate = (int.from_bytes(entry[at : at + 2]) for at in (24, 26, 32))
    cookie = entry[ALAC_COOKIE_OFFSET:]
    if track.codec == "alac" and len(cookie) >= ALAC_COOKIE_BYTES:
        bits, channels, rate = cookie[5], cookie[9], int.from_bytes(cookie[20:24])
    elif track.codec == "aac":
        channels = _aac_channels(entry) or channels
    # What was counted of too many parts says nothing about the whole.
    seconds = movie.duration_seconds(track) if is_whole else None
    return SoundHeader(
        codec=track.codec or "",
        sample_rate_hz=rate or track.timescale,
        channels=channels,
        bit_depth=bits if track.codec in LOSSLESS_CODECS else 0,
        duration_seconds=seconds or 0,
        flaw=flaw,
    )


def _aac_channels(entry: bytes) -> int:
    """Return the channels of AAC by its AudioSpecificConfig (ISO 14496-3), 0 if it isn't there.

    The field of the entry itself is always 2 in many files.
    """
    found = AUDIO_CONFIG.search(entry[ENTRY_BYTES:])
    if found is None:
        return 0
    # Five bits of object type, four of sample rate, four of channels.
    config = int.from_bytes(found[1])
    return AAC_CHANNELS[config >> 3 & 7] if config >> 7 & 15 != OTHER_RATE else 0
