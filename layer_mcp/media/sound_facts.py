"""Measure a sound: its format, and its loudness, peak, and silence if it can be decoded."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any, BinaryIO

from .json_values import is_number
from .sounds.decoder import open_decoder
from .sounds.frames import ID3_HEAD_BYTES, adts_frame_bytes, id3_tag_bytes, is_mp3_frame
from .sounds.headers import (
    FLAC_MARK,
    NO_SOUND,
    SoundHeader,
    read_adts,
    read_flac,
    read_mp3,
    read_ogg,
)
from .sounds.m4a import read_m4a
from .sounds.meter import measure_samples
from .sounds.pcm import PcmReader, PcmSound, read_aiff, read_wav

HEAD_BYTES = 16
MAX_TAGS, MAX_FILL_BYTES = 8, 64 * 1024
# Even silence takes more than a byte per second in any codec, so a longer duration is false.
MAX_SECONDS_PER_BYTE = 1
# Decoding a minute takes about 70 ms.
MAX_DECODED_SECONDS = 20 * 60

CLIPPED_SAMPLES_TO_MENTION = 10
START_SECONDS_TO_MENTION, END_SECONDS_TO_MENTION = 0.5, 1.0


def measure_sound(file: BinaryIO, size_bytes: int, content_type: str) -> dict[str, Any]:
    """Return facts about a sound of a type that `sniff` returns.

    Headers give `codec`, `duration_seconds`, `sample_rate_hz`, `channels` and `bit_depth`. The
    samples of WAV and AIFF are measured too, and with miniaudio those of MP3 and FLAC up to 20
    minutes; see `measure_samples` for the facts about them. `flaw` says how a file is broken.

    Raises:
        OSError: it can't be read.
    """
    if content_type in ("audio/wav", "audio/aiff"):
        sound = (read_wav if content_type == "audio/wav" else read_aiff)(file, size_bytes)
        return _pcm_facts(file, sound)
    header = _read_header(file, size_bytes, content_type)
    facts = _header_facts(header, size_bytes)
    # A decoder needs the frames of an MP3 or FLAC, not a container that has them.
    is_decodable = "duration_seconds" in facts and content_type != "audio/mp4"
    return _decoded_facts(file, header) | facts if is_decodable else facts


def describe_sound(facts: Mapping[str, Any]) -> list[str]:
    """Return remarks that a person should check before using a sound."""
    remarks = list[str]()
    clipped, silent_start, silent_end = (
        value if is_number(value := facts.get(name)) else 0
        for name in ("clipped_samples", "silence_start_seconds", "silence_end_seconds")
    )
    if facts.get("silent") is True:
        remarks.append("silent")
    if clipped >= CLIPPED_SAMPLES_TO_MENTION:
        remarks.append(f"{clipped} clipped samples")
    if silent_start >= START_SECONDS_TO_MENTION:
        remarks.append(f"{silent_start:.1f} s of silence at the start")
    if silent_end >= END_SECONDS_TO_MENTION:
        remarks.append(f"{silent_end:.1f} s of silence at the end")
    if isinstance(flaw := facts.get("flaw"), str):
        remarks.append(flaw)
    return remarks


def _pcm_facts(file: BinaryIO, sound: PcmSound) -> dict[str, Any]:
    samples = measure_samples(
        PcmReader(file, sound),
        frames=sound.frames,
        channels=sound.channels,
        sample_rate_hz=sound.sample_rate_hz,
        channel_mask=sound.channel_mask,
        bit_depth=sound.bit_depth if sound.codec == "pcm" else 0,
    )
    header = SoundHeader(
        codec=sound.codec,
        sample_rate_hz=sound.sample_rate_hz,
        channels=sound.channels,
        bit_depth=sound.bit_depth,
        duration_seconds=sound.duration_seconds,
        flaw=sound.flaw,
    )
    return samples | _header_facts(header, sound.size_bytes)


def _decoded_facts(file: BinaryIO, header: SoundHeader) -> dict[str, Any]:
    if header.duration_seconds > MAX_DECODED_SECONDS:
        return {}
    channels, rate = header.channels, header.sample_rate_hz
    reader = open_decoder(file, header.codec, channels, rate)
    if reader is None:
        return {}
    with closing(reader):
        return measure_samples(
            reader,
            frames=round(header.duration_seconds * rate),
            channels=channels,
            sample_rate_hz=rate,
            bit_depth=header.bit_depth,
        )


def _header_facts(header: SoundHeader, size_bytes: int) -> dict[str, Any]:
    facts = {
        "codec": header.codec,
        "duration_seconds": round(header.duration_seconds, 3),
        "sample_rate_hz": header.sample_rate_hz,
        "channels": header.channels,
        "bit_depth": header.bit_depth,
        "flaw": header.flaw,
    }
    if header.duration_seconds > size_bytes * MAX_SECONDS_PER_BYTE:
        del facts["duration_seconds"]
    return {name: value for name, value in facts.items() if value}


def _read_header(file: BinaryIO, size_bytes: int, content_type: str) -> SoundHeader:
    if content_type == "audio/mp4":
        return read_m4a(file, size_bytes)
    if content_type == "audio/ogg":
        return read_ogg(file, size_bytes)
    offset, head = _skip_tags(file)
    if head.startswith(FLAC_MARK):
        return read_flac(file, offset)
    if is_mp3_frame(head):
        return read_mp3(file, size_bytes, offset)
    if adts_frame_bytes(head) is not None:
        return read_adts(file, size_bytes, offset)
    return SoundHeader("", flaw=NO_SOUND)


def _skip_tags(file: BinaryIO) -> tuple[int, bytes]:
    """Return where the sound begins behind ID3 tags and the zeros after them, and its head."""
    offset = 0
    for _ in range(MAX_TAGS):
        file.seek(offset)
        tag_bytes = id3_tag_bytes(file.read(ID3_HEAD_BYTES))
        if tag_bytes is None:
            break
        file.seek(offset + tag_bytes)
        data = file.read(MAX_FILL_BYTES)
        offset += tag_bytes + len(data) - len(data.lstrip(b"\0"))
    file.seek(offset)
    return offset, file.read(HEAD_BYTES)
