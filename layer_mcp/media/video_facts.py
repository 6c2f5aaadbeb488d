"""Read a video's size, duration, frame rate and codecs from its container."""

from collections.abc import Mapping
from typing import Any, BinaryIO

from .containers.parts import BrokenFileError, PartReader, TooManyPartsError
from .types import canonical_type

MATROSKA_TYPES = ("video/webm", "video/matroska", "audio/webm", "audio/matroska")
ISO_TYPES = ("video/mp4", "video/quicktime", "audio/mp4")


def measure_video(file: BinaryIO, size_bytes: int, content_type: str) -> dict[str, Any]:
    """Return what the container of an MP4, QuickTime, WebM or Matroska file says; {} for others.

    `width` and `height` (pixels, as shown: after rotation), `duration_seconds`, `frame_rate`
    (frames a second, on average), `codec` (such as "h264"), `has_sound`, `audio_codec`, and
    `flaw` if the file is broken. Only what is known is there. Nothing is decoded.

    Raises:
        OSError: the file can't be read.
    """
    from .containers import matroska, mp4  # noqa: PLC0415  only videos need them

    name, facts = canonical_type(content_type), dict[str, Any]()
    reader = PartReader(file, size_bytes)
    try:
        if name in ISO_TYPES:
            mp4.add_facts(reader, facts)
        elif name in MATROSKA_TYPES:
            matroska.add_facts(reader, facts)
    except BrokenFileError as error:
        facts["flaw"] = str(error)
    except TooManyPartsError:
        # The counts so far say nothing about the whole file.
        facts.pop("duration_seconds", None)
    return facts


def describe_video(facts: Mapping[str, Any]) -> list[str]:
    """Return remarks that a person should check before using a video."""
    remarks = list[str]()
    flaw = facts.get("flaw")
    if isinstance(flaw, str):
        remarks.append(flaw)
    elif facts and "codec" not in facts:
        remarks.append("no video track, only sound")
    return remarks
