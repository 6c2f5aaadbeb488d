"""Decode MP3 and FLAC with miniaudio, if it's installed (`layer-mcp[audio]`)."""

import importlib
from array import array
from collections.abc import Generator
from typing import Any, BinaryIO

BLOCK_FRAMES = 16_384
# Not Vorbis: on some broken files, its decoder crashes the process.
FORMAT_NAMES = {"mp3": "MP3", "flac": "FLAC"}

Blocks = Generator["array[float]", None, None]


class DecodedReader:
    """Reads the samples of a compressed sound, from the first to the last."""

    def __init__(self, blocks: Blocks, channels: int) -> None:
        """Start at the first sample."""
        self._blocks, self._channels = blocks, channels
        self._rest = array("f")

    def skip(self, frame_count: int) -> None:
        """Decode and discard some frames."""
        while frame_count > 0 and (samples := self.read(min(frame_count, BLOCK_FRAMES))):
            frame_count -= len(samples) // self._channels

    def read(self, frame_count: int) -> "array[float]":
        """Decode some frames, or fewer at the end or where decoding fails."""
        count = frame_count * self._channels
        while len(self._rest) < count and (block := next(self._blocks, None)):
            self._rest += block
        samples, self._rest = self._rest[:count], self._rest[count:]
        return samples

    def close(self) -> None:
        """Free the decoder."""
        self._blocks.close()


def open_decoder(
    file: BinaryIO, codec: str, channels: int, sample_rate_hz: int
) -> DecodedReader | None:
    """Return a reader of the samples, or None if there is no decoder for them."""
    if codec not in FORMAT_NAMES:
        return None
    try:
        miniaudio: Any = importlib.import_module("miniaudio")
    except ImportError:
        return None

    class Source(miniaudio.StreamableSource):
        def read(self, num_bytes: int) -> bytes:
            return file.read(num_bytes)

        def seek(self, offset: int, origin: Any) -> bool:
            file.seek(offset, origin.value)
            return True

    def decode() -> Blocks:
        try:
            yield from miniaudio.stream_any(
                Source(),
                miniaudio.FileFormat[FORMAT_NAMES[codec]],
                miniaudio.SampleFormat.FLOAT32,
                channels,
                sample_rate_hz,
                BLOCK_FRAMES,
            )
        except miniaudio.MiniaudioError:
            return

    file.seek(0)
    return DecodedReader(decode(), channels)
