"""Read WAV and AIFF files: their headers and samples."""

from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from ..containers.parts import CUT, Part, PartReader, TooManyPartsError, riff_chunks
from ..structure import RIFF_SIZES_OF_STREAMS

if TYPE_CHECKING:
    from PIL import Image

NO_SOUND, NO_SAMPLE_RATE = "it has no sound", "it has no sample rate"
MAX_READS = 10_000

# Format tags of WAVE (mmreg.h).
PCM_TAG, FLOAT_TAG, EXTENSIBLE_TAG = 0x1, 0x3, 0xFFFE
WAV_CODECS = {
    PCM_TAG: "pcm",
    0x2: "adpcm",
    FLOAT_TAG: "float",
    0x6: "alaw",
    0x7: "mulaw",
    0x11: "adpcm",
    0x55: "mp3",
    0xFF: "aac",
}
WAV_FORMAT_BYTES, EXTENSIBLE_BYTES = 16, 40
# Compression types of AIFF-C.
AIFF_CODECS = {
    b"NONE": "pcm",
    b"twos": "pcm",
    b"sowt": "pcm",
    b"in24": "pcm",
    b"in32": "pcm",
    b"fl32": "float",
    b"FL32": "float",
    b"fl64": "float",
    b"FL64": "float",
    b"ulaw": "mulaw",
    b"ULAW": "mulaw",
    b"alaw": "alaw",
    b"ALAW": "alaw",
    b"ima4": "adpcm",
}
AIFF_FORMAT_BYTES, AIFF_LITTLE_ENDIAN = 18, b"sowt"
EXTENDED_BIAS, EXTENDED_FRACTION_BITS, MAX_RATE_BITS = 0x3FFF, 63, 32

# Raw modes of Pillow that read samples as 32-bit floats. Samples of 24 bits get a fourth byte.
RAW_MODES = {
    ("pcm", 1): "F;8S",
    ("pcm", 2): "F;16S",
    ("pcm", 3): "F;32S",
    ("pcm", 4): "F;32S",
    ("float", 4): "F;32F",
    ("float", 8): "F;64F",
}
SIGN_OF_8_BITS = bytes(value ^ 0x80 for value in range(256))


@dataclass(frozen=True)
class PcmSound:
    """What the header of a WAV or AIFF file says, and where its samples are.

    What it doesn't say is 0. `sample_bytes` is 0 if the samples are compressed or can't be read.
    """

    codec: str = ""
    sample_rate_hz: int = 0
    channels: int = 0
    bit_depth: int = 0
    sample_bytes: int = 0
    is_big_endian: bool = False
    is_unsigned: bool = False
    channel_mask: int = 0
    bytes_per_second: int = 0
    declared_frames: int = 0
    offset: int = 0
    size_bytes: int = 0
    flaw: str | None = None

    @property
    def frame_bytes(self) -> int:
        """Return the bytes of one sample of each channel."""
        return self.sample_bytes * self.channels

    @property
    def frames(self) -> int:
        """Return how many samples of each channel are there."""
        return self.size_bytes // self.frame_bytes if self.frame_bytes else 0

    @property
    def duration_seconds(self) -> float:
        """Return how long the samples that are there last, or 0 if that isn't known."""
        frames = self.frames or self.declared_frames
        if frames and self.sample_rate_hz:
            return frames / self.sample_rate_hz
        return self.size_bytes / self.bytes_per_second if self.bytes_per_second else 0.0


def read_wav(file: BinaryIO, size_bytes: int) -> PcmSound:
    """Read the header of a WAVE file (RIFF, or RF64 and BW64 by ITU-R BS.2088).

    The sound of a stream, which declares no length, lasts to the end of the file.
    """
    reader = PartReader(file, size_bytes, max_reads=MAX_READS)
    riff_bytes = int.from_bytes(reader.read_some(4, 4), "little")
    is_stream = riff_bytes == 0 or riff_bytes in RIFF_SIZES_OF_STREAMS
    sound, long_length, end = PcmSound(), None, 0
    for chunk in _chunks(reader, "little"):
        end, length, left_bytes = chunk.end, chunk.end - chunk.start, size_bytes - chunk.start
        if chunk.name == b"ds64":
            long_length = int.from_bytes(reader.read_some(chunk.start + 8, 8), "little")
        elif chunk.name == b"fmt ":
            sound = _wav_format(reader.read_some(chunk.start, min(length, EXTENSIBLE_BYTES)))
        elif chunk.name == b"fact":
            frames = int.from_bytes(reader.read_some(chunk.start, 4), "little")
            sound = replace(sound, declared_frames=frames)
        elif chunk.name == b"data":
            if is_stream and long_length is not None:
                length = long_length
            elif is_stream and (length == 0 or length > left_bytes):
                length = left_bytes
            return _with_samples(sound, chunk.start, length, left_bytes)
    return replace(sound, flaw=CUT if end > size_bytes else NO_SOUND)


def _wav_format(data: bytes) -> PcmSound:
    if len(data) < WAV_FORMAT_BYTES - 2:
        return PcmSound()
    tag, channels, sample_rate_hz, bytes_per_second, frame_bytes, bits = (
        int.from_bytes(data[start:end], "little")
        for start, end in ((0, 2), (2, 4), (4, 8), (8, 12), (12, 14), (14, 16))
    )
    mask, container_bits = 0, bits
    if tag == EXTENSIBLE_TAG and len(data) == EXTENSIBLE_BYTES:
        # The first bytes of the GUID are a format tag.
        tag = int.from_bytes(data[24:26], "little")
        bits = int.from_bytes(data[18:20], "little") or bits
        mask = int.from_bytes(data[20:24], "little")
    codec = WAV_CODECS.get(tag, "")
    is_whole = channels > 0 and frame_bytes % channels == 0
    sample_bytes = frame_bytes // channels if is_whole else -(-container_bits // 8)
    return PcmSound(
        codec=codec,
        sample_rate_hz=sample_rate_hz,
        channels=channels,
        bit_depth=_bit_depth(codec, bits, sample_bytes),
        sample_bytes=sample_bytes if (codec, sample_bytes) in RAW_MODES else 0,
        is_unsigned=sample_bytes == 1,
        channel_mask=mask,
        bytes_per_second=bytes_per_second,
    )


def _bit_depth(codec: str, bits: int, sample_bytes: int) -> int:
    """Return the bits of a sample, or 0 if it is compressed; not all of its bytes may be used."""
    if codec not in ("pcm", "float"):
        return 0
    return bits if 0 < bits <= 8 * sample_bytes else 8 * sample_bytes


def read_aiff(file: BinaryIO, size_bytes: int) -> PcmSound:
    """Read the header of an AIFF or AIFF-C file."""
    reader = PartReader(file, size_bytes, max_reads=MAX_READS)
    sound, end, data = PcmSound(), 0, (0, 0)
    for chunk in _chunks(reader, "big"):
        end, length = chunk.end, chunk.end - chunk.start
        if chunk.name == b"COMM":
            sound = _aiff_format(reader.read_some(chunk.start, min(length, AIFF_FORMAT_BYTES + 4)))
        elif chunk.name == b"SSND":
            # Two numbers come before the samples: where they begin, and the size of a block.
            skip = 8 + int.from_bytes(reader.read_some(chunk.start, 4))
            data = (chunk.start + skip, max(length - skip, 0))
        if data[0] and sound.channels:
            return _with_samples(sound, *data, size_bytes - data[0])
    return replace(sound, flaw=CUT if end > size_bytes else NO_SOUND)


def _aiff_format(data: bytes) -> PcmSound:
    if len(data) < AIFF_FORMAT_BYTES:
        return PcmSound()
    bits, compression = int.from_bytes(data[6:8]), data[18:22] or b"NONE"
    codec, sample_bytes = AIFF_CODECS.get(compression, ""), -(-bits // 8)
    return PcmSound(
        codec=codec,
        sample_rate_hz=_extended(data[8:18]),
        channels=int.from_bytes(data[:2]),
        bit_depth=_bit_depth(codec, bits, sample_bytes),
        sample_bytes=sample_bytes if (codec, sample_bytes) in RAW_MODES else 0,
        is_big_endian=compression != AIFF_LITTLE_ENDIAN,
    )


def _extended(data: bytes) -> int:
    """Return the whole part of an 80-bit float, or 0 if it makes no sample rate."""
    exponent = int.from_bytes(data[:2]) - EXTENDED_BIAS
    if not 0 <= exponent < MAX_RATE_BITS:
        return 0
    return int.from_bytes(data[2:]) >> (EXTENDED_FRACTION_BITS - exponent)


def _with_samples(sound: PcmSound, offset: int, length: int, left_bytes: int) -> PcmSound:
    """Return a sound with its samples, as far as the file reaches."""
    size_bytes = max(min(length, left_bytes), 0)
    flaw = None
    if length > left_bytes:
        flaw = CUT
    elif not size_bytes or not sound.channels:
        flaw = NO_SOUND
    elif not sound.sample_rate_hz:
        flaw = NO_SAMPLE_RATE
    return replace(sound, offset=offset, size_bytes=size_bytes, flaw=flaw)


def _chunks(reader: PartReader, byte_order: Literal["little", "big"]) -> Iterator[Part]:
    """Yield the chunks, as many as any sane file has."""
    with suppress(TooManyPartsError):
        yield from riff_chunks(reader, byte_order)


class PcmReader:
    """Reads the samples of a WAV or AIFF file, from the first to the last."""

    def __init__(self, file: BinaryIO, sound: PcmSound) -> None:
        """Start at the first sample."""
        self._file, self._sound, self._position = file, sound, 0

    def skip(self, frame_count: int) -> None:
        """Move forward by some frames."""
        self._position += frame_count

    def read(self, frame_count: int) -> "array[float]":
        """Read the interleaved samples of some frames, or of those that are left.

        They are 32-bit floats, and 1.0 is full scale. Samples of 32 and 64 bits lose what is below
        -140 dBFS.
        """
        samples = array("f")
        if data := self._read_bytes(frame_count):
            image, full_scale = _as_image(data, self._sound)
            samples.frombytes(image.point(lambda value: value * (1 / full_scale) + 0).tobytes())
        return samples

    def read_extremes(self, frame_count: int) -> tuple[float, float]:
        """Read some frames, and return the lowest and the highest of all their samples.

        Without samples, both are 0.
        """
        data = self._read_bytes(frame_count)
        if not data:
            return 0.0, 0.0
        image, full_scale = _as_image(data, self._sound)
        lowest, highest = cast("tuple[float, float]", image.getextrema())
        return lowest / full_scale, highest / full_scale

    def _read_bytes(self, frame_count: int) -> bytes:
        sound = self._sound
        frame_count = min(frame_count, sound.frames - self._position)
        if frame_count <= 0:
            return b""
        self._file.seek(sound.offset + self._position * sound.frame_bytes)
        data = self._file.read(frame_count * sound.frame_bytes)
        self._position += frame_count
        return data[: len(data) // sound.frame_bytes * sound.frame_bytes]


def _as_image(data: bytes, sound: PcmSound) -> "tuple[Image.Image, float]":
    """Return a line of pixels, one a sample, and the value of full scale.

    Pillow does in a millisecond what a loop does in a hundred.
    """
    from PIL import Image  # noqa: PLC0415  takes long to import

    if sound.is_unsigned and sound.sample_bytes == 1:
        data = data.translate(SIGN_OF_8_BITS)
    stored_bytes = sound.sample_bytes
    if stored_bytes == 3:
        data, stored_bytes = _widen(data, is_big_endian=sound.is_big_endian), 4
    mode = RAW_MODES[sound.codec, sound.sample_bytes]
    if sound.is_big_endian and stored_bytes > 1:
        mode = f"{mode[:-1]}B{mode[-1]}"
    image = Image.frombytes("F", (len(data) // stored_bytes, 1), data, "raw", mode)
    return image, 1.0 if sound.codec == "float" else 2.0 ** (8 * stored_bytes - 1)


def _widen(data: bytes, *, is_big_endian: bool) -> bytes:
    """Return samples of 24 bits with a zero as their lowest byte."""
    wide = bytearray(len(data) // 3 * 4)
    first = 0 if is_big_endian else 1
    for byte in range(3):
        wide[first + byte :: 4] = data[byte::3]
    return bytes(wide)
