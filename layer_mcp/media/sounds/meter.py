"""Measure the samples of a sound: peak, clipping, loudness, silence at the ends, and the loop.

A long sound is measured in windows spread across it, to limit the time.
"""

import math
import re
from array import array
from itertools import pairwise
from typing import Any, Protocol, cast

from ..containers.parts import CUT
from .loudness import (
    MIN_SAMPLE_RATE_HZ,
    SEGMENTS_PER_BLOCK,
    SegmentMeter,
    channel_weights,
    integrated_loudness,
    segment_frames,
    ungated_loudness,
)

# Samples of all channels: a minute of stereo at 44.1 kHz, about a second of work.
MAX_SAMPLES, WINDOWS = 60 * 2 * 44_100, 6
MAX_CHANNELS, MAX_SAMPLE_RATE_HZ = 16, 384_000
# How far a decoder may continue after the end that a header declares.
EXTRA_SECONDS = 1
# Decoders of lossy codecs may drop an encoder's delay and padding, but not more.
LOSSY_MARGIN_SECONDS = 0.2

SILENCE = 10 ** (-60 / 20)
CLIPPED, MIN_CLIPPED_RUN = b"\x01", 3
CLIPPED_RUN = re.compile(rb"\x01{3,}")
TYPICAL_SHARE = 0.98
NOT_NUMBERS = "it has samples that aren't numbers"


class SampleReader(Protocol):
    """Reads interleaved samples from the first to the last, where 1.0 is full scale."""

    def skip(self, frame_count: int) -> None:
        """Move forward by some frames."""
        ...

    def read(self, frame_count: int) -> "array[float]":
        """Read some frames, or fewer at the end."""
        ...


def measure_samples(
    reader: SampleReader,
    *,
    frames: int,
    channels: int,
    sample_rate_hz: int,
    channel_mask: int = 0,
    bit_depth: int = 0,
) -> dict[str, Any]:
    """Return facts about the samples of a sound, or {} for absurd channels or sample rates.

    `bit_depth` is that of whole numbers, and 0 for floats and lossy codecs.

    They are `peak_dbfs`, `clipped_samples` (in runs of three and more at full scale),
    `loudness_lufs` (gated, or over the whole of a sound under 400 ms), `silence_start_seconds` and
    `silence_end_seconds` (below -60 dBFS), `loop_step` and, where they apply, `silent`,
    `measured_seconds` (how much of a long sound was measured, its start and end included) and
    `flaw`.

    Silence that is longer than the first or last part of a long sound counts as long as that part.
    `loop_step` compares the step from the last frame to the first one with the steps near both
    ends, at their 98th percentile: up to about 1, a loop has no click.
    """
    if not 0 < channels <= MAX_CHANNELS or not 0 < sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
        return {}
    full_scale = 1 - 2.0 ** (1 - bit_depth) if bit_depth else 1.0
    meter = _SampleMeter(sample_rate_hz, channels, channel_mask, full_scale)
    windows = _plan_windows(frames, MAX_SAMPLES // channels)
    for start, end in windows:
        reader.skip(start - meter.position)
        meter.begin_window(start)
        limit = end if end < frames else end + EXTRA_SECONDS * sample_rate_hz
        while samples := reader.read(min(meter.step, limit - meter.position)):
            meter.add(samples)
    facts = meter.facts(is_whole=len(windows) == 1)
    missing_seconds = (frames - meter.position) / sample_rate_hz
    if missing_seconds > (0 if bit_depth or not meter.position else LOSSY_MARGIN_SECONDS):
        facts["flaw"] = CUT
    return facts


def _plan_windows(frames: int, max_frames: int) -> list[tuple[int, int]]:
    """Return start and end of what is measured: a short sound, or windows from start to end."""
    if frames <= max_frames:
        return [(0, frames)]
    length = max_frames // WINDOWS
    starts = ((frames - length) * window // (WINDOWS - 1) for window in range(WINDOWS))
    return [(start, start + length) for start in starts]


class _SampleMeter:
    """Takes the segments of a sound, of 100 ms each, window by window."""

    def __init__(self, sample_rate_hz: int, channels: int, mask: int, full_scale: float) -> None:
        # Below the lowest sample rate for loudness, any length does.
        self.position, self.step = 0, segment_frames(max(sample_rate_hz, MIN_SAMPLE_RATE_HZ))
        self._rate, self._channels, self._full_scale = sample_rate_hz, channels, full_scale
        self._weights = channel_weights(channels, mask)
        self._filters = SegmentMeter(sample_rate_hz, self._weights)
        self._clipping = [_ClippingCounter(full_scale) for _ in range(channels)]
        # Power and frames of the segments of each window.
        self._powers = list[list[tuple[float, int]]]()
        self._window = 0
        self._measured, self._peak, self._has_bad_samples = 0, 0.0, False
        self._first_loud: int | None = None
        # Where the last segment above the threshold begins, and its samples.
        self._last_loud = (0, array("f"))
        self._head, self._tail = array("f"), array("f")

    def begin_window(self, position: int) -> None:
        """Go on at another frame, with the filters at rest."""
        if len(self._powers) == 1 and self._first_loud is None:
            # The sound between the windows may be loud.
            self._first_loud = self.position
        self.position = self._window = position
        self._filters = SegmentMeter(self._rate, self._weights)
        self._powers.append([])
        self._tail = array("f")

    def add(self, samples: "array[float]") -> None:
        """Measure the next segment, of `step` frames or fewer at the end."""
        if not math.isfinite(sum(samples)):
            samples = array("f", (value if math.isfinite(value) else 0.0 for value in samples))
            self._has_bad_samples = True
        frames = len(samples) // self._channels
        peak = _peak(samples)
        self._peak = max(self._peak, peak)
        if peak > SILENCE:
            if self._first_loud is None:
                self._first_loud = self.position + _first_loud(samples) // self._channels
            self._last_loud = (self.position, samples)
        for channel, counter in enumerate(self._clipping):
            is_clipped = peak >= self._full_scale
            counter.add(samples[channel :: self._channels] if is_clipped else None)
        if self._rate >= MIN_SAMPLE_RATE_HZ:
            self._powers[-1].append((self._filters.measure(samples), frames))
        self._head = self._head or samples
        self._tail = (self._tail + samples)[-self.step * self._channels :]
        self.position += frames
        self._measured += frames

    def facts(self, *, is_whole: bool) -> dict[str, Any]:
        """Return what was found."""
        if not self._measured:
            return {}
        facts: dict[str, Any] = {}
        if self._peak > 0:
            facts["peak_dbfs"] = _rounded(20 * math.log10(self._peak), 1)
        facts["clipped_samples"] = sum(counter.total() for counter in self._clipping)
        if self._peak <= SILENCE:
            facts["silent"] = True
        else:
            facts |= self._loudness() | self._ends()
        if not is_whole:
            facts["measured_seconds"] = round(self._measured / self._rate, 1)
        if self._has_bad_samples:
            facts["flaw"] = NOT_NUMBERS
        return facts

    def _loudness(self) -> dict[str, float]:
        if self._measured < SEGMENTS_PER_BLOCK * self.step:
            loudness = ungated_loudness([entry for entries in self._powers for entry in entries])
        else:
            # In later windows, the filters take a moment to settle.
            loudness = integrated_loudness(
                [power for power, frames in entries if frames == self.step][index > 0 :]
                for index, entries in enumerate(self._powers)
            )
        return {} if loudness is None else {"loudness_lufs": _rounded(loudness, 1)}

    def _ends(self) -> dict[str, float]:
        facts = {"silence_start_seconds": round((self._first_loud or 0) / self._rate, 2)}
        if self._tail:
            start, samples = self._last_loud
            left = len(samples) - _first_loud(samples[::-1])
            end = max(start + -(-left // self._channels), self._window)
            facts["silence_end_seconds"] = round((self.position - end) / self._rate, 2)
            facts["loop_step"] = round(_loop_step(self._head, self._tail, self._channels), 1)
        return facts


class _ClippingCounter:
    """Counts the samples of a channel that are in runs at full scale, over all segments."""

    def __init__(self, full_scale: float) -> None:
        self._full_scale, self._count, self._run = full_scale, 0, 0

    def add(self, samples: "array[float] | None") -> None:
        """Take the next samples, or None if none of them is at full scale."""
        mask = bytes(map(self._full_scale.__le__, map(abs, samples))) if samples else b"\0"
        rest = mask.lstrip(CLIPPED)
        self._run += len(mask) - len(rest)
        if rest:
            body = rest.rstrip(CLIPPED)
            self._count = self.total() + sum(map(len, CLIPPED_RUN.findall(body)))
            self._run = len(rest) - len(body)

    def total(self) -> int:
        """Return the current count."""
        return self._count + (self._run if self._run >= MIN_CLIPPED_RUN else 0)


def _peak(samples: "array[float]") -> float:
    from PIL import Image  # noqa: PLC0415  takes long to import

    # Ten times as fast as max and min.
    image = Image.frombytes("F", (len(samples), 1), samples.tobytes())
    lowest, highest = cast("tuple[float, float]", image.getextrema())
    return max(-lowest, highest)


def _first_loud(samples: "array[float]") -> int:
    """Return the index of the first sample above the threshold, which must be there."""
    return next(index for index, value in enumerate(samples) if abs(value) > SILENCE)


def _loop_step(head: "array[float]", tail: "array[float]", channels: int) -> float:
    """Return the step from end to start, as a ratio to the steps near both; of the worst channel.

    Steps below the threshold of silence count as that threshold.
    """
    ratios = list[float]()
    for channel in range(channels):
        first, last = head[channel::channels], tail[channel::channels]
        steps = sorted(abs(b - a) for part in (first, last) for a, b in pairwise(part))
        typical = steps[int(TYPICAL_SHARE * len(steps))] if steps else 0.0
        ratios.append(abs(first[0] - last[-1]) / max(typical, SILENCE))
    return max(ratios)


def _rounded(value: float, digits: int) -> float:
    # Without a negative zero.
    return round(value, digits) + 0.0
