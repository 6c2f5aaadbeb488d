"""Integrated loudness in LUFS (ITU-R BS.1770-5): K-weighting, channel weights and two gates."""

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Below, the shelf of the K-weighting comes too close to half the sample rate.
MIN_SAMPLE_RATE_HZ = 8000
# A gating block is 400 ms long, and the next one begins 100 ms later.
SEGMENTS_PER_SECOND, SEGMENTS_PER_BLOCK = 10, 4
OFFSET_LU = -0.691
ABSOLUTE_GATE_LUFS, RELATIVE_GATE_LU = -70.0, -10.0
# What still rings in a filter is below -180 dBFS.
SETTLED = 1e-9

# The analog filters behind the coefficients that BS.1770 gives for 48 kHz.
SHELF_HZ, SHELF_DB, SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
SHELF_BAND_EXPONENT = 0.4996667741545416
HIGH_PASS_HZ, HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773

LFE_BIT, BACK_BITS, SIDE_BITS = 0x8, 0x30, 0x600
MASK_BITS = 18
SURROUND_WEIGHT = 1.41
# Channels in the order of WAVE when a file has no mask: quad, 5.0, 5.1 and 7.1.
MASK_BY_CHANNELS = {4: 0x33, 5: 0x37, 6: 0x3F, 8: 0x63F}

State = tuple[float, float, float, float, float]
AT_REST: State = (0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class KWeighting:
    """The two filters of BS.1770 for one sample rate: a shelf, then a high-pass with b = 1, -2, 1.

    The first coefficient of the shelf is taken out; `gain` is its square, for the energy.
    """

    gain: float
    b1: float
    b2: float
    a1: float
    a2: float
    c1: float
    c2: float


def k_weighting(sample_rate_hz: int) -> KWeighting:
    """Return the K-weighting for a sample rate, by the bilinear transform of its analog filters."""
    k = math.tan(math.pi * SHELF_HZ / sample_rate_hz)
    high = 10 ** (SHELF_DB / 20)
    band = high**SHELF_BAND_EXPONENT
    b0 = high + band * k / SHELF_Q + k * k
    a0 = 1 + k / SHELF_Q + k * k
    j = math.tan(math.pi * HIGH_PASS_HZ / sample_rate_hz)
    c0 = 1 + j / HIGH_PASS_Q + j * j
    return KWeighting(
        gain=(b0 / a0) ** 2,
        b1=2 * (k * k - high) / b0,
        b2=(high - band * k / SHELF_Q + k * k) / b0,
        a1=2 * (k * k - 1) / a0,
        a2=(1 - k / SHELF_Q + k * k) / a0,
        c1=2 * (j * j - 1) / c0,
        c2=(1 - j / HIGH_PASS_Q + j * j) / c0,
    )


def channel_weights(channels: int, mask: int | None = None) -> list[float]:
    """Return the weight of each channel: 1.41 for the surround channels, 0 for LFE, else 1.

    `mask` is the channel mask of WAVE_FORMAT_EXTENSIBLE. Without one, 4, 5, 6 and 8 channels are
    taken as quad, 5.0, 5.1 and 7.1. Back channels only count as surround channels when there are
    no side channels (BS.1770-5, table 4).
    """
    mask = mask or MASK_BY_CHANNELS.get(channels, 0)
    bits = [1 << bit for bit in range(MASK_BITS) if mask >> bit & 1][:channels]
    surround = SIDE_BITS if mask & SIDE_BITS else BACK_BITS
    weights = [
        0.0 if bit == LFE_BIT else SURROUND_WEIGHT if bit & surround else 1.0 for bit in bits
    ]
    return weights + [1.0] * (channels - len(weights))


def segment_frames(sample_rate_hz: int) -> int:
    """Return the frames of a quarter of a gating block, an even number."""
    return 2 * max(round(sample_rate_hz / SEGMENTS_PER_SECOND / 2), 1)


class SegmentMeter:
    """Measures the power of one segment after the other, all channels added up."""

    def __init__(self, sample_rate_hz: int, weights: Sequence[float]) -> None:
        """Start at rest."""
        self._filter = k_weighting(sample_rate_hz)
        self._weights = weights
        self._states = [AT_REST] * len(weights)

    def measure(self, samples: "array[float]") -> float:
        """Return the weighted mean square of a segment's interleaved samples; 1.0 is full scale."""
        if self._is_settled() and not samples.tobytes().strip(b"\0"):
            return 0.0
        count = len(self._weights)
        frames = max(len(samples) // count, 1)
        power, done = 0.0, dict[tuple[State, bytes], tuple[float, State]]()
        for channel, weight in enumerate(self._weights):
            if not weight:
                continue
            part = samples[channel::count]
            # Many stereo files hold the same sound twice.
            key = (self._states[channel], part.tobytes())
            if key not in done:
                done[key] = _filter_energy(part, self._states[channel], self._filter)
            energy, self._states[channel] = done[key]
            power += weight * energy / frames
        return power * self._filter.gain

    def _is_settled(self) -> bool:
        return all(abs(value) < SETTLED for state in self._states for value in state)


def _filter_energy(samples: "array[float]", state: State, by: KWeighting) -> tuple[float, State]:
    """Return the sum of the squares after both filters, and the state that they end in."""
    a1, a2, c1, c2 = -by.a1, -by.a2, -by.c1, -by.c2
    b1, b2 = by.b1 - by.a1, by.b2 - by.a2
    w1, w2, v1, v2, d1 = state
    energy = 0.0
    if len(samples) % 2:
        samples.append(0.0)
    pairs = iter(samples)
    # Two samples a turn, so that the newer and the older value swap names instead of moving.
    for even, odd in zip(pairs, pairs, strict=True):
        u = even + b1 * w1 + b2 * w2
        w2 = even + a1 * w1 + a2 * w2
        v2 = u + c1 * v1 + c2 * v2
        d = v2 - v1
        y = d - d1
        energy += y * y
        u = odd + b1 * w2 + b2 * w1
        w1 = odd + a1 * w2 + a2 * w1
        v1 = u + c1 * v2 + c2 * v1
        d1 = v1 - v2
        y = d1 - d
        energy += y * y
    return energy, (w1, w2, v1, v2, d1)


def integrated_loudness(stretches: Iterable[Sequence[float]]) -> float | None:
    """Return the gated loudness in LUFS of stretches of segment powers, or None if all is quiet.

    A stretch of fewer than four segments has no gating block.
    """
    blocks = [
        sum(powers[at : at + SEGMENTS_PER_BLOCK]) / SEGMENTS_PER_BLOCK
        for powers in stretches
        for at in range(len(powers) - SEGMENTS_PER_BLOCK + 1)
    ]
    audible = [power for power in blocks if loudness_of(power) > ABSOLUTE_GATE_LUFS]
    if not audible:
        return None
    gate = loudness_of(sum(audible) / len(audible)) + RELATIVE_GATE_LU
    loud = [power for power in audible if loudness_of(power) > gate]
    return loudness_of(sum(loud) / len(loud))


def ungated_loudness(segments: Sequence[tuple[float, int]]) -> float | None:
    """Return the loudness in LUFS of powers, each of so many frames, or None if it is quiet."""
    frames = sum(count for _, count in segments)
    loudness = loudness_of(sum(power * count for power, count in segments) / max(frames, 1))
    return loudness if loudness > ABSOLUTE_GATE_LUFS else None


def loudness_of(power: float) -> float:
    """Return the loudness in LUFS of a weighted mean square."""
    return OFFSET_LU + 10 * math.log10(power) if power > 0 else -math.inf
