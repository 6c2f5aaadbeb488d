"""Each fault at each moment over each host: paid once at most, never lost, and safe to repeat."""

from collections.abc import Callable
from pathlib import Path

import pytest

from layer_mcp.sandbox import RunningSandbox

from ..support.fault_matrix import MOMENTS, Moment, broken_promises, faults, tried
from ..support.fault_table import CELL, Cell
from ..support.hosts import Host

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.mark.parametrize("moment", MOMENTS, ids=[moment.replace(" ", "-") for moment in MOMENTS])
async def test_no_fault_makes_a_call_be_paid_twice_or_lost(
    moment: Moment,
    host: Host,
    sandbox: RunningSandbox,
    environment: dict[str, str],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    settings = environment | {"LAYER_OUTPUT_DIR": str(tmp_path / "out"), "LAYER_PREVIEW": "0"}
    broken: dict[str, list[str]] = {}
    async with host.connect(settings) as client:
        for name, fault in faults(moment).items():
            sandbox.state.arrivals.clear()
            outcome = await tried(client, sandbox, settings, moment, name, fault)
            problems = broken_promises(outcome, moment, fault)
            cell: Cell = (moment, name, str(host), "BROKEN" if problems else outcome.word)
            record_property(CELL, cell)
            if problems:
                broken[name] = problems
    assert broken == {}
