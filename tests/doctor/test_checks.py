"""How the checks run: in order, each limited in time, none stopping the others."""

from threading import Event

import pytest

from layer_mcp import Settings
from layer_mcp.doctor.checks import CHECKS, run_checks
from layer_mcp.doctor.types import Setup

from ..support.doctor_faults import CLOSED_ADDRESS
from ..support.doctor_home import TOKEN

OFFLINE = Settings(api_token=TOKEN, sandbox=True, api_url=f"http://{CLOSED_ADDRESS}/api")
FIND_TOKEN = "layer_mcp.doctor.environment.find_token"


def test_check_ids_are_unique() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS)


def test_a_check_comes_after_those_it_depends_on() -> None:
    earlier: set[str] = set()
    for check in CHECKS:
        assert earlier.issuperset(check.after)
        earlier.add(check.id)


def test_a_check_that_raises_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_setup: Setup) -> None:
        raise RuntimeError(TOKEN)

    monkeypatch.setattr(FIND_TOKEN, broken)
    results = {result.id: result for result in run_checks(Setup(OFFLINE))}
    assert results["token"].state == "failed"
    assert results["token"].fact == "the check crashed (RuntimeError)"
    assert results["journal"].state == "ok"


def test_a_check_that_hangs_is_stopped_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layer_mcp.doctor.checks.CHECK_SECONDS", 2)
    released = Event()

    def hang(_setup: Setup) -> None:
        released.wait()

    monkeypatch.setattr(FIND_TOKEN, hang)
    results = {result.id: result for result in run_checks(Setup(OFFLINE))}
    released.set()
    assert (results["token"].state, results["clients"].state) == ("failed", "ok")
    assert results["token"].fact == "it didn't finish"


def test_skips_the_checks_that_are_left_when_the_total_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("layer_mcp.doctor.checks.TOTAL_SECONDS", 0)
    results = list(run_checks(Setup(Settings())))
    assert {result.state for result in results} == {"skipped"}
    assert results[0].fact == "not checked: the limit of 0 s was reached"
