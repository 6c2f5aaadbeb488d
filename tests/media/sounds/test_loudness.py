"""Loudness of tones whose loudness the standards state."""

import math
from array import array

import pytest

from layer_mcp.media.sounds.loudness import (
    SegmentMeter,
    channel_weights,
    integrated_loudness,
    k_weighting,
    ungated_loudness,
)

from ...support.wav_files import facts_of, sine, wav

FIVE_CHANNELS_MASK = 0x37
RATE = 8000


def stereo_powers(*levels: tuple[float, float]) -> list[float]:
    """Return the powers of the segments of a tone in both channels: dBFS for so many seconds."""
    return [
        10 ** ((decibels + 0.691) / 10)
        for decibels, seconds in levels
        for _ in range(round(seconds * 10))
    ]


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 96_000])
def test_a_tone_at_full_scale_in_one_channel_is_minus_3_01_lufs(rate: int) -> None:
    tone = sine(0.5, rate=rate)
    assert facts_of(wav(tone, rate=rate))["loudness_lufs"] == pytest.approx(-3.01, abs=0.1)


def test_a_silent_second_channel_adds_nothing() -> None:
    tone = sine(0.5)
    facts = facts_of(wav(tone, [0.0] * len(tone)))
    assert facts["loudness_lufs"] == pytest.approx(-3.01, abs=0.1)


def test_the_same_tone_in_both_channels_adds_3_lu() -> None:
    tone = sine(0.5)
    assert facts_of(wav(tone, tone))["loudness_lufs"] == pytest.approx(0.0, abs=0.1)


def test_different_tones_in_both_channels_add_up() -> None:
    left, right = sine(0.5), sine(0.5, hertz=1003)
    assert facts_of(wav(left, right))["loudness_lufs"] == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("bits", [16, 24])
def test_a_tone_at_minus_20_dbfs_is_20_lu_quieter(bits: int) -> None:
    facts = facts_of(wav(sine(0.5, decibels=-20), bits=bits))
    assert facts["loudness_lufs"] == pytest.approx(-23.01, abs=0.1)


def test_bass_counts_less_than_treble() -> None:
    # At 30 Hz, the high-pass takes 8.35 dB; at 8 kHz, the shelf adds 4 dB.
    bass, treble = (
        facts_of(wav(sine(0.5, hertz=hertz, decibels=-20)))["loudness_lufs"] for hertz in (30, 8000)
    )
    assert (bass, treble) == pytest.approx((-32.05, -19.7), abs=0.15)


def test_the_filters_for_48_khz_are_those_of_the_standard() -> None:
    weighting = k_weighting(48_000)
    assert (weighting.a1, weighting.a2) == pytest.approx((-1.69065929318241, 0.73248077421585))
    assert (weighting.c1, weighting.c2) == pytest.approx((-1.99004745483398, 0.99007225036621))
    b0 = math.sqrt(weighting.gain)
    assert (b0, b0 * weighting.b1, b0 * weighting.b2) == pytest.approx(
        (1.53512485958697, -2.69169618940638, 1.19839281085285)
    )


def test_surround_channels_count_more() -> None:
    # EBU Tech 3341, case 6.
    levels = (-28, -28, -24, -30, -30)
    channels = [sine(1, hertz=1000, decibels=decibels) for decibels in levels]
    facts = facts_of(wav(*channels, mask=FIVE_CHANNELS_MASK))
    assert facts["loudness_lufs"] == pytest.approx(-23.0, abs=0.1)


def test_the_low_frequency_channel_counts_nothing() -> None:
    assert channel_weights(6) == [1.0, 1.0, 1.0, 0.0, 1.41, 1.41]


def test_only_side_channels_count_as_surround_channels_if_present() -> None:
    assert channel_weights(8) == [1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.41, 1.41]


def test_channels_that_a_mask_does_not_name_count_as_front_channels() -> None:
    assert channel_weights(3, 0x30) == [1.41, 1.41, 1.0]


@pytest.mark.parametrize(
    ("case", "levels"),
    [
        ("3", ((-36, 10), (-23, 60), (-36, 10))),
        ("4", ((-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10))),
        ("5", ((-26, 20), (-20, 20.1), (-26, 20))),
    ],
)
def test_quiet_parts_are_gated(case: str, levels: tuple[tuple[float, float], ...]) -> None:
    # EBU Tech 3341, with the case's number there.
    assert integrated_loudness([stereo_powers(*levels)]) == pytest.approx(-23.0, abs=0.1), case


def test_a_sound_below_minus_70_lufs_has_no_loudness() -> None:
    assert integrated_loudness([stereo_powers((-71, 5))]) is None


def test_a_short_sound_is_measured_as_a_whole() -> None:
    assert facts_of(wav(sine(0.15)))["loudness_lufs"] == pytest.approx(-3.01, abs=0.2)


def test_a_short_sound_below_minus_70_lufs_has_no_loudness() -> None:
    assert ungated_loudness([(1e-8, 4800)]) is None


def test_filters_ring_briefly_in_silence() -> None:
    meter = SegmentMeter(RATE, [1.0])
    meter.measure(array("f", [0.5] * 800))
    powers = [meter.measure(array("f", [0.0] * 800)) for _ in range(6)]
    assert powers[0] > 0.001
    assert powers[-1] == 0.0


def test_loudness_is_left_out_below_8_khz() -> None:
    assert "loudness_lufs" not in facts_of(wav(sine(0.5, rate=6000), rate=6000))
