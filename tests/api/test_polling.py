"""Bounded waiting, on a clock that jumps."""

from collections.abc import Iterator
from typing import Any

import anyio
import pytest
import trio.testing

from layer_mcp import Inference, LayerError
from layer_mcp.api.polling import (
    Poll,
    is_terminal,
    pause_before_poll,
    poll_interval_seconds,
    wait_for_end,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


def state(status: str = "in_progress", interval: float | None = 10) -> Inference:
    return Inference.model_validate(
        {"inference_id": "run", "status": status, "poll_interval_seconds": interval}
    )


def answers(*replies: Inference | LayerError) -> tuple[Poll[Inference], list[float]]:
    """A poll that returns the replies, then repeats the last, and the times of its calls."""
    start = anyio.current_time()
    asked: list[float] = []
    left: Iterator[Inference | LayerError] = iter(replies)
    last = replies[-1]

    async def poll() -> Inference:
        asked.append(anyio.current_time() - start)
        reply = next(left, last)
        if isinstance(reply, LayerError):
            raise reply
        return reply

    return poll, asked


@pytest.mark.parametrize(
    ("asked", "used"), [(None, 10), (0, 1), (-5, 1), (1, 1), (7.5, 7.5), (60, 60), (10_000, 60)]
)
def test_the_poll_interval_is_limited_to_1_to_60_seconds(asked: float | None, used: float) -> None:
    assert poll_interval_seconds(asked) == used


@pytest.mark.parametrize("status", ["complete", "failed", "cancelled", "deleted"])
def test_an_ended_run_is_terminal(status: str) -> None:
    assert is_terminal(status)


@pytest.mark.parametrize("status", ["in_progress", "paused_by_moon", ""])
def test_an_unknown_status_is_not_terminal(status: str) -> None:
    assert not is_terminal(status)


def test_retry_after_makes_the_pause_longer_and_never_shorter() -> None:
    def busy(seconds: float) -> LayerError:
        return LayerError("RATE_LIMITED", "Busy.", retry_after_seconds=seconds)

    assert pause_before_poll(state(interval=10), busy(15), 60) == 15
    assert pause_before_poll(state(interval=10), busy(3), 60) == 10


def test_does_not_poll_past_the_deadline() -> None:
    assert pause_before_poll(state(interval=10), None, 10) is None


async def test_it_polls_at_the_interval_and_stops_when_the_run_ends() -> None:
    poll, asked = answers(state(), state(), state("complete"))
    run = await wait_for_end(poll, timeout_seconds=60)
    assert (run.status, asked) == ("complete", [0, 10, 20])


async def test_the_newest_interval_counts() -> None:
    poll, asked = answers(state(interval=1), state(interval=20), state("complete"))
    await wait_for_end(poll, timeout_seconds=60)
    assert asked == [0, 1, 21]


async def test_returns_the_last_state_exactly_at_the_deadline() -> None:
    poll, asked = answers(state())
    start = anyio.current_time()
    run = await wait_for_end(poll, timeout_seconds=25)
    assert (run.status, asked) == ("in_progress", [0, 10, 20])
    assert anyio.current_time() - start == 25


async def test_a_known_state_delays_the_first_poll_by_one_interval() -> None:
    poll, asked = answers(state("complete"))
    await wait_for_end(poll, timeout_seconds=25, known=state(interval=4))
    assert asked == [4]


async def test_an_ended_run_needs_no_poll() -> None:
    poll, asked = answers(state())
    assert (await wait_for_end(poll, timeout_seconds=25, known=state("failed"))).status == "failed"
    assert asked == []


async def test_an_interval_of_10000_means_one_poll_in_a_short_wait() -> None:
    poll, asked = answers(state(interval=10_000))
    await wait_for_end(poll, timeout_seconds=45)
    assert asked == [0]


async def test_an_unknown_status_is_polled_until_the_deadline_and_returned_unchanged() -> None:
    poll, asked = answers(state("dreaming"))
    run = await wait_for_end(poll, timeout_seconds=15)
    assert (run.status, asked) == ("dreaming", [0, 10])


async def test_polling_continues_after_transient_faults() -> None:
    fault = LayerError("TIMEOUT", "Slow.", transient=True)
    poll, asked = answers(fault, state(), fault, fault, state("complete"))
    run = await wait_for_end(poll, timeout_seconds=60)
    assert (run.status, asked) == ("complete", [0, 2, 12, 22, 32])


async def test_a_fault_at_the_end_still_returns_the_last_state() -> None:
    poll, _ = answers(state(), LayerError("TIMEOUT", "Slow.", transient=True))
    assert (await wait_for_end(poll, timeout_seconds=25)).status == "in_progress"


async def test_without_any_state_the_last_fault_is_raised() -> None:
    poll, _ = answers(LayerError("SERVER_ERROR", "Broken.", transient=True))
    with pytest.raises(LayerError, match="SERVER_ERROR"):
        await wait_for_end(poll, timeout_seconds=25)


async def test_a_refusal_is_raised_immediately() -> None:
    poll, asked = answers(state(), LayerError("UNAUTHENTICATED", "No."))
    with pytest.raises(LayerError, match="UNAUTHENTICATED"):
        await wait_for_end(poll, timeout_seconds=60)
    assert asked == [0, 10]


async def test_a_poll_that_hangs_is_cut_off_at_the_deadline() -> None:
    async def poll() -> Inference:
        await anyio.sleep(1000)
        return state()

    start = anyio.current_time()
    run = await wait_for_end(poll, timeout_seconds=25, known=state(interval=10))
    assert (run.status, anyio.current_time() - start) == ("in_progress", 25)


async def test_a_short_wait_still_gives_its_first_poll_time_to_answer() -> None:
    async def poll() -> Inference:
        await anyio.sleep(3)
        return state()

    run = await wait_for_end(poll, timeout_seconds=0.1)
    assert (run.status, anyio.current_time()) == ("in_progress", 3)


async def test_progress_names_each_new_state_and_the_seconds_waited() -> None:
    poll, _ = answers(state(), state("complete"))
    seen: list[tuple[str, float]] = []

    async def note(run: Inference, waited_seconds: float) -> None:
        seen.append((run.status, waited_seconds))

    await wait_for_end(poll, timeout_seconds=60, on_progress=note)
    assert seen == [("in_progress", 0), ("complete", 10)]
