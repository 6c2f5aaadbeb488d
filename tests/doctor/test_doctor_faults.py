"""layer-mcp doctor under each fault: it is told, with its fix, and no secret is."""

from pathlib import Path

import pytest

from layer_mcp.doctor.check import Check
from layer_mcp.doctor.report import columns, lines_of, marks_for

from ..support.doctor_faults import FAULTS
from ..support.doctor_home import WIDTH

pytestmark = pytest.mark.slow


def without_blanks(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_and_nothing_else_is_told_with_its_fix(name: str, tmp_path: Path) -> None:
    make, expected = FAULTS[name]
    with make(tmp_path) as home:
        report = home.json_report()
    told = {check: state for check, state in report.not_ok().items() if state != "skipped"}
    assert told == {expected.check: expected.state}
    assert expected.fact in report.fact(expected.check)
    assert expected.fix in report.fix(expected.check)
    assert report.exit_code == (1 if expected.state == "failed" else 0)
    shown = lines_of(Check(**report.checks[expected.check]), marks_for("utf-8"), coloured=False)
    assert max(map(columns, shown)) <= WIDTH


# A table is a process of its own, which says what --json says.
@pytest.mark.parametrize("name", list(FAULTS)[::8])
def test_the_table_tells_a_fault_within_80_columns_and_no_secret(name: str, tmp_path: Path) -> None:
    make, expected = FAULTS[name]
    with make(tmp_path) as home:
        table = home.table()
    assert without_blanks(expected.fact) in without_blanks(table)
    assert max(map(columns, table.splitlines())) <= WIDTH
