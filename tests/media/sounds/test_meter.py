"""Peaks, clipping, silence and loops of sounds with known samples."""

import math
from array import array

import pytest

from layer_mcp.media.sounds import meter
from layer_mcp.media.sounds.meter import measure_samples

from ...support.wav_files import facts_of, sine, wav

RATE = 8000


class Repeated:
    """Reads the same frames again and again, and counts what is read."""

    def __init__(self, samples: list[float], frames: int) -> None:
        self._samples, self._left = samples, frames
        self.frames_read = 0

    def skip(self, frame_count: int) -> None:
        self._left = max(self._left - frame_count, 0)

    def read(self, frame_count: int) -> "array[float]":
        count = min(frame_count, self._left)
        self._left -= count
        self.frames_read += count
        return array("f", (self._samples * (count // len(self._samples) + 1))[:count])


def test_the_peak_is_that_of_the_loudest_channel() -> None:
    facts = facts_of(wav(sine(0.1, decibels=-40), sine(0.1, decibels=-6)))
    assert facts["peak_dbfs"] == -6.0


def test_a_negative_peak_counts_as_much_as_a_positive_one() -> None:
    assert facts_of(wav([0.1, -0.5, 0.2]))["peak_dbfs"] == -6.0


def test_floats_may_be_above_full_scale() -> None:
    facts = facts_of(wav(sine(0.1, decibels=6), bits=32, is_float=True))
    assert facts["peak_dbfs"] == 6.0


def test_a_tone_at_full_scale_is_not_clipped() -> None:
    assert facts_of(wav(sine(0.1)))["clipped_samples"] == 0


@pytest.mark.parametrize(("bits", "is_float"), [(8, False), (16, False), (24, False), (32, True)])
def test_flat_tops_are_clipped(bits: int, is_float: bool) -> None:
    # Each half of both periods has six samples at full scale.
    loud = [max(min(2 * math.sin(math.pi * (n + 0.5) / 8), 1.0), -1.0) for n in range(32)]
    assert facts_of(wav(loud, bits=bits, is_float=is_float))["clipped_samples"] == 24


def test_two_samples_at_full_scale_are_not_clipped() -> None:
    assert facts_of(wav([0.0, 1.0, 1.0, 0.0, 1.0]))["clipped_samples"] == 0


def test_a_clipped_run_across_segments_counts_as_one() -> None:
    # Segments have 800 samples: one sample of the run is in the first.
    samples = [0.0] * 799 + [1.0] * 3 + [0.0] * 799
    assert facts_of(wav(samples, rate=RATE))["clipped_samples"] == 3


def test_each_channel_is_clipped_on_its_own() -> None:
    assert facts_of(wav([1.0] * 4, [0.0] * 4))["clipped_samples"] == 4
    assert facts_of(wav([0.0, 1.0] * 4, [1.0, 0.0] * 4))["clipped_samples"] == 0


def test_silence_at_both_ends_is_measured() -> None:
    tone = sine(0.5, rate=RATE, hertz=1000)
    facts = facts_of(wav([0.0] * 6000 + tone + [0.0] * 2000, rate=RATE))
    assert (facts["silence_start_seconds"], facts["silence_end_seconds"]) == (0.75, 0.25)


def test_noise_below_minus_60_dbfs_is_silence() -> None:
    noise = sine(0.5, rate=RATE, decibels=-61)
    facts = facts_of(wav(noise + sine(0.5, rate=RATE), rate=RATE))
    assert facts["silence_start_seconds"] == 0.5


def test_a_sound_without_anything_loud_is_silent() -> None:
    facts = facts_of(wav(sine(0.5, decibels=-61)))
    assert facts["silent"] is True
    assert "silence_start_seconds" not in facts


def test_digital_silence_has_no_peak() -> None:
    facts = facts_of(wav([0.0] * 4800, [0.0] * 4800))
    assert facts == {
        "silent": True,
        "clipped_samples": 0,
        "codec": "pcm",
        "duration_seconds": 0.1,
        "sample_rate_hz": 48_000,
        "channels": 2,
        "bit_depth": 16,
    }


def test_whole_periods_of_a_tone_make_a_smooth_loop() -> None:
    facts = facts_of(wav(sine(0.5, rate=RATE, hertz=100, decibels=-6), rate=RATE))
    assert facts["loop_step"] == 1.0


def test_half_a_period_more_makes_a_click() -> None:
    # From the peak of a cosine to its trough is a step of 2, where others have at most 0.0785.
    samples = [math.cos(2 * math.pi * n / 80) for n in range(4041)]
    assert facts_of(wav(samples, rate=RATE))["loop_step"] == pytest.approx(25.5, abs=0.1)


def test_a_different_level_at_the_end_makes_a_click() -> None:
    quiet = sine(0.5, rate=RATE, hertz=100, decibels=-40)
    facts = facts_of(wav([*quiet, *(value + 0.5 for value in quiet)], rate=RATE))
    assert facts["loop_step"] > 50


def test_silent_ends_make_a_smooth_loop() -> None:
    facts = facts_of(wav([0.0] * 800 + sine(0.1, rate=RATE) + [0.0] * 800, rate=RATE))
    assert facts["loop_step"] == 0.0


def test_a_sound_of_one_sample_is_measured() -> None:
    facts = facts_of(wav([0.5]))
    assert (facts["peak_dbfs"], facts["loop_step"]) == (-6.0, 0.0)


def test_samples_that_are_not_numbers_are_a_flaw() -> None:
    facts = facts_of(wav([0.25, math.nan, math.inf], bits=32, is_float=True))
    assert (facts["peak_dbfs"], facts["flaw"]) == (-12.0, "it has samples that aren't numbers")


def test_measures_a_limited_part_of_a_long_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "MAX_SAMPLES", 6 * RATE)
    frames = 3600 * RATE
    reader = Repeated(sine(1, rate=RATE, hertz=1000, decibels=-20), frames)
    facts = measure_samples(reader, frames=frames, channels=1, sample_rate_hz=RATE)
    assert reader.frames_read == 6 * RATE
    assert facts["measured_seconds"] == 6.0
    assert facts["loudness_lufs"] == pytest.approx(-23.0, abs=0.2)


def test_a_long_sound_is_measured_at_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "MAX_SAMPLES", 6 * RATE)
    tone = sine(20, rate=RATE, hertz=1000)
    facts = facts_of(wav([0.0] * 4000 + tone + [0.0] * 2000, rate=RATE))
    assert (facts["silence_start_seconds"], facts["silence_end_seconds"]) == (0.5, 0.25)


def test_the_start_of_a_later_part_is_not_a_click(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "MAX_SAMPLES", 6 * RATE)
    tone = sine(18, rate=RATE, hertz=1000, decibels=-40)
    facts = facts_of(wav([0.0] * 2 * RATE + [value + 0.5 for value in tone], rate=RATE))
    assert facts["loudness_lufs"] == pytest.approx(-43.0, abs=0.2)


def test_silence_of_a_long_sound_is_only_measured_in_its_first_and_last_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(meter, "MAX_SAMPLES", 6 * RATE)
    silence = [0.0] * 9 * RATE
    facts = facts_of(wav(silence + sine(4, rate=RATE) + silence, rate=RATE))
    assert (facts["silence_start_seconds"], facts["silence_end_seconds"]) == (1.0, 1.0)


def test_an_end_before_the_declared_one_is_a_flaw() -> None:
    reader = Repeated(sine(0.1, rate=RATE), 4000)
    facts = measure_samples(reader, frames=8000, channels=1, sample_rate_hz=RATE)
    assert facts["flaw"] == "it ends too early"


@pytest.mark.parametrize(("channels", "rate"), [(0, RATE), (17, RATE), (1, 0), (1, 384_001)])
def test_absurd_formats_are_not_measured(channels: int, rate: int) -> None:
    reader = Repeated([0.5], 100)
    assert measure_samples(reader, frames=100, channels=channels, sample_rate_hz=rate) == {}
