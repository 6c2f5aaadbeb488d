"""Which signals stop a block, and how often they have to come."""

import signal
from collections.abc import Callable

import anyio
import pytest

from layer_mcp import signals
from layer_mcp.signals import Interrupted, raise_on_signals, stop_on_signals

pytestmark = pytest.mark.anyio

ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


async def stopped(raise_signals: Callable[[], None]) -> tuple[int, list[int]]:
    """Return how often the block was stopped, and the signals with which it was given up."""
    stops = 0
    given_up: list[int] = []

    def stop() -> None:
        nonlocal stops
        stops += 1

    with stop_on_signals(stop, given_up.append):
        raise_signals()
        await anyio.wait_all_tasks_blocked()
        await anyio.sleep(0.01)
    return stops, given_up


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_signal_that_comes_twice_stops_the_block_once(ending: signal.Signals) -> None:
    def twice() -> None:
        signal.raise_signal(ending)
        signal.raise_signal(ending)

    assert await stopped(twice) == (1, [])


async def test_another_ctrl_c_exits_with_the_first_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "ECHO_SECONDS", 0.0)
    monkeypatch.setattr(signals, "LAST_SECONDS", 0.0)

    def impatient() -> None:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)

    assert await stopped(impatient) == (1, [signal.SIGTERM])


async def test_abandons_a_block_that_does_not_stop_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "STOP_SECONDS", 0.0)
    assert await stopped(lambda: signal.raise_signal(signal.SIGINT)) == (1, [signal.SIGINT])


@pytest.mark.parametrize("ending", ENDINGS)
async def test_an_ignored_signal_stays_ignored(ending: signal.Signals) -> None:
    before = signal.signal(ending, signal.SIG_IGN)
    try:
        assert await stopped(lambda: signal.raise_signal(ending)) == (0, [])
        assert signal.getsignal(ending) is signal.SIG_IGN
    finally:
        signal.signal(ending, before)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_signal_interrupts_a_block_that_waits_for_a_person(ending: signal.Signals) -> None:
    before = signal.getsignal(ending)
    with pytest.raises(Interrupted) as raised, raise_on_signals():
        signal.raise_signal(ending)
    assert raised.value.exit_code == 128 + ending
    assert signal.getsignal(ending) is before
