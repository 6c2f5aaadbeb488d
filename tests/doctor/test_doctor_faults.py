"""layer-mcp doctor under each fault: it reports the fault and its fix, and leaks no secret."""

from pathlib import Path

import pytest
from rich.cells import cell_len

from layer_mcp.doctor.types import CheckResult

from ..support.doctor_faults import FAULTS
from ..support.doctor_home import WIDTH, printed_lines

pytestmark = pytest.mark.slow


def without_blanks(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("name", FAULTS)
def test_reports_a_fault_and_nothing_else(name: str, tmp_path: Path) -> None:
    expected = FAULTS[name].expected
    with FAULTS[name].make_home(tmp_path) as home:
        report = home.json_report()
    problems = {id: state for id, state in report.not_ok().items() if state != "skipped"}
    assert problems == {expected.check: expected.state}
    assert expected.fact in report.fact(expected.check)
    assert expected.fix in report.fix(expected.check)
    assert report.exit_code == (1 if expected.state == "failed" else 0)
    lines = printed_lines(CheckResult(**report.checks[expected.check]))
    assert max(map(cell_len, lines)) <= WIDTH


# A table takes another process, and its text is what --json says.
@pytest.mark.parametrize("name", list(FAULTS)[::8])
def test_the_table_shows_a_fault_in_80_columns(name: str, tmp_path: Path) -> None:
    with FAULTS[name].make_home(tmp_path) as home:
        table = home.table()
    assert without_blanks(FAULTS[name].expected.fact) in without_blanks(table)
    assert max(map(cell_len, table.splitlines())) <= WIDTH
